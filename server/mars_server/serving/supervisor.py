"""Several serving processes behind one listening socket, each with a log of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import NoReturn

from mars.ports import Clock

STABLE = 30.0
"""Seconds that a process must live for its end not to count as a failed start."""
MOST_FAILURES = 5
"""Failed starts in a row of each process after which the server gives up; systemd tries again."""
PAUSE = 0.5
"""Seconds before the second new start in a row; doubled for each further one."""
LONGEST_PAUSE = 30.0
"""Seconds: a process that cannot live is tried again for as long as another one serves."""
HUNG = 20.0
"""Seconds without a sign of life after which a process is ended by force, and started anew."""
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a serving process handles itself; it unblocks them when it does."""
_LOOK_EVERY = 0.5
"""Seconds between two looks at the processes."""

Tell = Callable[[str], None]
_FORK = multiprocessing.get_context("fork")


@dataclass
class Place:
    """One of the processes, whichever is in this place now."""

    row: int
    heartbeat: Callable[[], int]
    """A number that changes while the process lives; 0 until its first sign of life."""
    process: ForkProcess | None = None
    born: float = 0.0
    due: float = 0.0
    """When to start it (monotonic)."""
    failures: int = 0
    """Failed starts in a row."""
    seen: int = 0
    silent: float = 0.0
    """Seconds for which ``heartbeat`` has not changed."""

    def started(self, now: float) -> None:
        self.born, self.seen, self.silent = now, 0, 0.0

    def ended(self, now: float) -> None:
        self.failures = self.failures + 1 if now - self.born < STABLE else 0
        again = self.failures - 2
        self.due = now if again < 0 else now + min(PAUSE * 2.0**again, LONGEST_PAUSE)

    def hangs(self, passed: float) -> bool:
        """``passed``: seconds since the last look."""
        beat = self.heartbeat()
        self.silent = self.silent + passed if beat and beat == self.seen else 0.0
        self.seen = beat
        return self.silent >= HUNG


@dataclass
class Supervisor:
    """Forks one process for each place and keeps them running until SIGTERM or SIGINT.

    ``work(row, parent)`` runs in each process and returns its exit code; ``parent`` is a descriptor
    that becomes readable when the supervisor is gone. ``beat`` is called at every look.
    """

    places: list[Place]
    work: Callable[[int, int], int]
    clock: Clock
    tell: Tell
    beat: Callable[[], None]
    _stopping: bool = field(default=False, init=False)
    _code: int = field(default=0, init=False)
    _looked: float = field(default=0.0, init=False)

    def run(self) -> int:
        """Returns the exit code: 0 when every process ended with its log complete."""
        self._alive, self._held = os.pipe()
        # Ignored, as who starts us may leave it, the end of a process could not be asked for.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, lambda *_: self._send(signal.SIGHUP))
        self._looked = self.clock.monotonic()
        self._start_due()
        while (living := self._living()) or not self._stopping:
            wait([process.sentinel for process in living], _LOOK_EVERY)
            self._look()
            self.beat()
        return self._code

    def _living(self) -> list[ForkProcess]:
        return [place.process for place in self.places if place.process is not None]

    def _look(self) -> None:
        now = self.clock.monotonic()
        # Where we were stopped ourselves, nobody else is to blame for the time that passed.
        passed, self._looked = min(now - self._looked, 2 * _LOOK_EVERY), now
        for place in self.places:
            if place.process is not None and place.hangs(passed):
                self.tell(f"process {place.row} hangs; it is ended by force")
                place.process.kill()
        self._reap()
        self._start_due()

    def _start_due(self) -> None:
        # Blocked until the child has its own handlers: the supervisor's would do wrong there. And
        # a signal that came before finds the new process in its place, or none is made any more.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            now = self.clock.monotonic()
            for place in self.places:
                if place.process is None and place.due <= now and not self._stopping:
                    self._start(place)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def _start(self, place: Place) -> None:
        place.process = _FORK.Process(target=self._become, args=(place.row,), daemon=True)
        place.process.start()
        place.started(self.clock.monotonic())

    def _become(self, row: int) -> NoReturn:
        """What the forked process does, with its signals still blocked."""
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._held)
        sys.exit(self.work(row, self._alive))

    def _reap(self) -> None:
        for place in self.places:
            process = place.process
            if process is not None and (code := process.exitcode) is not None:
                place.process = None
                process.close()
                self._ended(place, code)

    def _ended(self, place: Place, code: int) -> None:
        place.ended(self.clock.monotonic())
        if self._stopping:
            self._code = self._code or int(code != 0)
            return
        self.tell(f"process {place.row} ended with {code}")
        if all(other.failures > MOST_FAILURES for other in self.places):
            self.tell("they end again and again; giving up")
            self._code = 1
            self._stop(signal.SIGTERM, None)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for pid in filter(None, [process.pid for process in self._living()]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
