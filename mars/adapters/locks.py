"""Locks between processes: the system releases them when the holder ends, however it ends.

Where there is ``flock`` we call it ourselves: filelock 4 loads OpenSSL, logging and decimal, which
weigh more than the rest of an idle client. Elsewhere (Windows) filelock is used; it is its home.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_POLL = 0.02
"""Seconds between two tries; the locks that are waited for are held for milliseconds."""
_PRIVATE_FILE = 0o600
_held: set[int] = set()
"""Descriptors of this process, so that a forked child can let go of its copies."""

_here: dict[str, threading.Lock] = {}
"""Where the file system has no locks: those between the threads of this process."""

if sys.platform != "win32":
    import fcntl

    _WITHOUT_LOCKS = frozenset(
        {errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
    )
    """What a file system without locks answers, as NFS without lockd or a shared folder."""

    @contextlib.contextmanager
    def locked(path: Path, wait: float) -> Iterator[bool]:
        """Whether ``path`` was locked within ``wait`` seconds. Raises ``OSError``.

        Not where the file was removed meanwhile: who opens ``path`` then gets a lock of his own.

        A file system without locks keeps apart the threads of this process alone: two processes
        may then fetch, and of two that write at the same moment one is lost. Nothing is sent
        without consent, and no more often, since the next time is on disk before each attempt.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, _PRIVATE_FILE)
        _held.add(descriptor)
        with contextlib.ExitStack() as held:
            held.callback(_release, descriptor)
            try:
                taken = _take(descriptor, wait)
            except OSError as error:
                if error.errno not in _WITHOUT_LOCKS:
                    raise
                mutex = _here.setdefault(str(path), threading.Lock())
                taken = mutex.acquire(timeout=wait)
                if taken:
                    held.callback(mutex.release)
            yield taken and _is_at(path, descriptor)

    def _is_at(path: Path, descriptor: int) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _release(descriptor: int) -> None:
        if descriptor in _held:
            _held.discard(descriptor)
            with contextlib.suppress(OSError):  # closed all the same
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
        _here.clear()
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
