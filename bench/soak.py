"""The long trials: a server killed under load, its memory over millions of requests, 500 clients
over Tor, Onionbalance with a backend killed, a counter killed and given a thousand histories of
rotation, a thousand more with power cuts, every fault of the host while the counter and the
publisher write, the documents followed on an empty Debian; ten thousand histories of stolen keys on
the rules of trust, 40 clients for two years after a theft; a year of statistics from computers that
run in every way; hooks for error reports beside real ones of other libraries; and each protection
taken out, to see whether its test fails.

``python -m bench.soak kills intake memory onion balance counting power faults debian hooks
histories theft arrivals protections`` runs some of them, ``faults:OPERATION`` (``FAULTS``) a piece
of one.
``REQUESTS=10000000`` sets how many requests the memory trial makes (2,000,000 unless told
otherwise). ``--write`` puts what a trial said, with the date, into docs/performance.md.
"""

from __future__ import annotations

import io
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from bench import page
from bench.balance import balance
from bench.debian import debian
from bench.hooks import hooks
from bench.thefts import histories, theft
from mars import factory
from mars.errors import TransportError
from mars.ports import Request
from mars.testing.publisher import Publisher
from mars.trust import TrustState, accept
from mars.wire.request import HTTPRequest
from mars.wire.sealed import SMALL
from mars_server.onion.folder import hostname
from mars_server.serving.fast_request import taken
from scripts import remove_protections
from testbed.reports import arrivals as reports
from testbed.tornet import TorNetwork, tor_network
from testbed.tornet.network import connect as bootstrap
from tests.server.counting.test_power_cuts import SETTINGS, PowerCuts
from tests.server.serving import kit
from tests.server.serving.load import Load, Reports

KILLS = 100
COUNTER_KILLS = 200
INTAKE_KILLS = 50
ROTATIONS = 1000
SEED = 20261121
GROWTH_LIMIT = 0.05
KEPT_SECONDS, CLOSED_SECONDS = 20, 10
"""Of one round of the memory trial: connections kept, then one for each request."""
REPORTING = 200
"""Installations of each habit that send statistics for a year."""
CLIENTS = 500
AT_ONCE = 16
TARGET = "/motd/motd.json?v=0.5.2&os=linux&ia=100"


def kills() -> list[str]:
    """Kills a serving process at random moments under load, one of two or the only one in turn."""
    chance, load, document = random.Random(SEED), Load(), kit.document()
    with tempfile.TemporaryDirectory(prefix="mars-soak-") as name:
        folder = Path(name)
        for number in range(KILLS):
            workers = str(1 + number % 2)
            options = ("--workers", workers)
            with kit.served(*options, folder=folder, unix=True, motd_file=document) as server:
                load.start(server.path, server.body)
                time.sleep(chance.uniform(0.05, 0.6))
                if workers == "2":
                    os.kill(_children(server.process.pid)[0], signal.SIGKILL)
                    time.sleep(0.2)
                else:
                    server.stop(signal.SIGKILL)
                load.stop()
                if workers == "2":
                    server.stop()
        with kit.served(folder=folder, unix=True, motd_file=document) as server:
            server.stop()
            lines = server.lines()
    torn = sum(not line.endswith('"-" "-"') for line in lines)
    counted = sum(" 200 " in line for line in lines)
    difference = counted - load.complete
    print(
        f"{KILLS} kills, {load.complete:,} answers arrived whole, {counted:,} counted "
        f"({difference:+d}), {load.wrong} wrong, {torn} torn lines"
    )
    failed = []
    if load.wrong or torn:
        failed.append("a wrong answer or a torn line")
    if abs(difference) > KILLS * load.connections:
        failed.append("more lines lost than connections were open")
    return failed


