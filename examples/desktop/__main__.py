"""``python -m examples.desktop trust.json [URL [SOCKS]]``: Example Mail, with the client inside."""

from __future__ import annotations

import sys
import tkinter as tk

from examples.desktop.window import Inbox, Window
from mars import Mars

VERSION = "0.5.1"


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 3:
        print("usage: python -m examples.desktop trust.json [URL [SOCKS]]", file=sys.stderr)
        return 2
    trust, url, socks = (*arguments, "", "")[:3]
    root = tk.Tk()
    mars = Mars(
        "examplemail",
        VERSION,
        trust=trust,
        languages=["en", "is"],
        url=url,
        socks=socks,
        dispatch=Inbox(root),
    )
    Window(root, mars)
    mars.start()
    root.mainloop()
    mars.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
