"""How well error reports, their deletions and look-ups can be linked, and what each rule is worth.

    python -m bench.errors

``make bench ARGS=linking`` runs it too; ``SIZE=1000`` makes it more exact (200 people unless told
otherwise). Everything is seeded; ``testbed.reports`` is the simulation and the attacker, and the
tables go into docs/privacy.md. Rows that say "never" are rules worse than the client's, which show
that the attacker finds what is there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from bench import page
from bench.page import Run
from bench.reports import with_error
from mars.wire.times import WEEK
from testbed.linking.trial import heading, line
from testbed.reports import attack, bursts, marks, mixed
from testbed.reports.attack import Answers, Attacker
from testbed.reports.bursts import Habit, Linker, Links
from testbed.reports.reporter import CLIENT, Rules

SIZE = int(os.environ.get("SIZE", "200"))
"""People of whom one burst each is linked, and half as many to learn from."""
YEAR = 52
KNOWN = (
    *("one other request", "all of another kind", "all its other requests"),
    "these, and all its fetches",
)
"""By the words of ``attack.KNOWS``."""
OTHERS = (10, 30, 100, 300)
"""Requests of other people that look alike, in thirty days."""
AT_OWN_TIME = Rules(apart=False)
AT_ONCE = Rules(apart=False, spread=0)
IN_A_WEEK = Rules(deletion_spread=WEEK)
ON_DEMAND = Rules(asked_by_all=False)
JOINED = {"one request a day": CLIENT, "each at its own time (never)": AT_OWN_TIME}
BURSTS: dict[str, tuple[Habit, Rules]] = {
    "three faults in an hour": (bursts.faults_of_a_day, CLIENT),
    "and the intake refuses every try": (bursts.refused, CLIENT),
    "and the clock shows another month now and then": (bursts.stepping, CLIENT),
    "the same, each sent at once (never)": (bursts.faults_of_a_day, AT_ONCE),
    "five faults within minutes, of two weeks": (bursts.five_faults, CLIENT),
    "and then offline for a fortnight": (bursts.offline, CLIENT),
    "the same, each at its own time (never)": (bursts.offline, AT_OWN_TIME),
}
DELETED: dict[str, tuple[Rules, bool]] = {
    "linked right": (CLIENT, False),
    "if others delete ten at once, too": (CLIENT, True),
    "if spread over a week (never)": (IN_A_WEEK, False),
}
MARKS = {
    "keys, numbers and signatures of two direct reports": marks.direct,
    "were there one key for all (never)": marks.one_key,
    "a direct report, and the deletion of another": marks.deletion,
    "points of two crowd reports, of other faults or releases": marks.crowd,
    "were there one point for all (never)": marks.one_point,
}


def joined_table(run: Run) -> Iterator[str]:
    """Of two requests with equal content the right one is named; 50 is a guess."""
    yield from heading("rule", *KNOWN)
    for name, found in zip(JOINED, run(joined, JOINED.values()), strict=True):
        yield line(name, *map(with_error, found))


def joined(rules: Rules) -> list[Answers]:
    """The answers of each attacker, about people whose faults come on days of their own."""
    size = max(20, SIZE // 4)
    years = [mixed.record(size, YEAR, seed, rules) for seed in range(3)]
    questions = 40 * size
    return [
        Attacker.taught(years[1:], knows, questions).answers(years[0], questions)
        for knows in attack.KNOWS
    ]


def burst_table(run: Run) -> Iterator[str]:
    """To which share of reports another one of the same person is named."""
    columns = [f"{others} others in 30 days: right, by chance" for others in OTHERS]
    yield from heading("what somebody meets", *columns)
    for name, found in zip(BURSTS, run(_burst, BURSTS.values()), strict=True):
        yield line(name, *map(both, found))


def _burst(row: tuple[Habit, Rules]) -> list[Links]:
    return linked(*row, SIZE, OTHERS, alike=False)


def linked(
    doing: Habit, rules: Rules, size: int, others: tuple[int, ...], *, alike: bool
) -> list[Links]:
    """Of so many people, by an attacker taught with half as many others."""
    known = bursts.bursts(doing, size // 2, rules, seed=1)
    people = bursts.bursts(doing, size, rules)
    return [
        Linker.taught(known, some, alike=alike).links(people, some, alike=alike) for some in others
    ]


def both(found: Links) -> str:
    """``5.4 ± 0.4, 2.5``, in per cent."""
    return f"{100 * found.right:.1f} ± {100 * found.error:.1f}, {100 * found.chance:.1f}"


def deletion_table(run: Run) -> Iterator[str]:
    """To which share of ten deletions another one of the same person is named."""
    columns = [f"{name}, by chance" for name in DELETED]
    yield from heading("deletions of others in 30 days", *columns)
    found = run(_deleted, DELETED.values())
    for others, *row in zip(OTHERS, *found, strict=True):
        yield line(f"{others}", *map(both, row))


def _deleted(column: tuple[Rules, bool]) -> list[Links]:
    rules, alike = column
    return linked(bursts.deletions, rules, SIZE, OTHERS, alike=alike)


def mark_table(run: Run) -> Iterator[str]:
    """Of two of equal content the right one is named; 50 is a guess."""
    yield from heading("what is compared", "named right")
    makes = [(make, 20 * SIZE) for make in MARKS.values()]
    for name, found in zip(MARKS, run(_marked, makes), strict=True):
        yield line(name, with_error(found))
    for name, rules in (
        ("look-ups of answers, with a report or without", CLIENT),
        ("were they made by those with a report alone (never)", ON_DEMAND),
    ):
        yield line(name, with_error(marks.looked_up(SIZE, rules)))


def _marked(row: tuple[marks.Make, int]) -> Answers:
    return marks.told_apart(*row)


def close_table(run: Run) -> Iterator[str]:
    """How often a request follows another of the same installation within six hours."""
    yield from heading(
        "after a fortnight offline, with five reports", "within six hours", "at even times"
    )
    for name, found in zip(JOINED, run(_close, JOINED.values()), strict=True):
        yield line(name, *[f"{100 * share:.1f}" for share in found])


def _close(rules: Rules) -> tuple[float, float]:
    return bursts.close(rules, SIZE // 2)


TABLES = (joined_table, burst_table, deletion_table, mark_table, close_table)


def report(run: Run) -> Iterator[str]:
    """All tables."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    yield f"Measured on {day} with {SIZE:,} people; per cent, with standard errors."
    for table in TABLES:
        yield ""
        yield from table(run)


def main() -> int:
    """Prints the tables, and writes them where they stand in the docs."""
    page.simulated("errors", report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
