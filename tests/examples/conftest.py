"""A display of its own for the example application."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import tkinter as tk


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A display that nobody else uses; ``Xvfb`` picks its number. One for all tests, since Tk
    ends a process whose display goes."""
    read, write = os.pipe()
    with subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "900x720x24", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    ) as server:
        os.close(write)
        try:
            ready, _, _ = select.select([read], [], [], 30)
            assert ready, "Xvfb did not start"
            yield ":" + os.read(read, 16).decode().strip()
        finally:
            os.close(read)
            server.terminate()


@pytest.fixture
def root(display: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tk.Tk]:
    import tkinter as tk

    monkeypatch.setenv("DISPLAY", display)
    window = tk.Tk(screenName=display)
    window.tk.call("tk", "scaling", 1.33)
    yield window
    for identifier in window.tk.splitlist(window.tk.call("after", "info")):
        window.after_cancel(identifier)
    window.destroy()
