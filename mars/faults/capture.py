"""Where exceptions come in: by a handler of ``logging``, by hooks, by a call. It never raises."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from threading import local

from mars.faults.environment import Environment
from mars.faults.own import Own
from mars.faults.walk import fault_of
from mars.wire.reports.fault import Fault

Sink = Callable[[Fault], str | None]
"""Takes a fault; what it returns is logged beside the exception, as ``TELEMETRY`` and a GUID.

It is called in the thread that failed, wherever that was: holding locks, inside another call of
what the sink itself calls, in the collector of garbage, while the interpreter ends. What it raises
is dropped."""
LOGGER = "mars.reports"
"""Of the line beside an exception that came by a hook."""
_REMEMBERED = 16


class Capture:
    """``modules`` are the application's (``Own``); ``ignored`` its rules for what is no fault of
    its own, beside ours. Raises ``WireError`` (``rule-invalid``) of such a rule.

    It keeps no exception and no frame. While it works in a thread, what is captured there is not.
    """

    def __init__(self, sink: Sink, modules: Collection[str], ignored: Iterable[str] = ()) -> None:
        self.own = Own(modules)
        self._sink = sink
        self._environment = Environment(self.own, ignored)
        self._thread = local()
        self._last: deque[object] = deque(maxlen=_REMEMBERED)

    def fault(self, error: BaseException) -> Fault | None:
        """What would be told of it; None where it tells of the environment."""
        fault = fault_of(error, self.own)
        return None if self._environment.claims(error, fault.names) else fault

    def report(self, error: BaseException) -> None:
        """For the application that has caught one and knows it for a fault."""
        self.take(error, named=False)

    def take(
        self, error: object, *, named: bool = True, logger: str = LOGGER, level: int = logging.ERROR
    ) -> None:
        """``named``: only where a frame of the application's own is in it. Anything but an
        exception is left alone."""
        if not issubclass(type(error), BaseException) or getattr(self._thread, "busy", False):
            return
        self._thread.busy = True
        try:
            # Whatever fails here, at the limit of recursion or of memory: the host knows nothing.
            with suppress(Exception):
                self._take(error, named, logger, level)  # type: ignore[arg-type]
        finally:
            self._thread.busy = False

    def _take(self, error: BaseException, named: bool, logger: str, level: int) -> None:
        fault = self.fault(error)
        if fault is None or (named and not fault.names) or self._is_known(error, fault):
            return
        beside = self._sink(fault)
        if beside:
            logging.getLogger(logger).log(level, "%s", beside)

    def _is_known(self, error: BaseException, fault: Fault) -> bool:
        """Whether it came before, as one that is logged and raised on: then with more frames
        around the same innermost ones. An address is soon another's, but not of the same place."""
        key = (id(error), fault.types, fault.frames[-1:])
        known = key in self._last
        self._last.append(key)
        return known

    def handler(self, level: int | str = logging.ERROR) -> logging.Handler:
        """For any logger: takes what is logged with an exception at that level or above."""
        return Handler(self, level)


class Handler(logging.Handler):
    """Takes the exception of a record, and nothing else of it."""

    def __init__(self, capture: Capture, level: int | str) -> None:
        super().__init__(level)
        self._capture = capture

    def emit(self, record: logging.LogRecord) -> None:
        found = record.exc_info
        if type(found) is tuple and len(found) > 1:
            self._capture.take(found[1], logger=record.name, level=record.levelno)
