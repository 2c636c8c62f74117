"""``python -m examples.desktop trust.json [URL]``: Example Mail, with the client inside."""

from __future__ import annotations

import sys
import tkinter as tk

from examples.desktop.window import Inbox, Window
from mars import Mars

VERSION = "0.5.1"


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m examples.desktop trust.json [URL]", file=sys.stderr)
        return 2
    root = tk.Tk()
    mars = Mars(
        "examplemail",
        VERSION,
        trust=arguments[0],
        languages=["en", "is"],
        url=arguments[1] if len(arguments) > 1 else "",
        dispatch=Inbox(root),
    )
    Window(root, mars)
    mars.start()
    root.mainloop()
    mars.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
