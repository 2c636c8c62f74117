"""The server under load, beside nginx with the same file and an equivalent log, in the same run.

``wrk`` for the peak; for the steady rate a generator of our own that sends at fixed times, whether
or not earlier answers came (an open loop), so that waiting shows in the latencies.
"""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.server.serving import kit

SECONDS = 10
RATE = 1781
"""Requests per second of a billion installations that fetch every 3 to 10 days."""
P99_LIMIT = 0.050
SHARE_LIMIT = 0.25
IDLE = 2000
CONNECTIONS = 64
TARGET = "/motd/motd.json?v=0.5.2&os=linux&ia=100"
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


@dataclass
class Peak:
    """What ``wrk`` saw."""

    rate: float
    p99: float
    requests: int
    bad: bool


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
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def peak(port: int, *fields: str) -> Peak:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
    for field in fields:
        command += ["-H", field]
    text = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{TARGET}"], capture_output=True, text=True, check=True
    ).stdout
    p99, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", text)[0]
    return Peak(
        rate=float(re.findall(r"Requests/sec:\s+([\d.]+)", text)[0]),
        p99=float(p99) * {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit],
        requests=int(re.findall(r"(\d+) requests in", text)[0]),
        bad="Non-2xx" in text or "Socket errors: connect" in text,
    )


async def steady(port: int, rate: int, seconds: float) -> list[float]:
    """Seconds from the time each request was due to its last byte, sorted; infinite for none."""
    request = kit.golden(TARGET.partition("?")[2])
    loop = asyncio.get_running_loop()
    begun = loop.time() + 0.2
    tasks = []
    for number in range(int(rate * seconds)):
        due = begun + number / rate
        if (delay := due - loop.time()) > 0:
            await asyncio.sleep(delay)
        tasks.append(asyncio.create_task(_fetch(port, request, due)))
    return sorted(await asyncio.gather(*tasks))


async def _fetch(port: int, request: bytes, due: float) -> float:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read(-1)
        writer.close()
    except OSError:
        return math.inf
    if kit.status(answer) != 200:
        return math.inf
    return asyncio.get_running_loop().time() - due


def main() -> int:
    """Returns 1 where a limit is not met."""
    failed = []
    body = kit.document(news="x" * 900)
    with kit.served(motd_file=body) as ours, nginx(body) as (port, nginx_log):
        for name, fields in (("keep-alive", ()), ("close", ("Connection: close",))):
            theirs, own = peak(port, *fields), peak(ours.port, *fields)
            share = own.rate / theirs.rate
            print(
                f"peak, {name}: {own.rate:,.0f}/s, p99 {own.p99 * 1e3:.1f} ms; nginx "
                f"{theirs.rate:,.0f}/s, p99 {theirs.p99 * 1e3:.1f} ms; share {share:.0%}"
            )
            if share < SHARE_LIMIT or own.bad:
                failed.append(f"share of nginx {share:.0%} ({name})")
            ours.said.append(str(own.requests))
        quiet = asyncio.run(steady(ours.port, RATE, SECONDS))
        crowded = _crowded(ours.port)
        for name, found in (("alone", quiet), (f"with {IDLE:,} idle and slow ones", crowded)):
            print(f"{RATE:,}/s, {name}: " + _quantiles(found))
        if quiet[int(len(quiet) * 0.99)] >= P99_LIMIT:
            failed.append("p99 at the steady rate")
        if crowded[int(len(crowded) * 0.99)] > 2 * max(quiet[int(len(quiet) * 0.99)], 0.005):
            failed.append("p99 beside idle connections")
        steady_ones = sum(map(math.isfinite, quiet + crowded))
        if steady_ones < len(quiet) + len(crowded):
            failed.append(f"{len(quiet) + len(crowded) - steady_ones} requests got no answer")
        answered = sum(map(int, ours.said)) + steady_ones
        ours.stop()
        lines = sum(" 200 " in line for line in ours.lines())
        nginx_lines = nginx_log.read_bytes().count(b"\n")
    surplus = lines - answered
    print(f"lines {lines:,}, answers {answered:,} (+{surplus}: under way when wrk stopped)")
    print(f"nginx lines {nginx_lines:,}")
    if not 0 <= surplus <= 2 * CONNECTIONS:
        failed.append("lines and answers differ")
    for what in failed:
        print(f"NOT MET: {what}", file=sys.stderr)
    return int(bool(failed))


def _crowded(port: int) -> list[float]:
    """The steady rate while many connections send nothing, or a byte now and then."""
    import socket

    with ExitStack() as stack:
        for number in range(IDLE):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            if number % 2:
                sock.sendall(b"GET /motd/motd.json HTTP/1.1\r\nX")
        return asyncio.run(steady(port, RATE, SECONDS))


def _quantiles(found: list[float]) -> str:
    marks = ", ".join(
        f"p{int(share * 100)} {found[int(len(found) * share)] * 1e3:.1f} ms"
        for share in (0.5, 0.9, 0.99)
    )
    return f"{len(found):,} answers, {marks}, max {found[-1] * 1e3:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
