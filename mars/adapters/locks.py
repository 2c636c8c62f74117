"""Locks between processes: the system releases them when the holder ends, however it ends.

Where there is ``flock`` we call it ourselves: filelock 4 loads OpenSSL, logging and decimal, which
weigh more than the rest of an idle client. Elsewhere (Windows) filelock is used; it is its home.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_POLL = 0.02
"""Seconds between two tries; the locks that are waited for are held for milliseconds."""
_PRIVATE_FILE = 0o600
_held: set[int] = set()
"""Descriptors of this process, so that a forked child can let go of its copies."""

if sys.platform != "win32":
    import fcntl

    @contextlib.contextmanager
    def locked(path: Path, wait: float) -> Iterator[bool]:
        """Whether ``path`` was locked within ``wait`` seconds. Raises ``OSError``."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, _PRIVATE_FILE)
        _held.add(descriptor)
        try:
            yield _take(descriptor, wait)
        finally:
            if descriptor in _held:
                _held.discard(descriptor)
                os.close(descriptor)

    def _take(descriptor: int, wait: float) -> bool:
        end = time.monotonic() + wait  # noqa: TID251 - a wait of milliseconds on a device
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:  # noqa: TID251
                    return False
                time.sleep(_POLL)
            else:
                return True

    def _let_go() -> None:
        """In a forked child: closes the copies; closing alone does not unlock the parent's."""
        while _held:
            with contextlib.suppress(OSError):
                os.close(_held.pop())

    os.register_at_fork(after_in_child=_let_go)
else:

    @contextlib.contextmanager
    def locked(path: Path, wait: float) -> Iterator[bool]:
        """Whether ``path`` was locked within ``wait`` seconds. Raises ``OSError``."""
        from filelock import FileLock, Timeout

        lock = FileLock(path, timeout=wait, poll_interval=_POLL)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()
