"""What the user may choose, with the very bytes that would follow. Used twice: at the first run
and on the settings page."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from tkinter import ttk

from mars import Mars
from mars.wire.variables import BASIC, VARIABLES

LEVELS = (
    ("off", "Nothing", "No request is made. You will not hear of security updates here."),
    ("plain", "News", "The news is fetched over Tor; your computer says nothing about itself."),
    (
        "tracked",
        "News, and help us count",
        "The request also carries the values switched on below.",
    ),
)
NOTHING = "Nothing is sent."
NOT_STORED = (
    "Your choice could not be stored. After the next start what you chose before would hold. "
    "Please save again."
)


class Choice(ttk.Frame):
    """Level, a switch for each variable, and a live preview of the request.

    Nothing is chosen beforehand where the user has not decided. ``save`` stores the choice, or
    says that it could not and stays as it is.
    """

    def __init__(self, parent: tk.Misc, mars: Mars, changed: Callable[[], None]) -> None:
        super().__init__(parent, padding=12)
        self._mars = mars
        self._changed = changed
        decision = mars.consent.decision
        self.level = tk.StringVar(self, decision.level if decision else "off")
        chosen = decision.variables if decision and decision.level == "tracked" else BASIC
        self.switches = {
            variable.name: tk.BooleanVar(self, variable.name in chosen) for variable in VARIABLES
        }
        self.country = tk.StringVar(self, mars.consent.country)
        self._levels()
        self._variables()
        self._preview()
        for watched in (self.level, self.country, *self.switches.values()):
            watched.trace_add("write", lambda *_: self.refresh())
        self.refresh()

    def save(self) -> bool:
        """The user's decision of this moment. Whether it could be stored."""
        if self._store():
            self.problem.pack_forget()
            if self.level.get() == "off":
                self.country.set("")
            self._changed()
            return True
        problem = self._mars.status()["problem"] or {"message": ""}
        self.problem.configure(text=f"{NOT_STORED}\n{problem['message']}")
        self.problem.pack(fill="x", pady=(8, 0))
        return False

    def _store(self) -> bool:
        """``Nothing`` takes everything back, the country too."""
        consent = self._mars.consent
        if self.level.get() == "off":
            return consent.revoke()
        return consent.grant(self.level.get(), self.variables(), country=self.country.get())

    def variables(self) -> list[str]:
        """Those that are switched on."""
        return [name for name, switch in self.switches.items() if switch.get()]

    def request(self) -> str:
        """What would be sent if the user saved now."""
        plan = self._mars.preview(self.level.get(), self.variables(), self.country.get())
        return plan.bytes.decode("ascii").replace("\r\n", "\n").rstrip() if plan else NOTHING

    def refresh(self) -> None:
        tracked = self.level.get() == "tracked"
        for box in self._boxes:
            box.state(["!disabled" if tracked else "disabled"])
        self.shown.configure(state="normal")
        self.shown.delete("1.0", "end")
        self.shown.insert("1.0", self.request())
        self.shown.configure(state="disabled")

    def _levels(self) -> None:
        for value, label, description in LEVELS:
            button = ttk.Radiobutton(self, text=label, value=value, variable=self.level)
            button.pack(anchor="w", pady=(4, 0))
            ttk.Label(self, text=description, style="Small.TLabel").pack(anchor="w", padx=24)

    def _variables(self) -> None:
        self._boxes: list[ttk.Widget] = []
        grid = ttk.Frame(self, padding=(24, 8, 0, 8))
        grid.pack(fill="x")
        for row, variable in enumerate(VARIABLES):
            name = f"{variable.label} ({variable.name})"
            box = ttk.Checkbutton(grid, text=name, variable=self.switches[variable.name])
            box.grid(row=row, column=0, sticky="w")
            self._boxes.append(box)
            if variable.name == "cc":
                entry = ttk.Entry(grid, textvariable=self.country, width=4)
                entry.grid(row=row, column=1, sticky="w")
                self._boxes.append(entry)
            label = ttk.Label(grid, text=variable.reason, style="Small.TLabel", wraplength=460)
            label.grid(row=row, column=2, sticky="w", padx=(8, 0))
        note = ttk.Label(grid, text=self._mars.status()["says"], style="Small.TLabel")
        note.grid(columnspan=3, sticky="w", pady=4)

    def _preview(self) -> None:
        ttk.Label(self, text="Exactly this would be sent, through Tor:").pack(anchor="w")
        self.shown = tk.Text(
            self, height=7, width=80, font="TkFixedFont", relief="flat", background="#f4f1ea"
        )
        self.shown.pack(fill="x", pady=(4, 0))
        self.problem = ttk.Label(self, foreground="#a3241a", wraplength=700)
