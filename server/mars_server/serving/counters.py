"""Counters of one process, without any label that a client could choose."""

from __future__ import annotations

import mmap
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
ROW = 8 * len(NAMES)
"""Bytes of one process's counters, an unsigned integer of 64 bits each."""
_PLACES = {name: place for place, name in enumerate(NAMES)}


def shared(processes: int) -> mmap.mmap:
    """Memory for ``processes`` rows that forked processes share."""
    return mmap.mmap(-1, ROW * processes)


class Counters:
    """One row of the shared memory. Each row has one writer."""

    def __init__(self, memory: mmap.mmap, row: int) -> None:
        self._row = memoryview(memory)[row * ROW : (row + 1) * ROW].cast("Q")

    def add(self, name: str, times: int = 1) -> None:
        self._row[_PLACES[name]] += times

    def set(self, name: str, value: int) -> None:
        self._row[_PLACES[name]] = value

    def read(self) -> Mapping[str, int]:
        return dict(zip(NAMES, self._row, strict=True))
