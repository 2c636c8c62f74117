"""System calls of this process that fail on demand: the standard library's, never our own code."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

ERRNOS = tuple(
    getattr(errno, name)
    for name in (
        *("EMFILE", "ENOSPC", "EIO", "ESTALE", "EACCES", "EROFS"),
        *("EINTR", "ENOLCK", "EINVAL", "ENOTSUP", "EDQUOT", "ETIMEDOUT"),
    )
)
CALLS = (
    *("open", "fdopen", "close", "fstat", "stat", "lstat", "fsync", "replace", "rename"),
    *("unlink", "remove", "mkdir", "rmdir", "listdir", "scandir", "chmod"),
)


@dataclass
class Faults:
    """Counts the calls below ``folder`` and fails number ``at``, or all from there on."""

    folder: str
    at: int = -1
    number: int = 0
    lasting: bool = False
    seen: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        count = len(self.seen) - 1
        if self.at >= 0 and (count == self.at or (self.lasting and count > self.at)):
            raise OSError(self.number, os.strerror(self.number))

    def concerns(self, place: object) -> bool:
        """Descriptors, and paths in the folder."""
        if isinstance(place, int):
            return place > 2
        return isinstance(place, str | os.PathLike) and os.fspath(place).startswith(self.folder)


class _File:
    """A file whose reads, writes and end can fail."""

    def __init__(self, file: Any, faults: Faults) -> None:
        self._file = file
        self._faults = faults

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._faults("end")

    def read(self, size: int) -> bytes:
        self._faults("read")
        data: bytes = self._file.read(size)
        return data

    def write(self, data: bytes) -> None:
        self._file.write(data[: len(data) // 2])  # half of it is there when the rest fails
        self._faults("write")
        self._file.write(data[len(data) // 2 :])

    def flush(self) -> None:
        self._file.flush()


@contextlib.contextmanager
def failing(faults: Faults) -> Iterator[None]:
    """While inside, the calls of ``os`` and ``fcntl`` go by ``faults``."""
    real = {name: getattr(os, name) for name in CALLS}
    flock = fcntl.flock

    def failing_call(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def made(place: Any, *rest: Any, **more: Any) -> Any:
            if not faults.concerns(place):
                return call(place, *rest, **more)
            if name == "close":
                call(place, *rest, **more)  # Linux lets go of it whatever it answers
                return faults(name)
            faults(name)
            found = call(place, *rest, **more)
            return _File(found, faults) if name == "fdopen" else found

        return made

    def failing_flock(descriptor: int, how: int) -> None:
        faults("flock")
        flock(descriptor, how)

    try:
        for name, call in real.items():
            setattr(os, name, failing_call(name, call))
        fcntl.flock = failing_flock  # type: ignore[assignment]
        yield
    finally:
        for name, call in real.items():
            setattr(os, name, call)
        fcntl.flock = flock
