"""Counts again whenever a log has changed, until told to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from mars.errors import StateError
from mars_server.counting.inputs import expand

_Look = dict[str, tuple[int, int, int]]
"""Path → inode, size, time of the last change in nanoseconds."""


@contextmanager
def until_signal() -> Iterator[None]:
    """The body runs until it ends or SIGTERM or SIGINT comes; what is stored stays whole."""
    stop = signal.default_int_handler
    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:  # no ``Exception``, so that nothing on the way swallows it
        pass
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def follow(
    names: Sequence[str],
    count: Callable[[list[str]], None],
    interval: float,
    say: Callable[[str], None],
) -> None:
    """Calls ``count`` with all logs at once and then after each change; never returns.

    Logs that are missing at a look, as in the middle of a rotation, are waited for; ``say`` gets a
    sentence for each such name, once.
    """
    pause = Event()
    seen: _Look | None = None
    told: set[str] = set()

    def wait_for(name: str, why: str) -> None:
        if name not in told:
            told.add(name)
            say(f"{why} Waiting for it.")

    expand([name for name in names if Path(name).is_dir()], note=say)
    while True:
        now = _look(names, wait_for)
        if now != seen:
            count(list(now))
            seen = now
        pause.wait(interval)


def _look(names: Sequence[str], missing: Callable[[str, str], None]) -> _Look:
    """The logs as they are now; ``missing`` gets each name that means none, and the reason."""
    found: _Look = {}
    for name in names:
        try:
            paths = expand([name])
        except StateError as error:  # not there yet, or between two names
            missing(name, error.message)
            continue
        for path in paths:
            try:
                status = Path(path).stat()
            except FileNotFoundError:
                continue
            found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
