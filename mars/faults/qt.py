"""Qt for Python, where it is loaded; nothing else of ours knows of it.

PySide6 and PyQt give what a slot raises to ``sys.excepthook``. PyQt looks first whether there is
any hook but Python's own, and ends the process where there is none (since PyQt 5.5).
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from types import FrameType

_PYQT = ("PyQt6.QtCore", "PyQt5.QtCore")
_OURS = __name__.rpartition(".")[0]


def end_as_without_hook(caller: FrameType) -> None:
    """Ends the process as PyQt would have, where it is PyQt that calls ``sys.excepthook``.

    PyQt calls it in the middle of the frame that waits for Qt, or in a thread of Qt's; the
    interpreter calls it when no frame is left; and an interactive console, from its own module.
    """
    loaded = next((name for name in _PYQT if name in sys.modules), None)
    if loaded is not None and _is_in_slot(caller):
        import_module(loaded).qFatal("Unhandled Python exception")


def _is_in_slot(caller: FrameType | None) -> bool:
    while caller is not None and str(caller.f_globals.get("__name__")).startswith(_OURS):
        caller = caller.f_back
    if caller is None:
        return threading.current_thread() is not threading.main_thread()
    module = str(caller.f_globals.get("__name__")).partition(".")[0]
    return module not in sys.stdlib_module_names
