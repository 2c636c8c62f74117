"""From exact sums of reports to the published statistics of a week, under the rules of hits. Pure.

Entries of error events are entries like any other: one budget of noise, one rule for closing.

Every entry has one period of 1, 4 or 13 weeks for all of its figures, so that a rare one is summed
before it is floored. Rows are all declared values, which no count decides; those of a version, and
releases but the newest, appear late and leave early like rare values of hits.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from mars.wire.catalogue import OTHER_RELEASE, Catalogue
from mars.wire.registry import VERSION, Metric
from mars_server.common.calendar import span
from mars_server.tables.compose import (
    FloorRules,
    Listing,
    natural,
)
from mars_server.tables.floor import NO_DATA, Published
from mars_server.tables.quarters import EVERY, Summed
from mars_server.tables.shares import ALL, Sampling, consenting
from mars_server.tables.statistics_periods import has_changed, is_disturbed, part, summed
from mars_server.tables.statistics_week import (
    Budget,
    Entry,
    Release,
    StatisticsWeek,
    Terms,
    Value,
)
from mars_server.tables.week import Week

OTHER: Final = OTHER_RELEASE
"""The row of releases, and of versions, that have none of their own."""
FALSE_LISTING: Final = 1e-6
"""The chance that noise alone lists a version in one week, if it has a single report: then being
listed would prove that report."""

Counts = Mapping[str, Mapping[str, Mapping[str, int]]]
"""Reports by entry (``project/key``), release and value."""
Listings = Mapping[tuple[str, str], Listing]
"""By entry and ``VALUES`` or ``RELEASES``."""
VALUES, RELEASES = "values", "releases"
_NONE: Final = Listing()


@dataclass(frozen=True)
class Reports:
    """The exact sums of one week, which never leave this package. Empty: nothing was counted."""

    counts: Counts = field(default_factory=dict)
    lost: int = 0
    """That came and could not be kept."""

    def __add__(self, other: Reports) -> Reports:
        found: dict[str, dict[str, Counter[str]]] = {}
        for counts in (self.counts, other.counts):
            for name, by_release in counts.items():
                for release, by_value in by_release.items():
                    cells = found.setdefault(name, {}).setdefault(release, Counter())
                    cells.update(by_value)
        return Reports(found, self.lost + other.lost)


@dataclass(frozen=True)
class Known:
    """What a run knows beside the reports of a week. ``rules`` are those of hits."""

    rules: FloorRules
    catalogue: Catalogue
    reports: Mapping[str, Reports] = field(default_factory=dict)
    """Of all weeks that a period may sum."""
    news: Mapping[str, Week] = field(default_factory=dict)
    """What is published of hits."""
    uncertain: str = ""
    """The last week that was taken over from a folder: what the database holds of it, and of those
    before, need not be all that was counted."""

    @cached_property
    def floors(self) -> FloorRules:
        """The rules with the noise of reports."""
        noise = self.rules.noise
        return replace(self.rules, noise=noise and noise.of_reports())


def compose(
    week: str, listings: Listings, before: Sequence[StatisticsWeek], late: int, known: Known
) -> StatisticsWeek:
    """The document of ``week``. ``before`` are those already published, oldest first; ``listings``
    those *after* this week's ``step``; ``late`` is the exact number of reports dropped since the
    last published week."""
    product, noise = known.floors.product, known.floors.noise
    domains = sorted(known.catalogue.domains, key=lambda each: each.name)
    expected = {f"{one.name}/{each.name}" for one in domains for each in one.names if each.expected}
    entries = sorted(known.catalogue.entries, key=lambda metric: metric.name)
    lost = known.reports.get(week, Reports()).lost
    return StatisticsWeek(
        product=product.product,
        channel=product.channel,
        week=week,
        noise=None if noise is None else Budget(noise.epsilon, noise.cells),
        flags=("incomplete",) if known.floors.lacks(week, lost, "statistics lost") else (),
        late=known.floors.blurred_floor(week, "statistics late", "", late),
        entries=tuple(
            replace(_entry(each, week, listings, before, known), expected=each.name in expected)
            for each in entries
        ),
        domains=tuple(map(Terms.of, domains)),
    )


def is_full(week: str, known: Known) -> bool:
    """Whether any entry has ten reports in ``week`` alone, as would then be published of it."""
    reports, single = known.reports.get(week, Reports()), Summed(EVERY[0], week, week)
    cells = [
        Cells(each, single, _fitting(each, reports), known.floors)
        for each in known.catalogue.entries
    ]
    return not all(each.told("total", "", each.total()).hidden for each in cells)


def _fitting(metric: Metric, reports: Reports) -> dict[str, dict[str, int]]:
    """By release and value: what was opened before the entry changed is no value of it now."""
    return {
        release: {value: count for value, count in by_value.items() if metric.fits(value)}
        for release, by_value in reports.counts.get(metric.name, {}).items()
    }


# --- Which values of versions and which releases are listed: week by week, whatever is summed ---


def step(week: str, listings: Listings, known: Known) -> Listings:
    """The listings after ``week``; unchanged by a week without any report."""
    found, reports = dict(listings), known.reports.get(week, Reports())
    for metric in known.catalogue.entries if reports.counts else ():
        for kind, table, candidates, margin in _rare(metric, reports, known):
            counts = {
                each: known.floors.blurred(week, _table(metric, kind), each, table[each]) - margin
                for each in candidates
            }
            found[metric.name, kind] = listings.get((metric.name, kind), _NONE).step(counts)
    return found


def _rare(
    metric: Metric, reports: Reports, known: Known
) -> Iterator[tuple[str, Counter[str], Iterable[str], int]]:
    """Kind, counts, candidates, and by how much more these must be counted. With noise all releases
    are candidates, counted or not, as languages are; of versions nobody knows all, so there the
    noise must be exceeded with certainty (A. Korolova et al., WWW 2009)."""
    cells = _fitting(metric, reports)
    noise = known.floors.noise
    releases = _sum(cells, lambda release, _: release)
    yield RELEASES, releases, known.catalogue.releases, 0
    if metric.type == VERSION:
        values = _sum(cells, lambda _, value: value)
        margin = math.ceil(-math.log(2 * FALSE_LISTING) / noise.per_cell) if noise else 0
        yield VALUES, values, set(values) - {OTHER}, margin


def after(
    week: StatisticsWeek, stepped: Listings, *, whole: bool
) -> dict[tuple[str, str], Listing]:
    """The listings after a published week: what it listed stands, whatever is known by now.
    ``stepped`` are those after its ``step``; not ``whole``: nothing is known of its reports."""
    found = dict(stepped)
    for entry in week.entries:
        for kind, rows in _listed(entry):
            mine = stepped.get((entry.name, kind), _NONE)
            sure = set(rows) if kind == VALUES else {*rows[:-1], *mine.listed.intersection(rows)}
            streaks = mine.streaks if whole else {}
            found[entry.name, kind] = Listing(frozenset(sure)).with_streaks(streaks)
    return found


def _listed(entry: Entry) -> Iterator[tuple[str, list[str]]]:
    """The rows that are not fixed, where the period of ``entry`` ends. The last release is the
    newest, which has a row without being listed."""
    if not entry.values:
        return
    yield RELEASES, [each.release for each in entry.releases if each.release != OTHER]
    if entry.metric.type == VERSION:
        yield VALUES, [each.value for each in entry.values if each.value != OTHER]


# --- One entry ---


def _entry(
    metric: Metric,
    week: str,
    listings: Listings,
    before: Sequence[StatisticsWeek],
    known: Known,
) -> Entry:
    period = summed(metric, week, before)
    collected = {each: days for each in span(period.first, week) if (days := part(metric, each))}
    parts = {each: known.reports.get(each, Reports()) for each in collected}
    told = [part for each, part in collected.items() if parts[each].counts]
    ends = period.last == week and not has_changed(metric, before)
    if not ends or not told or period.first <= known.uncertain:
        return Entry(metric, period, NO_DATA)
    table = Cells(metric, period, _fitting(metric, sum(parts.values(), Reports())), known.floors)
    total = table.told("total", "", table.total())
    deviation = known.floors.noise.deviation if known.floors.noise else 0.0
    sampling = Sampling(
        metric.rate, len(parts), metric.epsilon, len(metric.values_known), deviation
    )
    guess = sampling.installations(total, told)
    least = consenting(guess, [known.news.get(each) for each in parts])
    rows = metric.values_known or _rows(listings, metric, VALUES)
    values = table.values(rows)
    shares = sampling.shares([each.count for each in values], total)
    flags = {
        "disturbed": (least or 0) > ALL
        or is_disturbed(metric, total, sum(told), before, deviation),
        "incomplete": len(told) < len(parts),
    }
    return Entry(
        metric,
        period,
        total,
        guess,
        None if flags["disturbed"] else least,
        tuple(replace(each, share=one) for each, one in zip(values, shares, strict=True)),
        tuple(table.releases(_releases(listings, metric, known.catalogue), rows)),
        tuple(name for name, holds in flags.items() if holds),
    )


@dataclass(frozen=True)
class Cells:
    """The exact sums of one entry in a period, and how they are told."""

    metric: Metric
    period: Summed
    cells: Mapping[str, Mapping[str, int]]
    """By release and value."""
    rules: FloorRules

    def total(self) -> int:
        return sum(sum(by_value.values()) for by_value in self.cells.values())

    def told(self, kind: str, row: str, count: int) -> Published:
        return self.rules.blurred_floor(self.period.name, _table(self.metric, kind), row, count)

    def values(self, rows: Sequence[str]) -> tuple[Value, ...]:
        counts = _folded(_sum(self.cells, lambda _, value: value), rows)
        return tuple(Value(row, self.told(VALUES, row, counts[row])) for row in rows)

    def releases(self, releases: Sequence[str], rows: Sequence[str]) -> Iterator[Release]:
        """A release that is hidden by itself tells nothing of its values."""
        for release in releases:
            parts = [cells for name, cells in self.cells.items() if _row(name, releases) == release]
            counts: Counter[str] = sum((Counter(part) for part in parts), Counter())
            total = self.told(RELEASES, release, counts.total())
            folded = _folded(counts, rows)
            values = [
                Value(row, self.told("release", f"{release} {row}", folded[row])) for row in rows
            ]
            yield Release(release, total, () if total.hidden else tuple(values))


def _table(metric: Metric, kind: str) -> str:
    """What the noise of the cells of an entry is named by."""
    return f"statistics {metric.name} {kind}"


def _rows(listings: Listings, metric: Metric, kind: str) -> tuple[str, ...]:
    listed = listings.get((metric.name, kind), _NONE).listed
    return (*sorted(listed, key=natural), OTHER)


def _releases(listings: Listings, metric: Metric, catalogue: Catalogue) -> tuple[str, ...]:
    """Oldest first. The newest has a row from its first day on, whatever its counts."""
    listed = listings.get((metric.name, RELEASES), _NONE).listed
    newest = catalogue.releases[-1:]
    return (*(each for each in catalogue.releases if each in listed or each in newest), OTHER)


def _row(name: str, rows: Sequence[str]) -> str:
    return name if name in rows else OTHER


def _folded(counts: Mapping[str, int], rows: Sequence[str]) -> Counter[str]:
    """By row; what has none is part of ``other``, where there is one."""
    found: Counter[str] = Counter()
    for value, count in counts.items():
        found[_row(value, rows)] += count
    return found


def _sum(cells: Mapping[str, Mapping[str, int]], key: Callable[[str, str], str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for release, by_value in cells.items():
        for value, count in by_value.items():
            found[key(release, value)] += count
    return found
