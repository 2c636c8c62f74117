"""The background thread of a client, which never ends by a mistake, and what went wrong in it."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from mars.core.installation import Installation
from mars.core.journal import told
from mars.core.records import FETCHER_LOCK
from mars.core.schedule import LONGEST_SLEEP
from mars.errors import ConfigError, MarsError, StateError, starting_thread

T = TypeVar("T")

JOIN = 0.5
"""Seconds that ``stop`` waits for a thread that is not in the middle of a fetch."""

_TAKE_ARGUMENTS = frozenset(
    "Mars channels folder tor languages grant variables preview reset_age"
    " choose coarsen show modules ignored".split()
)
_WRONG_ARGUMENT = (TypeError, ValueError, AttributeError, LookupError, OverflowError)


class Problems:
    """The last failure of each thing that was tried: it stands until that thing succeeds.

    With ``debug`` wrong calls raise.
    """

    def __init__(self, debug: bool = False) -> None:
        self._debug = debug
        self._found: dict[str, MarsError] = {}

    @property
    def last(self) -> MarsError | None:
        """The newest of those that still stand."""
        return next(reversed(self._found.values()), None)

    def attempt(self, what: str, do: Callable[[], T], otherwise: T, *, thread: bool = False) -> T:
        """What ``do`` returns; ``otherwise`` where it fails, and then the failure stands.

        In the client's own ``thread`` nothing at all gets through, no ``sys.exit()`` either. In
        the host's only what is the host's own: Ctrl-C, and with ``debug`` a developer's mistake.
        """
        try:
            result = do()
        except BaseException as error:
            if not (thread or isinstance(error, Exception)):
                raise
            found = _named(what, error)
            self.hold(what, found)
            if self._debug and not thread and isinstance(found, ConfigError):
                raise found from None
            return otherwise
        self.hold(what, None)
        return result

    def hold(self, what: str, error: MarsError | None) -> None:
        """``error`` stands for ``what`` from now on; None ends that."""
        if error is None or self._found.get(what) is not error:
            self._found.pop(what, None)
        if error is not None:
            self._found[what] = error


def _named(what: str, error: BaseException) -> MarsError:
    if what in _TAKE_ARGUMENTS and isinstance(error, _WRONG_ARGUMENT):
        return ConfigError("wrong-call", f"{what} was called wrongly ({error}).")
    return told(error)


def called(name: str, call: Callable[[Any], object], argument: object, ours: bool = True) -> None:
    """Calls what the application gave under ``name``. Raises ``MarsError`` (``callback``).

    ``sys.exit()`` ends the host's own thread, as the host wants it, and never ``ours``."""
    try:
        call(argument)
    except MarsError:
        raise
    except BaseException as error:
        if not (ours or isinstance(error, Exception)):
            raise
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        raise MarsError("callback", f"{name} raised {said}.") from None


class Background:
    """Looks at an installation's schedule in a thread, and is the one process that fetches for it.

    ``check`` is what "check now" does, ``turned`` is called after each look, by its name; both run
    in the thread.
    """

    def __init__(
        self,
        installation: Installation,
        problems: Problems,
        check: Callable[[], object],
        turned: dict[str, Callable[[], object]],
    ) -> None:
        self._installation = installation
        self._problems = problems
        self._check = check
        self._turned = turned
        self._reset()
        _alive.add(self)

    def _reset(self) -> None:
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        self._checking = False
        self.busy = False
        self.is_holder = False
        """Whether this process is the one that fetches."""

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def is_here(self) -> bool:
        """Whether this is called in the thread."""
        return threading.current_thread() in (self._thread, self._ending)

    def wake(self) -> None:
        """Has it look at once."""
        self._wake.set()

    def check(self) -> None:
        """Has it check at once."""
        self._checking = True
        self._wake.set()

    def start(self) -> None:
        """Returns at once. Raises ``TransportError`` (``no-thread``)."""
        if self.is_alive:
            return
        self._stopping, self.busy = threading.Event(), False
        run = (self._stopping, self._ending)
        self._thread = threading.Thread(target=self._run, args=run, name="mars", daemon=True)
        try:
            with starting_thread():
                self._thread.start()
        except MarsError:
            self._thread = None
            raise
        self._ending = None

    def stop(self) -> None:
        """Returns at once even in the middle of a fetch."""
        thread, self._thread = self._thread, None
        self._stopping.set()
        self._wake.set()
        if thread is not None:
            self._ending = thread
            if thread is not threading.current_thread():
                thread.join(JOIN if not self.busy else 0)

    def _run(self, stopping: threading.Event, before: threading.Thread | None) -> None:
        """``before`` is a thread that was told to stop and may still be in the middle of a fetch:
        there is never more than one that fetches."""
        if before is not None:
            before.join()
        self._installation.halted = stopping.is_set
        clock = self._installation.ports.clock
        with contextlib.ExitStack() as held:
            held.callback(setattr, self, "is_holder", False)
            ran: int | None = None
            while not stopping.is_set():
                self._wake.clear()
                first = ran is None or not self.is_holder
                sleep = self._turn(held, None if first else ran)
                ran = 0
                if stopping.is_set():
                    break
                started = clock.monotonic()
                self._wake.wait(sleep)
                # A clock that ran on in suspend must not count as running time.
                ran = min(int(clock.monotonic() - started), sleep)
            if self.is_holder:
                self._survive("fetching", lambda: self._installation.rest(ran), None)

    def _survive(self, what: str, do: Callable[[], T], otherwise: T) -> T:
        return self._problems.attempt(what, do, otherwise, thread=True)

    def _turn(self, held: contextlib.ExitStack, ran: int | None) -> int:
        """One turn of the loop; nothing that it calls may end the thread."""
        self.busy = True
        sleep = self._survive("fetching", lambda: self._step(held, ran), LONGEST_SLEEP)
        if self._checking:
            self._checking = False
            self._survive("check", self._check, None)
        for what, error in [*self._installation.failed.items()]:
            self._problems.hold(what, error)
        for what, do in self._turned.items():
            self._survive(what, do, None)
        self.busy = False
        return sleep

    def _step(self, held: contextlib.ExitStack, ran: int | None) -> int:
        """Where another process is the one that fetches, it is asked again hourly."""
        if not self.is_holder:
            # In a folder whose state is another user's no lock is left behind.
            self._installation.load()
            try:
                held.enter_context(self._installation.ports.store.lock(FETCHER_LOCK))
            except StateError as error:
                if error.reason != "locked":
                    raise
                return LONGEST_SLEEP
            self.is_holder = True
        return self._installation.step(ran)


_alive: weakref.WeakSet[Background] = weakref.WeakSet()


def _after_fork() -> None:
    """In the child of a fork there is no thread, and the lock is still the parent's."""
    for each in list(_alive):
        each._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
