"""The server under load, beside nginx with the same file and an equivalent log, in the same run.

    python -m bench.serving [--write]     # --write puts the tables into docs/performance.md

``wrk`` for the peak, in turns; for the steady rate an open loop of our own (bench/load.py), so that
waiting shows in the latencies. About two and a half minutes.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from bench import page
from tests.server.serving import kit

ROUNDS, SECONDS = 3, 6
"""Of each peak; the share is that of the round in the middle."""
STEADY_SECONDS = 20
RATE = 1781
"""Requests per second of a billion installations that fetch every 3 to 10 days."""
P99_LIMIT = 50.0
"""Milliseconds."""
SHARE_LIMIT = 0.25
CROWD = 2000
CROWD_LIMIT = 2.0
CONNECTIONS = 64
SHAPES: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("connections kept", (), ROUNDS),
    ("one connection for each request", ("Connection: close",), ROUNDS),
    ("the same with a field that clients never send", ("Connection: close", "X-Other: a"), 1),
)
"""Name, fields, rounds. The last goes the long way, through aiohttp; there is no limit for it."""
TARGET = "/motd/motd.json?v=0.5.2&os=linux&ia=100"
TICK = 0.01
"""Seconds; USER_HZ of Linux."""
NGINX = """worker_processes 1; daemon off; pid {folder}/pid; error_log /dev/null crit;
events {{ worker_connections 4096; }}
http {{
  map $time_local $day {{ "~^(?<d>[^:]+):" "$d:00:00:00 +0000"; }}
  log_format mars '- - - [$day] "$request_method $uri$is_args$args HTTP/1.1" $status '
                  '$body_bytes_sent "-" "-"';
  server {{ listen 127.0.0.1:{port} backlog=4096; access_log {folder}/access.log mars;
    root {folder}/www; etag off; default_type application/json; types {{ }}
    add_header Cache-Control no-store; add_header Last-Modified ""; }}
}}
"""
LINE = re.compile(rb'- - - \[[^]]+\] "GET /motd/motd\.json[^" ]* HTTP/1\.1" (\d{3}) \d+ "-" "-"\n')


@dataclass(frozen=True)
class Peak:
    """What ``wrk`` saw. ``cpu``: microseconds of the server for each answer."""

    rate: float
    p99: float
    requests: int
    bad: bool
    cpu: float = 0.0


@contextmanager
def nginx(body: bytes) -> Iterator[tuple[int, Path]]:
    """Port and log of an nginx that serves ``body``."""
    folder = Path(tempfile.mkdtemp(prefix="mars-bench-"))
    folder.chmod(0o755)
    port = _free_port()
    (folder / "www/motd").mkdir(parents=True)
    (folder / "www/motd/motd.json").write_bytes(body)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], stderr=-3)
    try:
        time.sleep(0.5)
        yield port, folder / "access.log"
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def peak(port: int, *fields: str, pid: int = 0) -> Peak:
    """As many requests as come back at once, on 64 connections; ``pid``: whose CPU time to tell."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    for field in fields:
        command += ["-H", field]
    before = cpu(pid)
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{TARGET}"], capture_output=True, text=True, check=True
    ).stdout
    p99, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", text)[0]
    requests = int(re.findall(r"(\d+) requests in", text)[0])
    return Peak(
        rate=float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]),
        p99=float(p99) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit],
        requests=requests,
        bad="Non-2xx" in text or "Socket errors" in text,
        cpu=1e6 * (cpu(pid) - before) / max(1, requests),
    )


