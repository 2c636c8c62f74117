"""The handler of ``logging`` and the call: what is taken, what is not, and that neither raises."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from mars.errors import WireError
from mars.faults.capture import LOGGER, Capture
from mars.wire.reports.fault import Fault

FRAME = f"{__name__}:fail+1"
LOG = logging.getLogger("mars.tests.faults")


def fail(error: BaseException) -> None:
    raise error


@pytest.fixture
def taken() -> list[Fault]:
    return []


@pytest.fixture
def capture(taken: list[Fault]) -> Capture:
    return Capture(taken.append, [__name__])


@pytest.fixture
def handler(capture: Capture) -> Iterator[logging.Handler]:
    found = capture.handler()
    LOG.addHandler(found)
    LOG.propagate = False
    yield found
    LOG.removeHandler(found)
    LOG.propagate = True


def log(error: BaseException, level: int = logging.ERROR) -> None:
    try:
        fail(error)
    except BaseException:
        LOG.log(level, "hunter2 %s", "hunter2", exc_info=True)


@pytest.mark.usefixtures("handler")
def test_a_record_with_an_exception_is_taken_and_nothing_else_of_it(taken: list[Fault]) -> None:
    log(ValueError("hunter2"))
    log(LookupError("hunter2"), logging.WARNING)
    LOG.error("hunter2")
    LOG.error("hunter2", exc_info=(None, None, None))
    LOG.error("hunter2", exc_info=True)  # outside any handling
    assert [(fault.types, fault.frames[-1]) for fault in taken] == [(("ValueError",), FRAME)]


@pytest.mark.usefixtures("handler")
def test_what_is_logged_and_raised_on_is_taken_once(capture: Capture, taken: list[Fault]) -> None:
    def outer() -> None:
        try:
            fail(error)
        except ValueError:
            LOG.exception("hunter2")
            raise

    error = ValueError("hunter2")
    with pytest.raises(ValueError, match="hunter2"):
        outer()
    capture.take(error)
    assert len(taken) == 1
    log(ValueError("hunter2"))
    assert len(taken) == 2, "another of the same kind is for the queue to know"


@pytest.mark.parametrize("by", ["handler", "call"])
def test_the_line_of_the_sink_is_logged_beside_the_exception(
    by: str, caplog: pytest.LogCaptureFixture
) -> None:
    capture = Capture(lambda _fault: "TELEMETRY abc", [__name__])
    handler = capture.handler()
    LOG.addHandler(handler)
    try:
        if by == "handler":
            log(ValueError("hunter2"), logging.CRITICAL)
        else:
            capture.report(ValueError("hunter2"))
    finally:
        LOG.removeHandler(handler)
    told = [(it.name, it.levelno) for it in caplog.records if it.getMessage() == "TELEMETRY abc"]
    assert told == [(LOG.name, logging.CRITICAL) if by == "handler" else (LOGGER, logging.ERROR)]


def test_a_sink_that_raises_or_fails_again_is_called_once() -> None:
    calls: list[Fault] = []

    def sink(fault: Fault) -> None:
        calls.append(fault)
        if len(calls) > 3:
            return
        own.report(LookupError("hunter2"))
        log(LookupError("hunter2"))
        raise ValueError("hunter2")

    own = Capture(sink, [__name__])
    LOG.addHandler(handler := own.handler())
    try:
        own.report(KeyError("hunter2"))
    finally:
        LOG.removeHandler(handler)
    assert [fault.types for fault in calls] == [("KeyError",)]
    own.report(KeyError("hunter2"))
    assert len(calls) == 2, "it takes again afterwards"


def test_threads_do_not_hold_each_other_up() -> None:
    inside, go = threading.Event(), threading.Event()
    names: list[str] = []

    def sink(fault: Fault) -> None:
        names.append(fault.types[0])
        if fault.types == ("KeyError",):
            inside.set()
            assert go.wait(60)

    capture = Capture(sink, [__name__])
    slow = threading.Thread(target=capture.report, args=(KeyError(),))
    slow.start()
    assert inside.wait(60)
    capture.report(LookupError())
    go.set()
    slow.join()
    assert names == ["KeyError", "LookupError"]


def test_what_has_no_frame_of_ours_is_taken_by_the_call_alone(
    capture: Capture, taken: list[Fault]
) -> None:
    bare = ValueError("hunter2")
    capture.take(bare)
    assert not taken
    capture.report(bare)
    assert taken == [Fault(("ValueError",))]


@pytest.mark.parametrize("what", [None, 1, "hunter2", ValueError, object()])
def test_what_is_no_exception_is_left_alone(
    what: object, capture: Capture, taken: list[Fault]
) -> None:
    capture.take(what, named=False)
    assert not taken


def test_the_environment_is_dropped_and_an_application_may_say_more(taken: list[Fault]) -> None:
    capture = Capture(taken.append, [__name__], ["LookupError", f"{__name__}:fail and EOFError"])
    for error in (KeyboardInterrupt(), OSError(28, "hunter2"), KeyError(1), EOFError()):
        log_into(capture, error)
    assert not taken
    capture.report(EOFError())
    log_into(capture, ValueError())
    assert [fault.types[0] for fault in taken] == ["EOFError", "ValueError"]
    with pytest.raises(WireError) as refused:
        Capture(taken.append, [], ["and and"])
    assert refused.value.reason == "rule-invalid"


def log_into(capture: Capture, error: BaseException) -> None:
    try:
        fail(error)
    except BaseException as caught:  # noqa: BLE001 - of any kind
        capture.take(caught)
