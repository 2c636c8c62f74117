"""Error reports: whether there are any, each with what became of it, the exact text before it goes,
and a button that deletes it."""

from __future__ import annotations

import tkinter as tk
from tkinter import ttk
from typing import Any

from mars import Mars

MODES = (
    ("never", "No error reports", "Nothing is kept of what fails."),
    ("ask", "Ask me", "Each report waits here until you have read and sent it."),
    ("always", "Send them", "Each goes by itself, as a report that only a crowd opens."),
)
WAYS = (("crowd", "Opened by a crowd"), ("direct", "Read by the developers, with an answer"))
CANNOT = "It cannot be sent now: the developers' keys are not known yet."
NEWS_FIRST = "Agree to news on the privacy page first."
ASKED = "Deletion asked for. "
REMOVED = "Removed here."
STAYS = "Removed here. What was sent to a crowd goes after 90 days; nobody can tell whose it is."


class Reports(ttk.Frame):
    """A list, and what is to be seen and done of the one that is chosen."""

    def __init__(self, parent: tk.Misc, mars: Mars) -> None:
        super().__init__(parent, padding=12)
        self._mars = mars
        self.mode = tk.StringVar(self, mars.reports.mode)
        self.way = tk.StringVar(self, WAYS[0][0])
        self.message = tk.StringVar(self)
        self._modes()
        self.list = tk.Listbox(self, height=6, relief="flat", exportselection=False)
        self.list.pack(fill="x", pady=8)
        self.list.bind("<<ListboxSelect>>", lambda _: self.show())
        self.help = ttk.Label(self, wraplength=740, justify="left")
        self.help.pack(anchor="w")
        self._ways()
        self.text = tk.Text(self, height=10, wrap="char", font="TkFixedFont", relief="flat")
        self.text.pack(fill="both", expand=True)
        buttons = ttk.Frame(self)
        buttons.pack(fill="x", pady=(8, 0))
        self.delete = ttk.Button(buttons, text="Delete", command=self.forget)
        self.delete.pack(side="right")
        self.button = ttk.Button(buttons, text="Send", command=self.release)
        self.button.pack(side="right", padx=8)
        self.bind("<Map>", lambda _: self.refresh())  # what failed since the page was last seen
        self.refresh()

    def refresh(self) -> None:
        """Writes what the client knows now; the one that was chosen stays so."""
        chosen, self._reports = self.chosen, self._mars.reports.list()
        self.list.delete(0, "end")
        for at, one in enumerate(self._reports):
            self.list.insert("end", line(one))
            if chosen is not None and one["id"] == chosen["id"]:
                self.list.selection_set(at)
        self.show()

    @property
    def chosen(self) -> dict[str, Any] | None:
        at = self.list.curselection()  # type: ignore[no-untyped-call]
        return self._reports[at[0]] if at else None

    def show(self) -> None:
        """The chosen one: the help for it, and the text that would go this way."""
        one = self.chosen
        waits = one is not None and one["state"] == "queued" and not one["released"]
        self.meaning.configure(text=self._mars.reports.meaning[self.way.get()])
        self.button.state(["!disabled" if waits else "disabled"])
        self.delete.state(["!disabled" if one else "disabled"])
        self.words.state(["!disabled" if self.way.get() == "direct" else "disabled"])
        self.help.configure(text=helping(one) if one else "")
        self.text.configure(state="normal")
        self.text.delete("1.0", "end")
        if one is not None:
            said = (self.way.get(), self._said()) if waits else (one["way"], None)
            self.text.insert("1.0", self._mars.reports.preview(one["id"], *said) or CANNOT)
        self.text.configure(state="disabled")

    def release(self) -> None:
        if self.chosen is not None:
            self._mars.reports.send(self.chosen["id"], self.way.get(), self._said())
            self.refresh()

    def forget(self) -> None:
        one = self.chosen
        if one is not None:
            done = self._mars.reports.forget(one["id"])
            self.refresh()
            if done == "removed":
                sent = one["sent"] and one["way"] == "crowd"
                self.help.configure(text=STAYS if sent else REMOVED)

    def choose(self) -> None:
        """The user's answer of this moment; all else stays as it was decided."""
        decision = self._mars.consent.decision
        if decision is None or decision.level == "off":
            self.help.configure(text=NEWS_FIRST)
            self.mode.set(self._mars.reports.mode)
            return
        self._mars.consent.grant(decision.level, decision.variables, reports=self.mode.get())
        self.mode.set(self._mars.reports.mode)
        self.refresh()

    def _said(self) -> str:
        """A message goes to whoever reads it, and to no crowd."""
        return self.message.get() if self.way.get() == "direct" else ""

    def _modes(self) -> None:
        for value, label, description in MODES:
            row = ttk.Frame(self)
            row.pack(fill="x")
            button = ttk.Radiobutton(
                row, text=label, value=value, variable=self.mode, command=self.choose
            )
            button.pack(side="left")
            ttk.Label(row, text=description, style="Small.TLabel").pack(side="left", padx=8)

    def _ways(self) -> None:
        row = ttk.Frame(self)
        row.pack(fill="x", pady=(8, 0))
        for value, label in WAYS:
            button = ttk.Radiobutton(
                row, text=label, value=value, variable=self.way, command=self.show
            )
            button.pack(side="left", padx=(0, 12))
        ttk.Label(row, text="In your words:").pack(side="left", padx=(0, 4))
        self.words = ttk.Entry(row, textvariable=self.message)
        self.words.pack(side="left", fill="x", expand=True)
        self.words.bind("<KeyRelease>", lambda _: self.show())
        self.meaning = ttk.Label(self, style="Small.TLabel", wraplength=740, justify="left")
        self.meaning.pack(anchor="w", pady=4)


def line(one: dict[str, Any]) -> str:
    """One report in the list."""
    where = next((frame for frame in reversed(one["frames"]) if frame != "<other>"), "")
    state = "waits to go" if one["released"] else one["state"]
    return f"{one['day'][:10]}  {state}  {one['types'][0]} {where}"


def helping(one: dict[str, Any]) -> str:
    """What the developers say of it."""
    told = one["help"] or {}
    said = [told[name] for name in ("summary", "how", "fix") if told.get(name)]
    known = f"This is known: {' '.join(said)}" if said else ""
    return (ASKED if one["deletion"] else "") + known
