"""Which weeks and periods a page can tell something of: those with data, and those whose shares
say something. A period of a table is shown as its last week, with the hits and flags of all of
them, and without hits where its counts were lost. The ages of a small crowd bear a mark, so that
they are never taken for those of a large one, which are written alike.

Percentages are of the hits that are shown, so where most hits hide in values below ten each they
mislead: one value with 19 of 73 hits would stand at 100 %. The files follow their documented
arithmetic all the same; pages and charts leave such a week out and say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from mars.wire.product import is_release
from mars.wire.variables import OTHER, VARIABLES
from mars_server.common.calendar import following
from mars_server.site.language import folded
from mars_server.tables.downloads import NOT_GIVEN, weeks_of
from mars_server.tables.floor import NO_DATA, STEP, together
from mars_server.tables.noise import SURE
from mars_server.tables.periods import LEAST_HITS, LEAST_SHOWN, covered
from mars_server.tables.week import Row, Week

_FOLDED: Final = {one.name: frozenset(one.folded_names) for one in VARIABLES if one.folded}
"""The values of a small crowd, in which some stand for others too."""


def of_table(table: str, weeks: Sequence[Week]) -> list[Week]:
    """The periods of ``table`` that end in ``weeks`` (oldest first)."""
    return [
        _whole(table, week, covered(table, week, weeks)) for week in weeks if week.closes(table)
    ]


def _whole(table: str, week: Week, parts: Sequence[Week]) -> Week:
    rows = _marked(table, week.tables[table])
    flags = dict.fromkeys(flag for each in parts for flag in each.flags)
    return replace(
        week,
        hits=together(each.hits for each in parts) if rows else NO_DATA,
        flags=tuple(flags),
        tables={**week.tables, table: rows},
    )


def _marked(table: str, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """``rows`` with marks on the values that a small crowd says, if one said these."""
    few = _FOLDED.get(table, frozenset())
    if {row.value for row in rows} - {OTHER, NOT_GIVEN} != few:
        return rows
    return tuple(
        Row(folded(row.value) if row.value in few else row.value, row.count) for row in rows
    )


def first_seen(weeks: Iterable[Week]) -> list[tuple[str, Week]]:
    """Each release with the week in which it first reached ten hits, or with noise so many that it
    cannot be the noise; not those of the very first week."""
    seen: set[str] = set()
    found = []
    for n, week in enumerate(week for week in weeks if week.tables["v"]):
        for row in week.tables["v"]:
            if row.value not in seen and is_release(row.value) and week.tells(row.count, SURE):
                seen.add(row.value)
                if n:
                    found.append((row.value, week))
    return found


def label(table: str, week: Week) -> str:
    """The name of its period: ``2026-W14``, or ``2026-W14–W17``."""
    return week.periods[table].short if table in week.periods else week.week


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
