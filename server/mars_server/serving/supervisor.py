"""Several serving processes behind one listening socket, each with a log of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from mars.ports import Clock

STABLE = 30.0
"""Seconds that a process must live for its end not to count as a failed start."""
MOST_FAILURES = 5
"""Failed starts in a row after which the whole server gives up; systemd then tries again."""
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""What a serving process handles itself; it unblocks them when it does."""
LOOK_EVERY = 0.5
"""Seconds between two looks at the processes."""

Tell = Callable[[str], None]


class Supervisor:
    """Forks ``workers`` processes and keeps that many running until SIGTERM or SIGINT."""

    def __init__(
        self,
        workers: int,
        work: Callable[[int, int], int],
        clock: Clock,
        tell: Tell,
        beat: Callable[[], None],
    ) -> None:
        """``work(row, parent)`` runs in each process and returns its exit code; ``parent`` is a
        descriptor that becomes readable when the supervisor is gone. ``beat`` is called at every
        look."""
        self._workers = workers
        self._work = work
        self._clock = clock
        self._tell = tell
        self._beat = beat
        self._children: dict[int, tuple[int, float]] = {}
        self._stopping = False
        self._failures = 0
        self._code = 0

    def run(self) -> int:
        """Returns the exit code: 0 when every process ended with its log complete."""
        self._alive, self._held = os.pipe()
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGHUP, self._pass_on)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for row in range(self._workers):
            self._start(row)
        while self._children:
            select.select([self._wake], [], [], LOOK_EVERY)
            with contextlib.suppress(BlockingIOError):
                os.set_blocking(self._wake, False)
                os.read(self._wake, 4096)
            self._reap()
            self._beat()
        return self._code

    def _start(self, row: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        # Blocked until the child has its own handlers: the supervisor's would do wrong there.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        pid = os.fork()
        if pid == 0:
            self._become(row)
        self._children[pid] = (row, self._clock.monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def _become(self, row: int) -> NoReturn:
        """What the forked process does, with its signals still blocked."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*STOPPING, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._held)
            code = self._work(row, self._alive)
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._ended(pid, os.waitstatus_to_exitcode(status))

    def _ended(self, pid: int, code: int) -> None:
        row, born = self._children.pop(pid)
        if self._stopping:
            self._code = self._code or int(code != 0)
            return
        young = self._clock.monotonic() - born < STABLE
        self._failures = self._failures + 1 if young else 0
        self._tell(f"process {row} ended with {code}")
        if self._failures > MOST_FAILURES:
            self._tell("it ends again and again; giving up")
            self._code = 1
            self._stop(signal.SIGTERM, None)
            return
        self._start(row)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        self._send(signal.SIGTERM)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._send(signal.Signals(number))

    def _send(self, number: signal.Signals) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