def cpu(pid: int) -> float:
    """Seconds that a process has used; 0 for pid 0."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return TICK * (int(fields[11]) + int(fields[12]))


def steady(
    port: int, seconds: int = STEADY_SECONDS, rate: int = RATE, what: str = "news"
) -> dict[str, float]:
    """What ``bench.load`` reports, in milliseconds."""
    numbers = map(str, (port, rate, seconds))
    command = [sys.executable, "-m", "bench.load", "steady", *numbers, what]
    text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, float] = json.loads(text)
    return found


@contextmanager
def crowd(port: int, count: int = CROWD) -> Iterator[None]:
    """That many idle and slow connections; those that the server ends are replaced."""
    command = [sys.executable, "-m", "bench.load", "crowd", str(port), str(count)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.stdin.close()
            process.stdout.close()


@dataclass
class Log:
    """What stands in closed generations."""

    complete: int = 0
    torn: int = 0
    ordered: bool = True

    def read(self, folder: Path) -> Log:
        for path in folder.glob("*.log"):
            before = b""
            with path.open("rb") as lines:
                for line in lines:
                    if line.startswith(b"#"):
                        continue
                    found = LINE.fullmatch(line)
                    self.torn += found is None
                    self.complete += found is not None and found[1] == b"200"
                    self.ordered &= before <= line
                    before = line
        return self


class Bench(page.Told):
    def __init__(self) -> None:
        super().__init__()
        self.answered = 0

    def run(self) -> None:
        self.say(f"{page.machine()} when this began.\n")
        body = kit.document(news="x" * 900)
        with kit.served(motd_file=body) as ours, nginx(body) as (port, nginx_log):
            shares = self.peaks(ours, port)
            alone, crowded = self.latencies(ours)
            log, theirs = self.logs(ours, nginx_log)
        self.say("\nLimits:\n")
        for name, share in list(shares.items())[:2]:
            self.hold(
                f"{name}: {share:.0%} of nginx, at least {SHARE_LIMIT:.0%}", share >= SHARE_LIMIT
            )
        self.hold(
            f"p99 {alone['p99']:.1f} ms at {RATE:,} requests a second, below {P99_LIMIT:.0f} ms",
            alone["p99"] < P99_LIMIT,
        )
        growth = crowded["p99"] / alone["p99"]
        self.hold(
            f"p99 beside {CROWD:,} idle and slow connections {growth:.2f} × that alone, "
            f"at most {CROWD_LIMIT:.0f} ×",
            growth <= CROWD_LIMIT,
        )
        self.hold(f"every request answered ({self.lost:,.0f} lost)", not self.lost)
        surplus = log.complete - self.answered
        self.hold(
            f"one line for each answer: {self.answered:,} answers seen, {log.complete:,} lines "
            f"(+{surplus}: under way when wrk stopped); nginx {theirs:+} in the same way",
            0 <= surplus <= CONNECTIONS * sum(times for _, _, times in SHAPES),
        )
        self.hold(f"{log.torn} torn lines, the closed log sorted", not log.torn and log.ordered)

    def peaks(self, ours: kit.Served, port: int) -> dict[str, float]:
        """Shares of nginx, by name."""
        self.say(
            f"The most that {CONNECTIONS} connections get, one process each, {ROUNDS} rounds in "
            f"turn of {SECONDS} s, the one in the middle:\n"
        )
        self.say(
            "| | requests/s | nginx | share | p99 ms | nginx | CPU µs per answer |\n"
            "|---|---|---|---|---|---|---|"
        )
        self.theirs, shares = 0, {}
        for name, fields, times in SHAPES:
            rounds = []
            for _ in range(times):
                one = peak(port, *fields), peak(ours.port, *fields, pid=ours.process.pid)
                self.theirs += one[0].requests
                self.answered += one[1].requests
                if one[0].bad or one[1].bad:
                    self.failed.append(f"wrk saw errors ({name})")
                rounds.append(one)
            rounds.sort(key=lambda pair: pair[1].rate / pair[0].rate)
            their, own = rounds[times // 2]
            shares[name] = median(o.rate / t.rate for t, o in rounds)
            self.say(
                f"| {name} | {own.rate:,.0f} | {their.rate:,.0f} | {shares[name]:.0%} "
                f"| {own.p99:.1f} | {their.p99:.1f} | {own.cpu:.0f} |"
            )
        return shares

    def latencies(self, ours: kit.Served) -> tuple[dict[str, float], dict[str, float]]:
        self.say(
            f"\nAt {RATE:,} requests a second for {STEADY_SECONDS} s, each on a connection of its "
            "own, from the time a request was due to the last byte (the generator wakes up to 1 ms "
            "late, which counts):\n"
        )
        self.say(
            "| | answers | p50 ms | p99 ms | p99.9 ms | max ms | CPU |\n"
            "|---|---|---|---|---|---|---|"
        )
        self.lost = 0.0
        alone = self._latency("alone", ours)
        with crowd(ours.port):
            crowded = self._latency(f"beside {CROWD:,} idle and slow connections", ours)
        return alone, crowded

    def _latency(self, name: str, ours: kit.Served) -> dict[str, float]:
        before = cpu(ours.process.pid)
        found = steady(ours.port)
        used = (cpu(ours.process.pid) - before) / STEADY_SECONDS
        self.answered += int(found["answers"])
        self.lost += found["lost"]
        marks = " | ".join(f"{found[mark]:.1f}" for mark in ("p50", "p99", "p999", "max"))
        self.say(f"| {name} | {found['answers']:,} | {marks} | {used:.0%} |")
        return found

    def logs(self, ours: kit.Served, nginx_log: Path) -> tuple[Log, int]:
        """Ours, and how many more lines than answers nginx has."""
        ours.stop(timeout=60)
        return Log().read(ours.logs), nginx_log.read_bytes().count(b"\n") - self.theirs


def ran(kind: type[Bench]) -> Bench:
    bench = kind()
    bench.run()
    return bench


def main(arguments: Sequence[str] = ()) -> int:
    """Returns 1 where a limit is not met."""
    return page.main("serving", "the server", partial(ran, Bench), arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