def intake() -> list[str]:
    """Kills a server at random moments while it takes reports, and looks at every spool."""
    chance, load = random.Random(SEED), Reports()
    with tempfile.TemporaryDirectory(prefix="mars-soak-") as name:
        folder = Path(name)
        for number in range(INTAKE_KILLS):
            options = ("--workers", str(1 + number % 2))
            with kit.served(*options, folder=folder, unix=True, spool=True) as server:
                load.start(server.path, taken(close=True))
                time.sleep(chance.uniform(0.05, 0.6))
                for child in _children(server.process.pid):
                    os.kill(child, signal.SIGKILL)
                server.stop(signal.SIGKILL)
                load.stop()
        with kit.served(folder=folder, unix=True, spool=True) as server:
            server.stop()
            reports = server.reports()
    torn = sum(len(report) != SMALL for report in reports)
    missing, more = load.kept.difference(reports), set(reports).difference(load.kept)
    print(
        f"{INTAKE_KILLS} kills, {len(load.kept):,} reports answered, {len(reports):,} in the "
        f"spools: {len(missing)} missing, {len(more)} more (under way at a kill), "
        f"{len(reports) - len(set(reports))} twice, {torn} torn, {load.wrong} wrong answers"
    )
    failed = []
    if missing or torn or load.wrong or len(reports) != len(set(reports)):
        failed.append("an answered report is missing, twice or torn")
    if len(more) > 2 * INTAKE_KILLS * load.connections:
        failed.append("more reports without an answer than connections were open")
    return failed


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory() -> list[str]:
    """Resident memory of one serving process over many requests, some with a close, by wrk."""
    wanted = int(os.environ.get("REQUESTS", "2000000"))
    kept = closed = 0
    with kit.served(unix=False) as server:
        warm = _wrk(server.port, 5) + _wrk(server.port, 5, "Connection: close")
        first = most = _resident(server.process.pid)
        while kept + closed < wanted:
            kept += _wrk(server.port, KEPT_SECONDS)
            closed += _wrk(server.port, CLOSED_SECONDS, "Connection: close")
            last = _resident(server.process.pid)
            most = max(most, last)
        server.stop(timeout=120)
        lines = sum(_count_lines(path) for path in server.logs.glob("*.log"))
    growth = most / first - 1
    surplus = lines - warm - kept - closed
    print(
        f"{kept + closed:,} requests ({closed:,} of them on a connection of their own): "
        f"{first / 1e6:.1f} MB after the first {warm:,}, {most / 1e6:.1f} MB at most "
        f"({growth:+.1%}); {lines:,} lines in the log ({surplus:+,}: under way when wrk stopped)"
    )
    failed = ["memory grows"] if growth > GROWTH_LIMIT else []
    return failed + (["lines are missing"] if surplus < 0 else [])


def _count_lines(path: Path) -> int:
    """Lines of complete answers."""
    with path.open("rb") as lines:
        return sum(b" 200 " in line for line in lines)


