"""Exceptions that are deep, cyclic, broken or made to hurt: a bounded fault or none, and never a
second exception."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from mars.faults.capture import Capture
from mars.faults.own import Own
from mars.faults.text import faults
from mars.wire.reports.fault import MAX_BODY, Fault
from tests import applications
from tests.hostile.broken_types import (
    ARMED,
    RAN,
    Broken,
    Constant,
    Hostile,
    HostileGroup,
    HostileSystemError,
    Names,
    Text,
    Told,
)

SECONDS = 3.0
"""More than the longest of these takes on a busy machine."""
MODULES = (__name__, "tests.hostile.broken_types")
ROOT = Path(__file__).parents[2]


def captured(error: BaseException, modules: tuple[str, ...] = MODULES) -> Fault | None:
    """Within its time and size, twice the same, and read back as it was written."""
    taken: list[Fault] = []
    capture = Capture(taken.append, modules)
    start = time.monotonic()
    ARMED.append(None)
    try:
        capture.take(error, named=False)
    finally:
        ARMED.pop()
    assert time.monotonic() - start < SECONDS
    if not taken:
        return None
    (fault,) = taken
    assert len(fault.body) <= MAX_BODY
    assert Fault.decode(fault.body) == fault
    return fault


def raised(call: Callable[..., object], *arguments: object) -> BaseException:
    try:
        call(*arguments)
    except BaseException as error:  # noqa: BLE001 - of any kind
        return error
    raise AssertionError


def fail(error: BaseException) -> None:
    raise error


def deep(depth: int) -> None:
    if not depth:
        raise ValueError
    deep(depth - 1)


@pytest.fixture
def far() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(50_000)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("far")
def test_j14_ten_thousand_frames() -> None:
    fault = captured(raised(deep, 10_000))
    assert fault is not None
    assert [*fault.names] == [f"{__name__}:{name}" for name in ("raised", "deep")]


def test_j14_ten_thousand_different_frames(tmp_path: Path) -> None:
    """Of them the innermost stay."""
    lines = [f"def f{n}(more):\n    f{n + 1}(more)" for n in range(300)]
    source = "\n".join([*lines, "def f300(more):\n    raise ValueError"])
    with applications.imported(tmp_path, {"examplemail/long.py": source}):
        module = importlib.import_module("examplemail.long")
        fault = captured(raised(module.f0, 0), ("examplemail",))
    assert fault is not None
    assert len(fault.frames) == 50
    assert fault.names[-1] == "examplemail.long:f300"


@pytest.mark.timeout(8)  # a walk without an end is one that is noticed soon
def test_j14_causes_in_a_circle() -> None:
    one, two, three = (raised(fail, kind()) for kind in (KeyError, ValueError, EOFError))
    one.__cause__, two.__context__, three.__cause__ = two, three, one
    two.__suppress_context__ = False
    itself = raised(fail, KeyError())
    itself.__context__ = itself
    group = ExceptionGroup("", [KeyError()])
    group.exceptions[0].__cause__ = group
    fault = captured(one)
    assert fault is not None and fault.types == ("KeyError", "ValueError", "EOFError")
    assert captured(itself) is not None
    assert captured(group) is not None


def test_j14_groups_in_groups() -> None:
    group: Exception = ValueError()
    for _ in range(3_000):
        group = ExceptionGroup("", [group, KeyError()])
    assert captured(group) is not None
    wide = [raised(fail, kind()) for kind in (ValueError, KeyError) * 20_000]
    assert captured(BaseExceptionGroup("", [*wide, BaseExceptionGroup("", wide)])) is not None


def test_j14_exceptions_that_answer_with_exceptions() -> None:
    fault = captured(raised(fail, Hostile()))
    assert fault is not None and fault.types == ("tests.hostile.broken_types.Hostile",)
    hostile = HostileGroup("", [raised(fail, Hostile())])  # type: ignore[list-item]
    fault = captured(hostile)
    assert fault is not None and fault.types[1:] == ("tests.hostile.broken_types.Hostile",)
    for number in (2, 10**30, "x", True, Broken()):
        assert captured(HostileSystemError(number, "x")) is not None
    error = ValueError(Broken())
    error.__notes__ = Broken()  # type: ignore[assignment]
    assert captured(error) is not None


def test_j14_types_with_names_that_are_none() -> None:
    modules = (None, 1, Broken(), Text("json.decoder"), "\ud800", "x" * 10_000)
    qualnames = ("\ud800", "x" * 10_000, "a.b." * 10_000, "")
    several: tuple[dict[str, Any], ...] = (
        *({"__module__": it} for it in modules),
        *({"__qualname__": it} for it in qualnames),
        {"__module__": property(lambda _: Broken())},
        {"__getattr__": Broken(), "__dict__": Broken(), "__mro__": Broken(), "errno": Broken()},
    )
    for names in several:
        assert captured(type("x", (ValueError,), names)()) is not None
        assert captured(raised(fail, type("x", (OSError,), names)(2, "x"))) is not None


def test_j14_a_type_with_a_name_of_ten_thousand_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its module has it under that name, which is the longest that Python allows."""
    for name in ("X" * 10_000, "é" * 900, "X" * 900):
        kind = type(name, (ValueError,), {"__module__": __name__})
        monkeypatch.setitem(globals(), name, kind)
        fault = captured(raised(fail, kind()))
        assert fault is not None and len(fault.types[0].encode()) <= 150


