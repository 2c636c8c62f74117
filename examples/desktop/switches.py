"""A plain list of what the user may switch on: a switch for each, and what is known of it.

What is collected is first shown on this computer alone; only a switch has it sent.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from tkinter import ttk

from mars import Mars

WRAP = 700
"""Pixels."""


@dataclass(frozen=True)
class Row:
    """One switch."""

    group: str
    name: str
    """What the user agrees to."""
    label: str
    agreed: bool
    may_switch: bool
    lines: Sequence[str]
    """What stands below it."""


class Switches(ttk.Frame):
    """A group for each heading. ``save`` stores what is switched on, or says that it could not."""

    LOCAL = ""
    """What the switch says that has things collected and shown here alone."""

    def __init__(self, parent: tk.Misc, mars: Mars, changed: Callable[[], None]) -> None:
        super().__init__(parent, padding=12)
        self.mars = mars
        self._changed = changed
        self.local = tk.BooleanVar(self)
        box = ttk.Checkbutton(self, text=self.LOCAL, variable=self.local, command=self._show)
        box.pack(anchor="w")
        self.problem = ttk.Label(self, foreground="#a3241a", wraplength=WRAP)
        self.problem.pack(side="bottom", fill="x")
        ttk.Button(self, text="Save", command=self.save).pack(side="bottom", anchor="e", pady=8)
        self.list = _scrolled(self)
        self.switches: dict[str, tk.BooleanVar] = {}
        self.agreed: dict[str, bool] = {}
        self.refresh()

    def rows(self) -> list[Row]:
        """What is declared, collected and sent now, group by group."""
        raise NotImplementedError

    def is_shown(self) -> bool:
        """Whether anything is collected, be it for this page alone."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Writes the list anew, as it is stored."""
        for child in self.list.winfo_children():
            child.destroy()
        self.local.set(self.is_shown())
        rows = self.rows()
        self.agreed = {row.name: row.agreed for row in rows}
        self.switches = {name: tk.BooleanVar(self, on) for name, on in self.agreed.items()}
        for group, inside in groupby(rows, key=lambda row: row.group):
            ttk.Label(self.list, text=group, style="Title.TLabel").pack(anchor="w", pady=(8, 0))
            for row in inside:
                self._row(row)
        if not rows:
            ttk.Label(self.list, text="Nothing is declared.").pack(anchor="w")

    def _row(self, row: Row) -> None:
        box = ttk.Checkbutton(self.list, text=row.label, variable=self.switches[row.name])
        box.pack(anchor="w", pady=(6, 0))
        if not row.may_switch:
            box.state(["disabled"])
        for line in row.lines:
            label = ttk.Label(self.list, text=line, style="Small.TLabel", wraplength=WRAP)
            label.pack(anchor="w", padx=24)

    def _show(self) -> None:
        self.mars.statistics.show(self.local.get())
        self.refresh()
        self._changed()

    def save(self) -> bool:
        """What the user has changed here, alone. Whether it could be stored."""
        switched = {name: switch.get() for name, switch in self.switches.items()}
        chosen = {name: on for name, on in switched.items() if on is not self.agreed[name]}
        kept = self.mars.statistics.choose(chosen)
        problem = None if kept else self.mars.status()["problem"]
        self.problem.configure(text=problem["message"] if problem else "")
        if kept:
            self.refresh()
            self._changed()
        return kept


def _scrolled(parent: ttk.Frame) -> ttk.Frame:
    """A frame that may be longer than the window."""
    ground = ttk.Style().lookup("TFrame", "background")
    canvas = tk.Canvas(parent, highlightthickness=0, background=ground)
    bar = ttk.Scrollbar(parent, command=canvas.yview)
    inner = ttk.Frame(canvas)
    canvas.create_window(0, 0, window=inner, anchor="nw")
    canvas.configure(yscrollcommand=bar.set)
    inner.bind("<Configure>", lambda _: canvas.configure(scrollregion=canvas.bbox("all")))
    bar.pack(side="right", fill="y")
    canvas.pack(side="left", fill="both", expand=True)
    return inner
