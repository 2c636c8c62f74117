"""What becomes of a process after an exception in a slot of PyQt's. The real one is tried by ``make
soak ARGS=hooks``; here a module of its name stands for it."""

from __future__ import annotations

import code
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from mars.faults.capture import Capture
from mars.faults.hooks import Hooks
from mars.wire.reports.fault import Fault

ENDED: list[str] = []


@pytest.fixture(autouse=True)
def pyqt(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    core = ModuleType("PyQt6.QtCore")
    vars(core)["qFatal"] = ENDED.append
    monkeypatch.setitem(sys.modules, "PyQt6.QtCore", core)
    monkeypatch.setattr(sys, "last_value", None, raising=False)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    ENDED.clear()
    yield


@pytest.fixture
def taken() -> list[Fault]:
    return []


@pytest.fixture
def hooks(taken: list[Fault]) -> Iterator[Hooks]:
    found = Hooks(Capture(taken.append, [__name__]))
    yield found
    found.uninstall()


def slot(*, noted: bool = True) -> None:
    """As PyQt calls the hook, from C, which notes the exception first."""
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        if noted:
            sys.last_value = error
        sys.excepthook(ValueError, error, error.__traceback__)


def test_without_being_asked_pyqt_ends_the_process_as_before(
    hooks: Hooks, taken: list[Fault], capsys: pytest.CaptureFixture[str]
) -> None:
    hooks.install()
    slot()
    assert (len(taken), len(ENDED)) == (1, 1)
    assert "ValueError: hunter2" in capsys.readouterr().err
    hooks.uninstall()
    slot()
    assert (len(taken), len(ENDED)) == (1, 1), "then it is PyQt's own matter"


def test_asked_it_goes_on(hooks: Hooks, taken: list[Fault]) -> None:
    hooks.install()
    hooks.qt()
    slot()
    assert (len(taken), len(ENDED)) == (1, 0)


def test_a_hook_of_the_applications_own_decides(hooks: Hooks, taken: list[Fault]) -> None:
    told: list[object] = []
    sys.excepthook = lambda *got: told.append(got)
    hooks.install()
    slot()
    ours = sys.excepthook

    def over(*got: object) -> None:
        ours(*got)  # type: ignore[arg-type]

    sys.excepthook = over
    slot()
    assert (len(told), len(taken), len(ENDED)) == (2, 2, 0)


def test_who_calls_the_hook_himself_goes_on(hooks: Hooks, taken: list[Fault]) -> None:
    """As applications do for threads, and as a console does."""
    hooks.install()
    slot(noted=False)
    console = code.InteractiveConsole()
    console.push("1 / 0")
    assert (len(taken), len(ENDED)) == (1, 0)


def test_a_thread_of_qt_ends_it_too(hooks: Hooks, taken: list[Fault]) -> None:
    hooks.install()
    thread = threading.Thread(target=slot)
    thread.start()
    thread.join()
    assert (len(taken), len(ENDED)) == (1, 1)


def test_without_pyqt_nothing_is_ended(hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "PyQt6.QtCore")
    hooks.install()
    slot()
    assert not ENDED
