"""Opening spools beside libsodium alone, and into both databases: rates, ratio, memory.

    python -m bench.opening [--write]      # --write puts the table into docs/performance.md

The ratio is of CPU times within one run: each pass over a spool is followed by one in which the
same bodies are opened and nothing else is done, so that the machine's speed meets both.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench import page
from bench.counting import COUNT, Used, measure, times
from mars.factory import system_clock
from mars.wire.query import AllowList
from mars.wire.sealed import opened
from mars_server.common.config import load_catalogue, load_product
from mars_server.counting.count_pass import count_once
from mars_server.counting.executors import here
from mars_server.counting.intake_keys import load_keys
from mars_server.counting.progress import Progress
from mars_server.counting.reports import Opening
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from tests.server.counting import spools
from tests.server.postgres import missing, postgres

PAIRS, EACH = 3, 10_000
"""Passes, and reports in the spool of each."""
MANY = 40_000
"""In the spool that the whole command counts."""


class Bench(page.Told):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.product = spools.product_of(folder)
        self.keys = spools.keys_of(folder, spools.WEEK)
        self.opening = Opening(load_catalogue(self.product), load_keys([self.keys], lambda _: b""))
        self.bodies = spools.many(MANY)

    def one_core(self, name: str, url: str) -> None:
        """Rates on one core, and the ratio to the bare opens."""
        engine = open_database(url)
        pairs = [self._pair(Ledger(engine), number) for number in range(PAIRS)]
        engine.dispose()
        bare, whole = ([pair[at] for pair in pairs] for at in (0, 1))
        total = PAIRS * EACH
        self.say(
            f"| {name} | {total / sum(bare):,.0f} | {total / sum(whole):,.0f} "
            f"| {times(bare, whole)} |"
        )

    def _pair(self, ledger: Ledger, number: int) -> tuple[float, float]:
        part = self.bodies[number * EACH : (number + 1) * EACH]
        path = spools.written(self.folder / "pair.log", spools.spool(part, name=str(number)))
        pair = spools.pair(spools.WEEK)
        bare = cpu(lambda: [opened(body, pair) for body in part])
        whole = cpu(lambda: self._count(ledger, path))
        path.unlink()
        return bare, whole

    def _count(self, ledger: Ledger, path: Path) -> None:
        clock = system_clock()
        allow = AllowList.of(load_product(self.product))
        using = (allow, here, Progress(clock, None), ledger, clock.now)
        found = count_once([str(path)], *using, opening=self.opening)
        if found.reports.counted.total() != EACH:
            raise SystemExit(f"{found.reports.counted.total()} of {EACH} were counted")

    def command(self, name: str, spool: Path, url: str, jobs: int) -> None:
        """The whole command, its start included, into a database that is there already."""
        told = ("--product", self.product, "--keys", self.keys, "--jobs", jobs, "--db", url)
        open_database(url).dispose()
        used: Used = measure(*COUNT, spool, *told)
        rate = MANY / used.cpu
        self.say(
            f"| {name}, {jobs} | {used.wall:.1f} | {used.cpu:.1f} | {rate:,.0f} "
            f"| {used.memory:.0f} |"
        )


def cpu(work: Callable[[], object]) -> float:
    """Seconds of it."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def run(bench: Bench, databases: dict[str, Callable[[], str]]) -> None:
    bench.say(f"{page.machine()}.\n")
    bench.say(
        f"Reports a CPU second, {PAIRS} spools of {EACH:,}; the least and most of a single one:\n"
    )
    bench.say("| into | opened by libsodium alone | counted | CPU, opened alone = 1 |")
    bench.say("|---|---|---|---|")
    for name, new in databases.items():
        bench.one_core(name, new())
    bench.say(f"\n`count` of one spool of {MANY:,} reports, from start to end:\n")
    bench.say("| into, jobs | wall s | CPU s | reports a CPU second | peak MB of a process |")
    bench.say("|---|---|---|---|---|")
    spool = spools.written(bench.folder / "many.log", spools.spool(bench.bodies, name="many"))
    for name, new in databases.items():
        for jobs in (1, 2):
            bench.command(name, spool, new(), jobs)


@contextmanager
def databases(told: page.Told, folder: str) -> Iterator[dict[str, Callable[[], str]]]:
    """What makes a new database of each kind that is here."""
    numbers = count()
    found: dict[str, Callable[[], str]] = {
        "SQLite": lambda: f"sqlite:///{folder}/{next(numbers)}.db"
    }
    if missing() is not None:
        told.say("(PostgreSQL is not installed: apt-get install postgresql.)")
        yield found
        return
    with postgres() as server:
        yield found | {"PostgreSQL": server.new_database}


def measured() -> Bench:
    with tempfile.TemporaryDirectory(prefix="mars-bench-") as name:
        bench = Bench(Path(name))
        with databases(bench, name) as found:
            run(bench, found)
    return bench


def main(arguments: Sequence[str] = ()) -> int:
    return page.main("opening", "the opening of spools", measured, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
