"""Chance that can be repeated: the same seed gives the same draws. Never for the product."""

from __future__ import annotations

import random  # noqa: TID251 - the seeded twin of the one adapter that owns chance
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class SeededChance:
    """``mars.ports.Chance`` that draws the same again for the same seed."""

    def __init__(self, seed: int) -> None:
        self._source = random.Random(seed)  # noqa: S311 - simulations want repetition, not secrecy

    def uniform(self, low: float, high: float) -> float:
        return self._source.uniform(low, high)

    def choice(self, items: Sequence[T]) -> T:
        return self._source.choice(items)

    def token(self, size: int) -> bytes:
        return self._source.randbytes(size)
