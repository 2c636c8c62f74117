"""What an attacker who has everything that was published can tell about the hidden counts.

Simulated weeks are published by the project's own code, and attacked three times: by an integer
program that knows all floors and ties (``attack``), by the same program with forged requests in the
week (``forging``), and where noise is on by the best statistical test (``likelihood``). Floors are
all there is to know: everything else that is published (percentages, estimates, charts, texts,
series, every range) follows from them, as ``test_reconstruction`` shows. ``--write FILE`` puts the
figures between the markers of that file; tests compare the quick rows, and ``make bench`` all.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean

from mars.wire.crowd import MANY
from mars_server.tables.floor import STEP
from mars_server.tables.noise import Noise
from mars_server.tables.quarters import quarter
from tests.server.tables import likelihood, small_crowd
from tests.server.tables.attack import Attack, Hidden
from tests.server.tables.forging import SUMS, forged, possible, spread
from tests.server.tables.reports_attack import BOOL, CAUSE, ENUM
from tests.server.tables.reports_attack import Attack as OfReports
from tests.server.tables.reports_attack import simulated as of_reports
from tests.server.tables.simulated import BARE, SMALL, TINY, USUAL, Project, simulated

START = "<!-- reconstruction: written by tests/server/tables/reconstruction.py -->"
END = "<!-- end of reconstruction -->"
DOCS = Path(__file__).parents[3] / "docs/privacy.md"
WEEKS = 4
Case = tuple[Project, int]
GRID: tuple[Case, ...] = (
    *((USUAL, 12), (USUAL, 60), (USUAL, 400), (USUAL, 3000), (BARE, 12), (BARE, 60), (BARE, 400)),
    *((SMALL, 60), (SMALL, 400), (TINY, 12), (TINY, 60), (TINY, 400)),
)
"""Projects, and their hits a week."""
SLICE = tuple(case for case in GRID if case[0] in (USUAL, BARE) or case == (TINY, 60))
"""The quick rows, which the tests look at; the small crowds take most of the time."""
BEFORE, YEAR = 4, 44
"""Weeks of a small crowd: those by which the periods of the first quarter are chosen, and all of
them, with three quarters to look at."""
YEARS = 4
"""So many of them, by other seeds: what is narrow there is rare."""
FORGED_WEEKS = 2
FORGED_GRID = ((USUAL, 12), (USUAL, 60), (USUAL, 400), (BARE, 12), (BARE, 60))
EMPTY, ANY = (STEP - 1,), tuple(range(STEP))
DIGITS = {"is it empty?": EMPTY, "another for each": ANY}
"""By what the forger asks of each number: the last digits that he shifts numbers by."""
EPSILONS = (0.3, 0.5, 1.0, 3.0, 9.0)
FETCHES = 3
"""What one installation adds to a count in a week at most; the attacker looks for so many."""

REPORTS = (12, 60, 400)
"""Of an entry in a week."""
FEW_REPORTS = REPORTS[:2]
"""Those of the tests."""
QUARTER = 13

Found = list[list[Hidden]]
Rows = Iterable[Sequence[object]]


def documented() -> str:
    """The figures that the docs give."""
    return DOCS.read_text("utf-8").split(START)[1].split(END)[0]


def looked_at(grid: Sequence[Case] = GRID) -> list[tuple[Case, Found, Found]]:
    """The hidden counts of each project in ``grid``, by week: as they look to somebody who knows
    nothing of the clients' settings, and to one who knows that nobody changed them."""
    return [(case, _hidden(*case, alike=False), _hidden(*case, alike=True)) for case in grid]


def _hidden(project: Project, hits: int, *, alike: bool) -> Found:
    if project.crowd < MANY:
        years = [simulated(project, hits + n, YEAR)[BEFORE:] for n in range(YEARS)]
        quarters = [
            list(some)
            for weeks in years
            for _, some in groupby(weeks, lambda each: quarter(each[1].week))
        ]
        return [list(small_crowd.hidden(each, project.crowd, alike=alike)) for each in quarters]
    weeks = simulated(project, hits, WEEKS)
    return [list(Attack(week, alike=alike).hidden(exact)) for exact, week in weeks]


def probed() -> list[tuple[Project, int, str, int, list[Hidden]]]:
    """Each count below ten after its week of forged requests, and how many these were."""
    rows = []
    for project, hits in FORGED_GRID:
        for question, digits in DIGITS.items():
            chance = random.Random(hits)
            own = [forged(project, digits, chance) for _ in range(FORGED_WEEKS)]
            weeks = simulated(project, hits, FORGED_WEEKS, own)
            cells = [
                cell
                for (exact, week), mine in zip(weeks, own, strict=True)
                for cell in Attack(week, mine, alike=True).hidden(exact)
            ]
            requests = max(mine.hits or 0 for mine in own)
            rows.append((project, hits, question, requests, cells))
    return rows


