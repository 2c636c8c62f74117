"""Counting beside ``wc``, ``grep`` and GoAccess, on the same log in the same run.

    python -m bench.counting [--write]     # --write puts the tables into docs/performance.md

Logs are written to a temporary folder first (bench/loggen.py): about 5 GB for a while.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench import loggen, page

GIGABYTE = 6_700_000
"""Lines of a combined log of about 1 GB."""
GROWTH = (1_000_000, 5_000_000, 20_000_000)
DAY = 1_000_000
"""Lines of one day in them."""
SLICE = 1_000_000
"""Lines for GoAccess, which would take minutes for more; its rate is what is compared."""
ARCHIVES, ARCHIVE_LINES = 50, 100_000
ATTACK = 1_000_000
LONG_LINE = 3_000_000
"""Bytes."""
RUNS = 3
"""Of which the least time is shown: other work on the machine only adds."""
PAIRS = 8
"""Of a dry run and a stored one, at the same time on two cores, so that a change of the machine's
speed meets both."""
PAUSE = 0.01
"""Seconds between two looks at a command's memory."""
PRODUCT = """
product = "bench"
channel = "stable"
releases = ["0.4.9", "0.5.0", "0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["en", "de", "is", "fr"]
"""
First = TypeVar("First")
Second = TypeVar("Second")
COUNT = (sys.executable, "-c", "from mars_server.cli import main; main()", "count")


@dataclass(frozen=True)
class Used:
    """Seconds and megabytes of one command and the processes that it waited for."""

    wall: float
    cpu: float
    memory: float

    def row(self, name: str, lines: int, beside: float) -> str:
        """``beside``: CPU seconds per line of ``grep -c``."""
        rate = lines / self.wall / 1e6
        ratio = self.cpu / lines / beside
        return (
            f"| {name} | {lines / 1e6:.1f} | {self.wall:.2f} | {self.cpu:.2f} | {rate:.2f} "
            f"| {ratio:.1f} | {self.memory:.0f} |"
        )


HEADER = (
    "| command | million lines | wall s | CPU s | million lines/s | CPU, grep = 1 | peak MB |\n"
    "|---|---|---|---|---|---|---|"
)


def measure(*command: object) -> Used:
    """Runs it to the end. Memory is that of the largest single process."""
    begin = time.monotonic()
    peak = 0.0
    # Not into /dev/null: GNU grep would stop at its first match.
    with (
        tempfile.TemporaryFile() as out,
        subprocess.Popen([str(part) for part in command], stdout=out, stderr=out) as process,
    ):
        while True:
            found, status, used = os.wait4(process.pid, os.WNOHANG)
            if found:
                break
            peak = max(peak, *map(high_water, (process.pid, *children(process.pid))))
            time.sleep(PAUSE)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begin
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return Used(wall, used.ru_utime + used.ru_stime, peak)


