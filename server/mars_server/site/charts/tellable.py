"""Which weeks and periods a page can tell something of: those with data, and those whose shares say
something. A period of a table is shown as its last week, with the hits and flags of all of them.

Percentages are of the hits that are shown, so where most hits hide in values below ten each they
mislead: one value with 19 of 73 hits would stand at 100 %. The files follow their documented
arithmetic all the same; pages and charts leave such a week out and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from mars.wire.variables import VARIABLES
from mars_server.common.calendar import following
from mars_server.site.language import FOLDED
from mars_server.tables.downloads import NOT_GIVEN, weeks_of
from mars_server.tables.floor import STEP, together
from mars_server.tables.noise import SURE
from mars_server.tables.periods import LEAST_HITS, LEAST_SHOWN, covered
from mars_server.tables.week import Row, Week

_FOLDED: Final = {one.name: frozenset(one.folded) for one in VARIABLES}


def of_table(table: str, weeks: Sequence[Week]) -> list[Week]:
    """The periods of ``table`` that end in ``weeks`` (oldest first)."""
    return [
        _whole(week, covered(table, week, weeks)) if week.since(table) != week.week else week
        for week in weeks
        if week.closes(table)
    ]


def _whole(week: Week, parts: Sequence[Week]) -> Week:
    flags = dict.fromkeys(flag for each in parts for flag in each.flags)
    return replace(week, hits=together(each.hits for each in parts), flags=tuple(flags))


def label(table: str, week: Week) -> str:
    """The name of its period: ``2026-W14``, or ``2026-W14–W17``."""
    return week.periods[table].short if table in week.periods else week.week


def named(table: str, weeks: Sequence[Week]) -> str:
    """Which names the values of ``table`` have, by the latest of ``weeks`` with data: in a small
    crowd some of its values stand for others too."""
    folded = _FOLDED.get(table, frozenset())
    tables = (week.tables[table] for week in reversed(weeks))
    values = next(({row.value for row in rows} for rows in tables if rows), folded)
    return f"{table}{FOLDED}" if folded and not folded & values else table


def tells_shares(table: str, week: Week) -> bool:
    """Whether the rows of a period that can be told make up enough of it to tell shares."""
    rows = told(table, week)
    without = week.count(table, NOT_GIVEN)
    floors = Fraction(STEP - 1, 2) * (weeks_of(table, week) - 1)  # a total has one for each week
    carrying = week.hits.middle + floors - (without.middle if without else 0)
    if carrying < SURE * week.deviation:
        return False  # perhaps nobody gave the variable, and the rows are noise alone
    enough = sum(row.count.middle for row in rows) >= LEAST_SHOWN * carrying
    least = max(LEAST_HITS, SURE * week.deviation)
    return enough and sum(row.count.least for row in rows) >= least


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
    weeks: Iterable[Week],
    has: Callable[[Week], bool] = lambda week: not week.hits.missing,
    table: str = "",
) -> list[list[Week]]:
    """Stretches of weeks, or of the periods of ``table``, that have what is to be drawn (data, if
    nothing else is asked for); one without it, or one that is left out, ends one."""
    result: list[list[Week]] = [[]]
    for week in filter(has, weeks):
        if result[-1] and following(result[-1][-1].week) != week.since(table):
            result.append([])
        result[-1].append(week)
    return [part for part in result if part]
