"""The intake under load: reports beside MOTD answers of the same server, in the same run.

    python -m bench.intake [--write]     # --write puts the tables into docs/performance.md

``wrk`` for the peak, in turns; for the steady rate the open loop of bench/load.py. Then on until a
million reports are kept, for the memory, and the end of the server, which sorts them. Each report
is another: random bytes behind a number. About four minutes.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from bench import page
from bench.serving import CONNECTIONS, Bench, Peak, cpu, ran, steady
from mars.wire.sealed import LARGE, SMALL
from tests.server.serving import kit

ROUNDS, SECONDS = 3, 5
"""Of each peak."""
RATE, STEADY_SECONDS = 1_000, 20
LEAST = 5_000
"""Reports a second of one process beside wrk."""
P99_LIMIT = 20.0
"""Milliseconds at ``RATE``."""
MILLION = 1_000_000
GROWTH_LIMIT = 1.05
ROOM_TO_SORT = 100_000_000
"""Bytes that the end may take more, however many reports there are."""
SCRIPT = """
local tail = io.open("{tail}", "rb"):read("*a")
local fields = {{ ["Content-Type"] = "application/octet-stream" {close} }}
local n, thread = 0, "{name}"
request = function()
  n = n + 1
  return wrk.format("POST", "/motd/in", fields, thread .. string.format("%012d", n) .. tail)
end
"""
SHAPES: tuple[tuple[str, int, bool], ...] = (
    ("of 1,024 bytes, connections kept", SMALL, False),
    ("of 1,024 bytes, a connection for each", SMALL, True),
    ("of 16,384 bytes, connections kept", LARGE, False),
)
"""Name, bytes, whether each asks to close."""


@contextmanager
def script(name: str, size: int, close: bool) -> Iterator[Path]:
    """Of ``wrk``; ``name`` (4 characters) begins its reports."""
    with tempfile.TemporaryDirectory(prefix="mars-bench-") as folder:
        tail = Path(folder) / "tail"
        tail.write_bytes(random.Random(name).randbytes(size - len(name) - 12))
        file = Path(folder) / "post.lua"
        field = ', ["Connection"] = "close"' if close else ""
        file.write_text(SCRIPT.format(tail=tail, close=field, name=name))
        yield file


def peak(port: int, seconds: int, lua: Path | None = None, pid: int = 0) -> Peak:
    """What ``wrk`` saw of reports, without ``lua`` of MOTD answers."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    command += ["-s", str(lua)] if lua else []
    before = cpu(pid)
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/motd/motd.json?v=0.5.2"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    p99, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", text)[0]
    requests = int(re.findall(r"(\d+) requests in", text)[0])
    return Peak(
        rate=float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]),
        p99=float(p99) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit],
        requests=requests,
        bad="Non-2xx" in text or "Socket errors" in text,
        cpu=1e6 * (cpu(pid) - before) / max(1, requests),
    )


def resident(pid: int) -> int:
    """Bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def most_resident(pid: int) -> int:
    """Bytes that it had at most so far."""
    text = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(re.findall(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE)[0])


class Intake(Bench):
    """Counts what was posted, by wrk and by the open loop."""

    runs = 0
    """Of wrk, each of which leaves answers unread at its end."""

    def run(self) -> None:
        self.say(f"{page.machine()} when this began.\n")
        with kit.served(spool=True) as server:
            self.pid = server.process.pid
            shares = self.reports(server)
            self.say("\nLimits:\n")
            self.rates(shares, steady(server.port, STEADY_SECONDS, RATE, "reports"))
            self.memory(server)
            self.lines(server)

    def post(self, server: kit.Served, name: str, size: int, close: bool, seconds: int) -> Peak:
        with script(name, size, close) as lua:
            found = peak(server.port, seconds, lua, self.pid)
        self.answered += found.requests
        self.runs += 1
        if found.bad:
            self.failed.append("wrk saw errors")
        return found

    def reports(self, server: kit.Served) -> list[float]:
        """Reports a second, of each shape."""
        self.say(
            f"The most that {CONNECTIONS} connections get of one process, {ROUNDS} rounds in turn "
            f"of {SECONDS} s, the one in the middle; the share is that of MOTD answers in the same "
            "round:\n"
        )
        self.say("| reports | reports/s | share | p99 ms | CPU µs each |\n|---|---|---|---|---|")
        found = []
        for number, (what, size, close) in enumerate(SHAPES):
            rounds = []
            for turn in range(ROUNDS):
                motd = peak(server.port, SECONDS)
                rounds.append((motd, self.post(server, f"{number}{turn}--", size, close, SECONDS)))
            share = median(own.rate / motd.rate for motd, own in rounds)
            own = sorted((own for _, own in rounds), key=lambda one: one.rate)[ROUNDS // 2]
            self.say(f"| {what} | {own.rate:,.0f} | {share:.0%} | {own.p99:.1f} | {own.cpu:.0f} |")
            found.append(own.rate)
        return found

    def rates(self, rates: list[float], calm: dict[str, float]) -> None:
        self.answered += int(calm["answers"])
        self.hold(
            f"{rates[0]:,.0f} reports a second beside wrk, at least {LEAST:,}", rates[0] >= LEAST
        )
        self.hold(
            f"p99 {calm['p99']:.1f} ms at {RATE:,} reports a second, each on a connection of its "
            f"own, below {P99_LIMIT:.0f} ms; {calm['lost']:.0f} lost",
            calm["p99"] < P99_LIMIT and not calm["lost"],
        )

    def memory(self, server: kit.Served) -> None:
        first, turn = resident(self.pid), 0
        while self.answered < MILLION:
            self.post(server, f"m{turn:03}", SMALL, False, SECONDS)
            turn += 1
        last = resident(self.pid)
        self.hold(
            f"{first / 1e6:.1f} MB before, {last / 1e6:.1f} MB after {self.answered:,} reports",
            last < GROWTH_LIMIT * first,
        )

    def lines(self, server: kit.Served) -> None:
        """Ends the server, and looks at its spool as it writes it."""
        before = most_resident(self.pid)
        begun, most = time.monotonic(), before
        server.process.terminate()
        while server.process.poll() is None:
            try:
                most = max(most, most_resident(self.pid))
            except (OSError, IndexError):
                break
            time.sleep(0.1)
        server.process.wait()
        lines, torn, ordered = spooled(server.spools)
        surplus = lines - self.answered
        self.hold(
            f"sorted in {time.monotonic() - begun:.0f} s with {(most - before) / 1e6:.1f} MB more",
            most - before < ROOM_TO_SORT,
        )
        self.hold(
            f"one line for each answer: {self.answered:,} answers seen, {lines:,} lines "
            f"(+{surplus}: under way when wrk stopped), {torn} torn, in order",
            0 <= surplus <= CONNECTIONS * self.runs and not torn and ordered,
        )


def spooled(folder: Path) -> tuple[int, int, bool]:
    """Lines of reports in closed spools, those that are none, and whether they are sorted."""
    sizes = {4 * -(-size // 3) + 1 for size in (SMALL, LARGE)}
    lines = torn = 0
    ordered = True
    for path in folder.glob("*.log"):
        before = b""
        with path.open("rb") as file:
            next(file)
            for line in file:
                lines += 1
                torn += len(line) not in sizes
                ordered &= before <= line
                before = line
    return lines, torn, ordered


def main(arguments: Sequence[str] = ()) -> int:
    """Returns 1 where a limit is not met."""
    return page.main("intake", "the intake", partial(ran, Intake), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
