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


def end_as_without_hook(error: object, caller: FrameType) -> None:
    """Ends the process as PyQt would have, where it is PyQt that calls ``sys.excepthook``.

    As every caller in C it notes the exception in ``sys.last_value`` before. It calls in the middle
    of the frame that waits for Qt, or in a thread of Qt's; the interpreter calls when no frame is
    left; an interactive console, which notes it too, calls from its own module.
    """
    loaded = next((name for name in _PYQT if name in sys.modules), None)
    noted = error is not None and getattr(sys, "last_value", None) is error
    if loaded is not None and noted and _is_in_slot(caller):
        import_module(loaded).qFatal("Unhandled Python exception")


def _is_in_slot(caller: FrameType | None) -> bool:
    while caller is not None and str(caller.f_globals.get("__name__")).startswith(_OURS):
        caller = caller.f_back
    if caller is None:
        return threading.get_ident() != threading.main_thread().ident
    module = str(caller.f_globals.get("__name__")).partition(".")[0]
    return module not in sys.stdlib_module_names
