"""How well reports can be joined, beyond what their content tells, and whether all arrive.

    python -m bench.reports

``make bench ARGS=linking`` runs it too; ``SIZE=300`` makes it shorter (1,000 installations unless
told otherwise). Everything is seeded; ``testbed.reports`` is the simulation and the attacker, and
the tables go into docs/privacy.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from bench import page
from testbed.linking.trial import heading, line
from testbed.reports import arrivals, attack, rare
from testbed.reports.attack import Answers, Attacker
from testbed.reports.habits import ALWAYS, ASLEEP
from testbed.reports.people import WEEKS, Plan, people
from testbed.reports.record import Record

SIZE = int(os.environ.get("SIZE", "1000"))
"""Installations of the year that is asked about, ..."""
TEACHING = max(20, SIZE // 4)
"""... and of each of those that is learned from."""
YEARS = (1, 2)
"""Seeds of these."""
QUESTIONS = max(500, 6 * SIZE)
ARRIVALS = max(6, SIZE // 8)
"""Installations of each habit."""
PLANS = {
    ALWAYS: Plan(SIZE, ALWAYS, 0),
    "each its own, some asleep": Plan(SIZE, "", ASLEEP),
}
RULES = {"one request a day": True, "each at its own time": False}


def joined_table(run: page.Run) -> Iterator[str]:
    """Of two reports with equal content the right one is named; 50 is a guess."""
    yield from heading("computers", "rule", *attack.KNOWS)
    rows = [(name, rule) for name in PLANS for rule in RULES]
    for (name, rule), found in zip(rows, run(joined, rows), strict=True):
        yield line(name, rule, *[with_error(one) for one in found])


def joined(row: tuple[str, str]) -> list[Answers]:
    """The answers of each attacker."""
    plan = PLANS[row[0]]
    return answered(Plan(plan.size, plan.habit, plan.asleep, RULES[row[1]]), TEACHING, QUESTIONS)


def answered(plan: Plan, teaching: int, questions: int) -> list[Answers]:
    """Who knows this and that of an installation of ``plan``, taught by smaller crowds."""
    small = Plan(teaching, plan.habit, plan.asleep, plan.apart)
    years = [Record.of(people(small, seed), WEEKS) for seed in YEARS]
    record = Record.of(people(plan, 0), WEEKS)
    return [
        Attacker.taught(years, knows, questions).answers(record, questions)
        for knows in attack.KNOWS
    ]


def with_error(found: Answers) -> str:
    """``50.1 ± 0.8``, in per cent."""
    return f"{100 * found.right:.1f} ± {100 * found.error:.1f}"


def rare_table(run: page.Run) -> Iterator[str]:
    """How rare is how linkable."""
    told = "named right by content alone", "by days as well"
    blurred = [f"with ε = ln 3: {each}" for each in told]
    yield from heading("people with the plug-in", *told, *blurred)
    for users, some in zip(rare.USERS, run(_rare, rare.USERS), strict=True):
        yield line(f"{users:,}", *[f"{100 * share:.1f}" for share in some])


def _rare(users: int) -> list[float]:
    return [*rare.named(users), *rare.named(users, rare.LN3)]


def arrival_table(run: page.Run) -> Iterator[str]:
    """The share of what was drawn that arrives."""
    columns = "reports arrive, of 100 drawn", "a week, of 2 declared", "news a week", "registry"
    yield from heading("computers", "fortnights asleep a year", *columns)
    for (habit, asleep), found in zip(arrivals.HABITS, run(_arrived, arrivals.HABITS), strict=True):
        figures = f"{100 * found.share:.1f}", *[f"{each:.2f}" for each in found[1:]]
        yield line(habit, f"{asleep}", *figures)


def _arrived(row: tuple[str, float]) -> arrivals.Arrived:
    return arrivals.arrived(*row, ARRIVALS)


TABLES = (joined_table, rare_table, arrival_table)


def report(run: page.Run) -> Iterator[str]:
    """All tables."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    said = "per cent, but for the numbers of requests in the last table"
    yield f"Measured on {day} with {SIZE:,} installations; {said}."
    for table in TABLES:
        yield ""
        yield from table(run)


def main() -> int:
    """Prints the tables, and writes them where they stand in the docs."""
    page.simulated("reports", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
