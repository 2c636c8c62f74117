"""Hooks, where the interpreter and libraries tell of exceptions that nobody caught.

Each calls what it found in its place, and what that does stays as it was. It leaves the place only
where it is still there; where another came over it, it stays as a link that takes nothing.
"""

from __future__ import annotations

import sys
import threading
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mars.faults import qt
from mars.faults.capture import Capture

Call = Callable[..., object]
_TK = "report_callback_exception"


@dataclass(frozen=True)
class Place:
    """Where a hook stands."""

    get: Callable[[], Call | None]
    """None where nobody's hook stands there."""
    put: Callable[[Call | None], object]
    default: Call
    """What happens where nobody's hook stands there."""
    error: Callable[..., object]
    """The exception among what a hook is called with."""


class Hook:
    """Stands in its place from the beginning, until ``remove``."""

    def __init__(self, capture: Capture, place: Place) -> None:
        self._capture: Capture | None = capture
        self._place = place
        self._thread = threading.local()
        self._found = place.get()
        place.put(self)

    def __call__(self, *told: Any) -> None:
        error: object = None
        with suppress(Exception):  # as of a caller that gives something else
            error = self._place.error(*told)
        ring: set[int] = self._thread.__dict__.setdefault("ring", set())
        if id(error) in ring:  # each of two hooks has found the other
            self._place.default(*told)
            return
        ring.add(id(error))
        try:
            if self._capture is not None:
                self._capture.take(error)
        finally:
            try:
                (self._found or self._place.default)(*told)
            finally:
                ring.discard(id(error))

    @property
    def is_first(self) -> bool:
        """Whether it is what stands in its place, with none over it."""
        return self._place.get() is self

    def remove(self) -> None:
        """May be called again; does nothing then."""
        if self._capture is not None and self.is_first:
            self._place.put(self._found)
        self._capture = None


class Hooks:
    """All hooks of one application. Those of ``install`` are there once, however often it is
    called; one that another has put itself over is put on top again."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._hooks: dict[object, Hook] = {}
        self._slots = Slots()

    def install(
        self,
        *,
        sys: bool = True,
        threads: bool = True,
        unraisable: bool = True,
        asyncio: AbstractEventLoop | None = None,
    ) -> None:
        """Hooks for what nobody caught: in the program, in its threads, where nothing can be
        raised (as in ``__del__``), in tasks and callbacks of a loop."""
        if sys:
            self._put("sys", _uncaught(self._slots))
        if threads:
            self._put("threads", _threads())
        if unraisable:
            self._put("unraisable", _unraisable())
        if asyncio is not None:
            self._put(id(asyncio), _tasks(asyncio))

    def tk(self, root: Any) -> None:
        """For what is raised in callbacks of widgets of ``root``, a ``tkinter.Tk``."""
        self._put(id(root), _callbacks(root))

    def qt(self) -> None:
        """For what is raised in slots and in methods that Qt calls, of PySide6 and of PyQt6. Both
        give it to ``sys.excepthook``. PyQt then goes on, where without any hook it ends the
        process; with the hook of ``install`` alone it ends it still."""
        self._slots.go_on = True
        self._put("sys", _uncaught(self._slots))

    def uninstall(self) -> None:
        """Removes them all, the last first."""
        while self._hooks:
            self._hooks.popitem()[1].remove()
        self._slots.go_on = False

    def _put(self, key: object, place: Place) -> None:
        before = self._hooks.pop(key, None)
        if before is not None and before.is_first:
            self._hooks[key] = before
            return
        if before is not None:
            before.remove()
        self._hooks[key] = Hook(self._capture, place)


class Slots:
    """What is to become of a process after an exception in a slot of PyQt's."""

    def __init__(self) -> None:
        self.go_on = False

    def default(self, *told: Any) -> None:
        """What happens where there is no hook but ours."""
        sys.__excepthook__(*told)
        if not self.go_on and isinstance(sys.excepthook, Hook):
            qt.end_as_without_hook(told[1], sys._getframe(1))


def _uncaught(slots: Slots) -> Place:
    none = sys.__excepthook__
    return Place(
        lambda: None if sys.excepthook is none else sys.excepthook,
        lambda hook: setattr(sys, "excepthook", hook or none),
        slots.default,
        lambda _type, error, _traceback: error,
    )


def _threads() -> Place:
    return Place(
        lambda: threading.excepthook,
        lambda hook: setattr(threading, "excepthook", hook),
        threading.__excepthook__,
        lambda told: told.exc_value,
    )


def _unraisable() -> Place:
    return Place(
        lambda: sys.unraisablehook,
        lambda hook: setattr(sys, "unraisablehook", hook),
        sys.__unraisablehook__,
        lambda told: told.exc_value,
    )


def _tasks(loop: AbstractEventLoop) -> Place:
    """The loop is not kept alive."""
    known = weakref.ref(loop)

    def get() -> Any:
        return None if (found := known()) is None else found.get_exception_handler()

    def put(hook: Any) -> None:
        if (found := known()) is not None:
            found.set_exception_handler(hook)

    return Place(
        get,
        put,
        lambda here, context: here.default_exception_handler(context),
        lambda _loop, context: context.get("exception"),
    )


def _callbacks(root: Any) -> Place:
    """What was set on the root, or else what its class has; the root is not kept alive."""
    known = weakref.ref(root)

    def get() -> Any:
        return None if (found := known()) is None else vars(found).get(_TK)

    def put(hook: Any) -> None:
        if (found := known()) is None:
            return
        if hook is None:
            delattr(found, _TK)
        else:
            setattr(found, _TK, hook)

    def default(*told: Any) -> None:
        if (found := known()) is not None:
            getattr(type(found), _TK)(found, *told)

    return Place(get, put, default, lambda _type, error, _traceback: error)
