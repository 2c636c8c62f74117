"""What ``attack`` tells of one week, told of a quarter in a crowd below 1,000.

There a request says one or two variables, and tables sum weeks, so one integer program has all
weeks of the quarter. It knows what a client may say at once. Languages, Pythons and countries are
said by nobody: their sums of weeks are sums of all hits, and there is nothing to look for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from mars.wire.crowd import SOME
from mars.wire.query import NONE
from mars.wire.variables import BASIC, NAMES, OPTIONAL, OTHER, VARIABLES
from mars_server.tables.compose import Exact
from mars_server.tables.floor import STEP, Published
from mars_server.tables.periods import covered
from mars_server.tables.week import Week
from tests.server.tables.attack import Hidden, Rule

FOLDED = {one.name: one.folded for one in VARIABLES}


@dataclass
class Program:
    """Columns with their limits, rules between them, and counts that fit everything."""

    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    possible: list[NDArray[np.float64]] = field(default_factory=list)

    def column(self, published: Published) -> int:
        """A new one for a published count."""
        return self.between(published.least, published.most)

    def between(self, low: int, high: int) -> int:
        self.low.append(low)
        self.high.append(high)
        return len(self.low) - 1

    def reach(self, column: int, sign: int) -> int:
        """The smallest (``sign`` 1) or largest (-1) count of a column."""
        limit = self.low[column] if sign > 0 else self.high[column]
        if any(counts[column] == limit for counts in self.possible):
            return limit
        aim = np.zeros(len(self.low))
        aim[column] = sign
        limits = Bounds(self.low, self.high)
        found = milp(aim, constraints=self._linear, bounds=limits, integrality=1)
        assert found.success
        self.possible.append(np.rint(found.x))
        return round(float(sign * found.fun))

    @cached_property
    def _linear(self) -> LinearConstraint:
        """All rules; made when the first count is looked for, so none may follow."""
        entries = [
            (n, at, by) for n, (row, _, _) in enumerate(self.rules) for at, by in row.items()
        ]
        rows, columns, values = zip(*entries, strict=True)
        shape = len(self.rules), len(self.low)
        matrix = coo_matrix((values, (rows, columns)), shape).tocsr()
        return LinearConstraint(matrix, *([rule[n] for rule in self.rules] for n in (1, 2)))


def hidden(quarter: Sequence[tuple[Exact, Week]], crowd: int, *, alike: bool) -> Iterator[Hidden]:
    """Every count below ten of these weeks: levels, versions, platforms and ages. ``alike`` as in
    ``Attack``: everybody says what the crowd allows."""
    program, weeks = Program(), [week for _, week in quarter]
    columns = {week.week: _week(program, week, crowd, alike=alike) for week in weeks}
    cells = []
    for exact, week in quarter:
        for row in week.tables["level"]:
            true = exact.counts["level"].get(row.value, 0)
            cells.append((f"level {row.value} {week.week}", columns[week.week][row.value], true))
        for table in NAMES:
            rows = _rows(program, table, week, covered(table, week, weeks), columns)
            if table in BASIC:
                cells += _true(table, rows, quarter, week)
    looked: dict[str, tuple[int, int]] = {}
    for cell, column, true in cells:
        if true < STEP:
            name, value, when = cell.split()
            one = cell if name == "level" or value == NONE else f"{name} {when}"  # alike to it
            if one not in looked:
                looked[one] = program.reach(column, 1), program.reach(column, -1)
            yield Hidden(cell, true, *looked[one])


def _week(program: Program, week: Week, crowd: int, *, alike: bool) -> dict[str, int]:
    """The columns of one week: its total, its levels, and what lacks each variable."""
    total = program.between(max(1, week.hits.least), week.hits.most)
    found = {row.value: program.column(row.count) for row in week.tables["level"]}
    plain, tracked = found["plain"], found["tracked"]
    program.rules.append(({plain: 1, tracked: 1, total: -1}, 0, 0))
    lacks = {name: program.between(0, week.hits.most) for name in BASIC}
    lacks |= dict.fromkeys(OPTIONAL, total)
    for column in map(lacks.__getitem__, BASIC):
        program.rules.append(({column: 1, plain: -1}, 0, np.inf))
        program.rules.append(({column: 1, total: -1}, -np.inf, 0))
    first, *others = BASIC
    one_of = others if crowd >= SOME else BASIC  # at most one of them rides in a request
    tie = {total: len(one_of), **{lacks[name]: -1 for name in one_of}, tracked: -1}
    program.rules.append((tie, 0 if alike else -np.inf, 0))
    if alike and crowd >= SOME:
        program.rules.append(({lacks[first]: 1, plain: -1}, 0, 0))
    return {**found, "": total, **lacks}


def _rows(
    program: Program,
    table: str,
    week: Week,
    parts: Sequence[Week],
    columns: dict[str, dict[str, int]],
) -> dict[str, int]:
    """The columns of a table that ends with ``week``; its rows add up to the weeks that it sums."""
    if not week.closes(table):
        return {}
    rows = {row.value: program.column(row.count) for row in week.tables[table]}
    weeks = [columns[each.week] for each in parts]
    whole = {**dict.fromkeys(rows.values(), 1), **{each[""]: -1 for each in weeks}}
    lacking = {rows[NONE]: 1, **{each[table]: -1 for each in weeks}}
    program.rules += [(whole, 0, 0), (lacking, 0, 0)]
    return rows


def _true(
    table: str, rows: dict[str, int], quarter: Sequence[tuple[Exact, Week]], end: Week
) -> list[tuple[str, int, int]]:
    """The cells of a table, with the true counts behind them."""
    counts: Counter[str] = Counter()
    for exact, week in quarter:
        if end.since(table) <= week.week <= end.week:
            for value, number in exact.counts[table].items():
                said = FOLDED[table].get(value, value)
                counts[said if said in rows else OTHER] += number
    return [
        (f"{table} {value} {end.week}", column, counts[value]) for value, column in rows.items()
    ]
