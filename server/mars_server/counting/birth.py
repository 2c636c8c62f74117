"""When a file was made, which tells it from a removed one whose inode it was given.

Linux knows it on most file systems (statx(2), since 4.11); Python asks for it from 3.15 on, so the
C library is asked here.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

_EMPTY_PATH = 0x1000
"""``AT_EMPTY_PATH``: the descriptor itself (fcntl.h)."""
_BTIME = 0x800
"""``STATX_BTIME`` (linux/stat.h)."""
_SIZE, _MASK, _SECONDS, _NANOSECONDS = 256, 0, 80, 88
"""Bytes of ``struct statx``, and where in it these members lie, on every architecture."""


def birth(handle: int) -> int | None:
    """Nanoseconds since 1970, or None where system or file system do not know it."""
    statx = _statx()
    if statx is None:
        return None
    buffer = bytearray(_SIZE)
    if statx(handle, b"", _EMPTY_PATH, _BTIME, _view(buffer)) != 0:
        return None
    if not _number(buffer, _MASK, 4) & _BTIME:
        return None
    return _number(buffer, _SECONDS, 8) * 1_000_000_000 + _number(buffer, _NANOSECONDS, 4)


@cache
def _statx() -> Any:
    try:
        import ctypes

        return ctypes.CDLL(None).statx
    except (ImportError, OSError, AttributeError, MemoryError):  # no libffi, another system
        return None


def _view(buffer: bytearray) -> Any:
    import ctypes

    return (ctypes.c_char * _SIZE).from_buffer(buffer)


def _number(buffer: bytearray, at: int, size: int) -> int:
    return int.from_bytes(buffer[at : at + size], sys.byteorder)
