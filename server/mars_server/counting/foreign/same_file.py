"""Tells whether a name still leads to the log that was looked at, rotated as it may be by now."""

from __future__ import annotations

import io
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO

from mars_server.counting.streams import CHUNK

# --- When a file was made, which tells it from a removed one whose inode it was given ---

_EMPTY_PATH = 0x1000
"""``AT_EMPTY_PATH``: the descriptor itself (fcntl.h)."""
_BTIME = 0x800
"""``STATX_BTIME`` (linux/stat.h)."""
_SIZE, _MASK, _TIME = 256, 0, 80
"""Bytes of ``struct statx``, and where in it mask and time stand, on every architecture."""


def birth(handle: int) -> int | None:
    """Nanoseconds since 1970, or None where system or file system do not know it."""
    try:
        import ctypes

        statx = ctypes.CDLL(None).statx
    except (ImportError, OSError, AttributeError, MemoryError):  # no libffi, another system
        return None
    buffer = ctypes.create_string_buffer(_SIZE)
    if statx(handle, b"", _EMPTY_PATH, _BTIME, buffer) != 0:
        return None
    (mask,) = struct.unpack_from("=I", buffer, _MASK)
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, _TIME)
    return int(seconds * 1_000_000_000 + nanoseconds) if mask & _BTIME else None


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def this_boot() -> str | None:
    """A random name that the kernel takes at each start (random(4)); None where it has none."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None


@dataclass(frozen=True)
class Seen:
    """What tells the log that was looked at from another that has its name by now.

    Held in memory until the pass ends: its hash is over raw bytes.
    """

    size: int
    """Bytes that the hash is of."""
    head: bytes
    inode: str | None = None
    """Of a plain file (``inode``); None for everything else."""
    start: int = 0
    """Where these bytes begin: after the NULs, if any, at the log's beginning."""

    @classmethod
    def of(cls, raw: IO[bytes], data: bytes, start: int = 0) -> Seen:
        """Of an open log that holds ``data`` from ``start`` on."""
        return cls(len(data), blake2b(data, digest_size=16).digest(), inode(raw), start)

    def is_still(self, raw: IO[bytes]) -> bool:
        """Whether ``raw`` is that log. Moves the file's position."""
        raw.seek(self.start)
        now = Seen.of(raw, read(raw, self.size), self.start)
        return now.head == self.head and (self.inode is None or now.inode == self.inode)


def inode(raw: IO[bytes]) -> str | None:
    """Device and inode, with the time of birth where it is known, since the inode of a removed file
    is soon given to another; None for remote files."""
    status = _status(raw)
    if status is None:
        return None
    return f"{status.st_dev}:{status.st_ino}:{birth(raw.fileno()) or 0}"


def stamp(raw: IO[bytes]) -> tuple[int, int] | None:
    """Size and time of the last change of a plain file, which a rename leaves as they are."""
    status = _status(raw)
    return None if status is None else (status.st_size, status.st_mtime_ns)


def _status(raw: IO[bytes]) -> os.stat_result | None:
    try:
        status = os.fstat(raw.fileno())
    except (io.UnsupportedOperation, AttributeError):  # not of this machine
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def read(raw: IO[bytes], size: int) -> bytes:
    """Up to ``size`` bytes of ``raw``, as many as there are."""
    return b"".join(limited(raw, size))


def limited(raw: IO[bytes], size: int) -> Iterator[bytes]:
    """At most ``size`` bytes of ``raw``."""
    left = size
    while left > 0 and (data := raw.read(min(CHUNK, left))):
        left -= len(data)
        yield data
