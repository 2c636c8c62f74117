"""From exact counts to published weeks. Pure: counts and rules in, documents out."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Final

from mars.wire.crowd import MANY
from mars.wire.product import Product
from mars.wire.query import NONE
from mars.wire.variables import OTHER, VARIABLES, rule
from mars_server.tables import fetch_intervals
from mars_server.tables.crowd import level_of
from mars_server.tables.estimate import DEFAULT, TURNOVER_WEEKS, Interval, estimate, steered
from mars_server.tables.fetch_intervals import Period
from mars_server.tables.floor import NO_DATA, STEP, Published, floor
from mars_server.tables.noise import Noise
from mars_server.tables.periods import begun
from mars_server.tables.quarters import CROSS, Summed
from mars_server.tables.week import TABLES, Pair, Row, Tables, Week

# --- The stability threshold: rare values (languages, countries) appear late and leave early.
# Anybody may send requests. If a value appeared as soon as it reached ten hits, seven forged ones
# would tell whether three real ones exist. So a value is listed only after it has stayed high for
# a month, and whatever is not listed is part of ``other`` ---

RARE: Final = tuple(variable.name for variable in VARIABLES if variable.rare)
_ENTER: Final = 50
"""Hits in each of ``STABLE_WEEKS`` weeks in a row before a value is listed."""
STABLE_WEEKS: Final = 4
_LEAVE: Final = 30
"""A listed value with fewer hits than this in a week is no longer listed."""


@dataclass(frozen=True)
class Listing:
    """Which values of one rare dimension are listed, and how long the others have been high."""

    listed: frozenset[str] = frozenset()
    streaks: Mapping[str, int] = field(default_factory=dict)

    def step(self, counts: Mapping[str, int]) -> Listing:
        """The listing after one more week with data. ``counts`` carry the noise, if there is any.

        A value is listed from the last of ``STABLE_WEEKS`` weeks at ``_ENTER`` or more on.
        """
        stay = {value for value in self.listed if counts.get(value, 0) >= _LEAVE}
        streaks = {
            value: self.streaks.get(value, 0) + 1
            for value, count in counts.items()
            if count >= _ENTER and value not in stay
        }
        enter = {value for value, weeks in streaks.items() if weeks >= STABLE_WEEKS}
        return Listing(
            listed=frozenset(stay | enter),
            streaks={value: weeks for value, weeks in streaks.items() if value not in enter},
        )

    def with_streaks(self, streaks: Mapping[str, int]) -> Listing:
        """The same list, while others have been high for ``streaks`` weeks."""
        waiting = {value: weeks for value, weeks in streaks.items() if value not in self.listed}
        return Listing(self.listed, waiting)


# --- Warnings beside a week, computed from published figures, so they leak nothing; and whether
# answers are missing, which is told under the rules of any other figure (``FloorRules.lacks``) ---

LOOK_BACK: Final = 6
"""Weeks with data that a week is compared with."""
_FACTOR: Final = 2
"""A week with more than twice, or less than half, the usual hits is disturbed."""
LEAST_CHANGE: Final = 100
"""Hits; smaller changes are the ordinary noise of small projects."""
_SETTLING_DAYS: Final = 66
"""Twice the longest interval that clients accept (30 days, and 3 drawn): how long it takes until
requests have spread out again after the publisher has gone back to the default interval. Under any
other interval they spread so slowly that all its weeks are flagged."""


def flags(
    hits: Published, lacks: bool, laws: Sequence[Interval], before: Sequence[Week]
) -> tuple[str, ...]:
    """The flags of a week with ``hits``, which ``lacks`` answers that the server gave, and in which
    installations may have followed ``laws``, given the weeks published ``before`` it, oldest
    first."""
    found = {
        "incomplete": lacks,
        "disturbed": _disturbed(hits, before),
        "steered": _steered(laws, before),
    }
    return tuple(name for name, holds in found.items() if holds)


def _disturbed(hits: Published, before: Sequence[Week]) -> bool:
    known = [week.hits.least for week in before if not week.hits.missing]
    return not hits.missing and is_far(hits.least, known)


def is_far(count: float, before: Sequence[float], least: float = LEAST_CHANGE) -> bool:
    """Whether ``count`` is far from those published ``before`` it (oldest first), by ``least``."""
    usual = before[-LOOK_BACK:]
    middle = median(usual) if len(usual) >= 2 else count
    far = not middle / _FACTOR <= count <= _FACTOR * middle
    return far and abs(count - middle) >= least


def _steered(laws: Sequence[Interval], before: Sequence[Week]) -> bool:
    recent = before[-(_SETTLING_DAYS // 7 + 1) :]
    return any(each != DEFAULT for each in (*laws, *(week.interval for week in recent)))


FALSE_ALARM: Final = 0.001
"""Share of whole weeks that noise alone may mark as incomplete."""
_LEVELS: Final = ("plain", "tracked")
_VARIABLES: Final = {variable.name: variable for variable in VARIABLES}


@dataclass(frozen=True)
class Exact:
    """The exact counts of one week. They never leave this package. Empty: nothing was counted."""

    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By variable and value."""
    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By version and platform."""
    lost: int = 0
    """Answers that the server could not write down."""

    @property
    def hits(self) -> int | None:
        """All hits, or None where nothing was counted in the whole week."""
        level = self.counts.get("level")
        return sum(level.values()) if level else None

    def __add__(self, other: Exact) -> Exact:
        counts = {
            name: Counter(self.counts.get(name, {})) + Counter(other.counts.get(name, {}))
            for name in self.counts.keys() | other.counts.keys()
        }
        pairs = Counter(self.pairs) + Counter(other.pairs)
        return Exact(counts, pairs, self.lost + other.lost)


@dataclass(frozen=True)
class FloorRules:
    """What one publication run knows besides counts."""

    product: Product
    noise: Noise | None = None

    def blurred(self, week: str, table: str, value: str, count: int) -> int:
        if self.noise is None:
            return count
        return count + self.noise.sample(
            self.product.product, self.product.channel, week, table, value, repr(self.noise.epsilon)
        )

    def blurred_floor(self, week: str, table: str, value: str, count: int) -> Published:
        return floor(self.blurred(week, table, value, count))

    def lacks(self, week: str, lost: int, table: str = "lost") -> bool:
        """Whether to tell that answers could not be written down: ten, or with noise so many that
        the noise alone tells it of one week in a thousand."""
        margin = -math.log(2 * FALSE_ALARM) / self.noise.per_cell if self.noise else 0.0
        return self.blurred(week, table, "", lost) >= STEP + margin

    def total(self, week: str, hits: int) -> Published:
        return self.blurred_floor(week, "hits", "", hits)


def compose(
    week: str,
    exact: Exact,
    listings: Mapping[str, Listing],
    before: Sequence[Week],
    late: int,
    rules: FloorRules,
    standing: Interval | None = None,
    periods: Sequence[Period] = (),
    others: Mapping[str, Exact] | None = None,
) -> Week:
    """The document of ``week``. ``before`` are the weeks already published, oldest first.

    ``listings`` are those *after* this week's ``step``; ``late`` is the exact number of hits
    dropped since the last published week. ``standing`` is the law of the last week of the run
    before: where no document was named, nobody noted when, between the two runs, the publisher
    changed it. ``periods`` are the documents that were named, by time; ``others`` the exact counts
    of the weeks ``before``, of which tables with longer periods are made.
    """
    now = steered(rules.product.reportback_next)
    served, earlier = fetch_intervals.laws(periods, week, standing, now)
    earlier += [each.interval for each in before[-TURNOVER_WEEKS:]]
    expected = fetch_intervals.hits_per_installation(periods, week)
    deviation = rules.noise.deviation if rules.noise else 0.0
    hits = NO_DATA
    if exact.hits is not None:
        hits = rules.total(week, exact.hits)
    crowd = rules.product.crowd
    summed = begun(week, before, crowd)
    sums = Sums(week, exact, before, others or {}, summed, crowd)
    tables = Tables({name: _table(name, sums, listings, rules) for name in TABLES})
    users = {row.value: row.count for row in tables["level"]}
    guessed = partial(estimate, served=served, earlier=earlier, deviation=deviation)
    return Week(
        product=rules.product.product,
        channel=rules.product.channel,
        week=week,
        hits=hits,
        tables=tables,
        pairs=_pairs(sums, tables["v"], rules),
        estimate=guessed(hits, expected=expected),
        interval=served[-1].interval,
        late=rules.blurred_floor(week, "late", "", late),
        noise=rules.noise.epsilon if rules.noise else None,
        flags=flags(
            hits,
            rules.lacks(week, exact.lost),
            [*(law.interval for law in served), *earlier],
            before,
        ),
        crowd=crowd,
        request=rule(level_of(crowd)),
        tracked=guessed(users.get("tracked", NO_DATA), expected=expected),
        periods=summed,
    )


def step(
    week: str, exact: Exact, listings: Mapping[str, Listing], rules: FloorRules
) -> dict[str, Listing]:
    """The listings of the rare dimensions after ``week``; unchanged by a week without data."""
    if exact.hits is None:
        return dict(listings)
    return {
        name: listings[name].step(
            {
                value: rules.blurred(week, name, value, exact.counts.get(name, {}).get(value, 0))
                for value in _candidates(name, exact, rules)
            }
        )
        for name in RARE
    }


def _candidates(name: str, exact: Exact, rules: FloorRules) -> set[str]:
    """The values that may come to be listed.

    With noise these are all possible ones, counted or not: if only counted values had noise, being
    listed would prove a hit.
    """
    if rules.noise is None:
        return set(exact.counts.get(name, {})) - {OTHER, NONE}
    return set(_VARIABLES[name].known(rules.product))


@dataclass(frozen=True)
class Sums:
    """Which exact counts each table of the document of ``week`` is made of."""

    week: str
    counted: Exact
    before: Sequence[Week]
    others: Mapping[str, Exact]
    periods: Mapping[str, Summed]
    crowd: int

    def label(self, table: str) -> str:
        """What the noise of its cells is named by: no two sums share a sample."""
        return self.periods[table].name if table in self.periods else self.week

    def earlier(self, table: str) -> list[Week]:
        """The weeks published before that are in the same period."""
        first = self.periods[table].first if table in self.periods else self.week
        return [each for each in self.before if each.week >= first]

    def least_crowd(self, table: str) -> int:
        """The smallest crowd of the weeks of its period."""
        return min([self.crowd, *(each.crowd or 0 for each in self.earlier(table))])

    def exact(self, table: str) -> Exact:
        """The sum of its period, where that ends with this week; nothing before, and nothing where
        the counts of an earlier week were lost with a database."""
        if table in self.periods and self.periods[table].last != self.week:
            return Exact()
        whole = self.counted
        for each in self.earlier(table):
            part = self.others.get(each.week, Exact())
            if not _are_of(each, part):
                return Exact()
            whole = whole + part
        return whole


def _are_of(week: Week, counted: Exact) -> bool:
    """Whether ``week`` was made of these counts, as far as what was published of it tells."""
    if counted.hits is None or week.hits.missing:
        return counted.hits is None and week.hits.missing
    single = [name for name in week.tables if week.since(name) == week.week]
    return week.noise is not None or (
        floor(counted.hits) == week.hits
        and all(_as_counted(name, week.tables[name], counted) for name in single)
    )


def _as_counted(name: str, rows: Sequence[Row], counted: Exact) -> bool:
    """Whether these rows of one week are the floors of its counts."""
    names = [row.value for row in rows]
    folded = _VARIABLES[name].folded if name in _VARIABLES else {}
    few = {value: other for value, other in folded.items() if value not in names}
    counts = _fold(_renamed(counted.counts.get(name, {}), few), names)
    return all(floor(counts[row.value]) == row.count for row in rows)


def _table(
    name: str, sums: Sums, listings: Mapping[str, Listing], rules: FloorRules
) -> tuple[Row, ...]:
    """One table; empty without data. Which rows stand in it never depends on a hidden count."""
    exact = sums.exact(name)
    if exact.hits is None:
        return ()
    counts = exact.counts.get(name, {})
    variable = _VARIABLES.get(name)
    if variable is not None and sums.least_crowd(name) < MANY:
        counts = _renamed(counts, variable.folded)
    rows = _rows(name, counts, listings, rules, sums.least_crowd(name))
    folded = _fold(counts, rows)
    label = sums.label(name)
    return tuple(Row(row, rules.blurred_floor(label, name, row, folded[row])) for row in rows)


def _renamed(counts: Mapping[str, int], names: Mapping[str, str]) -> Counter[str]:
    """With the values that ``names`` gives others, of which these are then a part."""
    found: Counter[str] = Counter()
    for value, count in counts.items():
        found[names.get(value, value)] += count
    return found


def _rows(
    name: str,
    counts: Mapping[str, int],
    listings: Mapping[str, Listing],
    rules: FloorRules,
    crowd: int,
) -> list[str]:
    if name not in _VARIABLES:
        return list(_LEVELS)
    variable = _VARIABLES[name]
    values = [value for value in variable.known(rules.product) if value != OTHER]
    if variable.rare:
        values = sorted(listings[name].listed)
    elif variable.folded and crowd < MANY:
        values = [value for value in values if value not in variable.folded]
    elif variable.open and rules.noise is None:
        extra = {value for value, n in counts.items() if n >= STEP and variable.fits(value)}
        values = sorted(extra.union(values), key=natural)
    return [*values, OTHER, NONE]


def natural(value: str) -> list[tuple[int, str]]:
    """Sorts ``3.9`` before ``3.10``: numbers by size, all else by letter."""
    parts = re.findall(r"\d+|\D+", value, re.ASCII)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _fold(counts: Mapping[str, int], rows: Sequence[str]) -> dict[str, int]:
    """Counts by row; whatever has no row of its own is part of ``other``."""
    folded = dict.fromkeys(rows, 0)
    for value, count in counts.items():
        row = value if value in folded else OTHER
        folded[row] = folded.get(row, 0) + count
    return folded


def _pairs(sums: Sums, versions: Sequence[Row], rules: FloorRules) -> tuple[Pair, ...]:
    """Version × platform, where a request says both; versions that are hidden by themselves, in any
    table that is published of the period, are merged before crossing."""
    exact = sums.exact(CROSS)
    if exact.hits is None or sums.least_crowd(CROSS) < MANY:
        return ()
    told = [*(week.tables["v"] for week in sums.earlier(CROSS)), versions]
    seen = [{row.value for row in table if not row.count.hidden} for table in told if table]
    shown = set[str]().union(*seen[:1]).intersection(*seen) - {OTHER, NONE}
    rows = [value for value in rules.product.releases if value in shown]
    rows += sorted(shown - set(rows))
    columns = [*rules.product.platforms, OTHER]
    cells = {(v, os): 0 for v in [*rows, OTHER] for os in columns}
    for (v, os), count in exact.pairs.items():
        if NONE not in (v, os):
            cells[v if v in rows else OTHER, os if os in columns else OTHER] += count
    return tuple(
        Pair(v, os, rules.blurred_floor(sums.label(CROSS), CROSS, f"{v} {os}", count))
        for (v, os), count in cells.items()
    )
