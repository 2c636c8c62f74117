"""How often the intervals of declared statistics cover the truth, in simulated populations.

``python -m bench.shares --write docs/method.md`` puts the table there. Some 3 minutes of one core.
The tests run a short slice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mars import factory
from tests.server.tables.reported import (
    ALWAYS,
    FLEETS,
    MACHINES,
    MIXED,
    RATES_TRIED,
    Case,
    Found,
    measure,
    regular,
    waits,
)

START = "<!-- shares: written by bench/shares.py -->"
END = "<!-- end of shares -->"
SIZES = {60: 1_000, 400: 500, 3_000: 200}
"""Installations, and how many populations of that size are simulated."""
HEAD = (
    "machines run | installations | rate | epsilon | weeks | sums | installations, exact sums | as "
    "published | share of 30 %, exact sums | as published"
)


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


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(each) for each in cells)} |"


def main() -> int:
    """Returns 1 where a row misses what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments, _ = parser.parse_known_args()
    day = datetime.fromtimestamp(factory.system_clock().now(), UTC).date().isoformat()
    kinds = [f"{regular(waits(each)):.2f} ({each})" for each in MACHINES]
    said = (
        f"Measured on {day}. How regular the reports of one machine are: {', '.join(kinds)}; "
        f"{MIXED}: a third each. Exact sums of a rate of 1 cover more by design."
    )
    found = list(rows())
    columns = "|---" * (HEAD.count("|") + 1) + "|"
    text = "\n".join(
        [START, "", said, "", f"| {HEAD} |", columns, *(line(each) for each in found), "", END]
    )
    print(text)
    if arguments.write:
        page = arguments.write.read_text("utf-8")
        before, rest = page.split(START)
        arguments.write.write_text(before + text + rest.split(END)[1], "utf-8")
    return int(not all(each.fine for each in found))


if __name__ == "__main__":
    sys.exit(main())
