"""Everything that was ever declared as a statistic or an error event, with what was published of
it.

From published documents and the registry alone. What is not declared any more stays, as the last
document has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from mars.wire.catalogue import Catalogue
from mars.wire.events import FAILED_SHARE
from mars.wire.registry import BOOL, EVENTS, PURPOSES, STATISTICS, VERSION, Metric
from mars_server.common.calendar import following, monday, span
from mars_server.tables.floor import NO_DATA, Published
from mars_server.tables.noise import TOLD
from mars_server.tables.statistics_week import Entry, Release, StatisticsWeek, Value
from mars_server.tables.week import Week

COLLECTED: Final = "collected"
WITHDRAWN: Final = "withdrawn"
EXPIRED: Final = "expired"
GONE: Final = "gone"
ENOUGH: Final = 30
"""Reports of a period from which its shares are more than those of a few."""
KNOWN_WITHIN: Final = 40
"""Percentage points of an interval beyond which a share is as good as unknown."""
RECENT: Final = 52
"""Periods in a chart and in a table of the history; the files have all."""


@dataclass(frozen=True)
class Period:
    """What was published of one entry for one period, with the flags of all its weeks."""

    figures: Entry
    flags: tuple[str, ...] = ()
    deviation: float = 0.0
    """The standard deviation of the noise in each number; 0 without noise."""

    @property
    def name(self) -> str:
        return self.figures.period.short

    @property
    def first(self) -> str:
        return self.figures.period.first

    @property
    def last(self) -> str:
        return self.figures.period.last

    def share(self, row: Value) -> int:
        """The share of ``row`` in whole percent, as a sentence or a chart may tell it: 0 where it
        is hidden, hardly more than noise, of too few reports or not known well enough."""
        share, total = row.share, self.figures.total
        if share is None or share.percent is None or share.high - share.low > KNOWN_WITHIN:
            return 0
        few = min(row.count.least, total.least) < TOLD * self.deviation or total.least < ENOUGH
        return 0 if few or row.count.hidden else share.percent

    def answer(self, value: str) -> Value | None:
        return next((row for row in self.figures.values if row.value == value), None)

    @property
    def releases(self) -> list[Release]:
        """The newest first, ``other`` last."""
        key = {each.release: _newest(each.release) for each in self.figures.releases}
        return sorted(self.figures.releases, key=lambda each: key[each.release], reverse=True)


@dataclass(frozen=True)
class Declared:
    """One entry as it was declared last, and its periods, oldest first: those since its values last
    changed, since what was asked before is another question."""

    metric: Metric
    state: str
    periods: tuple[Period, ...] = ()
    changed: str = ""
    """The last period with other values, which the files alone tell of; none where they never
    changed."""
    waiting: str = ""
    """The weeks that are published together when the last of them is over; none where one period
    was published already, or none has begun."""

    @property
    def recent(self) -> tuple[Period, ...]:
        return self.periods[-RECENT:]

    @property
    def latest(self) -> Period | None:
        """The newest period with data."""
        known = (each for each in reversed(self.periods) if not each.figures.total.missing)
        return next(known, None)

    @property
    def last_day(self) -> date:
        """On which it is collected, if nothing else is decided."""
        ends = min(filter(None, (self.metric.expires, self.metric.withdrawn)))
        return ends - timedelta(days=1)


@dataclass(frozen=True)
class Statistics:
    """All entries of a site, by project, and by domain of error events."""

    projects: Mapping[str, Sequence[Declared]]
    domains: Mapping[str, Sequence[Declared]]
    """Of error events, in the same way."""
    day: date | None
    """As of which the states are told: that after the last published week; None before there is
    one."""

    def entry(self, project: str, key: str) -> Declared | None:
        entries = self.projects.get(project, ())
        return next((each for each in entries if each.metric.key == key), None)

    def entries(self) -> list[Declared]:
        return [each for entries in self.projects.values() for each in entries]


def is_failed_share(metric: Metric) -> bool:
    """Whether it is the entry of a domain that tells which share of its tries failed."""
    return metric.purpose == EVENTS and metric.key == FAILED_SHARE


def ordered(metric: Metric, values: Iterable[str]) -> list[str]:
    """``values`` as tables list them: as declared, "yes" before "no", the most failures first,
    versions newest first, and ``other`` last."""
    turned = metric.type == BOOL or is_failed_share(metric)
    known = metric.values_known[:: -1 if turned else 1]
    if metric.type == VERSION:
        return sorted(values, key=_newest, reverse=True)
    return sorted(values, key=lambda value: known.index(value) if value in known else len(known))


def statistics(
    catalogue: Catalogue | None, published: Sequence[StatisticsWeek], weeks: Sequence[Week]
) -> Statistics:
    """What ``catalogue`` declares now, with the documents of statistics and the other ``weeks``
    (oldest first); the latter only say how late it is."""
    found = {entry.name: entry for week in published for entry in week.entries}
    now = {metric.name: metric for metric in (catalogue.entries if catalogue else ())}
    metrics = {name: entry.metric for name, entry in found.items()} | now
    periods = _periods(published)
    ends = [week.week for week in published[-1:]] + [week.week for week in weeks[-1:]]
    last = max(ends, default=None)
    day = None if last is None else monday(following(last))
    groups: dict[str, dict[str, list[Declared]]] = {purpose: {} for purpose in PURPOSES}
    for name, metric in sorted(metrics.items()):
        state = _state(metric, day, declared=catalogue is None or name in now)
        same, changed = _since_change(metric, periods[name])
        waits = name in found and not same and _question(found[name].metric) == _question(metric)
        waiting = found[name].period.short if waits else ""
        group = groups[metric.purpose].setdefault(metric.project, [])
        group.append(Declared(metric, state, same, changed, waiting))
    return Statistics(groups[STATISTICS], groups[EVENTS], day)


def _state(metric: Metric, day: date | None, *, declared: bool) -> str:
    if metric.withdrawn is not None and (day is None or metric.withdrawn <= day):
        return WITHDRAWN
    if day is not None and metric.expires <= day:
        return EXPIRED
    return COLLECTED if declared else GONE


def _question(metric: Metric) -> tuple[object, ...]:
    """What makes the reports of an entry comparable: a rate and an epsilon are reckoned with."""
    return metric.type, metric.values_known


def _since_change(metric: Metric, periods: Sequence[Period]) -> tuple[tuple[Period, ...], str]:
    """Those with the values of ``metric`` without a break, and the name of the last before them."""
    start = len(periods)
    while start and _question(periods[start - 1].figures.metric) == _question(metric):
        start -= 1
    return tuple(periods[start:]), periods[start - 1].name if start else ""


def _periods(published: Sequence[StatisticsWeek]) -> dict[str, list[Period]]:
    """By entry; those that are over."""
    found: dict[str, list[Period]] = defaultdict(list)
    flags_of = {week.week: week.flags for week in published}
    for week in published:
        deviation = 0.0 if week.noise is None else week.noise.deviation
        for entry in week.entries:
            if entry.period.last == week.week:
                flags = dict.fromkeys(entry.flags)
                for part in span(entry.period.first, week.week):
                    flags |= dict.fromkeys(flags_of.get(part, ()))
                found[entry.name].append(Period(entry, tuple(flags), deviation))
    return found


def _newest(version: str) -> tuple[int, ...]:
    """Sorts versions by number, everything else before them."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(map(str.isdecimal, parts)) else ()


def count_of(release: Release, value: str) -> Published:
    """No data where a release has no such row."""
    return next((row.count for row in release.values if row.value == value), NO_DATA)
