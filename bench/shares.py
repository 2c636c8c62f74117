"""How often the intervals of declared statistics and of error events cover the truth, in simulated
populations.

``python -m bench.shares --write docs/method.md`` puts the tables there, ``--only failures`` that of
error events alone. Some 3 minutes of one core for the first, one for the second. The tests run a
short slice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from mars import factory
from mars.wire.events import FAILED_SHARE
from tests.server.tables.failed import DOMAIN, MET, Covered, measured
from tests.server.tables.reported import (
    ALWAYS,
    FLEETS,
    MACHINES,
    MIXED,
    RATES_TRIED,
    Case,
    Found,
    held_with_noise,
    measure,
    regular,
    waits,
)

SHARES, FAILURES = PARTS = ("shares", "failures")
SIZES = {60: 1_000, 400: 500, 3_000: 200}
"""Installations, and how many populations of that size are simulated."""
NOISY, EPSILONS, DRAWS = (400, 3_000, 20_000), (1.0, 3.0), 1_500
HEAD = (
    "machines run | installations | rate | epsilon | weeks | sums | installations, exact sums | as "
    "published | share of 30 %, exact sums | as published"
)

FAILING = {500: 120, 2_000: 60, 10_000: 30}
"""Installations that agreed, and how many populations with failure rates of their own."""
FAILING_WEEKS = 13
FAILING_HEAD = "installations | what is told | intervals | hold the truth | points wide"


def rows() -> Iterator[Found]:
    for fleet in FLEETS:
        for size, populations in SIZES.items():
            for rate, epsilon in RATES_TRIED:
                for found in measure(Case(fleet, size, rate, epsilon), populations):
                    if found.weeks == 1 or (found.weeks == 13 and fleet != ALWAYS):
                        yield found


def line(found: Found) -> str:
    case = found.case
    told = (found.number, found.number_shown, found.share, found.share_shown)
    cells = [case.fleet, f"{case.size:,}", f"{case.rate:g}", f"{case.epsilon:g}", found.weeks]
    return _row(*cells, f"{found.sums:,}", *(f"{100 * each:.1f} %" for each in told))


def failing() -> Iterator[tuple[int, Covered]]:
    """Each number of the failed share, whether a cause was met, and of all others the one that
    holds the truth most rarely."""
    for size, populations in FAILING.items():
        found = measured(populations, size, FAILING_WEEKS)
        alone = [each for each in found if each.bucket.startswith((FAILED_SHARE, MET))]
        others = [each for each in found if each not in alone]
        for each in [*alone, min(others, key=lambda each: each.covered)]:
            yield size, each


def failing_line(size: int, found: Covered) -> str:
    told = (f"{found.intervals:,}", f"{100 * found.covered:.1f} %", f"{found.width:.0f}")
    return _row(f"{size:,}", found.bucket, *told)


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(each) for each in cells)} |"


def with_noise() -> str:
    held = min(held_with_noise(size, eps, DRAWS) for size in NOISY for eps in EPSILONS)
    epsilons = " or ".join(f"{each:g}" for each in EPSILONS)
    return (
        f"With noise of epsilon {epsilons} published intervals of a single week hold the truth in "
        f"{100 * held:.1f} % or more, at {', '.join(f'{size:,}' for size in NOISY)} installations, "
        f"{DRAWS:,} draws each."
    )


def shares(day: str) -> tuple[str, bool]:
    """The table, and whether each row is as promised."""
    kinds = [f"{regular(waits(each)):.2f} ({each})" for each in MACHINES]
    said = (
        f"Measured on {day}. How regular the reports of one machine are: {', '.join(kinds)}; "
        f"{MIXED}: a third each. Exact sums of a rate of 1 cover more by design. {with_noise()}"
    )
    found = list(rows())
    return _table(said, HEAD, map(line, found)), all(each.fine for each in found)


def failures(day: str) -> tuple[str, bool]:
    """The same of error events."""
    sizes = FAILING.items()
    said = (
        f"Measured on {day}: {FAILING_WEEKS} weeks of a domain with four causes and a rate of "
        f"{DOMAIN.rate:g}, in {', '.join(f'{n} populations of {size:,}' for size, n in sizes)}, "
        "each with failure rates of its own; in a third of them a cause becomes three times as "
        "frequent on the way. The last row of each size is that number of all others which "
        "holds the truth most rarely."
    )
    found = list(failing())
    lines = (failing_line(*each) for each in found)
    return _table(said, FAILING_HEAD, lines), all(each.covered >= 0.95 for _, each in found)


def _table(said: str, head: str, lines: Iterable[str]) -> str:
    columns = "|---" * (head.count("|") + 1) + "|"
    return "\n".join([said, "", f"| {head} |", columns, *lines])


def main() -> int:
    """Returns 1 where a row misses what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments, _ = parser.parse_known_args()
    day = datetime.fromtimestamp(factory.system_clock().now(), UTC).date().isoformat()
    missed = False
    for part, measure_all in ((SHARES, shares), (FAILURES, failures)):
        if arguments.only in (None, part):
            table, fine = measure_all(day)
            missed |= not fine
            start, end = f"<!-- {part}: written by bench/shares.py -->", f"<!-- end of {part} -->"
            text = f"{start}\n\n{table}\n\n{end}"
            print(text)
            if arguments.write:
                page = arguments.write.read_text("utf-8")
                before, rest = page.split(start)
                arguments.write.write_text(before + text + rest.split(end)[1], "utf-8")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
