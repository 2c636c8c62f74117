"""What somebody who has everything that was published of a week can tell about its counts.

An integer program (HiGHS, by ``scipy.optimize.milp``) knows all floors, how they were made, how
clients ask, and which requests it forged itself; it looks for the smallest and the largest true
count of every cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from mars.wire.query import NONE
from mars.wire.variables import OPTIONAL, OTHER
from mars_server.tables.compose import Exact
from mars_server.tables.floor import STEP, Published
from mars_server.tables.week import TABLES, Week


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


Rule = tuple[dict[int, int], float, float]
"""Coefficients by column, lower and upper limit of their sum."""


NOTHING = Exact()


class Attack:
    """The integer program of one week. Column 0 is the true total.

    ``forged`` are the attacker's own hits, whose numbers he knows. With ``alike`` he also knows
    that every tracked client names its version, platform and age, as the settings have it when
    nobody changes them.
    """

    def __init__(self, week: Week, forged: Exact = NOTHING, *, alike: bool = False) -> None:
        self._week, self._forged, self._alike = week, forged, alike
        self._possible: list[NDArray[np.float64]] = []
        """Counts of all cells that fit everything: what they show need not be looked for."""
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
        if self._forged is NOTHING:
            yield {0: 1}, 1, np.inf  # else it would say "no data"
        for name in TABLES:
            yield _sum((1, self._columns(name)), (-1, [0])), 0, 0
            if name != "level":  # a plain request carries no variable
                most = 0 if self._alike and name not in OPTIONAL else np.inf
                yield {self._column(name, NONE): 1, plain: -1}, 0, most
        lacking = [self._column(name, NONE) for name in OPTIONAL]
        yield _sum((3, [0]), (-1, [*lacking, tracked])), -np.inf, 0  # at most one of them rides

    def _crossed(self) -> Iterator[Rule]:
        """Each line of version × platform fits into its margin, and falls short of it by no more
        than the tracked hits that lack the other value (none, where all clients are alike)."""
        plain = self._column("level", "plain")
        for pairs, margin, other in self._lines():
            yield _sum((1, pairs), (-1, margin)), -np.inf, 0
            none = self._column(other, NONE)  # at least the plain ones, so the rest is not negative
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
        limit = self._bounds.lb[column] if sign > 0 else self._bounds.ub[column]
        if any(counts[column] == limit for counts in self._possible):
            return round(float(limit))
        aim = np.zeros(len(self.cells))
        aim[column] = sign
        found = milp(aim, constraints=self._linear, bounds=self._bounds, integrality=1)
        assert found.success
        self._possible.append(np.rint(found.x))
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
        own = [self.true(self._forged, *cell) for cell in self.cells]
        published = [each for _, each in self.cells.values()]
        return Bounds(
            [max(0, each.least - mine) for each, mine in zip(published, own, strict=True)],
            [each.most - mine for each, mine in zip(published, own, strict=True)],
        )

    def hidden(self, exact: Exact) -> Iterator[Hidden]:
        """Every count below ten. Without forged hits the rows of a table that is not crossed are
        all the same to the program, so it looks at one of them."""
        looked: dict[str, tuple[int, int]] = {}
        for (table, value), (column, _) in self.cells.items():
            true = self.true(exact, table, value)
            if true >= STEP:
                continue
            one = self._forged is NOTHING and table in ("ia", "lang", "py", "cc") and value != NONE
            key = table if one else str(column)
            if key not in looked:
                looked[key] = self.reach(column, 1), self.reach(column, -1)
            yield Hidden(f"{table} {value}", true, *looked[key])

    def true(self, exact: Exact, table: str, value: str) -> int:
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
        counts = exact.counts.get(table, {})
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
