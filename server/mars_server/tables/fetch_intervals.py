"""What the documents that were served ask of installations, and what hits follow from it.

An installation that is served a document waits for as long as this document asks. So a hit is
weighted with the mean of the interval that it *opens*. After a change requests come in bunches,
and any such weight ripples around the truth; how much they bunch follows from the renewal
equation (D. R. Cox, Renewal Theory, 1962, chapter 4), solved here in steps of six hours.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final

from mars.wire.times import DAY
from mars_server.common.calendar import monday, week_of
from mars_server.tables.estimate import STEER_STEP, TURNOVER_WEEKS, Interval, Law, steered
from mars_server.tables.signed_documents import Served

_STEPS_A_DAY: Final = DAY // STEER_STEP
WEEK: Final = 7 * DAY
_LONGEST: Final = 33 * _STEPS_A_DAY
"""Steps of the longest interval that clients accept: 30 days, and 3 drawn."""


@dataclass(frozen=True)
class Period:
    """From ``since`` (Unix seconds) on a document with this ``reportback_next`` was served."""

    since: int
    reportback_next: int

    @property
    def law(self) -> Interval:
        return steered(self.reportback_next)


def begin_of(week: str) -> int:
    """The first second of an ISO week, Unix time."""
    day = monday(week)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def periods_of(documents: Iterable[Served]) -> list[Period]:
    """By when the documents were signed; publishers deploy them then. Those of which nobody noted
    what they ask for are left out."""
    return sorted(
        (
            Period(each.serial, each.reportback_next)
            for each in documents
            if each.reportback_next is not None
        ),
        key=lambda period: period.since,
    )


def laws(
    periods: Sequence[Period], week: str, standing: Interval | None, now: Interval
) -> tuple[list[Law], list[Interval]]:
    """The laws of the documents served in ``week``, and earlier ones that some installations may
    not have heard the end of.

    ``standing`` is the law of the last week published before (None: there is none), ``now`` the
    one that the product file names. They fill in for documents that nobody named.
    """
    known = [each for each in periods if each.since < begin_of(week) + WEEK]
    if not known:
        return [Law(now, 1.0)], [] if standing is None else [standing]
    unknown = standing or known[0].law
    earlier: list[Interval] = []
    for n in range(1, TURNOVER_WEEKS + 1):
        name = week_of(monday(week) - timedelta(days=7 * n))
        earlier += [law.interval for law in served_in(known, name, unknown)]
    if now != periods[-1].law:  # changed, and the new document was not named yet
        earlier.append(now)
    return served_in(known, week, unknown), earlier


def served_in(periods: Sequence[Period], week: str, before: Interval) -> list[Law]:
    """The laws of the documents that were served in ``week``, oldest first, and for what share of
    it. ``before`` is the law until the first of ``periods`` (sorted by time)."""
    begin = begin_of(week)
    end = begin + WEEK
    marks = [(begin, before)]
    for period in periods:
        if period.since <= begin:
            marks = [(begin, period.law)]
        elif period.since < end:
            marks.append((period.since, period.law))
    limits = [*(since for since, _ in marks[1:]), end]
    return [
        Law(law, (until - since) / WEEK) for (since, law), until in zip(marks, limits, strict=True)
    ]


def hits_per_installation(periods: Sequence[Period], week: str) -> float | None:
    """How many hits one installation makes in ``week`` on average, by the renewal equation.

    Before the first of ``periods`` its law was in equilibrium already. None where that law never
    changed until the week's end: then there is nothing to solve.
    """
    end = begin_of(week) + WEEK
    changes = _changes([each for each in periods if each.since < end])
    if len(changes) < 2:
        return None
    return sum(_density(changes, end // STEER_STEP)[-7 * _STEPS_A_DAY :])


def _changes(periods: Sequence[Period]) -> tuple[Period, ...]:
    """Without the documents that asked for what the one before had asked for."""
    return tuple(next(same) for _, same in groupby(periods, key=attrgetter("law")))


@lru_cache(maxsize=8)
def _density(changes: tuple[Period, ...], end: int) -> list[float]:
    """Hits of one installation in each step (of 6 hours, numbered from the Unix epoch) up to
    ``end``, from a time on when the first law still held."""
    since = [each.since // STEER_STEP for each in changes]
    start = min(since[1] - _LONGEST, end - 7 * _STEPS_A_DAY)
    hits = [0.0] * (end - start + _LONGEST + 1)
    for step in range(start, end):
        law = changes[max(0, bisect_right(since, step) - 1)].law
        now = step - start
        if step < since[1]:
            hits[now] = 1 / (law.mean * _STEPS_A_DAY)
        first, last = round(law.low * _STEPS_A_DAY), round(law.high * _STEPS_A_DAY)
        piece = hits[now] / (last - first)
        hits[now + first] += piece / 2  # a step's hits are spread evenly over it, so the first
        hits[now + last] += piece / 2  # and the last step get half as many as those between
        for later in range(now + first + 1, now + last):
            hits[later] += piece
    return hits[: end - start]
