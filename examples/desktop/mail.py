"""The mails of a folder, and a status bar that is told of failures beside what is counted."""

from __future__ import annotations

import tkinter as tk
from collections.abc import Callable, Iterable, Sequence
from tkinter import ttk

from nacl.public import PrivateKey, PublicKey

from examples.desktop.decryption import Mail, Mailbox, UnopenedError, encrypt
from mars.failures.stream import Stream

POLL = 200
"""Milliseconds."""


class MailPage(ttk.Frame):
    """A plain list: each mail with its text, or with why it stays closed.

    ``fetch`` gives the keys of people who write that have come since.
    """

    def __init__(
        self,
        parent: tk.Misc,
        mailbox: Mailbox,
        mails: Sequence[Mail],
        fetch: Callable[[], Iterable[PublicKey]],
    ) -> None:
        super().__init__(parent, padding=12)
        self._mailbox = mailbox
        self._mails = mails
        self._fetch = fetch
        self.fetch = ttk.Button(self, text="Fetch keys", command=self._fetched)
        self.fetch.pack(side="bottom", anchor="e", pady=8)
        self.list = tk.Text(self, wrap="word", relief="flat", padx=8, pady=8, font="TkTextFont")
        self.list.tag_configure("title", font="TkHeadingFont", spacing1=10)
        self.list.tag_configure("closed", foreground="#8a5a00")
        self.list.pack(fill="both", expand=True)
        self.refresh()

    def refresh(self) -> None:
        """Tries to open each mail."""
        self.list.configure(state="normal")
        self.list.delete("1.0", "end")
        for mail in self._mails:
            self.list.insert("end", mail.subject + "\n", "title")
            try:
                self.list.insert("end", self._mailbox.open(mail) + "\n", "text")
            except UnopenedError as error:
                self.list.insert("end", f"{error}\n", "closed")
        self.list.configure(state="disabled")

    def _fetched(self) -> None:
        for key in self._fetch():
            self._mailbox.learn(key)
        self.refresh()


class StatusBar(ttk.Label):
    """What stays closed, as a subscriber of its own hears of it."""

    def __init__(self, parent: tk.Misc, stream: Stream) -> None:
        super().__init__(parent, style="Small.TLabel", padding=(12, 4))
        self._subscription = stream.subscribe()
        self.failed = self.late = 0
        self.bind("<Destroy>", lambda _: self._subscription.close())
        self._poll()

    def _poll(self) -> None:
        if self._subscription.closed:
            return
        while (event := self._subscription.get(0)) is not None:
            self.failed += event.kind == "failed"
            self.late += event.kind == "late"
        self.configure(text=self.said)
        self.master.after(POLL, self._poll)

    @property
    def said(self) -> str:
        """Nothing where all is well."""
        if not self.failed:
            return ""
        mails = "1 mail" if self.failed == 1 else f"{self.failed} mails"
        return f"{mails} could not be opened; {self.late} of them could later."


def samples() -> tuple[list[PrivateKey], list[PublicKey], list[Mail], list[PublicKey]]:
    """The user's keys, those of people who are known, a folder with mails of each fate, and the
    keys that are still to come; made anew each time."""
    own, lost, friend, stranger = (PrivateKey.generate() for _ in range(4))
    everybody = [lost.public_key, PrivateKey.generate().public_key, own.public_key]
    fine = encrypt("1", "Lunch", "At noon, as always?", friend, [own.public_key])
    many = encrypt("2", "To all of us", "The meeting is on Friday.", friend, everybody)
    early = encrypt("3", "Hello", "We met at the fair.", stranger, [own.public_key])
    whole = encrypt("4", "Photographs", "Here they are.", friend, [own.public_key])
    damaged = Mail(whole.name, whole.subject, whole.sender, whole.keys, whole.body[:-1])
    old = encrypt("5", "Last year", "For the key of your old computer.", friend, everybody[:2])
    mails = [fine, many, early, damaged, old]
    return [own], [friend.public_key], mails, [stranger.public_key]
