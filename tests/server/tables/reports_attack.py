"""What somebody who has everything that was published of an entry can tell about its reports.

An integer program as in ``attack``: its unknowns are the reports of each release and value; every
published number is the floor of a sum of these. It looks for the smallest and the largest true
count of every number below ten, shown or not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from mars.wire.catalogue import Catalogue
from mars.wire.product import Product
from mars.wire.registry import EVENTS, STATISTICS, Metric
from mars_server.tables.compose import FloorRules
from mars_server.tables.floor import STEP, Published
from mars_server.tables.statistics import Known, Listings, Reports, compose, step
from mars_server.tables.statistics_week import Entry, StatisticsWeek
from tests.server.tables.attack import Hidden
from tests.server.tables.failed import DOMAIN

RELEASES = ("0.4.0", "0.5.0", "0.5.1")
PRODUCT = Product("attacked", "stable", RELEASES, ("linux",), ("en",), crowd=1000)
BOOL = Metric(
    *("pane", "any", "Pane", "Shown?", "Redesign", "o", "https://example.org", "technical"),
    expires=date(2030, 1, 1),
    type="bool",
    rate=1.0,
)
ENUM = replace(BOOL, type="enum", values=("imap", "pop", "ews", "local", "gmail"))
CAUSE = next(each for each in DOMAIN.entries if each.key == "damaged")
"""Of error events; no sum ties it to the other entries of its domain, which are reported apart."""
SHARES = {
    "bool": (0.9, 0.1),
    "enum": (0.6, 0.25, 0.1, 0.04, 0.01),
    "bucket": (0.85, 0.08, 0.05, 0.015, 0.005),
}
FIRST = {STATISTICS: 1, EVENTS: 27}
"""The first week of a quarter in which it is collected."""
OF_RELEASES = (0.05, 0.2, 0.75)
Cell = tuple[str, str]
"""Release and value; an empty text is the sum over all."""


def simulated(
    metric: Metric, reports: int, weeks: int
) -> Iterator[tuple[Entry, Mapping[Cell, int]]]:
    """``weeks`` of some ``reports`` each: what is published where a period ends, and the truth."""
    chance = random.Random(reports)
    rules = FloorRules(PRODUCT)
    is_event = metric.purpose == EVENTS
    metrics, domains = ((), (DOMAIN,)) if is_event else ((metric,), ())
    catalogue = Catalogue(PRODUCT.product, PRODUCT.channel, RELEASES, metrics, domains=domains)
    done: list[StatisticsWeek] = []
    every: dict[str, Reports] = {}
    listings: Listings = {}
    for n in range(weeks):
        name = f"2026-W{n + FIRST[metric.purpose]:02d}"
        every[name] = _reports(
            metric, chance.randint(reports * 9 // 10, reports * 11 // 10), chance
        )
        known = Known(rules, catalogue, every)
        listings = step(name, listings, known)
        done.append(compose(name, listings, done, 0, known))
        entry = done[-1].entry(metric.name)
        if entry is not None and entry.values:
            parts = [each for week, each in every.items() if entry.period.first <= week]
            yield entry, _truth(entry, sum(parts, Reports()))


def _reports(metric: Metric, number: int, chance: random.Random) -> Reports:
    cells: dict[str, dict[str, int]] = {}
    for _ in range(number):
        (release,) = chance.choices(RELEASES, OF_RELEASES)
        (value,) = chance.choices(metric.values_known, SHARES[metric.type])
        by_value = cells.setdefault(release, {})
        by_value[value] = by_value.get(value, 0) + 1
    return Reports({metric.name: cells})


def _truth(entry: Entry, reports: Reports) -> dict[Cell, int]:
    rows = [each.release for each in entry.releases]
    found = {(row, value.value): 0 for row in rows for value in entry.values}
    for release, by_value in reports.counts.get(entry.name, {}).items():
        for value, n in by_value.items():
            found[release if release in rows else rows[-1], value] += n
    return found


@dataclass(frozen=True)
class Attack:
    """The integer program of one period; ``forged`` are the attacker's own reports."""

    entry: Entry
    forged: Mapping[Cell, int] = field(default_factory=dict)

    @cached_property
    def cells(self) -> list[Cell]:
        releases = [each.release for each in self.entry.releases]
        return [(release, each.value) for release in releases for each in self.entry.values]

    def numbers(self) -> dict[Cell, Published | None]:
        """All sums, with what was published of them."""
        found: dict[Cell, Published | None] = {("", ""): self.entry.total}
        found |= {("", each.value): each.count for each in self.entry.values}
        for release in self.entry.releases:
            found[release.release, ""] = release.total
            told = {each.value: each.count for each in release.values}
            found |= {
                (release.release, one.value): told.get(one.value) for one in self.entry.values
            }
        return found

    def sum(self, number: Cell, counts: Mapping[Cell, int]) -> int:
        return sum(
            counts.get(cell, 0)
            for cell, is_in in zip(self.cells, self._row(number), strict=True)
            if is_in
        )

    def _row(self, number: Cell) -> NDArray[np.float64]:
        release, value = number
        fits = [release in ("", one) and value in ("", other) for one, other in self.cells]
        return np.array(fits, dtype=float)

    @cached_property
    def _linear(self) -> LinearConstraint:
        shown = {cell: each for cell, each in self.numbers().items() if each is not None}
        own = [self.sum(cell, self.forged) for cell in shown]
        rows = np.array([self._row(cell) for cell in shown])
        least = [each.least - mine for each, mine in zip(shown.values(), own, strict=True)]
        most = [each.most - mine for each, mine in zip(shown.values(), own, strict=True)]
        return LinearConstraint(rows, least, most)

    def reach(self, number: Cell, sign: int) -> int:
        """The smallest (``sign`` 1) or largest (-1) true count that fits everything."""
        found = milp(
            sign * self._row(number),
            constraints=self._linear,
            bounds=Bounds(0, np.inf),
            integrality=np.ones(len(self.cells)),
        )
        assert found.success
        return round(float(sign * found.fun))

    def hidden(self, truth: Mapping[Cell, int]) -> Iterator[Hidden]:
        """Every count below ten, shown or not."""
        for number in self.numbers():
            true = self.sum(number, truth)
            if true < STEP:
                yield Hidden(" ".join(number), true, self.reach(number, 1), self.reach(number, -1))
