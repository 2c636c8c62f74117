"""What is seen of the example application on its display, and pictures of it.

With ``MARS_SCREENSHOTS=1`` the pictures of docs/images are taken anew.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    import tkinter as tk
else:
    tk = pytest.importorskip("tkinter", reason="this Python has no Tk")

has_display = pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def pump(root: tk.Tk, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Lets Tk work until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        root.update()
        time.sleep(0.01)


def picture(root: tk.Tk, name: str, folder: Path) -> None:
    """Takes the application's main window and what lies before it."""
    from PIL import ImageGrab

    for _ in range(20):
        root.update()
        time.sleep(0.01)
    left, top = root.winfo_rootx(), root.winfo_rooty()
    box = (left, top, left + root.winfo_width(), top + root.winfo_height())
    image = ImageGrab.grab(bbox=box, xdisplay=os.environ["DISPLAY"])
    colours = image.getcolors(1 << 20)
    assert colours is None or len(colours) > 20, "an empty screen"
    place = IMAGES if os.environ.get("MARS_SCREENSHOTS") else folder
    image.save(place / f"{name}.png", optimize=True)


def text(widget: tk.Text) -> str:
    return str(widget.get("1.0", "end")).strip()
