"""How many weeks a table sums: the shortest of 1, 4 and 13 that shows most of its hits.

A request says only some of its variables, so a table of a small project has few hits a week, and
most of them hide below the floor. Its weeks are therefore added up before they are floored. Which
period a table has is decided once a quarter, from what is published and nothing else, and stands in
each week's document.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from mars.wire.crowd import MANY
from mars.wire.query import NONE
from mars.wire.variables import BASIC, NAMES
from mars_server.tables.floor import STEP
from mars_server.tables.quarters import CROSS, EVERY, LONGEST, Summed, beginning, quarter
from mars_server.tables.week import Week

LEAST_SHOWN: Final = Fraction(3, 4)
"""Of the hits that carry a variable; no share is then much more than a third too high for what is
hidden."""
ENOUGH_WEEKS: Final = 4
"""Of the quarter without doubt: then its disturbed and incomplete weeks, which whoever forges hits
can make, decide nothing."""
DOUBTS: Final = frozenset({"disturbed", "incomplete"})
"""Flags of weeks whose figures may be those of others, or of a part."""
LEAST_HITS: Final = 30
"""At their floors; of fewer hits a share is chance, and nine hidden ones change it too much."""


def begun(week: str, before: Sequence[Week], crowd: int) -> dict[str, Summed]:
    """The period of each table in ``week``: the one that was begun in the weeks published
    ``before`` (oldest first), else a new one. ``crowd`` is that of the product."""
    found = {name: _summed(week, name, before, crowd) for name in NAMES}
    every = max(found[name].every for name in ("v", "os"))  # else it would tell their single weeks
    return found | {CROSS: _going_on(week, CROSS, before) or beginning(week, every)}


def _summed(week: str, name: str, before: Sequence[Week], crowd: int) -> Summed:
    going_on = _going_on(week, name, before)
    if going_on is not None:
        return going_on
    last = before[-1] if before else None
    if last is not None and name in last.periods and quarter(last.week) == quarter(week):
        return beginning(week, last.periods[name].every)
    return beginning(week, judged(name, before, crowd))


def _going_on(week: str, name: str, before: Sequence[Week]) -> Summed | None:
    found = before[-1].periods.get(name) if before else None
    return found if found is not None and found.last >= week else None


def judged(name: str, before: Sequence[Week], crowd: int) -> int:
    """The shortest period in which three quarters of the hits that carry ``name``, and no fewer
    than thirty, would stand above the floor, by what was published of the last quarter of the weeks
    ``before`` (of that alone: a sum of several weeks stands in the last of them); the
    longest where in none. Disturbed and incomplete weeks are left out where the others suffice.

    A number stands for the middle of what it can be, one that was hidden in every period for
    nothing. Where nothing was published the crowd says whether most requests lack the variable.
    """
    told = _told(name, before)
    if not told:
        return EVERY[1] if name in BASIC[1:] and crowd < MANY else EVERY[0]
    rows: dict[str, Fraction] = defaultdict(Fraction)
    weeks, carrying, seen = 0, Fraction(0), set()
    for week in told:
        parts = covered(name, week, before)
        weeks += len(parts)
        carrying += sum(each.hits.middle for each in parts)
        for row in week.tables[name]:
            if row.value == NONE:
                carrying -= row.count.middle
            else:
                rows[row.value] += row.count.middle
                seen |= {row.value} if row.count.least else set()
    return shortest([rows[value] / weeks for value in seen], carrying / weeks)


def shortest(shown: Sequence[Fraction], carrying: Fraction) -> int:
    """The shortest period in which enough would stand above the floor of ``carrying`` hits a week,
    of which the cells that were ever seen above it have ``shown``; the longest where in none."""
    for every in EVERY:
        sums = [each * every for each in shown]
        told = sum(each for each in sums if each >= STEP)
        if told >= LEAST_HITS and told >= LEAST_SHOWN * carrying * every:
            return every
    return EVERY[-1]


def _told(name: str, before: Sequence[Week]) -> list[Week]:
    """The weeks with rows of ``name`` in the last quarter, without doubtful ones if that leaves
    enough."""
    told = [week for week in before[-LONGEST:] if week.tables[name]]
    told = [week for week in told if quarter(week.week) == quarter(before[-1].week)]
    parts = {week.week: covered(name, week, before) for week in told}
    sure = [
        week
        for week in told
        if not any(DOUBTS.intersection(each.flags) for each in parts[week.week])
    ]
    return sure if sum(len(parts[week.week]) for week in sure) >= ENOUGH_WEEKS else told


def covered(name: str, week: Week, weeks: Sequence[Week]) -> list[Week]:
    """Those of ``weeks`` (oldest first) that the rows of ``name`` in ``week`` sum."""
    first = week.since(name)
    return [each for each in weeks if first <= each.week <= week.week]
