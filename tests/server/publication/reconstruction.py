"""What an attacker who has everything that was published can tell about the hidden counts.

Simulated weeks are published by the project's own code. An integer program (HiGHS, by
``scipy.optimize.milp``) then knows all floors, how they were made and how clients ask, and looks
for the smallest and the largest true count of every hidden cell. Floors are all there is to know:
everything else that is published (percentages, estimates, charts, texts, series, every range)
follows from them, as ``test_reconstruction`` shows. ``--write FILE`` puts the figures between the
markers of that file; a test compares them.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from mars.wire.product import Product
from mars.wire.query import NONE, OPTIONAL, OTHER
from mars_server.publication import rare
from mars_server.publication.compose import Exact, Rules, compose, step
from mars_server.publication.document import TABLES, Week
from mars_server.publication.floor import STEP, Published
from mars_server.publication.noise import Noise

START = "<!-- reconstruction: written by tests/server/publication/reconstruction.py -->"
END = "<!-- end of reconstruction -->"
WEEKS = 4
PRODUCT = Product(
    product="attacked",
    channel="stable",
    releases=("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.5.1"),
    platforms=("linux", "windows", "macos"),
    languages=("de", "en", "fi", "is", "sv"),
)
SPREAD = {
    "v": dict(zip(PRODUCT.releases, (0.004, 0.01, 0.03, 0.1, 0.3, 0.55), strict=True)),
    "os": {"linux": 0.3, "windows": 0.5, "macos": 0.19, "other": 0.01},
    "ia": {"1": 0.03, "10": 0.12, "100": 0.5, "1000": 0.35},
    "lang": {"en": 0.6, "de": 0.3, "sv": 0.05, "fi": 0.03, "is": 0.02},
    "py": {"3.11": 0.5, "3.12": 0.4, "3.13": 0.1},
    "cc": {"DE": 0.5, "US": 0.3, "SE": 0.1, "IS": 0.05, "FI": 0.05},
}


@dataclass(frozen=True)
class Project:
    """What a simulated project lists, and the share of its requests that carry metrics, always
    one of the optional ones with them."""

    name: str
    releases: int
    platforms: int
    tracked: float

    @property
    def product(self) -> Product:
        return replace(
            PRODUCT,
            releases=PRODUCT.releases[-self.releases :],
            platforms=PRODUCT.platforms[: self.platforms],
        )


USUAL = Project("six releases, three platforms", 6, 3, 0.7)
BARE = Project("one release, one platform", 1, 1, 0.95)
"""The fewer cells a table has, the less its floors leave open."""
GRID = ((USUAL, 12), (USUAL, 60), (USUAL, 400), (USUAL, 3000), (BARE, 12), (BARE, 60), (BARE, 400))
"""Projects, and their hits a week."""


@dataclass(frozen=True)
class Hidden:
    """A hidden cell, its true count, and the range of counts that an attacker cannot exclude."""

    cell: str
    true: int
    low: int
    high: int

    @property
    def values(self) -> int:
        return self.high - self.low + 1


def simulated(project: Project, hits: int, weeks: int = WEEKS) -> list[tuple[Exact, Week]]:
    """``weeks`` weeks of some ``hits`` hits each: the truth, and what is published of it."""
    chance = random.Random(hits)
    rules = Rules(project.product)
    listings = {name: rare.Listing() for name in rare.DIMENSIONS}
    done: list[tuple[Exact, Week]] = []
    for n in range(weeks):
        name = f"2026-W{n + 10:02d}"
        exact = _exact(project, hits, chance)
        listings = step(name, exact, listings, rules)
        before = [week for _, week in done]
        done.append((exact, compose(name, exact, listings, before, 0, rules)))
    return done


def _exact(project: Project, hits: int, chance: random.Random) -> Exact:
    tables: dict[str, dict[str, int]] = {name: {} for name in TABLES}
    pairs: dict[tuple[str, str], int] = {}
    known = {"v": project.product.releases, "os": project.product.platforms}
    for _ in range(chance.randint(hits * 9 // 10, hits * 11 // 10)):
        values = dict.fromkeys(SPREAD, NONE)
        tracked = chance.random() < project.tracked
        if tracked:
            for name in ("v", "os", "ia", chance.choice(("lang", "py", "cc"))):
                values[name] = chance.choices(*zip(*SPREAD[name].items(), strict=True))[0]
            for name, listed in known.items():
                values[name] = values[name] if values[name] in listed else OTHER
        values["level"] = "tracked" if tracked else "plain"
        for name, value in values.items():
            tables[name][value] = tables[name].get(value, 0) + 1
        pair = values["v"], values["os"]
        pairs[pair] = pairs.get(pair, 0) + 1
    return Exact(tables, pairs)


Rule = tuple[dict[int, int], float, float]
"""Coefficients by column, lower and upper limit of their sum."""


class Attack:
    """The integer program of one week. Column 0 is the true total."""

    def __init__(self, week: Week) -> None:
        self._week = week
        numbers = count(1)
        self.cells: dict[tuple[str, str], tuple[int, Published]] = {("hits", ""): (0, week.hits)}
        for name in TABLES:
            for row in week.tables[name]:
                self.cells[name, row.value] = next(numbers), row.count
        for pair in week.pairs:
            self.cells["v-os", f"{pair.v} {pair.os}"] = next(numbers), pair.count

    def _column(self, name: str, value: str) -> int:
        return self.cells[name, value][0]

    def _columns(self, name: str, but: Collection[str] = ()) -> list[int]:
        return [
            column
            for (table, row), (column, _) in self.cells.items()
            if table == name and row not in but
        ]

    def _tables(self) -> Iterator[Rule]:
        """What ties the tables together."""
        plain, tracked = self._column("level", "plain"), self._column("level", "tracked")
        yield {0: 1}, 1, np.inf  # else it would say "no data"
        for name in TABLES:
            yield _sum((1, self._columns(name)), (-1, [0])), 0, 0
            if name != "level":  # a plain request carries no variable
                yield {self._column(name, NONE): 1, plain: -1}, 0, np.inf
        lacking = [self._column(name, NONE) for name in OPTIONAL]
        yield _sum((3, [0]), (-1, [*lacking, tracked])), -np.inf, 0  # at most one of them rides

    def _crossed(self) -> Iterator[Rule]:
        """Each line of version × platform fits into its margin, and falls short of it by no more
        than the tracked hits that lack the other value."""
        plain = self._column("level", "plain")
        for pairs, margin, other in self._lines():
            yield _sum((1, pairs), (-1, margin)), -np.inf, 0
            none = self._column(other, NONE)
            yield _sum((1, [*margin, plain]), (-1, [*pairs, none])), -np.inf, 0

    def _lines(self) -> Iterator[tuple[list[int], list[int], str]]:
        """Columns of the pairs of one line, those of its margin, and the other variable."""
        shown = {pair.v for pair in self._week.pairs} - {OTHER}
        for v in shown:
            yield self._pairs(v=v), [self._column("v", v)], "os"
        yield self._pairs(v=OTHER), self._columns("v", {*shown, NONE}), "os"
        for os in {pair.os for pair in self._week.pairs}:
            yield self._pairs(os=os), [self._column("os", os)], "v"
        yield self._pairs(), self._columns("v", {NONE}), "os"

    def _pairs(self, **only: str) -> list[int]:
        return [
            self._column("v-os", f"{pair.v} {pair.os}")
            for pair in self._week.pairs
            if all(getattr(pair, name) == value for name, value in only.items())
        ]

    def reach(self, column: int, sign: int) -> int:
        """The smallest (``sign`` 1) or largest (-1) true count of a cell."""
        aim = np.zeros(len(self.cells))
        aim[column] = sign
        found = milp(aim, constraints=self._linear, bounds=self._bounds, integrality=1)
        assert found.success
        return round(float(sign * found.fun))

    @cached_property
    def _linear(self) -> LinearConstraint:
        rules = [*self._tables(), *self._crossed()]
        entries = [
            (n, where, value) for n, (row, _, _) in enumerate(rules) for where, value in row.items()
        ]
        rows, columns, values = zip(*entries, strict=True)
        matrix = coo_matrix((values, (rows, columns)), (len(rules), len(self.cells))).tocsr()
        return LinearConstraint(matrix, [low for _, low, _ in rules], [high for *_, high in rules])

    @cached_property
    def _bounds(self) -> Bounds:
        published = [each for _, each in self.cells.values()]
        return Bounds([each.least for each in published], [each.most for each in published])

    def hidden(self, exact: Exact) -> Iterator[Hidden]:
        """Every hidden count. Hidden rows of a table that is not crossed are all alike to the
        program, so it looks at one of them."""
        alike: dict[str, tuple[int, int]] = {}
        for (table, value), (column, published) in self.cells.items():
            if not published.hidden:
                continue
            key = table if table in ("ia", "lang", "py", "cc") and value != NONE else column
            if str(key) not in alike:
                alike[str(key)] = self.reach(column, 1), self.reach(column, -1)
            yield Hidden(f"{table} {value}", self._true(exact, table, value), *alike[str(key)])

    def _true(self, exact: Exact, table: str, value: str) -> int:
        """The true count behind a published cell."""
        if table == "hits":
            return exact.hits or 0
        if table == "v-os":
            v, os = value.split(" ")
            rows = {pair.v for pair in self._week.pairs} - {OTHER}
            return sum(
                number
                for (one, other), number in exact.pairs.items()
                if NONE not in (one, other) and (one if one in rows else OTHER) == v and other == os
            )
        counts = exact.counts[table]
        if value != OTHER:
            return counts.get(value, 0)
        named = {row.value for row in self._week.tables[table]} - {OTHER}
        return sum(number for each, number in counts.items() if each not in named)


def _sum(*parts: tuple[int, Collection[int]]) -> dict[int, int]:
    """The coefficients of sums of columns, each sum times a factor."""
    found: Counter[int] = Counter()
    for factor, columns in parts:
        for column in columns:
            found[column] += factor
    return dict(found)


def reconstruct() -> dict[tuple[Project, int], list[Hidden]]:
    """All hidden counts by project and its hits a week."""
    return {
        (project, hits): [
            cell for exact, week in simulated(project, hits) for cell in Attack(week).hidden(exact)
        ]
        for project, hits in GRID
    }


def likelihood_bound(noise: Noise, distance: int) -> float:
    """How much likelier one published number can be under one true count than under another."""
    return math.exp(noise.per_cell * distance)


LOOKS = 2
"""Several published sums hold one count (its own cell, its line of version × platform, the total
less the other cells), each with noise of its own; together they say less than this many looks."""


def year_of_probes(noise: Noise, distance: int, weeks: int = 52) -> float:
    """The chance that an attacker errs who looks at one count every week of a year, to tell two
    equally likely true counts that lie ``distance`` apart (normal approximation)."""
    sigma = distance * math.sqrt(LOOKS * weeks) / noise.deviation / 2
    return 0.5 * math.erfc(sigma / math.sqrt(2))


def report(found: dict[tuple[Project, int], list[Hidden]]) -> str:
    """The figures as Markdown."""
    lines = [
        START,
        "",
        "| project | hits a week | hidden counts | ten values possible | nine | narrowest |",
        "|---|---|---|---|---|---|",
    ]
    for (project, hits), cells in found.items():
        values = Counter(cell.values for cell in cells)
        lines.append(
            f"| {project.name} | {hits} | {len(cells)} | {values[STEP]} | {values[STEP - 1]} | "
            f"{min(values)} values |"
        )
    lines += [
        "",
        (
            "| epsilon a week | sd of the noise | one number, likelier at most, 0 against 9 | "
            "all numbers of a week, with one installation or without | "
            "error after a year of probes, 0 against 3 |"
        ),
        "|---|---|---|---|---|",
    ]
    for epsilon in (0.5, 1.0, 3.0, 9.0):
        noise = Noise(bytes(32), epsilon)
        lines.append(
            f"| {epsilon:g} | {noise.deviation:.1f} hits | {likelihood_bound(noise, 9):.2f} × | "
            f"{math.exp(epsilon):,.2f} × | {100 * year_of_probes(noise, 3):.0f} % |"
        )
    return "\n".join([*lines, "", END])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments, _ = parser.parse_known_args()
    text = report(reconstruct())
    sys.stdout.write(f"{text}\n")
    if arguments.write:
        page = arguments.write.read_text("utf-8")
        before, rest = page.split(START)
        arguments.write.write_text(before + text + rest.split(END)[1], "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
