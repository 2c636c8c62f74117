"""Counting beside ``wc``, ``grep`` and GoAccess, on the same log in the same run.

    python -m bench.counting [--write]     # --write puts the tables into docs/performance.md

Logs are written to a temporary folder first (bench/loggen.py): about 5 GB for a while.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
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
"""Of runs that are compared with each other. Where CPU time is compared, both share one core: the
kernel alternates them every few milliseconds, so that a change of the machine's speed meets both.
Where wall time is compared, they take short turns."""
TURN = 0.05
"""Seconds for which a command runs before it is another's turn, where wall time is compared."""
PAUSE = 0.01
"""Seconds between two looks at a command's memory."""
PRODUCT = """
product = "bench"
channel = "stable"
releases = ["0.4.9", "0.5.0", "0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["en", "de", "is", "fr"]
"""
Result = TypeVar("Result")
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


def measure(*command: object, core: int | None = None) -> Used:
    """Runs it to the end, on ``core`` alone if one is given. Memory is that of the largest single
    process."""
    begin = time.monotonic()
    peak = 0.0
    # Not into /dev/null: GNU grep would stop at its first match.
    with (
        tempfile.TemporaryFile() as out,
        subprocess.Popen([str(part) for part in command], stdout=out, stderr=out) as process,
    ):
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
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


def times(ones: Sequence[float], others: Sequence[float]) -> str:
    """How much the second of each pair takes beside the first: over all, and the least and most."""
    ratios = sorted(other / one for one, other in zip(ones, others, strict=True))
    return f"{sum(others) / sum(ones):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def in_turns(*commands: Sequence[object]) -> list[float]:
    """Wall time of each, in seconds: only one of them runs at any time, the others are stopped,
    and they change places every ``TURN``, so that a change of the machine's speed meets all."""
    told = [[str(part) for part in command] for command in commands]
    spent = [0.0] * len(told)
    with ExitStack() as stack:
        running = {
            at: stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
            )
            for at, command in enumerate(told)
        }
        for process in running.values():
            os.killpg(process.pid, signal.SIGSTOP)
        while running:
            for at, process in tuple(running.items()):
                begin = time.monotonic()
                os.killpg(process.pid, signal.SIGCONT)
                with suppress(subprocess.TimeoutExpired):
                    if process.wait(TURN) != 0:
                        raise SystemExit(f"{told[at][0]} failed with {process.returncode}")
                    del running[at]
                if at in running:
                    os.killpg(process.pid, signal.SIGSTOP)
                spent[at] += time.monotonic() - begin
    return spent


def sharing(one: Callable[[int], Result], two: Callable[[int], Result]) -> list[list[Result]]:
    """What both find on each core, at the same time, all cores at once: ``[[one, two], …]``."""
    cores = sorted(os.sched_getaffinity(0))
    with ThreadPoolExecutor(2 * len(cores)) as pool:
        started = [[pool.submit(each, core) for each in (one, two)] for core in cores]
        return [[future.result() for future in pair] for pair in started]


@contextmanager
def logs(folder: Path, kind: str, lines: int, days: int = 14) -> Iterator[Path]:
    path = folder / f"{kind}-{lines}.log"
    loggen.write(path, kind, lines, days)
    try:
        yield path
    finally:
        path.unlink()


