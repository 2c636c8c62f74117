"""``python -m examples.desktop trust.json [URL [SOCKS]]``: Example Mail, with the client inside.

A ``registry.json`` beside ``trust.json`` declares its statistics and error events.
"""

from __future__ import annotations

import sys
import tkinter as tk
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.desktop import declared
from examples.desktop.window import Inbox, Window
from examples.plugins.runtime import mars_metrics_runtime as runtime
from examples.plugins.usage.examplemail_usage import Usage
from mars import Mars

if TYPE_CHECKING:
    from examples.desktop.mail import MailPage

VERSION = "0.5.1"


def provide(mars: Mars, mail: Path) -> None:
    """What it gives values of: two plug-ins, and entries of its own."""
    for plugin in (runtime, runtime.Route(mars.journal), Usage(mail, lambda: {"spelling"})):
        mars.statistics.register(plugin)
    declared.folders(mars.statistics, lambda: sum(path.is_dir() for path in mail.glob("*")))
    declared.protocol(mars.statistics, "imap")


def add_mail(window: Window, mars: Mars) -> MailPage:
    """A folder of encrypted mails, and a status bar that hears what stays closed."""
    # Late: without libsodium the news are still shown, and what is wrong with it.
    from examples.desktop.decryption import Mailbox
    from examples.desktop.mail import MailPage, StatusBar, samples

    stream = mars.failures("decryption")
    own, known, mails, later = samples()
    page = MailPage(window.pages, Mailbox(own, known, stream), mails, lambda: later)
    window.pages.insert(0, page, text="Mail")
    StatusBar(window.root, stream).pack(side="bottom", fill="x", before=window.pages)
    return page


def main(arguments: list[str], **more: Any) -> int:
    """``more`` are further arguments of ``Mars``, such as the clock of a test."""
    if not 1 <= len(arguments) <= 3:
        print("usage: python -m examples.desktop trust.json [URL [SOCKS]]", file=sys.stderr)
        return 2
    trust, url, socks = (*arguments, "", "")[:3]
    registry = Path(trust).with_name("registry.json")
    root = tk.Tk()
    mars = Mars(
        "examplemail",
        VERSION,
        trust=trust,
        languages=["en", "is"],
        url=url,
        socks=socks,
        dispatch=Inbox(root),
        registry=registry if registry.exists() else None,
        modules=["examples"],
        **more,
    )
    provide(mars, Path.home() / "Mail")
    mars.reports.install()
    mars.tk.install(root)
    window = Window(root, mars)
    if registry.exists():
        add_mail(window, mars)
    mars.start()
    root.mainloop()
    mars.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
