"""Counters of one process, without any label that a client could choose."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping

NAMES = (
    "answers",
    "incomplete",
    "capped",
    "refused",
    "evicted",
    "errors",
    "log_written",
    "log_lost",
    "log_healthy",
    "reload_failed",
    "serial",
    "expires",
    "connections",
    "heartbeat",
)
"""Slots of one process; the last five, and ``log_healthy``, are states, the others only grow."""
_SLOT = struct.Struct("=Q")
ROW = _SLOT.size * len(NAMES)
"""Bytes of one process's counters."""
_OFFSETS = {name: index * _SLOT.size for index, name in enumerate(NAMES)}


def shared(processes: int) -> mmap.mmap:
    """Memory for ``processes`` rows that forked processes share."""
    return mmap.mmap(-1, ROW * processes)


class Counters:
    """One row of the shared memory. Each row has one writer."""

    def __init__(self, memory: mmap.mmap, row: int) -> None:
        self._memory = memory
        self._base = row * ROW

    def add(self, name: str, times: int = 1) -> None:
        place = self._base + _OFFSETS[name]
        (value,) = _SLOT.unpack_from(self._memory, place)
        _SLOT.pack_into(self._memory, place, value + times)

    def set(self, name: str, value: int) -> None:
        _SLOT.pack_into(self._memory, self._base + _OFFSETS[name], value)

    def read(self) -> Mapping[str, int]:
        return {
            name: _SLOT.unpack_from(self._memory, self._base + offset)[0]
            for name, offset in _OFFSETS.items()
        }
