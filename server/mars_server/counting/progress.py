"""How far the counter is: rate and time left, on stderr; a line that rewrites itself on a
terminal, now and then a plain one elsewhere."""

from __future__ import annotations

from typing import TextIO

from mars.ports import Clock

_TERMINAL_PERIOD = 0.2
_PLAIN_PERIOD = 30.0
"""Seconds between two lines."""
_MANY = 100_000
"""From so many lines on they are told in millions."""


class Progress:
    """Silent until the first period has passed, so short runs print nothing."""

    def __init__(self, clock: Clock, out: TextIO | None) -> None:
        self._clock = clock
        self._out = out
        self._terminal = out is not None and out.isatty()
        self._period = _TERMINAL_PERIOD if self._terminal else _PLAIN_PERIOD
        self._begin = self._next = 0.0
        self._total = self._bytes = self._lines = 0
        self._shown = False

    def start(self, total: int) -> None:
        """``total`` bytes as stored lie ahead."""
        self._begin = self._clock.monotonic()
        self._next = self._begin + self._period
        self._total, self._bytes, self._lines = total, 0, 0

    def add(self, lines: int, size: int) -> None:
        self._lines += lines
        self._bytes += size
        now = self._clock.monotonic()
        if self._out is not None and now >= self._next:
            self._next = now + self._period
            self._show(self._out, now - self._begin)

    def end(self) -> None:
        if self._out is not None and self._shown and self._terminal:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _show(self, out: TextIO, seconds: float) -> None:
        text = _describe(self._lines, self._bytes, self._total, seconds)
        out.write(f"\r\x1b[K{text}" if self._terminal else f"{text}\n")
        out.flush()
        self._shown = True


def _describe(lines: int, size: int, total: int, seconds: float) -> str:
    """``43 %  5.2 million lines  1.1 million lines/s  190 MB/s  0:12 left``; of fewer lines, as of
    spools, their number."""
    rate = size / seconds if seconds > 0 else 0.0
    share = f"{100 * size // total:3d} %  " if total else ""
    left = f"  {_clock_face((total - size) / rate)} left" if total > size and rate > 0 else ""
    per_second = lines / seconds if seconds > 0 else 0.0
    told = f"{lines} lines  {per_second:.0f} lines/s"
    if lines >= _MANY:
        told = f"{lines / 1e6:.1f} million lines  {per_second / 1e6:.2f} million lines/s"
    return f"{share}{told}  {rate / 1e6:.0f} MB/s{left}"


def _clock_face(seconds: float) -> str:
    """``0:12``, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
