"""Draws charts in processes of their own: for the server one at the lowest priority, so that
whoever else is served goes first; for publishing two, where there is much to draw and a core for
each.

The renderer is a browser engine's; within the serving process it would take turns with the news.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Final

from mars.errors import StateError
from mars_server.site.charts.render import Chart, Picture, render

LOWEST: Final = 19
"""Niceness of a process that draws for the server."""
_MOST: Final = 2
"""Processes that draw at once for publishing; with more it would take over 500 MB."""
FEW: Final = 10
"""Charts for which another process is not worth its start."""
_TRIES: Final = 2
"""A process that was ended (by the kernel, out of memory) is replaced once for each chart."""


class Drawer:
    """``render``, one chart at a time, in a process that is started with the first one.

    Safe for threads. The process ends with this object, and when ours does.
    """

    def __init__(self, niceness: int = LOWEST) -> None:
        self._niceness = niceness
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def render(self, chart: Chart) -> Picture:
        """Raises ``StateError`` (``drawing-failed``)."""
        with self._lock:
            for _ in range(_TRIES):
                try:
                    return self._ask(chart)
                except (OSError, EOFError, pickle.UnpicklingError):
                    self._give_up()
        raise StateError(
            "drawing-failed",
            "A chart could not be drawn: the process that draws ended. Is memory short?",
        )

    def _ask(self, chart: Chart) -> Picture:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump(chart, process.stdin)
        process.stdin.flush()
        picture: Picture = pickle.load(process.stdout)  # noqa: S301  our own process wrote it
        return picture

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C is for the server, which then lets this one end.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(self._niceness)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._process = process
        self._end = weakref.finalize(self, _end, process)
        return process

    def _give_up(self) -> None:
        if self._process is not None:
            self._end()
            self._process = None


def draw_all(charts: Sequence[Callable[[], Chart]]) -> Iterator[Picture]:
    """The pictures of ``charts``, in their order: a few are drawn here, many in one process for
    each core that is ours, at most ``_MOST``. Raises ``StateError`` (``drawing-failed``)."""
    count = min(len(os.sched_getaffinity(0)), _MOST, len(charts) // FEW)
    if count < 2:
        yield from (render(chart()) for chart in charts)
        return
    own = threading.local()

    def begin() -> None:
        own.drawer = Drawer(niceness=0)

    def draw(chart: Callable[[], Chart]) -> Picture:
        drawer: Drawer = own.drawer
        return drawer.render(chart())

    with ThreadPoolExecutor(count, initializer=begin) as threads:
        yield from threads.map(draw, charts)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with contextlib.suppress(OSError):  # what was not yet written has no reader any more
        process.communicate()


def work(requests: IO[bytes], answers: IO[bytes], niceness: int) -> None:
    """Draws until nobody asks any more."""
    with contextlib.suppress(OSError):  # forbidden by some systemd units; not needed
        os.nice(niceness)
    while True:
        try:
            chart = pickle.load(requests)  # noqa: S301  our own server wrote it
        except EOFError:
            return
        pickle.dump(render(chart), answers)
        answers.flush()


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))
