"""``python -m examples.desktop trust.json [URL [SOCKS]]``: Example Mail, with the client inside.

A ``registry.json`` beside ``trust.json`` declares its statistics.
"""

from __future__ import annotations

import sys
import tkinter as tk
from pathlib import Path

from examples.desktop.window import Inbox, Window
from examples.plugins.runtime import mars_metrics_runtime as runtime
from examples.plugins.usage.examplemail_usage import Usage
from mars import Mars

VERSION = "0.5.1"


def provide(mars: Mars, mail: Path) -> None:
    """What it gives values of: two plug-ins, and entries of its own."""
    for plugin in (runtime, runtime.Route(mars.journal), Usage(mail, lambda: {"spelling"})):
        mars.statistics.register(plugin)
    mars.statistics.provide("folders", lambda: sum(path.is_dir() for path in mail.glob("*")))
    mars.statistics.provide("protocol", "imap")


def main(arguments: list[str]) -> int:
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
    )
    provide(mars, Path.home() / "Mail")
    Window(root, mars)
    mars.start()
    root.mainloop()
    mars.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