def reported(sizes: Sequence[int] = REPORTS) -> list[tuple[str, int, int, list[Hidden]]]:
    """The hidden counts of a quarter of declared statistics, and of a cause of failures, with the
    number of its periods."""
    rows = []
    for metric in (BOOL, ENUM, CAUSE):
        for reports in sizes:
            told = list(of_reports(metric, reports, QUARTER))
            cells = [cell for entry, truth in told for cell in OfReports(entry).hidden(truth)]
            kind = "cause of failures" if metric is CAUSE else metric.type
            rows.append((kind, reports, len(told), cells))
    return rows


def table_of_reports(found: Iterable[tuple[str, int, int, list[Hidden]]]) -> str:
    def rows() -> Rows:
        for kind, reports, periods, cells in found:
            values = [cell.values for cell in cells]
            row = (kind, reports, periods, len(values))
            yield *row, values.count(STEP), f"{min(values)} values"

    return _table(
        "statistic | reports a week | periods published of a quarter | hidden counts | ten values "
        "possible | narrowest",
        rows(),
    )


def table_of_floors(found: Iterable[tuple[Case, Found, Found]]) -> str:
    def rows() -> Rows:
        for (project, hits), *ways in found:
            row: list[object] = [project.name, hits, sum(len(week) for week in ways[0])]
            for weeks in ways:
                values = [cell.values for week in weeks for cell in week]
                row += [values.count(STEP), f"{min(values)} values"]
            yield row

    return _table(
        "project | hits a week | hidden counts | ten values possible | narrowest | "
        "settings unchanged: ten values | narrowest",
        rows(),
    )


def table_of_probes(found: Iterable[tuple[Project, int, str, int, list[Hidden]]]) -> str:
    def rows() -> Rows:
        for project, hits, question, requests, cells in found:
            exactly = [cell for cell in cells if cell.values == 1]
            few = [cell for cell in cells if 1 < cell.values <= STEP // 2]
            yield (
                f"{project.name}, {hits} hits a week",
                question,
                requests,
                len(cells),
                f"{len(exactly)} ({sum(cell.true > 0 for cell in exactly)})",
                len(few),
                len(cells) - len(exactly) - len(few),
            )

    return _table(
        "project | forger asks each number | forged hits a week, at most | counts below ten | "
        "known exactly (not zero) | two to five values | six to ten",
        rows(),
    )


def table_of_sums() -> str:
    def rows() -> Rows:
        for sums in (1, 2, 3, 4, 6, len(SUMS)):
            left = [len(possible(true, spread(sums))) for true in range(STEP)]
            yield sums, f"{max(left)}", f"{fmean(left):.1f}"

    return _table("sums with a known rest | values left at most | on average", rows())


def table_of_noise() -> str:
    def rows() -> Rows:
        for epsilon in EPSILONS:
            noise = Noise(bytes(32), epsilon)
            week, year = (
                100 * likelihood.error(noise, FETCHES, weeks)
                for weeks in (1, likelihood.WEEKS_A_YEAR)
            )
            known = likelihood.weeks_until(noise, FETCHES)
            yield (
                f"{epsilon:g}",
                f"{noise.deviation:.1f} hits",
                f"{likelihood.bound(noise, STEP - 1):.2f} ×",
                f"{math.exp(epsilon):,.2f} ×",
                f"{week:.0f} %",
                f"{year:.1f} %",
                f"{known} weeks" if known else "more than ten years",
            )

    return _table(
        "epsilon a week | sd of the noise | one number, likelier at most, 0 against 9 | "
        "all numbers of a week, with one installation or without | "
        "errs after one week, 0 against 3 | after a year | errs one time in twenty after",
        rows(),
    )


def _table(head: str, rows: Rows) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|---" * columns + "|"]
    lines += [f"| {' | '.join(str(each) for each in row)} |" for row in rows]
    return "\n".join(lines)


def main() -> int:
    """Returns 1 where the docs give other figures and are not to be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments, _ = parser.parse_known_args()
    tables = [
        table_of_floors(looked_at()),
        table_of_sums(),
        table_of_probes(probed()),
        table_of_noise(),
        table_of_reports(reported()),
    ]
    text = "\n\n".join([START, *tables, END])
    sys.stdout.write(f"{text}\n")
    if arguments.write:
        page = arguments.write.read_text("utf-8")
        before, rest = page.split(START)
        arguments.write.write_text(before + text + rest.split(END)[1], "utf-8")
    return int(any(each not in documented() for each in tables))


if __name__ == "__main__":
    sys.exit(main())
