"""Counting beside ``wc``, ``grep`` and GoAccess, on the same log in the same run.

    python -m bench.counting [--write]     # --write puts the tables into docs/performance.md

Logs are written to a temporary folder first (bench/loggen.py): about 5 GB for a while.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import loggen

PAGE = Path(__file__).parent.parent / "docs/performance.md"
BEGIN, END = "<!-- counting: begin -->", "<!-- counting: end -->"
GIGABYTE = 6_700_000
"""Lines of a combined log of about 1 GB."""
GROWTH = (1_000_000, 5_000_000, 20_000_000)
SLICE = 1_000_000
"""Lines for GoAccess, which would take minutes for more; its rate is what is compared."""
ARCHIVES, ARCHIVE_LINES = 50, 100_000
ATTACK = 1_000_000
LONG_LINE = 3_000_000
"""Bytes."""
RUNS = 3
"""Of which the fastest is shown: other work on the machine only adds."""
PRODUCT = """
product = "bench"
channel = "stable"
releases = ["0.4.9", "0.5.0", "0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["en", "de", "is", "fr"]
"""
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
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - begin
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed with {process.returncode}")
    return Used(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def best(*command: object, runs: int = RUNS) -> Used:
    return min((measure(*command) for _ in range(runs)), key=lambda used: used.cpu)


@contextmanager
def logs(folder: Path, kind: str, lines: int) -> Iterator[Path]:
    path = folder / f"{kind}-{lines}.log"
    loggen.write(path, kind, lines)
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
        self.databases = 0

    def say(self, text: str) -> None:
        print(text, flush=True)
        self.out.append(text)

    def dry(self, *names: object, jobs: int = 1, runs: int = 2) -> Used:
        told = ("--product", self.product, "--dry-run", "--jobs", jobs)
        return best(*COUNT, *names, *told, runs=runs)

    def stored(self, name: Path) -> Used:
        """Into a new database each time, as the first count does."""
        runs = []
        for _ in range(RUNS):
            self.databases += 1
            url = f"sqlite:///{self.folder}/{self.databases}.db"
            runs.append(measure(*COUNT, name, "--product", self.product, "--db", url))
        return min(runs, key=lambda used: used.cpu)

    def side_by_side(self) -> None:
        with logs(self.folder, "combined", GIGABYTE) as log:
            size = log.stat().st_size
            self.say(f"One combined log, {size / 1e9:.2f} GB, 30 % junk and hostile lines:\n")
            self.say(HEADER)
            grep = best("grep", "-c", "GET /motd/motd.json", log)
            beside = grep.cpu / GIGABYTE
            self.say(best("wc", "-l", log).row("`wc -l`", GIGABYTE, beside))
            self.say(grep.row("`grep -c`", GIGABYTE, beside))
            one = self.dry(log, runs=RUNS)
            two = min((self.dry(log, jobs=2, runs=1) for _ in range(RUNS)), key=lambda u: u.wall)
            kept = self.stored(log)
            self.say(one.row("`count --dry-run`", GIGABYTE, beside))
            self.say(two.row("`count --dry-run --jobs 2`", GIGABYTE, beside))
            self.say(kept.row("`count --db` (SQLite)", GIGABYTE, beside))
        goaccess = self.goaccess(beside)
        if goaccess is not None:
            one_rate, two_rate = GIGABYTE / one.wall, GIGABYTE / two.wall
            self.say(
                f"\nBeside GoAccess: {one_rate / goaccess:.0f} × its lines a second with one job, "
                f"{two_rate / goaccess:.0f} × with two."
            )
        self.say(
            f"\nTwo jobs are {one.wall / two.wall:.2f} × as fast as one. A database costs "
            f"{100 * (kept.cpu / one.cpu - 1):.0f} % more CPU time than a dry run."
        )

    def goaccess(self, beside: float) -> float | None:
        """Lines a second; None where it is not installed."""
        if shutil.which("goaccess") is None:
            self.say("\n(GoAccess is not installed: apt-get install goaccess.)")
            return None
        with logs(self.folder, "combined", SLICE) as log:
            out = self.folder / "report.json"
            told = ("--log-format=COMBINED", "--no-global-config", "--no-progress", "-o", out)
            used = measure("goaccess", log, *told)
            self.say(used.row("GoAccess (Debian's)", SLICE, beside))
        return SLICE / used.wall

    def growth(self) -> None:
        self.say("\nGrowth, one job:\n")
        self.say(
            "| million lines | wall s | CPU s | CPU µs per line | peak MB |\n|---|---|---|---|---|"
        )
        for lines in GROWTH:
            with logs(self.folder, "combined", lines) as log:
                used = self.dry(log, runs=2 if lines < GROWTH[-1] else 1)
            self.say(
                f"| {lines // 1_000_000} | {used.wall:.2f} | {used.cpu:.2f} "
                f"| {1e6 * used.cpu / lines:.2f} | {used.memory:.0f} |"
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
        bench.side_by_side()
        bench.growth()
        bench.others()
    if options.write:
        write(bench.out)
    return 0


def write(lines: Sequence[str]) -> None:
    """Replaces what stands between the two marks of docs/performance.md."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}"
    table = "\n".join(lines)
    PAGE.write_text(f"{before}{BEGIN}\n{machine}.\n\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