def _wrk(port: int, seconds: int, *fields: str) -> int:
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", f"http://127.0.0.1:{port}{TARGET}"]
    for field in fields:
        command += ["-H", field]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.findall(r"(\d+) requests in", text)[0])


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def onion() -> list[str]:
    """500 fetches through the onion service, each verified; tor is restarted half-way."""
    publisher = Publisher()
    with tor_network() as network:
        trust = network.folder / "trust.json"
        trust.write_bytes(publisher.trust().encode())
        folder = str(network.folder / "soak-onion")
        document = publisher.document(factory.system_clock().now() - 5)
        control = f"unix:{network.service.folder}/control"
        options = ("--trust", str(trust), "--onion", folder, "--control", control)
        with kit.served(*options, unix=True, motd_file=document) as server:
            server.wait_for("onion service http://", 30)
            name = hostname(folder)
            assert name is not None
            begun = time.monotonic()
            failures = _crowd(network, name, publisher, CLIENTS // 2)
            _restart(network, server, name)
            failures += _crowd(network, name, publisher, CLIENTS - CLIENTS // 2)
            seconds = time.monotonic() - begun
            server.stop()
            counted = sum(" 200 " in line for line in server.lines())
    print(
        f"{CLIENTS} verified fetches in {seconds:.0f} s with a restart of tor between; "
        f"{failures} attempts failed and were repeated; {counted} counted"
    )
    return [] if CLIENTS <= counted <= CLIENTS + failures else ["counted otherwise than fetched"]


def _restart(network: TorNetwork, server: kit.Served, name: str) -> None:
    before = server.stderr.count("onion service http://")
    network.service.stop()
    network.service.start()
    network.service.wait_for_control()
    bootstrap(network.service)
    server.wait_for(f"onion service http://{name}", 60, times=before + 1)


def _crowd(network: TorNetwork, host: str, publisher: Publisher, clients: int) -> int:
    """Attempts that failed until every client had its document."""
    url = f"http://{host}{TARGET}"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return sum(pool.map(lambda _: _client(network, url, publisher), range(clients)))


def _client(network: TorNetwork, url: str, publisher: Publisher) -> int:
    failures, root = 0, publisher.trust()
    while True:
        try:
            answer = factory.fetcher(network.socks).fetch(
                Request(HTTPRequest.get(url), deadline=30.0)
            )
        except TransportError:
            failures += 1
            if failures > 40:
                raise
            time.sleep(0.5)
            continue
        accept(answer.body, {}, factory.system_clock().now(), root, TrustState.initial())
        return failures


def counting() -> list[str]:
    """The random trials of ``tests/server/counting`` at their full length, on both databases."""
    folder = Path(__file__).parent.parent / "tests/server/counting"
    print(f"{ROTATIONS:,} histories of rotation, {COUNTER_KILLS} kills of the counter", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--timeout", "0", f"--hypothesis-seed={SEED}"]
        + [str(folder / name) for name in ("test_rotation.py", "test_kill.py")],
        env={**os.environ, "MARS_ROTATIONS": str(ROTATIONS), "MARS_KILLS": str(COUNTER_KILLS)},
    )
    return [] if done.returncode == 0 else ["exactly once, through rotation and kills"]


def protections() -> list[str]:
    """Every protection of ``scripts/protections.toml`` taken out in a copy of the project."""
    results = remove_protections.trial(tell=lambda line: print(line, file=sys.stderr, flush=True))
    missed = [each for each in results if each.noticed.verdict != remove_protections.NOTICED]
    rows = {each.protection.row for each in results}
    slowest = max(each.noticed.seconds for each in results)
    print(
        f"{len(results)} protections of {len(rows)} rows taken out one at a time; "
        f"{len(missed)} not noticed by the row's own test; the slowest took {slowest:.1f} s to fail"
    )
    return [str(each) for each in missed]


def power() -> list[str]:
    """Random histories of rotation with power cuts, on SQLite."""
    chosen = settings(SETTINGS, max_examples=ROTATIONS, derandomize=False, phases=[Phase.generate])
    try:
        run_state_machine_as_test(seed(SEED)(PowerCuts), settings=chosen)
    except AssertionError:
        traceback.print_exc()
        return ["exact or told, and nothing twice, through power cuts"]
    seen = PowerCuts.seen
    print(
        f"{ROTATIONS:,} histories of rotation with {seen['cuts']:,} power cuts on SQLite: "
        f"{seen['exact']:,} counts exact ({seen['doubted']} of them with a warning), "
        f"{seen['told']} short and said so, 0 short in silence, nothing twice"
    )
    return []


FAULTS = {
    "count-new": "become_exact and new",
    "count-known": "become_exact and known",
    "scrub": "logs_are_removed",
    "retain": "logs_are_retained",
    "publish": "week_is_published",
    "key-new": "key_is_made",
    "key-rotate": "keys_rotate",
    "key-revoke": "key_is_revoked",
    "sign": "news_are_signed",
}
"""What pytest knows the operations by."""


def faults(operation: str = "") -> list[str]:
    """Each system call of an operation, or of all, fails once with each error: ``tests.faults``."""
    root = Path(__file__).parent.parent / "tests"
    places = [
        str(root / name / "test_host_faults.py")
        for name in ("server/counting", "server/publication", "motd")
    ]
    wanted = FAULTS[operation] if operation else "whatever"
    with tempfile.NamedTemporaryFile("r", prefix="mars-soak-") as told:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-s", "--timeout", "0", "-k", wanted, *places],
            env={**os.environ, "MARS_FAULTS": told.name},
            stdout=sys.stderr,
        )
        print(told.read(), end="")
    return [] if done.returncode == 0 else ["whole and told after every fault of the host"]


def arrivals() -> list[str]:
    """The share of drawn reports that arrive, by how a computer runs."""
    failed = []
    for habit, asleep in reports.HABITS:
        found = reports.arrived(habit, asleep, REPORTING)
        name = f"{habit}, {asleep} fortnights asleep a year"
        print(
            f"{name}: {100 * found.share:.1f} % of what was drawn arrived; a week "
            f"{found.reports:.2f} reports, {found.news:.2f} of news and {found.registry:.2f} more"
        )
        if not reports.LEAST <= found.share <= reports.MOST:
            failed.append(f"all reports of computers that run: {name}")
    return failed


TRIALS: dict[str, Callable[..., list[str]]] = {
    "kills": kills,
    "intake": intake,
    "memory": memory,
    "onion": onion,
    "balance": balance,
    "counting": counting,
    "protections": protections,
    "power": power,
    "faults": faults,
    "debian": debian,
    "hooks": hooks,
    "histories": histories,
    "theft": theft,
    "arrivals": arrivals,
}


def main(arguments: list[str]) -> int:
    """Returns the number of trials that did not hold."""
    failed, names = [], [name for name in arguments if name != "--write"]
    for name in names or list(TRIALS):
        print(f"## {name}", flush=True)
        trial, _, part = name.partition(":")
        with redirect_stdout(io.StringIO()) as told:
            broken = TRIALS[trial](*filter(None, [part]))
        print(told.getvalue(), end="", flush=True)
        failed += broken
        if "--write" in arguments and not part:
            day = time.strftime("%Y-%m-%d", time.gmtime())
            page.write(
                f"soak {name}",
                [f"* {name}, {day}: {line}." for line in told.getvalue().splitlines()],
            )
    for what in failed:
        print(f"NOT MET: {what}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