def test_j14_functions_with_names_that_are_none() -> None:
    code = compile("def f(error):\n    raise error", __file__, "exec").co_consts[0]
    several: tuple[dict[str, Any], ...] = (
        {"co_name": "\ud800", "co_qualname": "\ud800\u202e\x00:"},
        {"co_name": "x" * 10_000, "co_qualname": "é." * 10_000},
        {"co_name": "", "co_qualname": ""},
        {"co_filename": "\ud800"},
        {"co_filename": ""},
        {"co_firstlineno": 2**31 - 1},
        {"co_firstlineno": 0, "co_linetable": b""},
    )
    for names in several:
        function = FunctionType(code.replace(**names), globals())
        fault = captured(raised(function, ValueError()))
        assert fault is not None


NAMED: dict[str, dict[str, Any]] = {
    "constant": {"co_consts": (None, Constant())},
    "name": {"co_name": Told("f")},
    "qualified name": {"co_qualname": Told("fail")},
}


@pytest.mark.parametrize("what", NAMED)
def test_j14_code_that_holds_what_answers_is_not_asked(what: str) -> None:
    """Neither its constants, to know a frame again, nor a name that says one thing when it is
    compared and another when it is told."""
    code = compile("def f(error):\n    raise error", __file__, "exec").co_consts[0]
    names = {"co_qualname": "fail", **NAMED[what]}
    error = raised(FunctionType(code.replace(**names), globals()), ValueError())
    RAN.clear()
    fault = captured(error)
    assert RAN == []
    assert fault is not None and "hunter2" not in fault.body.decode()


def test_j14_members_whose_names_answer_are_not_asked() -> None:
    code = compile("def f(error):\n    raise error", __file__, "exec")
    names: dict[str, Any] = {Told("__name__"): __name__}
    exec(code, names)
    kind = type("X", (ValueError,), {Told("__module__"): "builtins"})
    error = raised(dict.__getitem__(names, "f"), kind())
    RAN.clear()
    fault = captured(error)
    assert RAN == []
    assert fault is not None and fault.types == ("<other>",)


def test_j14_globals_that_lie() -> None:
    code = compile("def f(error):\n    raise error", __file__, "exec")
    for name in (None, 1, Broken(), Text(__name__), "\ud800", "", f"{__name__}.x", "x" * 10_000):
        for names in ({"__name__": name}, Names({"__name__": name}), {}):
            exec(code, names)
            fault = captured(raised(dict.__getitem__(names, "f"), ValueError()))
            assert fault is not None and len(fault.names) == 1, "that of this test alone"


@pytest.mark.parametrize("member", ["__name__", "__file__", "__path__", "__spec__"])
def test_j14_modules_that_lie(member: str, tmp_path: Path) -> None:
    source = "def run():\n    raise ValueError\n"
    with applications.imported(tmp_path, {"examplemail/mod.py": source}):
        module = importlib.import_module("examplemail.mod")
        package, error = sys.modules["examplemail"], raised(module.run)
        for value in (None, 1, Broken(), Text("x"), [Broken()], "\ud800"):
            for each in (module, package):
                vars(each)[member] = value
            captured(error, ("examplemail",))
        odd = type("Odd", (ModuleType,), {"__getattribute__": None})("x")
        for other in (None, Broken(), odd):
            for name in ("examplemail", "examplemail.mod"):
                sys.modules[name] = other  # type: ignore[assignment]
            assert captured(error, ("examplemail",)) is not None


