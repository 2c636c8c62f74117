"""Hooks beside those of others, in any order of installing and removing."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import pytest

from mars.faults.capture import Capture
from mars.faults.hooks import Hooks
from mars.wire.reports.fault import Fault

OWN_MODULE = __name__
"""This module stands for the application."""


class Taken(list[Fault]):
    def __call__(self, fault: Fault) -> None:
        self.append(fault)

    @property
    def types(self) -> list[str]:
        return [fault.types[0] for fault in self]


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def hooks(taken: Taken) -> Iterator[Hooks]:
    """And every place as it was afterwards."""
    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    capture = Capture(taken, [OWN_MODULE])
    found = Hooks(capture)
    yield found
    found.uninstall()
    KEPT.clear()
    sys.excepthook, threading.excepthook, sys.unraisablehook = before


KEPT: list[ValueError] = []
"""So that no exception has the address of one before, by which it would be taken for that one."""


def error() -> ValueError:
    try:
        raise ValueError("hunter2")
    except ValueError as caught:
        KEPT.append(caught)
        return caught


class Foreign:
    """What another library does: keeps what it found and calls it; when it goes it puts that back,
    ``rightly`` only where it is still there itself."""

    def __init__(self, module: Any, name: str, *, rightly: bool) -> None:
        self.module, self.name, self.rightly = module, name, rightly
        self.found: Callable[..., object] | None = None
        self.calls = 0

    def install(self) -> None:
        self.found = getattr(self.module, self.name)
        setattr(self.module, self.name, self.hook)

    def uninstall(self) -> None:
        if not self.rightly or getattr(self.module, self.name) == self.hook:
            setattr(self.module, self.name, self.found)

    def hook(self, *told: Any) -> None:
        self.calls += 1
        if self.found is not None:
            self.found(*told)


PLACES = {
    "sys": (sys, "excepthook"),
    "threads": (threading, "excepthook"),
    "unraisable": (sys, "unraisablehook"),
}


def tell(place: str) -> None:
    """As the interpreter does."""
    value = error()
    if place == "sys":
        sys.excepthook(ValueError, value, value.__traceback__)
        return
    told: Any = SimpleNamespace(
        exc_type=ValueError, exc_value=value, exc_traceback=value.__traceback__
    )
    getattr(*PLACES[place])(told)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("order", [*permutations(("+us", "+other", "-us", "-other"))])
@pytest.mark.parametrize("rightly", [True, False], ids=["right", "careless"])
def test_in_any_order_both_are_called_once_and_the_first_at_the_end(
    order: tuple[str, ...], place: str, rightly: bool, hooks: Hooks, taken: Taken
) -> None:
    """Where a careless one restores what it found over us, it has thrown us out: then we are not
    called, and nothing else breaks."""
    module, name = PLACES[place]
    ends: list[object] = []

    def end(*told: object) -> None:
        ends.append(told)

    setattr(module, name, end)
    other = Foreign(module, name, rightly=rightly)
    ours = theirs = False
    thrown_out = False
    for step in order:
        if step == "+us":
            hooks.install()
            ours = True
        elif step == "-us":
            hooks.uninstall()
            ours = False
        elif step == "+other":
            other.install()
            theirs = True
        elif theirs:
            thrown_out |= not rightly and getattr(module, name) != other.hook
            other.uninstall()
            theirs = False
        taken.clear()
        ends.clear()
        other.calls = 0
        tell(place)
        assert len(ends) == 1
        assert other.calls <= 1
        if not thrown_out:
            assert len(taken) == ours
            assert not theirs or other.calls == 1


def test_hooks_that_have_found_each_other_end_with_the_interpreters_own(
    hooks: Hooks, taken: Taken, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Foreign(sys, "excepthook", rightly=False)
    other.install()
    hooks.install()
    other.install()  # a second time, with one memory of what it found: a ring
    tell("sys")
    assert taken.types == ["ValueError"]
    assert capsys.readouterr().err.count("ValueError: hunter2") == 1


def test_installing_again_changes_nothing_and_brings_us_back_to_the_top(
    hooks: Hooks, taken: Taken
) -> None:
    sys.excepthook = lambda *_: None
    hooks.install()
    ours = sys.excepthook
    hooks.install()
    assert sys.excepthook is ours
    other = Foreign(sys, "excepthook", rightly=True)
    other.install()
    hooks.install()
    tell("sys")
    assert other.calls == 1
    assert len(taken) == 1


def test_what_the_next_hook_raises_comes_out_as_without_us(hooks: Hooks, taken: Taken) -> None:
    def broken(*_: object) -> None:
        raise LookupError("theirs")

    sys.excepthook = broken
    hooks.install()
    with pytest.raises(LookupError, match="theirs"):
        tell("sys")
    assert taken.types == ["ValueError"]


@pytest.mark.parametrize(
    "told", [(), (None,), (None, None, None), (ValueError, None, None), (1, "x", 2, 3)]
)
def test_a_hook_that_is_called_with_anything_calls_the_next(
    told: tuple[object, ...], hooks: Hooks, taken: Taken
) -> None:
    ends: list[object] = []
    for module, name in PLACES.values():
        setattr(module, name, lambda *got: ends.append(got))
    hooks.install()
    for module, name in PLACES.values():
        getattr(module, name)(*told)
    assert ends == [told] * 3
    assert not taken


def test_a_thread_and_a_finalizer(hooks: Hooks, taken: Taken) -> None:
    threading.excepthook = lambda _told: None
    sys.unraisablehook = lambda _told: None
    hooks.install()

    class Broken:
        def __del__(self) -> None:
            raise ZeroDivisionError("hunter2")

    def work() -> None:
        raise LookupError("hunter2")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    Broken()
    gc.collect()
    assert taken.types == ["LookupError", "ZeroDivisionError"]


async def broken() -> None:
    raise ValueError("hunter2")


async def forgotten() -> None:
    """A task that nobody asks for its result."""
    task = asyncio.ensure_future(broken())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()


@pytest.mark.parametrize("own", [True, False], ids=["handler", "none"])
def test_a_loop_of_asyncio(own: bool, hooks: Hooks, taken: Taken) -> None:
    loop, told = asyncio.new_event_loop(), list[object]()

    def handler(_loop: object, context: object) -> None:
        told.append(context)

    if own:
        loop.set_exception_handler(handler)
    hooks.install(asyncio=loop)
    hooks.install(asyncio=loop)
    loop.run_until_complete(forgotten())
    assert taken.types == ["ValueError"]
    assert len(told) == own
    loop.call_exception_handler({"message": "without an exception"})
    assert len(taken) == 1
    hooks.uninstall()
    assert loop.get_exception_handler() is (handler if own else None)
    loop.close()


class Root:
    """Of Tk what hooks know of."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def report_callback_exception(self, *told: object) -> None:
        self.told.append(told)


