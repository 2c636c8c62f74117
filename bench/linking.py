"""How many next requests can be linked, by the number of installations, and what it costs.

    make bench ARGS=linking

Everything is seeded: the same program writes the same figures, so they go straight into
docs/privacy.md. ``testbed.linking`` is the attacker. Then ``bench.reports``, of what is sent beside
the news.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain

import numpy as np

from bench import page, reports
from mars.testing.memory import SeededChance
from testbed.linking import held, operator, price, settings, tracks, trial
from testbed.linking.attack import joint
from testbed.linking.evidence import Evidence
from testbed.linking.law import Law
from testbed.linking.trial import (
    COLUMNS,
    MUCH,
    SILENCE,
    TRACKED,
    Job,
    attacked,
    heading,
    jobs,
    line,
    percent,
    row,
    with_error,
)

SIZES = (10, 20, 50, 100, 166, 167, 300, 1_000, 1_666, 1_667, 3_000, 10_000, 100_000)
"""Installations: the first three are too few for the limit; 166 and 167, 1,666 and 1,667 are the
last before and the first with a change of what a request says."""
EDGES = (100, 167, 1_667)
"""Where each rule is at its worst."""
LATER = (334, 3_334)
"""Of twice as many tracked installations as each rule asks for."""
WEIGHED = 2_400
"""Installations of all records of one figure together, but for the largest."""
MOST = trial.COLUMNS[6]
"""The rule that says too much, in words."""
ROUNDS = 4
"""Of remembering tracks."""
SETTLING = 8
"""Rounds from the truth."""
OPERATED_WEEKS = 8
"""Fewer than after which a client to which nothing came asks for the chain of keys."""
HELD_WEEKS = 12
MARKED = 12
"""Records in which a document is held back."""


def number(size: int) -> int:
    """Records for one figure of so many installations."""
    return max(1, round(WEIGHED / size))


def main_table(run: page.Run) -> Iterator[str]:
    """Linking by the number of installations."""
    wanted = list(chain.from_iterable(jobs(size, number(size)) for size in SIZES))
    wanted.sort(key=lambda job: -job.size)
    found = dict(zip(wanted, run(attacked, wanted), strict=True))
    yield from heading(*COLUMNS)
    for size in SIZES:
        yield row(size, number(size), found.__getitem__)


def first_table(run: page.Run) -> Iterator[str]:
    """The first record alone, which the tests make again."""
    rules = (TRACKED, SILENCE, MUCH)
    wanted = [Job(settings.tracked(size), rule, 0) for size in EDGES[:2] for rule in rules]
    found = dict(zip(wanted, run(attacked, wanted), strict=True))
    yield from heading("installations", "seed 0: linked right", "by time alone", MOST)
    for size in EDGES[:2]:
        cells = [found[Job(settings.tracked(size), rule, 0)] for rule in rules]
        yield line(f"{size:,}", *[percent(100 * cell.right) for cell in cells])


def adoption_table(run: page.Run) -> Iterator[str]:
    """The same where updates spread slowly."""
    sizes = (*EDGES, *LATER)
    wanted = {size: [_slow(size, seed) for seed in range(number(size))] for size in sorted(sizes)}
    every = list(chain.from_iterable(wanted.values()))
    found = dict(zip(every, run(attacked, every), strict=True))
    yield from heading("installations", "tracked", "linked right, if 54 % have the newest release")
    for size, some in wanted.items():
        tracked = f"{settings.tracked(size):,}"
        yield line(f"{size:,}", tracked, with_error([found[job] for job in some]))


def _slow(size: int, seed: int) -> Job:
    usual = jobs(size, 1)[0]
    return replace(usual, seed=seed, adoption=settings.SLOW_ADOPTION)


def memory_table(run: page.Run) -> Iterator[str]:
    """An attacker who remembers, and one who was told the truth."""
    wanted = [
        Job(settings.tracked(size), rule, seed)
        for size in EDGES[:2]
        for rule in (TRACKED, MUCH)
        for seed in range(4)
    ]
    found = dict(zip(wanted, run(_remembered, wanted), strict=True))
    told = "told all true links, one round later", f"{SETTLING} rounds later"
    ways = "linked right by pairs alone", "with a memory of tracks"
    yield from heading("installations", "a request says", *ways, *told)
    for size in EDGES[:2]:
        for rule, says in ((TRACKED, "as above"), (MUCH, MOST)):
            rows = [
                found[job]
                for job in wanted
                if (job.size, job.rule) == (settings.tracked(size), rule)
            ]
            figures = [percent(100 * one) for one in np.mean(rows, 0)]
            yield line(f"{size:,}", says, *figures)


def _remembered(job: Job) -> list[float]:
    evidence = job.evidence()
    forward = tracks.remembered(evidence, ROUNDS)
    told = tracks.remembered(evidence, SETTLING + 1, from_truth=True)
    return [links.right for links in (forward[0], forward[-1], told[1], told[-1])]


def operator_table(
    run: page.Run,
) -> Iterator[str]:
    """Real clients that ask an honest server, and one that answers each circuit differently."""
    servers = (operator.Honest, operator.Hostile)
    wanted = [(settings.tracked(size), server) for size in EDGES[:2] for server in servers]
    found = dict(zip(wanted, run(_operated, wanted), strict=True))
    same = "the same requests, to byte and second"
    yield from heading("installations", "honest server", "hostile server", "by time alone", same)
    for size in EDGES[:2]:
        (asked, one), (again, other) = (found[settings.tracked(size), server] for server in servers)
        alone = attacked(Job(settings.tracked(size), SILENCE, 1, weeks=OPERATED_WEEKS)).right
        figures = [percent(100 * right) for right in (one, other, alone)]
        yield line(f"{size:,}", *figures, "yes" if asked == again else "no")


def _operated(asked: tuple[int, type[operator.Honest]]) -> tuple[bytes, float]:
    size, server = asked
    plan = settings.plan(size, weeks=OPERATED_WEEKS)
    arrived = operator.arrivals(plan, 1, server, size)
    traffic = operator.traffic(plan, 1, size, arrived)
    return repr(arrived).encode(), joint(Evidence(Law(plan, traffic.rule), traffic)).right


def held_table(run: page.Run) -> Iterator[str]:
    """A steering document that is held back."""
    every = "linked right of all, kept from nobody", "kept from half"
    one = "linked right of one, kept from nobody", "kept from this one alone"
    yield from heading("installations", *every, *one)
    for size in EDGES[:2]:
        some = settings.tracked(size)
        wanted = [Job(some, TRACKED, seed, weeks=HELD_WEEKS) for seed in range(MARKED)]
        figures = [percent(100 * one) for one in np.mean(run(_held, wanted), 0)]
        yield line(f"{size:,}", *figures)


def _held(job: Job) -> list[float]:
    evidence, chance = job.evidence(), SeededChance(job.seed)
    everyone = np.unique(evidence.traffic.owner)
    half = held.some(evidence.traffic, job.size // 2, chance)
    one = held.some(evidence.traffic, 1, chance)
    return [*held.right(evidence, half, everyone), *held.right(evidence, one, one)]


def price_table(run: page.Run) -> Iterator[str]:
    """Errors of weekly shares, in points, and weeks that make up for them."""
    wanted = [(size, rule) for size in EDGES for rule in (TRACKED, MUCH)]
    found = dict(zip(wanted, run(_errors, wanted), strict=True))
    error = "error, points", MOST, "weeks to pool"
    yield from heading("installations", "share of", *error)
    for size in EDGES:
        for of in price.SHARES:
            now, before = found[size, TRACKED][of], found[size, MUCH][of]
            weeks = price.weeks_to_pool(now, before)
            yield line(f"{size:,}", of, f"{now:.1f}", f"{before:.1f}", str(weeks))


def _errors(asked: tuple[int, str]) -> dict[str, float]:
    size, rule = asked
    some = settings.tracked(size)
    return dict(price.errors([Job(some, rule, seed).record() for seed in range(number(size))]))


TABLES = (
    main_table,
    first_table,
    adoption_table,
    memory_table,
    operator_table,
    held_table,
    price_table,
)


def report(run: page.Run) -> Iterator[str]:
    """All tables, one after the other, as they are done."""
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    yield f"Measured on {day} with the seeds 0, 1, 2 and so on; per cent, but for the last table."
    for table in TABLES:
        yield ""
        yield from table(run)


def main() -> int:
    """Prints the tables, and writes them where they stand in the docs."""
    page.simulated("linking", report)
    return reports.main()


if __name__ == "__main__":
    sys.exit(main())
