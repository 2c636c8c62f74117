"""The application's windows: mail, news, settings, the first-run screen, and the alert."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable
from queue import SimpleQueue
from tkinter import ttk

from examples.desktop.choice import Choice
from examples.desktop.failures import Failures
from examples.desktop.reports import Reports
from examples.desktop.statistics import Statistics
from mars import Mars
from mars.wire.targeting import Shown

UPDATES = {
    "update": "Version {newest} is out.",
    "security-update": "Version {newest} closes a security hole. Please update.",
}
NOT_NOW = {
    "no-consent": "Not before you agree to news on the privacy page.",
    "too-early": "Not now: once an hour is enough.",
}
GROUND = "#dcdad5"
"""The background of the theme."""
POLL = 200
"""Milliseconds; Tk must not be called from another thread."""
COLOURS = {"update": "#dbe9f6", "security-update": "#f8d7d3"}


class Inbox:
    """The ``dispatch`` of ``Mars``: calls from its thread run in Tk's own, soon."""

    def __init__(self, root: tk.Tk) -> None:
        self._root = root
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._drain()

    def __call__(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def _drain(self) -> None:
        while not self._calls.empty():
            self._calls.get()()
        self._root.after(POLL, self._drain)


class Window:
    """Example Mail, as far as the news goes. The callbacks of ``mars`` come by an ``Inbox``."""

    def __init__(self, root: tk.Tk, mars: Mars) -> None:
        self.root, self.mars = root, mars
        self.alert: tk.Toplevel | None = None
        self.first_run: tk.Toplevel | None = None
        self.asked: Choice | None = None
        root.title("Example Mail")
        root.geometry("820x690+20+10")
        _style(root)
        self.notice = tk.Label(root, anchor="w", padx=12, pady=8)
        self.pages = ttk.Notebook(root)
        self.pages.pack(fill="both", expand=True, side="bottom")
        self._news_page()
        self.settings = Choice(self.pages, mars, self.refresh)
        ttk.Button(self.settings, text="Save", command=self.settings.save).pack(anchor="e", pady=8)
        self.pages.add(self.settings, text="Privacy")
        self.statistics = Statistics(self.pages, mars, self._switched)
        self.pages.add(self.statistics, text="Statistics")
        self.failures = Failures(self.pages, mars, self._switched)
        self.pages.add(self.failures, text="Failures")
        self.reports = Reports(self.pages, mars)
        self.pages.add(self.reports, text="Reports")
        mars.on_motd(self.on_message)
        mars.reports.on_known(lambda _report: self.reports.refresh())
        self.refresh()
        if mars.consent.decision is None or mars.consent.to_ask:
            self.ask()

    def on_message(self, message: Shown) -> None:
        """A new message; a critical one is an alert."""
        self.refresh()
        if message.severity == "critical":
            self._show_alert(message)

    def refresh(self) -> None:
        """Writes what the client knows now."""
        reading, status = self.mars.motd(), self.mars.status()
        update = reading.update if reading else ""
        if reading and update in UPDATES:
            self.notice.configure(
                text=UPDATES[update].format(newest=reading.newest_version),
                background=COLOURS[update],
            )
            self.notice.pack(fill="x", before=self.pages)
        else:
            self.notice.pack_forget()
        self.news.configure(state="normal")
        self.news.delete("1.0", "end")
        if reading is None:
            self.news.insert("end", "No news yet.", "text")
        elif reading.stale_since is not None:
            self.news.insert("end", "The news has expired; a newer one is awaited.", "text")
        else:
            self._write(reading.news, reading.messages)
        self.news.configure(state="disabled")
        last = status["last"]
        said = "never fetched" if last is None else f"last tried {last['time']}"
        self.foot.configure(text=f"Level: {status['level']}; {said}")

    def ask(self) -> None:
        """The first-run screen. Closing it decides nothing, so nothing is sent."""
        window = self.first_run = tk.Toplevel(self.root, background=GROUND)
        window.title("May Example Mail fetch its news?")
        window.geometry("+50+50")
        window.transient(self.root)
        window.lift()
        ttk.Label(window, text="May Example Mail fetch its news?", style="Title.TLabel").pack(
            anchor="w", padx=12, pady=(12, 0)
        )
        self.asked = Choice(window, self.mars, self._answered)
        self.asked.pack(fill="both", expand=True)
        buttons = ttk.Frame(window, padding=12)
        buttons.pack(fill="x")
        ttk.Button(buttons, text="Decide later", command=window.destroy).pack(side="right")
        save = ttk.Button(buttons, text="Save my choice", command=self.asked.save)
        save.pack(side="right", padx=8)

    def _answered(self) -> None:
        if self.first_run is not None:
            self.first_run.destroy()
            self.first_run = None
        self.settings.destroy()
        self.settings = Choice(self.pages, self.mars, self.refresh)
        ttk.Button(self.settings, text="Save", command=self.settings.save).pack(anchor="e", pady=8)
        self.pages.insert(self.statistics, self.settings, text="Privacy")
        self._switched()

    def _switched(self) -> None:
        """What is collected is shown on two pages."""
        self.statistics.refresh()
        self.failures.refresh()
        self.reports.refresh()
        self.refresh()

    def _news_page(self) -> None:
        page = ttk.Frame(self.pages, padding=12)
        self.pages.add(page, text="News")
        foot = ttk.Frame(page)
        foot.pack(side="bottom", fill="x")
        self.foot = ttk.Label(foot, style="Small.TLabel")
        self.foot.pack(side="left")
        self.check = ttk.Button(foot, text="Check now", command=self._check)
        self.check.pack(side="right")
        self.news = tk.Text(page, wrap="word", relief="flat", padx=8, pady=8, font="TkTextFont")
        self.news.tag_configure("title", font="TkHeadingFont", spacing1=10)
        self.news.tag_configure("warning", foreground="#8a5a00")
        self.news.tag_configure("critical", foreground="#a3241a")
        self.news.tag_configure("link", foreground="#1f5a99", underline=True)
        self.news.pack(fill="both", expand=True)

    def _check(self) -> None:
        if not self.mars.check_now():
            refusal = self.mars.status()["check"] or {"reason": "", "message": ""}
            self.foot.configure(text=NOT_NOW.get(refusal["reason"], refusal["message"]))

    def _write(self, news: str, messages: tuple[Shown, ...]) -> None:
        if news:
            self.news.insert("end", news + "\n", "text")
        for message in messages:
            self.news.insert("end", message.title + "\n", ("title", message.severity))
            if message.text:
                self.news.insert("end", message.text + "\n", "text")
            if message.url:
                self.news.insert("end", message.url + "\n", "link")

    def _show_alert(self, message: Shown) -> None:
        self.alert = tk.Toplevel(self.root, background=GROUND)
        self.alert.title("Important news")
        self.alert.transient(self.root)
        self.alert.lift()
        self.alert.geometry("460x200+180+160")
        tk.Label(
            self.alert,
            text=message.title,
            font="TkHeadingFont",
            background="#a3241a",
            foreground="white",
            anchor="w",
            padx=12,
            pady=10,
        ).pack(fill="x")
        ttk.Label(self.alert, text=message.text, wraplength=430, padding=12).pack(anchor="w")
        ttk.Button(self.alert, text="I have read it", command=self.alert.destroy).pack(
            side="bottom", anchor="e", padx=12, pady=12
        )


def _style(root: tk.Tk) -> None:
    style = ttk.Style(root)
    style.theme_use("clam")
    style.configure("Small.TLabel", foreground="#555555")
    style.configure("Title.TLabel", font="TkHeadingFont")
