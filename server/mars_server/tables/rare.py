"""The stability threshold: rare values (languages, countries) appear late and leave early.

Anybody may send requests. If a value appeared as soon as it reached ten hits, seven forged ones
would tell whether three real ones exist. So a value is listed only after it has stayed high for
a month, and whatever is not listed is part of ``other``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mars.wire.variables import VARIABLES

DIMENSIONS: Final = tuple(variable.name for variable in VARIABLES if variable.rare)
ENTER: Final = 50
"""Hits in each of ``WEEKS`` weeks in a row before a value is listed."""
WEEKS: Final = 4
LEAVE: Final = 30
"""A listed value with fewer hits than this in a week is no longer listed."""


@dataclass(frozen=True)
class Listing:
    """Which values of one rare dimension are listed, and how long the others have been high."""

    listed: frozenset[str] = frozenset()
    streaks: Mapping[str, int] = field(default_factory=dict)

    def step(self, counts: Mapping[str, int]) -> Listing:
        """The listing after one more week with data. ``counts`` carry the noise, if there is any.

        A value is listed from the last of ``WEEKS`` weeks at ``ENTER`` or more on.
        """
        stay = {value for value in self.listed if counts.get(value, 0) >= LEAVE}
        streaks = {
            value: self.streaks.get(value, 0) + 1
            for value, count in counts.items()
            if count >= ENTER and value not in stay
        }
        enter = {value for value, weeks in streaks.items() if weeks >= WEEKS}
        return Listing(
            listed=frozenset(stay | enter),
            streaks={value: weeks for value, weeks in streaks.items() if value not in enter},
        )

    def with_streaks(self, streaks: Mapping[str, int]) -> Listing:
        """The same list, while others have been high for ``streaks`` weeks."""
        waiting = {value: weeks for value, weeks in streaks.items() if value not in self.listed}
        return Listing(self.listed, waiting)
