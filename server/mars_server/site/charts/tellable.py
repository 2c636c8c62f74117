"""Which weeks a page can tell something of: those with data, and those whose shares say something.

Percentages are of the hits that are shown, so where most hits hide in values below ten each they
mislead: one value with 19 of 73 hits would stand at 100 %. The files follow their documented
arithmetic all the same; pages and charts leave such a week out and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Final

from mars_server.common.calendar import following
from mars_server.tables.downloads import NOT_GIVEN
from mars_server.tables.floor import Published
from mars_server.tables.noise import SURE
from mars_server.tables.week import Row, Week

_LEAST_SHOWN: Final = Fraction(3, 4)
"""Of the hits that carry the variable; no share is then much more than a third too high for what
is hidden."""
LEAST_HITS: Final = 30
"""At their floors; of fewer hits a share is chance, and nine hidden ones change it too much."""


def tells_shares(table: str, week: Week) -> bool:
    """Whether the rows of ``week`` that can be told make up enough of it to tell shares."""
    rows = told(table, week)
    without = week.count(table, NOT_GIVEN)
    carrying = _middle(week.hits) - (_middle(without) if without else 0)
    if carrying < SURE * week.deviation:
        return False  # perhaps nobody gave the variable, and the rows are noise alone
    enough = sum(_middle(row.count) for row in rows) >= _LEAST_SHOWN * carrying
    least = max(LEAST_HITS, SURE * week.deviation)
    return enough and sum(row.count.least for row in rows) >= least


def _middle(count: Published) -> Fraction:
    """Of the true counts that ``count`` stands for."""
    return Fraction(count.least + count.most, 2)


def latest(weeks: Sequence[Week]) -> Week | None:
    """The newest week with data."""
    return next((week for week in reversed(weeks) if not week.hits.missing), None)


def given(table: str, week: Week) -> list[Row]:
    """The rows of hits that carry the variable."""
    return [row for row in week.tables[table] if row.value != NOT_GIVEN]


def told(table: str, week: Week) -> list[Row]:
    """Those of them that are neither hidden nor, with noise, perhaps noise alone."""
    return [row for row in given(table, week) if week.tells(row.count)]


def runs(
    weeks: Iterable[Week], has: Callable[[Week], bool] = lambda week: not week.hits.missing
) -> list[list[Week]]:
    """Stretches of weeks that have what is to be drawn (data, if nothing else is asked for); a week
    without it, or one that is left out, ends one."""
    result: list[list[Week]] = [[]]
    for week in filter(has, weeks):
        if result[-1] and following(result[-1][-1].week) != week.week:
            result.append([])
        result[-1].append(week)
    return [part for part in result if part]
