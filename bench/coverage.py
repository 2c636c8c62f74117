"""How often the estimate's interval covers the truth, over the whole grid of simulations.

``python -m bench.coverage --write docs/method.md`` puts the table there; ``--case 3`` runs one row
of the grid. Some 4 minutes of one core in all. The tests run a short slice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mars import factory
from tests.server.tables.coverage import CASES, WEEKS, measure, row

START = "<!-- coverage: written by bench/coverage.py -->"
END = "<!-- end of coverage -->"
SIZES = {50: 400, 1_000: 60, 10_000: 24}
"""Installations, and how many populations of that size are simulated; a quarter of these where the
assumptions do not hold, and nothing has to be told from 93 %."""
HEAD = (
    "| simulated | installations | populations | unrounded, of exact hits | as published | "
    "estimate / truth |"
)


def report(rows: Iterable[str], day: str) -> str:
    said = (
        f"Measured on {day}; {WEEKS} weeks of each population (in the last row one), "
        "± is one standard error."
    )
    return "\n".join([START, "", said, "", HEAD, "|---|---|---|---|---|---|", *rows, "", END])


def main() -> int:
    """Returns 1 where a case whose assumptions hold misses what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    parser.add_argument("--case", type=int, metavar="N", choices=range(len(CASES)))
    arguments, _ = parser.parse_known_args()
    rows, fine = [], True
    for case in CASES if arguments.case is None else [CASES[arguments.case]]:
        for size, populations in SIZES.items():
            trials = populations if case.holds else populations // 4
            found = measure(case, size, trials * WEEKS if case.launch else trials)
            fine = fine and found.fine
            rows.append(row(found))
    day = datetime.fromtimestamp(factory.system_clock().now(), UTC).date().isoformat()
    text = report(rows, day)
    print(text)
    if arguments.write:
        page = arguments.write.read_text("utf-8")
        before, rest = page.split(START)
        arguments.write.write_text(before + text + rest.split(END)[1], "utf-8")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
