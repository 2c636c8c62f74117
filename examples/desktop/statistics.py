"""The declared statistics as a plain list: a switch for each, what it says now, and what went.

Values are first shown on this computer alone; only a switch has them sent.
"""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from itertools import groupby
from tkinter import ttk
from typing import Any

from mars import Mars

LOCAL = "Collect the values and show them here. Nothing is sent by this."
WRAP = 700
"""Pixels."""


class Statistics(ttk.Frame):
    """A group for each project. ``save`` stores what is switched on, or says that it could not."""

    def __init__(self, parent: tk.Misc, mars: Mars, changed: Callable[[], None]) -> None:
        super().__init__(parent, padding=12)
        self._mars = mars
        self._changed = changed
        self.local = tk.BooleanVar(self)
        box = ttk.Checkbutton(self, text=LOCAL, variable=self.local, command=self._show)
        box.pack(anchor="w")
        self.problem = ttk.Label(self, foreground="#a3241a", wraplength=WRAP)
        self.problem.pack(side="bottom", fill="x")
        ttk.Button(self, text="Save", command=self.save).pack(side="bottom", anchor="e", pady=8)
        self.list = _scrolled(self)
        self.switches: dict[str, tk.BooleanVar] = {}
        self.agreed: dict[str, bool] = {}
        self.refresh()

    def refresh(self) -> None:
        """Writes what is declared, collected and sent now."""
        for child in self.list.winfo_children():
            child.destroy()
        self.local.set(self._mars.statistics.mode != "off")
        entries = self._mars.statistics.entries()
        self.agreed = {one["name"]: bool(one["agreed"]) for one in entries}
        self.switches = {name: tk.BooleanVar(self, on) for name, on in self.agreed.items()}
        for project, group in groupby(sorted(entries, key=_project), key=_project):
            ttk.Label(self.list, text=project, style="Title.TLabel").pack(anchor="w", pady=(8, 0))
            for entry in group:
                self._entry(entry)
        if not entries:
            ttk.Label(self.list, text="Nothing is declared.").pack(anchor="w")

    def _entry(self, entry: dict[str, Any]) -> None:
        box = ttk.Checkbutton(self.list, text=entry["label"], variable=self.switches[entry["name"]])
        box.pack(anchor="w", pady=(6, 0))
        is_shown = self._mars.statistics.mode != "off" and entry["state"] == "collected"
        if not (is_shown or entry["agreed"]):  # a yes can be taken back at any time
            box.state(["disabled"])
        for line in lines(entry):
            label = ttk.Label(self.list, text=line, style="Small.TLabel", wraplength=WRAP)
            label.pack(anchor="w", padx=24)

    def _show(self) -> None:
        self._mars.statistics.show(self.local.get())
        self.refresh()

    def save(self) -> bool:
        """What the user has changed here, alone. Whether it could be stored."""
        switched = {name: switch.get() for name, switch in self.switches.items()}
        chosen = {name: on for name, on in switched.items() if on is not self.agreed[name]}
        kept = self._mars.statistics.choose(chosen)
        problem = None if kept else self._mars.status()["problem"]
        self.problem.configure(text=problem["message"] if problem else "")
        if kept:
            self.refresh()
            self._changed()
        return kept


def lines(entry: dict[str, Any]) -> list[str]:
    """What stands below its switch."""
    said = [f"{entry['description']} {entry['reason']}"]
    if entry["changed"]:
        said.append("It asks something else, or more, than you agreed to, so it is off.")
    if entry["state"] != "collected":
        return [*said, f"Not collected any more ({entry['state']})."]
    if entry["agreed"] and not entry["on"]:
        said.append("You agreed to it, and a setting of this computer holds it back.")
    if entry["value"] is not None:
        said.append(f"Now: {entry['value']}. Would be sent: {entry['said']}. {entry['randomized']}")
    if entry["problem"] is not None:
        said.append(f"No value: {entry['problem']['message']}")
    last = entry["last"]
    went = f"Last sent: {last['value']}, on {last['time'][:10]}." if last else "Never sent."
    return [*said, went]


def _project(entry: dict[str, Any]) -> str:
    return str(entry["project"])


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
