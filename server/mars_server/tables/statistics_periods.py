"""Which weeks the figures of one entry sum, and which of what was published it is compared with.

An entry may begin, end or change on any day; only what was collected throughout in one form is
alike. Decided by what is declared and published, never by an exact count. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from fractions import Fraction
from typing import Final

from mars.wire.registry import Metric
from mars_server.common.calendar import days, span
from mars_server.tables.compose import LEAST_CHANGE, LOOK_BACK, is_far
from mars_server.tables.failing import spared
from mars_server.tables.floor import Published
from mars_server.tables.noise import SURE
from mars_server.tables.periods import ENOUGH_WEEKS, LEAST_HITS, shortest
from mars_server.tables.quarters import EVERY, LONGEST, Summed, beginning, quarter
from mars_server.tables.statistics_week import Entry, StatisticsWeek

SETTLING_WEEKS: Final = 2
"""For so many an entry has no figures after it has changed."""


def part(metric: Metric, week: str) -> float:
    """The share of the days of ``week`` on which it was collected."""
    of_week = [date.fromisoformat(day) for day in days(week)]
    since = metric.declared or of_week[0]
    return sum(since <= day and metric.is_live(day) for day in of_week) / len(of_week)


def _is_whole(entry: Entry) -> bool:
    """Whether it was collected throughout its period, as far as was known then."""
    weeks = span(entry.period.first, entry.period.last)
    return all(part(entry.metric, week) == 1 for week in weeks)


def summed(metric: Metric, week: str, before: Sequence[StatisticsWeek]) -> Summed:
    """The one that was begun in the weeks published ``before``, unless the entry has changed since:
    reports of two forms are not summed."""
    if has_changed(metric, before):
        return beginning(week, EVERY[0])
    last = before[-1].entry(metric.name) if before else None
    if last is not None and last.period.last >= week:
        return last.period
    return beginning(week, judged(metric, week, before))


def has_changed(metric: Metric, before: Sequence[StatisticsWeek]) -> bool:
    """Whether reports of this week may be of another form: on which day of the last two weeks it
    changed is not known, nor how soon clients knew."""
    recent = [each.entry(metric.name) for each in before[-SETTLING_WEEKS:]]
    return any(entry is not None and _form(entry.metric) != _form(metric) for entry in recent)


def _alike(metric: Metric, weeks: Iterable[StatisticsWeek]) -> list[Entry]:
    """What was published of it in ``weeks``: of this form, and for weeks in which it was collected
    throughout."""
    found = [entry for each in weeks if (entry := each.entry(metric.name)) and entry.values]
    return [each for each in found if _form(each.metric) == _form(metric) and _is_whole(each)]


def _form(metric: Metric) -> tuple[object, ...]:
    return metric.type, metric.values_known, metric.rate, metric.epsilon


def judged(metric: Metric, week: str, before: Sequence[StatisticsWeek]) -> int:
    """The shortest period in which three quarters of its reports, and no fewer than thirty, would
    stand above the floor, by what was published of it in the quarter before that of ``week``; in an
    entry's first quarter by what was published of it so far, and at first single weeks. No more
    than four then, or where less than four weeks are known: it may be growing.

    Disturbed periods are left out where the others suffice. A number stands for the middle of what
    it can be, one that was hidden in every period for nothing. Of error events the reports
    that tell of no failure carry nothing, since most do, and no period has more than four weeks, so
    that what begins to fail is seen.
    """
    told = _told(metric, week, before)
    if not told:
        return EVERY[0]
    weeks = sum(each.period.weeks for each in told)
    rows: dict[str, Fraction] = {}
    carrying = sum((entry.total.middle for entry in told), Fraction(0))
    silent = spared(metric)
    for entry in told:
        for value in entry.values:
            if value.value in silent:
                carrying -= value.count.middle
                continue
            rows[value.value] = rows.get(value.value, Fraction(0)) + value.count.middle
    seen = {each.value for entry in told for each in entry.values if each.count.least}
    seen -= set(silent)
    every = shortest([rows[value] / weeks for value in seen], carrying / weeks)
    is_new = weeks < ENOUGH_WEEKS or quarter(told[-1].period.last) == quarter(week)
    return min(every, EVERY[1]) if is_new or silent else every


def _told(metric: Metric, week: str, before: Sequence[StatisticsWeek]) -> list[Entry]:
    """What was published of it in the last quarter, else in this one; without what is disturbed if
    that leaves enough."""
    this = quarter(week)
    recent = [(quarter(each.week), each) for each in before[-2 * LONGEST :]]
    earlier = max((each for each, _ in recent if each != this), default=None)
    for wanted in (earlier, this):
        found = _alike(metric, [each for of, each in recent if of == wanted])
        sure = [entry for entry in found if not entry.flags]
        if sum(entry.period.weeks for entry in sure) >= ENOUGH_WEEKS:
            return sure
        if found:
            return found
    return []


def is_disturbed(
    metric: Metric,
    total: Published,
    weeks: float,
    before: Sequence[StatisticsWeek],
    deviation: float,
) -> bool:
    """Against the totals of the periods before, for as many ``weeks``. A change counts from a
    hundred installations on, and where chance or noise does not make it."""
    known = _alike(metric, before[-LOOK_BACK * LONGEST :])
    usual = [float(each.total.middle) / each.period.weeks * weeks for each in known]
    least = max(LEAST_HITS + SURE * deviation, LEAST_CHANGE * metric.rate * weeks)
    return is_far(float(total.middle), usual, least)