class Bench(page.Told):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.product = folder / "product.toml"
        self.product.write_text(PRODUCT)
        self.known = folder / "known.db"

    def counting(self, name: Path, jobs: int) -> tuple[object, ...]:
        return (*COUNT, name, "--product", self.product, "--dry-run", "--jobs", jobs)

    def dry(self, name: Path, *, jobs: int = 1, core: int | None = None) -> Used:
        return measure(*self.counting(name, jobs), core=core)

    def know(self) -> None:
        """Makes the database that knows another log."""
        with logs(self.folder, "own", 1000) as other:
            measure(*COUNT, other, "--product", self.product, "--db", f"sqlite:///{self.known}")

    def stored(self, name: Path, *, core: int | None = None) -> Used:
        """Into a database that knows one other log, as every count but the first does."""
        told = ("--product", self.product, "--db")
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            full = Path(folder, "counts.db")
            shutil.copyfile(self.known, full)
            return measure(*COUNT, name, *told, f"sqlite:///{full}", core=core)

    def side_by_side(self) -> None:
        with logs(self.folder, "combined", GIGABYTE) as log:
            size = log.stat().st_size
            self.say(f"One combined log, {size / 1e9:.2f} GB, 30 % junk and hostile lines:\n")
            self.say(HEADER)
            grep = best("grep", "-c", "GET /motd/motd.json", log)
            beside = grep.cpu / GIGABYTE
            self.say(best("wc", "-l", log).row("`wc -l`", GIGABYTE, beside))
            self.say(grep.row("`grep -c`", GIGABYTE, beside))
            one, two = (least([self.dry(log, jobs=jobs) for _ in range(RUNS)]) for jobs in (1, 2))
            self.say(one.row("`count --dry-run`", GIGABYTE, beside))
            self.say(two.row("`count --dry-run --jobs 2`", GIGABYTE, beside))
            self.know()
            self.say(self.stored(log).row("`count --db` (SQLite)", GIGABYTE, beside))
            kept = self.kept(log)
            turns = [in_turns(self.counting(log, 1), self.counting(log, 2)) for _ in range(PAIRS)]
        goaccess = self.goaccess(beside)
        if goaccess is not None:
            self.say(
                f"\nBeside GoAccess: {GIGABYTE / one.wall * goaccess.wall / SLICE:.0f} × its lines "
                f"a second with one job, {GIGABYTE / two.wall * goaccess.wall / SLICE:.0f} × with "
                f"two; {GIGABYTE / one.cpu * goaccess.cpu / SLICE:.0f} × its lines a CPU second."
            )
        faster = times([two for _, two in turns], [one for one, _ in turns])
        self.say(
            f"\nWall time of one job, two jobs = 1: {faster}; over {PAIRS} pairs in turns of "
            f"{TURN} s, and the least and most of a single pair."
        )
        self.say(
            f"\nCPU time with a database, without = 1: {kept}; over {PAIRS} pairs, each on one "
            "core, and the least and most of a single pair."
        )

    def kept(self, log: Path) -> str:
        """CPU time of a count into a database beside a dry run."""
        pairs: list[list[Used]] = []
        while len(pairs) < PAIRS:
            pairs += sharing(
                lambda core: self.dry(log, core=core), lambda core: self.stored(log, core=core)
            )
        return times([dry.cpu for dry, _ in pairs], [stored.cpu for _, stored in pairs])

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
        million = 1_000_000
        self.say(
            f"\nGrowth, one job: logs of a million lines a day. The short one is counted as often "
            f"as it takes for {GROWTH[-1] // million} million lines, while the long one is counted "
            "on the same core. The start is what a log of one line takes there. The last column "
            "is the short one's cost of a line, start left out, beside the long one's; the least "
            "and most of each core.\n"
        )
        self.say(
            "| million lines | CPU µs per line | long | start, s | with start, long = 1 "
            "| without, long = 1 | peak MB |\n|---|---|---|---|---|---|---|"
        )
        with (
            logs(self.folder, "combined", 1) as tiny,
            logs(self.folder, "combined", GROWTH[-1], GROWTH[-1] // DAY) as long,
        ):
            for lines in GROWTH[:-1]:
                with logs(self.folder, "combined", lines, lines // DAY) as log:
                    self._grown(log, lines, long, tiny)

    def _grown(self, log: Path, lines: int, long: Path, tiny: Path) -> None:
        """Each short run is followed by one of a single line, so that both meet the same speed."""
        often = range(GROWTH[-1] // lines)
        found = sharing(
            lambda core: [[self.dry(name, core=core) for name in (log, tiny)] for _ in often],
            lambda core: [[self.dry(long, core=core)]],
        )
        short = [sum(full.cpu for full, _ in runs) for runs, _ in found]
        start = [sum(one.cpu for _, one in runs) for runs, _ in found]
        whole = [runs[0][0].cpu for _, runs in found]
        lines_cost = [full - one for full, one in zip(short, start, strict=True)]
        long_cost = [full - one / len(often) for full, one in zip(whole, start, strict=True)]
        memory = max(full.memory for runs, (one,) in found for full, *_ in (*runs, one))
        per_line = 1e6 / GROWTH[-1] / len(found)
        self.say(
            f"| {lines // 1_000_000} | {sum(short) * per_line:.2f} | {sum(whole) * per_line:.2f} "
            f"| {sum(start) / len(found) / len(often):.2f} | {times(whole, short)} "
            f"| {times(long_cost, lines_cost)} | {memory:.0f} |"
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
                self._row(what, lines, self.twice(log))
        long = self.folder / "long.log"
        with long.open("wb") as file:
            for _ in range(100):
                file.write(b'1.2.3.4 - - [28/Sep/2026:00:00:00 +0000] "GET /' + b"x" * LONG_LINE)
                file.write(b' HTTP/1.1" 200 1 "-" "-"\n')
        self._row("100 lines of 3 MB", 100, self.twice(long))
        long.unlink()
        archives = self._archives()
        self._row(f"{ARCHIVES} rotated gz files", ARCHIVES * ARCHIVE_LINES, self.twice(archives))
        self._row("the same, two jobs", ARCHIVES * ARCHIVE_LINES, self.twice(archives, jobs=2))
        shutil.rmtree(archives)

    def twice(self, name: Path, jobs: int = 1) -> Used:
        return least([self.dry(name, jobs=jobs) for _ in range(2)])

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


def measured() -> Bench:
    with tempfile.TemporaryDirectory(prefix="mars-bench-") as name:
        bench = Bench(Path(name))
        bench.say(f"{page.machine()}.\n")
        bench.side_by_side()
        bench.growth()
        bench.others()
    return bench


def main(arguments: Sequence[str] = ()) -> int:
    return page.main("counting", "counting", measured, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
