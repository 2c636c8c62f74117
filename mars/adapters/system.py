"""The one home of clock and chance."""

from __future__ import annotations

import os
import random  # noqa: TID251 - this adapter owns chance; only SystemRandom is used
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
    """``mars.ports.Chance`` on the operating system's random numbers.

    As the module ``secrets`` does it, but without loading OpenSSL, which an application that only
    waits should not pay for.
    """

    def __init__(self) -> None:
        self._source = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        return self._source.uniform(low, high)

    def choice(self, items: Sequence[T]) -> T:
        return self._source.choice(items)

    def token(self, size: int) -> bytes:
        return os.urandom(size)
