"""The client's weight, and its fetch beside curl's, over one onion service of the private network.

Import: starting Python and importing ``mars`` with a running thread, against importing requests
alone, in turn. Memory: of one process, above a bare interpreter, before and after its first
fetch. Fetch: in process, Ed25519 verified, against ``curl --socks5-hostname``; fresh SOCKS
credentials on both sides, in turn, so that both see the same network.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mars.factory import fetcher, openpgp
from mars.ports import Request
from mars.testing.publisher import Publisher
from mars.trust import TrustState, verify
from mars.wire.request import HTTPRequest
from testbed.interpreters import found, not_found
from testbed.tornet import tor_network

IMPORTS = 15
"""Runs of each side."""
FETCHES = 40
"""Of each side."""
LIMIT_CURL = 1.3
LIMIT_IDLE_MB = 10.0
LIMIT_FETCHED_MB = 30.0
IDLE_SECONDS = 5

HEAD = """
import os, re, sys, time
def memory():
    with open("/proc/self/smaps_rollup") as file:
        text = file.read()
    return int(re.search(r"Rss: +([0-9]+)", text)[1]) / 1024
"""

# What else a process loads is the limit's to pay: this one has nothing but the measuring.
BARE = HEAD + "print(memory())"

START = """
from mars import Mars
mars = Mars(product="examplemail", version="0.5.2", trust=sys.argv[1], folder=sys.argv[2],
            socks=sys.argv[3], url=sys.argv[4])
mars.consent.grant("tracked")
mars.start()
"""

WEIGHT = (
    HEAD
    + START
    + """
time.sleep(1)
idle = memory()
heavy = sorted({"requests", "stem", "nacl", "gnupg", "ssl"} & set(sys.modules))
def switches():
    total = 0
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/status") as file:
            total += int(re.search(r"^voluntary_ctxt_switches:\\s+([0-9]+)", file.read(), re.M)[1])
    return total
def files():
    return sorted((entry.name, entry.stat().st_mtime_ns) for entry in os.scandir(sys.argv[2]))
written, before = files(), switches()
time.sleep(float(sys.argv[5]))
# One switch is this thread's own sleep.
wakes, unwritten = switches() - before - 1, files() == written
assert mars.check_now()
while not mars.journal() or mars._background.busy:
    time.sleep(0.05)
fetched = memory()
outcome = mars.journal()[-1].get("reason")
import stem.control
print(idle, fetched, memory(), wakes, unwritten, ",".join(heavy) or "none", outcome)
mars.stop()
"""
)


def main() -> int:
    """Prints the figures and returns 1 where one is beyond its limit."""
    publisher = Publisher()
    document = publisher.document(int(time.time()))
    trust = publisher.trust().encode()
    versions = ", ".join(item.version for item in found())
    print(f"CPython found: {versions}; not run: {', '.join(not_found()) or 'none'}")
    with tempfile.TemporaryDirectory() as folder, served(document) as port:
        (Path(folder) / "trust.json").write_bytes(trust)
        fine = imports(folder)
        with tor_network() as net:
            url = f"{net.add_onion(80, f'127.0.0.1:{port}').url}/motd/motd.json"
            fine &= weight(folder, net.socks, url)
            fine &= against_curl(net.socks, url, publisher)
    return int(not fine)


def imports(folder: str) -> bool:
    """Whole processes, wall and CPU time, in turn."""
    arguments = [f"{folder}/trust.json", f"{folder}/imports", "127.0.0.1:1", "http://127.0.0.1/"]
    sides = {
        "nothing": ["-c", "import sys"],
        "requests": ["-c", "import sys, requests"],
        "mars, thread started": ["-c", "import sys\n" + START, *arguments],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for turn in range(IMPORTS + 1):
        for name, command in sides.items():
            sample = timed([sys.executable, *command])
            if turn:  # the first one writes byte code and the state file
                taken[name].append(sample)
    medians = {}
    for name, samples in taken.items():
        wall, cpu = (statistics.median(column) * 1000 for column in zip(*samples, strict=True))
        medians[name] = cpu
        print(f"start Python, import {name:<22} {wall:6.0f} ms wall {cpu:6.0f} ms CPU (medians)")
    return verdict(
        "mars with its thread costs less than requests alone",
        medians["mars, thread started"] < medians["requests"],
    )


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of wall and CPU time of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    assert status == 0, command
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime


def weight(folder: str, socks: str, url: str) -> bool:
    bare = float(output(["-c", BARE]))
    arguments = [f"{folder}/trust.json", f"{folder}/weight", socks, url, str(IDLE_SECONDS)]
    words = output(["-c", WEIGHT, *arguments]).split()
    idle, fetched, stem = (float(word) - bare for word in words[:3])
    wakes, unwritten, heavy, outcome = int(words[3]), words[4] == "True", words[5], words[6]
    print(
        f"memory above a bare interpreter ({bare:.1f} MB): idle {idle:.1f} MB "
        f"(heavy modules loaded: {heavy})"
    )
    print(f"  after the first fetch {fetched:.1f} MB; with stem as well {stem:.1f} MB")
    print(f"  in {IDLE_SECONDS} s of idling: {wakes} wake-ups, files written: {not unwritten}")
    return all(
        [
            verdict("the fetch was accepted", outcome == "None"),
            verdict(f"idle < {LIMIT_IDLE_MB:.0f} MB", idle < LIMIT_IDLE_MB),
            verdict(f"after a fetch < {LIMIT_FETCHED_MB:.0f} MB", fetched < LIMIT_FETCHED_MB),
            verdict("nothing is done while idle", wakes <= 0 and unwritten),
        ]
    )


def output(arguments: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


def against_curl(socks: str, url: str, publisher: Publisher) -> bool:
    root = publisher.trust()
    ours, theirs, processes = [], [], []
    for turn in range(FETCHES + 2):
        began = time.perf_counter()
        body = fetcher(socks).fetch(Request(HTTPRequest.get(url))).body
        verify(body, root, TrustState.initial(), int(time.time()), openpgp())
        middle = time.perf_counter()
        total = curl(socks, url)
        if turn > 1:  # the first ones fetch descriptors and import
            ours.append(middle - began)
            theirs.append(total)
            processes.append(time.perf_counter() - middle)
    for name, sample in (
        ("mars, in process", ours),
        ("curl, its own time_total", theirs),
        ("curl, process and all", processes),
    ):
        low, middle, high = (1000 * value for value in spread(sample))
        print(
            f"fetch, {name:<25} {middle:5.0f} ms (quartiles {low:.0f} to {high:.0f}), n={FETCHES}"
        )
    ratio = statistics.median(ours) / statistics.median(theirs)
    return verdict(f"{ratio:.2f} times curl, at most {LIMIT_CURL}", ratio <= LIMIT_CURL)


def spread(sample: list[float]) -> list[float]:
    return statistics.quantiles(sample, n=4)


def curl(socks: str, url: str) -> float:
    """Seconds, by curl's own count."""
    command = ["curl", "-sS", "--socks5-hostname", socks, "-o", "/dev/null"]
    command += ["--proxy-user", f"{secrets.token_hex(16)}:{secrets.token_hex(16)}"]
    command += ["-w", "%{json}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=180)
    return float(json.loads(done.stdout)["time_total"])


@contextmanager
def served(document: bytes) -> Iterator[int]:
    """A server as plain as can be: what is measured is the way to it."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(document), document)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.recv(65536)
                sock.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.close()


def verdict(claim: str, held: bool) -> bool:
    print(f"  {'ok' if held else 'MISSED'}: {claim}")
    return held


if __name__ == "__main__":
    sys.exit(main())