@pytest.mark.parametrize("own", [True, False], ids=["instance", "class"])
def test_a_root_of_tk(own: bool, hooks: Hooks, taken: Taken) -> None:
    root, told = Root(), list[object]()
    if own:
        root.__dict__["report_callback_exception"] = lambda *got: told.append(got)
    before = {**vars(root)}
    hooks.tk(root)
    value = error()
    root.report_callback_exception(ValueError, value, value.__traceback__)
    assert taken.types == ["ValueError"]
    assert len(told if own else root.told) == 1
    hooks.uninstall()
    assert vars(root) == before


class Held:
    """Stands in a frame."""


def fail(capture: Capture, root: Root) -> weakref.ref[Held]:
    held = Held()
    with suppress(ValueError):
        raise_with(held, capture, root)
    return weakref.ref(held)


def raise_with(_held: Held, capture: Capture, root: Root) -> None:
    try:
        raise ValueError("hunter2")
    except ValueError as value:
        capture.take(value)
        root.report_callback_exception(ValueError, value, value.__traceback__)
        raise


def test_nothing_is_kept_alive(taken: Taken) -> None:
    """Neither an exception and what its frames hold, nor a loop, a root, or the capture."""
    capture: Capture | None = Capture(taken, [OWN_MODULE])
    assert capture is not None
    hooks: Hooks | None = Hooks(capture)
    root: Root | None = Root()
    loop: asyncio.AbstractEventLoop | None = asyncio.new_event_loop()
    assert hooks is not None and root is not None and loop is not None
    hooks.tk(root)
    hooks.install(sys=False, threads=False, unraisable=False, asyncio=loop)
    held = fail(capture, root)
    assert len(taken) == 1
    root.told.clear()
    loop.close()
    gone = held, weakref.ref(root), weakref.ref(loop), weakref.ref(capture)
    root = loop = None
    gc.collect()
    assert [each() is None for each in gone] == [True, True, True, False]
    hooks.uninstall()
    hooks = capture = None
    gc.collect()
    assert gone[3]() is None


def test_a_hook_that_another_keeps_holds_no_application(taken: Taken) -> None:
    before = sys.excepthook
    capture: Capture | None = Capture(taken, [OWN_MODULE])
    assert capture is not None
    hooks: Hooks | None = Hooks(capture)
    assert hooks is not None
    hooks.install(threads=False, unraisable=False)
    other = Foreign(sys, "excepthook", rightly=True)
    other.install()
    hooks.uninstall()
    known = weakref.ref(capture)
    hooks = capture = None
    gc.collect()
    assert known() is None
    sys.excepthook = before
