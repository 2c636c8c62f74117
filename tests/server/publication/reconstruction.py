"""What an attacker who has everything that was published can tell about the hidden counts.

Simulated weeks are published by the project's own code. An integer program (HiGHS, by
``scipy.optimize.milp``) then knows all published numbers and how they were made, and looks for
the smallest and the largest true count of every hidden cell. ``--write FILE`` puts the figures
between the markers of that file; a test compares them.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from mars.wire.product import Product
from mars.wire.query import NONE, OTHER
from mars_server.publication import rare
from mars_server.publication.compose import Exact, Rules, compose, step
from mars_server.publication.document import TABLES, Week
from mars_server.publication.floor import STEP, Published
from mars_server.publication.noise import Noise

START = "<!-- reconstruction: written by tests/server/publication/reconstruction.py -->"
END = "<!-- end of reconstruction -->"
WEEKS = 8
SIZES = (60, 400, 3000)
"""Hits a week."""
PRODUCT = Product(
    product="attacked",
    channel="stable",
    releases=("0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.5.1"),
    platforms=("linux", "windows", "macos"),
    languages=("de", "en", "fi", "is", "sv"),
)
_SPREAD = {
    "v": dict(zip(PRODUCT.releases, (0.004, 0.01, 0.03, 0.1, 0.3, 0.55), strict=True)),
    "os": {"linux": 0.3, "windows": 0.5, "macos": 0.19, "other": 0.01},
    "ia": {"1": 0.03, "10": 0.12, "100": 0.5, "1000": 0.35},
    "lang": {"en": 0.6, "de": 0.3, "sv": 0.05, "fi": 0.03, "is": 0.02},
    "py": {"3.11": 0.5, "3.12": 0.4, "3.13": 0.1},
    "cc": {"DE": 0.5, "US": 0.3, "SE": 0.1, "IS": 0.05, "FI": 0.05},
}


@dataclass(frozen=True)
class Hidden:
    """A hidden cell with its range of possible true counts, and the documented one."""

    cell: str
    low: int
    high: int
    claimed_low: int
    claimed_high: int

    @property
    def values(self) -> int:
        return self.high - self.low + 1

    @property
    def claimed(self) -> int:
        return self.claimed_high - self.claimed_low + 1


def simulated(hits: int, weeks: int, seed: int) -> list[Week]:
    """``weeks`` published weeks of some ``hits`` hits each."""
    chance = random.Random(seed)
    rules = Rules(PRODUCT)
    listings = {name: rare.Listing() for name in rare.DIMENSIONS}
    done: list[Week] = []
    for n in range(weeks):
        name = f"2026-W{n + 10:02d}"
        exact = _exact(hits, chance)
        listings = step(name, exact, listings, rules)
        done.append(compose(name, exact, listings, done, 0, rules))
    return done


def _exact(hits: int, chance: random.Random) -> Exact:
    tables: dict[str, dict[str, int]] = {name: {} for name in TABLES}
    pairs: dict[tuple[str, str], int] = {}
    for _ in range(chance.randint(hits * 9 // 10, hits * 11 // 10)):
        values = dict.fromkeys(_SPREAD, NONE)
        tracked = chance.random() < 0.7
        if tracked:
            for name in ("v", "os", "ia", chance.choice(("lang", "py", "cc"))):
                values[name] = chance.choices(*zip(*_SPREAD[name].items(), strict=True))[0]
        values["level"] = "tracked" if tracked else "plain"
        for name, value in values.items():
            tables[name][value] = tables[name].get(value, 0) + 1
        pair = values["v"], values["os"]
        pairs[pair] = pairs.get(pair, 0) + 1
    return Exact(tables, pairs)


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
        self._constraints = list(self._rules())

    def _rules(self) -> Iterator[tuple[dict[int, int], float, float]]:
        """Coefficients, lower and upper limit: tables add up, pairs fit into their margins."""
        for name in TABLES:
            row = {self.cells[name, each.value][0]: 1 for each in self._week.tables[name]}
            yield {**row, 0: -1}, 0, 0
        listed = {pair.v for pair in self._week.pairs} - {OTHER}
        for v in listed:
            yield self._inside(("v", v), [f"{v} {pair.os}" for pair in self._week.pairs])
        for os in {pair.os for pair in self._week.pairs}:
            yield self._inside(("os", os), [f"{pair.v} {os}" for pair in self._week.pairs])

    def _inside(
        self, margin: tuple[str, str], names: Sequence[str]
    ) -> tuple[dict[int, int], float, float]:
        """Pairs without the other value are not published, so they only stay below the margin."""
        row = {self.cells["v-os", name][0]: 1 for name in set(names)}
        return {**row, self.cells[margin][0]: -1}, -np.inf, 0

    def reach(self, column: int, sign: int) -> int:
        """The smallest (``sign`` 1) or largest (-1) true count of a cell."""
        aim = np.zeros(len(self.cells))
        aim[column] = sign
        entries = [
            (n, where, value)
            for n, (row, _, _) in enumerate(self._constraints)
            for where, value in row.items()
        ]
        rows, columns, values = zip(*entries, strict=True)
        matrix = coo_matrix((values, (rows, columns)), (len(self._constraints), len(aim)))
        published = [each for _, each in self.cells.values()]
        found = milp(
            aim,
            constraints=LinearConstraint(
                matrix.tocsr(),
                [low for _, low, _ in self._constraints],
                [high for _, _, high in self._constraints],
            ),
            bounds=Bounds([each.least for each in published], [each.most for each in published]),
            integrality=np.ones(len(aim)),
        )
        assert found.success
        return round(float(sign * found.fun))

    def hidden(self) -> Iterator[Hidden]:
        """Every hidden cell of the seven tables and of version × platform."""
        for (table, value), (column, published) in self.cells.items():
            if published.hidden and table != "hits":
                claimed = documented(self._week, table, value)
                yield Hidden(
                    f"{table} {value}", self.reach(column, 1), self.reach(column, -1), *claimed
                )


def documented(week: Week, table: str, value: str) -> tuple[int, int]:
    """What the documented arithmetic allows an attacker to say about a hidden cell.

    The true total T lies in its own ten values, is no less than the floors of any table together,
    and no more than these plus nine for each of its cells. A cell of a table whose k floors add up
    to S, p of them its own, is then at least T - S - 9 (k - 1) and at most T - S + p. A cell of
    version × platform is at most what its version, and what its platform, leaves beside the floors
    of the other cells of its row or column.
    """
    sums = {name: sum(row.count.least for row in week.tables[name]) for name in TABLES}
    cells = {name: len(week.tables[name]) for name in TABLES}
    low = max(week.hits.least, *sums.values())
    high = min([week.hits.most, *(sums[name] + 9 * cells[name] for name in TABLES)])
    if table != "v-os":
        least = low - sums[table] - 9 * (cells[table] - 1)
        return max(0, least), min(STEP - 1, high - sums[table])
    v, os = value.split(" ")
    most = [STEP - 1]
    for name, own in (("v", v), ("os", os)):
        margin = week.count(name, own)
        if margin is not None and (name, own) != ("v", OTHER):
            line = sum(each.count.least for each in week.pairs if getattr(each, name) == own)
            most.append(min(margin.most, high - sums[name] + margin.least) - line)
    return 0, min(most)


def reconstruct(sizes: Sequence[int] = SIZES, weeks: int = WEEKS) -> dict[int, list[Hidden]]:
    """All hidden cells by the size of the project."""
    return {
        size: [cell for week in simulated(size, weeks, size) for cell in Attack(week).hidden()]
        for size in sizes
    }


def likelihood_bound(noise: Noise, distance: int) -> float:
    """How much likelier any published number can be under one true count than under another."""
    return math.exp(noise.per_cell * distance)


def year_of_probes(noise: Noise, distance: int, weeks: int = 52) -> float:
    """The chance that an attacker errs who probes one cell every week of a year, to tell two
    equally likely true counts that lie ``distance`` apart (normal approximation)."""
    sigma = distance * math.sqrt(weeks) / noise.deviation / 2
    return 0.5 * math.erfc(sigma / math.sqrt(2))


def report(found: dict[int, list[Hidden]]) -> str:
    """The figures as Markdown."""
    lines = [
        START,
        "",
        "| hits a week | hidden cells | all ten values possible | narrowest range |",
        "|---|---|---|---|",
    ]
    for size, cells in found.items():
        full = sum(cell.values == STEP for cell in cells)
        narrow = min(cell.values for cell in cells)
        lines.append(f"| {size} | {len(cells)} | {full} | {narrow} values |")
    lines += [
        "",
        (
            "| epsilon a week | sd of the noise | likelier at most, 0 against 9 | "
            "error after a year of probes, 0 against 3 |"
        ),
        "|---|---|---|---|",
    ]
    for epsilon in (0.5, 1.0, 3.0, 9.0):
        noise = Noise(bytes(32), epsilon)
        lines.append(
            f"| {epsilon:g} | {noise.deviation:.1f} hits | {likelihood_bound(noise, 9):.2f} × | "
            f"{100 * year_of_probes(noise, 3):.0f} % |"
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