def high_water(pid: int) -> float:
    """Peak memory in MB of a process so far; ``ru_maxrss`` would hold its parent's."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    lines = (line for line in text.splitlines() if line.startswith("VmHWM:"))
    return next((int(line.split()[1]) / 1024 for line in lines), 0.0)


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def best(*command: object, runs: int = RUNS) -> Used:
    return least([measure(*command) for _ in range(runs)])


def least(runs: Sequence[Used]) -> Used:
    """The least wall and CPU time of some runs, each by itself, and the most memory."""
    return Used(
        min(one.wall for one in runs), min(one.cpu for one in runs), max(one.memory for one in runs)
    )


def added(dry: Sequence[Used], stored: Sequence[Used]) -> str:
    """How much more CPU time the second of each pair took, in per cent of the first."""
    shares = sorted(100 * (two.cpu / one.cpu - 1) for one, two in zip(dry, stored, strict=True))
    return f"{statistics.median(shares):+.0f} % ({shares[0]:+.0f} to {shares[-1]:+.0f} %)"


def at_once(one: Callable[[], First], two: Callable[[], Second]) -> tuple[First, Second]:
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(two)
        return one(), other.result()


@contextmanager
def logs(folder: Path, kind: str, lines: int, days: int = 14) -> Iterator[Path]:
    path = folder / f"{kind}-{lines}.log"
    loggen.write(path, kind, lines, days)
    try:
        yield path
    finally:
        path.unlink()


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.product = folder / "product.toml"
        self.product.write_text(PRODUCT)
        self.out: list[str] = []

    def say(self, text: str) -> None:
        print(text, flush=True)
        self.out.append(text)

    def dry(self, *names: object, jobs: int = 1, runs: int = 2) -> Used:
        told = ("--product", self.product, "--dry-run", "--jobs", jobs)
        return best(*COUNT, *names, *told, runs=runs)

    def stored(self, name: Path) -> Used:
        """Into a database that knows one other log, as every count but the first does."""
        empty, full = self.folder / "known.db", self.folder / "counts.db"
        told = ("--product", self.product, "--db")
        if not empty.exists():
            with logs(self.folder, "own", 1000) as other:
                measure(*COUNT, other, *told, f"sqlite:///{empty}")
        shutil.copyfile(empty, full)
        used = measure(*COUNT, name, *told, f"sqlite:///{full}")
        for path in self.folder.glob("counts.db*"):
            path.unlink()
        return used

    def pairs(self, name: Path) -> tuple[list[Used], list[Used]]:
        """Dry and stored runs, side by side."""
        both = [
            at_once(lambda: self.dry(name, runs=1), lambda: self.stored(name)) for _ in range(PAIRS)
        ]
        return [dry for dry, _ in both], [kept for _, kept in both]

    def side_by_side(self) -> None:
        with logs(self.folder, "combined", GIGABYTE) as log:
            size = log.stat().st_size
            self.say(f"One combined log, {size / 1e9:.2f} GB, 30 % junk and hostile lines:\n")
            self.say(HEADER)
            grep = best("grep", "-c", "GET /motd/motd.json", log)
            beside = grep.cpu / GIGABYTE
            self.say(best("wc", "-l", log).row("`wc -l`", GIGABYTE, beside))
            self.say(grep.row("`grep -c`", GIGABYTE, beside))
            dry, stored = self.pairs(log)
            one, kept = self.dry(log, runs=RUNS), self.stored(log)
            two = self.dry(log, jobs=2, runs=RUNS)
            self.say(one.row("`count --dry-run`", GIGABYTE, beside))
            self.say(two.row("`count --dry-run --jobs 2`", GIGABYTE, beside))
            self.say(kept.row("`count --db` (SQLite)", GIGABYTE, beside))
        goaccess = self.goaccess(beside)
        if goaccess is not None:
            self.say(
                f"\nBeside GoAccess: {GIGABYTE / one.wall * goaccess.wall / SLICE:.0f} × its lines "
                f"a second with one job, {GIGABYTE / two.wall * goaccess.wall / SLICE:.0f} × with "
                f"two; {GIGABYTE / one.cpu * goaccess.cpu / SLICE:.0f} × its lines a CPU second."
            )
        self.say(f"\nTwo jobs are {one.wall / two.wall:.2f} × as fast as one.")
        self.say(
            f"\nA database costs {added(dry, stored)} of a dry run's CPU time (median of {PAIRS} "
            f"pairs, side by side; least and most)."
        )

    def goaccess(self, beside: float) -> Used | None:
        """On a log of ``SLICE`` lines; None where it is not installed."""
        if shutil.which("goaccess") is None:
            self.say("\n(GoAccess is not installed: apt-get install goaccess.)")
            return None
        with logs(self.folder, "combined", SLICE) as log:
            out = self.folder / "report.json"
            told = ("--log-format=COMBINED", "--no-global-config", "--no-progress", "-o", out)
            used = best("goaccess", log, *told, runs=2)
            self.say(used.row("GoAccess (Debian's)", SLICE, beside))
        return used

    def growth(self) -> None:
        with logs(self.folder, "combined", 1) as log:
            start = self.dry(log, runs=10).cpu
        self.say(
            f"\nGrowth, one job: logs of a million lines a day, the short ones counted as often as "
            f"it takes for {GROWTH[-1] // 1_000_000} million lines, at the same time as the long "
            f"one on the other core. A log of one line takes {start:.2f} s of CPU time, which is "
            f"left out.\n"
        )
        self.say(
            "| million lines | CPU µs per line | the long one | ratio | peak MB |\n"
            "|---|---|---|---|---|"
        )
        with logs(self.folder, "combined", GROWTH[-1], GROWTH[-1] // DAY) as long:
            for lines in GROWTH[:-1]:
                with logs(self.folder, "combined", lines, lines // DAY) as log:
                    self._grown(log, lines, long, start)

    def _grown(self, log: Path, lines: int, long: Path, start: float) -> None:
        times = GROWTH[-1] // lines
        few, one = at_once(
            lambda: [self.dry(log, runs=1) for _ in range(times)],
            lambda: [self.dry(long, runs=1)],
        )
        short = sum(each.cpu - start for each in few) / GROWTH[-1]
        beside = (one[0].cpu - start) / GROWTH[-1]
        memory = max(each.memory for each in (*few, *one))
        self.say(
            f"| {lines // 1_000_000} | {1e6 * short:.2f} | {1e6 * beside:.2f} "
            f"| {short / beside:.2f} | {memory:.0f} |"
        )

    def others(self) -> None:
        self.say("\nOther logs, one job:\n")
        self.say("| log | million lines | wall s | CPU s | peak MB |\n|---|---|---|---|---|")
        for kind, lines, what in (
            ("own", 5_000_000, "our own server's"),
            ("json", 1_000_000, "Caddy's JSON"),
            ("distinct", ATTACK, "attack: every query distinct"),
        ):
            with logs(self.folder, kind, lines) as log:
                self._row(what, lines, self.dry(log))
        long = self.folder / "long.log"
        with long.open("wb") as file:
            for _ in range(100):
                file.write(b'1.2.3.4 - - [28/Sep/2026:00:00:00 +0000] "GET /' + b"x" * LONG_LINE)
                file.write(b' HTTP/1.1" 200 1 "-" "-"\n')
        self._row("100 lines of 3 MB", 100, self.dry(long))
        long.unlink()
        archives = self._archives()
        self._row(f"{ARCHIVES} rotated gz files", ARCHIVES * ARCHIVE_LINES, self.dry(archives))
        self._row("the same, two jobs", ARCHIVES * ARCHIVE_LINES, self.dry(archives, jobs=2))
        shutil.rmtree(archives)

    def _archives(self) -> Path:
        folder = self.folder / "archives"
        folder.mkdir()
        for number in range(ARCHIVES):
            content = b"".join(loggen.log("combined", ARCHIVE_LINES, days=1, seed=number))
            (folder / f"access.log.{number}.gz").write_bytes(gzip.compress(content, 6))
        return folder

    def _row(self, what: str, lines: int, used: Used) -> None:
        self.say(
            f"| {what} | {lines / 1e6:.1f} | {used.wall:.2f} | {used.cpu:.2f} | {used.memory:.0f} |"
        )


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(description="Measures counting.")
    parser.add_argument("--write", action="store_true", help="put the tables into the docs")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mars-bench-") as name:
        bench = Bench(Path(name))
        bench.say(f"{page.machine()}.\n")
        bench.side_by_side()
        bench.growth()
        bench.others()
    if options.write:
        page.write("counting", bench.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