def test_j14_at_the_limit_of_recursion() -> None:
    """At each of the last depths; where no call at all is possible, the interpreter raises."""
    taken: list[Fault] = []
    capture = Capture(taken.append, [__name__])

    deepest = 0

    def dive(depth: int) -> None:
        nonlocal deepest
        deepest = max(deepest, depth)
        try:
            dive(depth + 1)
        except RecursionError as error:
            if depth > deepest - 30:
                capture.take(error)
                raise

    dive(0)
    assert taken
    assert {fault.types for fault in taken} == {("RecursionError",)}


def test_j14_what_has_no_memory_left_is_no_fault() -> None:
    assert captured(raised(fail, MemoryError())) is None
    assert captured(raised(fail, KeyboardInterrupt())) is None


class Held(Exception):
    """What a weak reference can point to."""


def test_j14_nothing_of_it_lives_on() -> None:
    error = raised(fail, Held())
    traceback_of = error.__traceback__
    before = sys.getrefcount(error), sys.getrefcount(traceback_of)
    assert captured(error) is not None
    assert (sys.getrefcount(error), sys.getrefcount(traceback_of)) == before
    known = weakref.ref(error)
    del error, traceback_of
    gc.collect()
    assert known() is None


def test_j14_texts_that_are_none() -> None:
    own = Own([__name__, "examplemail"])
    text = "".join(traceback.format_exception(raised(deep, 5)))
    group = ExceptionGroup("x", [ExceptionGroup("y", [ValueError()] * 20)] * 20)
    more = "".join(traceback.format_exception(group))
    frame = '  File "/a/examplemail/b.py", line 1, in f\n'
    start = time.monotonic()
    for hostile in (
        "",
        "\ud800" * 10_000,
        os.urandom(100_000).decode("latin-1"),
        frame * 100_000,
        "Traceback (most recent call last):\n" * 50_000,
        f"Traceback (most recent call last):\n{frame}ValueError\n" * 3_000,
        f"{text}\nDuring handling of the above exception, another exception occurred:\n\n" * 3_000,
        "  +-+---------------- 1 ----------------\n" * 50_000,
        frame + "".join(f"{' ' * n}+---- 1 ----\n{' ' * n}{frame}" for n in range(900)),
        'File "' * 100_000,
        'File "", line ' * 50_000 + "1" * 100_000,
        '  File "/a/examplemail/b.py", line 1, in ' + "é" * 100_000 + "\nX" + "x." * 50_000 + ": y",
        "A" * 3_000_000,
        "\x1b[31m" * 100_000,
        text[::-1],
        more.replace("|", ""),
        more.replace(" ", ""),
        more.upper(),
    ):
        for fault in faults(hostile, own):
            assert len(fault.body) <= MAX_BODY
            assert Fault.decode(fault.body) == fault
    assert time.monotonic() - start < 10 * SECONDS


END = """
import atexit, sys, threading
sys.path.insert(0, {folder!r})
from examplemail import ends
from mars.faults.capture import Capture
from mars.faults.hooks import Hooks
hooks = Hooks(Capture(lambda fault: print("TAKEN", *fault.types), ["examplemail"]))
hooks.install()
ends.begin()
"""
ENDS = """
import atexit, sys, threading, time


class Late:
    def __del__(self):
        raise LookupError("hunter2")


def broken():
    raise KeyError("hunter2")


def work():
    time.sleep(0.05)
    broken()


def begin():
    atexit.register(broken)
    threading.Thread(target=work).start()
    global late, circle
    late = circle = Late()
    circle.itself = [circle]
    sys.late = Late()
    sys.modules["examplemail.kept"] = Late()
    raise ValueError("hunter2")
"""


def test_j14_hooks_that_are_called_while_the_interpreter_ends(tmp_path: Path) -> None:
    """What Python tells then is what it tells without us."""
    applications.write(tmp_path, {"examplemail/ends.py": ENDS})
    said = []
    for script in (END, END.replace("hooks.install()", "")):
        done = subprocess.run(
            [sys.executable, "-c", script.format(folder=str(tmp_path))],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 1
        names = [line for line in done.stderr.splitlines() if "Error" in line]
        said.append((sorted(names), done.stdout.split("\n")))
    (with_us, taken), (without, nothing) = said
    assert with_us == without
    assert nothing == [""]
    assert {"TAKEN ValueError", "TAKEN KeyError"} <= {*taken}
