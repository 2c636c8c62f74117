"""The periods that a table can have: stretches of 1, 4 or 13 weeks that end with their quarters.

Quarters are those of the ISO year (weeks 1–13, 14–26, 27–39, 40 to its end); in them four-week
periods are of 4, 4 and 5 weeks (and one more in a year of 53). Periods so nest: none overlaps
another of its table, and a sum over two variables never ends between theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mars.wire.variables import NAMES
from mars_server.common.calendar import monday, span

EVERY: Final = (1, 4, 13)
"""Weeks; the third of the four-week periods of a quarter has five."""
CROSS: Final = "v-os"
PERIODIC: Final = (*NAMES, CROSS)
"""The tables with a period; all hits, and those by level, are published each week."""
LONGEST: Final = 14
"""Weeks of the longest period, the last quarter of a year of 53."""
_QUARTERS: Final = 4
_QUARTER_WEEKS: Final = 13


@dataclass(frozen=True)
class Summed:
    """The period of one table: its weeks ``first`` to ``last``, one of those of ``every`` weeks."""

    every: int
    first: str
    last: str

    @property
    def weeks(self) -> int:
        return (monday(self.last) - monday(self.first)).days // 7 + 1

    @property
    def name(self) -> str:
        """``2026-W14``, or ``2026-W14..2026-W17``."""
        return self.last if self.first == self.last else f"{self.first}..{self.last}"

    @property
    def short(self) -> str:
        """``2026-W14``, or ``2026-W14–W17``; a quarter lies within one year."""
        return self.last if self.first == self.last else f"{self.first}–{self.last[5:]}"


@lru_cache(maxsize=1024)
def quarter(week: str) -> tuple[str, int]:
    """The ISO year of ``week``, and its quarter from 0 on."""
    number = (int(week[-2:]) - 1) // _QUARTER_WEEKS
    return week[:4], min(number, _QUARTERS - 1)


def beginning(week: str, every: int) -> Summed:
    """From ``week`` to where the periods of ``every`` weeks of its quarter end."""
    year, number = quarter(week)
    rest = [
        each for each in span(week, f"{int(year) + 1:04d}-W01") if quarter(each) == (year, number)
    ]
    done = int(week[-2:]) - 1 - number * _QUARTER_WEEKS
    if every > 1 and done // every < _QUARTER_WEEKS // every - 1:
        rest = rest[: every - done % every]
    return Summed(every, week, week if every == 1 else rest[-1])
