"""The one home of clock and chance."""

from __future__ import annotations

import secrets  # noqa: TID251 - this adapter owns chance
import time
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class SystemClock:
    """``mars.ports.Clock`` on the operating system's clocks."""

    def now(self) -> int:
        return int(time.time())  # noqa: TID251 - this adapter owns the clock

    def monotonic(self) -> float:
        return time.monotonic()  # noqa: TID251 - this adapter owns the clock


class SystemChance:
    """``mars.ports.Chance`` on the operating system's random numbers."""

    def __init__(self) -> None:
        self._source = secrets.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._source.uniform(low, high)

    def choice(self, items: Sequence[T]) -> T:
        return self._source.choice(items)

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)
