"""Onionbalance itself, on the private network: two backends, one address, one backend killed.

Not a test: Onionbalance waits 90 seconds before it publishes for the first time, whatever the
network. It knows one kind of testing network only, with a vote every 20 seconds (its option
``--is-testnet``): from that follow the time periods that blinded keys and descriptors depend on.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mars import factory
from mars.errors import TransportError
from mars.ports import Request
from mars.testing.publisher import Publisher
from mars.trust import TrustState, accept
from mars.wire.request import HTTPRequest
from mars_server.onion.control import connected
from mars_server.onion.folder import SECRET
from mars_server.onion.settings import OB_CONFIG, backend_config
from testbed.tornet import TorNetwork, TorProcess
from testbed.tornet.network import RELAYS
from testbed.tornet.process import wait_until
from tests.server.serving import kit

VOTE_EVERY = 20
"""Seconds; Onionbalance 0.2.4, ``hs_v3/consensus.py``."""
FETCHES = 20
"""Before the kill and after it."""
PATIENCE = 300.0
"""Seconds until the front address must be reachable."""
TARGET = "/motd/motd.json?v=0.5.2&os=linux&ia=100"


class QuickNetwork(TorNetwork):
    """Votes every ``VOTE_EVERY`` seconds."""

    def _vote(self, authority: TorProcess, routers: int) -> None:
        wait_until(
            lambda: authority.info("desc/all-recent").count("\nrouter ") + 1 >= routers,
            30.0,
            "the authority did not hear from every relay",
        )
        with authority.control() as control:
            control.ask(
                f"SETCONF V3AuthVotingInterval={VOTE_EVERY} TestingV3AuthVotingStartOffset=0 "
                f"TestingV3AuthInitialVotingInterval={VOTE_EVERY}"
            )
        wait_until(
            lambda: len(re.findall(r"^r ", authority.info("ns/all"), re.MULTILINE)) >= routers,
            60.0,
            "the authority made no consensus of every router",
        )


@contextmanager
def quick_network() -> Iterator[QuickNetwork]:
    network = QuickNetwork(lambda _: None, RELAYS)
    try:
        network.start()
        yield network
    finally:
        network.stop()


def program() -> str | None:
    """``ONIONBALANCE``, or the one on the PATH."""
    return os.environ.get("ONIONBALANCE") or shutil.which("onionbalance")


def balance() -> list[str]:
    """Two backends behind one address; verified fetches, a killed backend, verified fetches."""
    onionbalance = program()
    if onionbalance is None:
        return ["onionbalance is not installed (apt install onionbalance, or ONIONBALANCE=PATH)"]
    publisher = Publisher()
    document = publisher.document(factory.system_clock().now() - 5)
    with quick_network() as network, ExitStack() as stack:
        second = network.add_client("second")
        front = _keep_key(network)
        servers, names = [], []
        for number, tor in enumerate((network.service, second)):
            options = ("--host", front)
            server = stack.enter_context(kit.served(*options, unix=True, motd_file=document))
            servers.append(server)
            names.append(_backend(network.folder / f"backend{number}", tor, server, front))
        begun = time.monotonic()
        stack.enter_context(_balancer(onionbalance, network, front, names))
        _fetches(network, front, publisher, 1)
        ready = time.monotonic() - begun
        _fetches(network, front, publisher, FETCHES - 1)
        shares = [_counted(server) for server in servers]
        second.kill()
        killed = time.monotonic()
        after = _fetches(network, front, publisher, 1)
        back = time.monotonic() - killed
        after += _fetches(network, front, publisher, FETCHES - 1)
        counted = sum(_counted(server) for server in servers)
    print(
        f"front address reachable {ready:.0f} s after the start of Onionbalance; {FETCHES} fetches "
        f"verified, {shares[0]} and {shares[1]} at the backends; one backend killed: the next "
        f"fetch took {back:.0f} s ({after} attempts failed in all), {FETCHES} more verified; "
        f"{counted} counted"
    )
    return [] if counted == 2 * FETCHES else ["counted otherwise than fetched"]


def _mars_server(*arguments: str) -> str:
    done = subprocess.run([kit.COMMAND, *arguments], capture_output=True, text=True, timeout=60)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def _keep_key(network: TorNetwork) -> str:
    """An address that a single server had; its key goes to Onionbalance as tor wrote it."""
    folder, control = network.folder / "single", f"unix:{network.service.folder}/control"
    with connected(control) as tor:
        before = tor.services()
        arguments = ("--dir", str(folder), "--to", "127.0.0.1:9", "--control", control)
        front = _mars_server("onion", "add", *arguments).strip()
        tor.configure(before)
    shutil.copy(folder / SECRET, network.folder / "front.key")
    return front


def _backend(folder: Path, tor: TorProcess, server: kit.Served, front: str) -> str:
    """The steps of docs/onion.md."""
    control = f"unix:{tor.folder}/control"
    arguments = ("--dir", str(folder), "--to", f"unix:{server.path}", "--control", control)
    name = _mars_server("onion", "add", *arguments).strip()
    (folder / OB_CONFIG).write_text(backend_config(front) + "\n")
    # Two descriptors in one second have the same revision counter, and the second is refused.
    time.sleep(2)
    _mars_server("onion", "add", *arguments, "--balanced")
    return name


@contextmanager
def _balancer(program: str, network: TorNetwork, front: str, names: list[str]) -> Iterator[None]:
    tor = network.add_client("balancer")
    file = network.folder / "config.yaml"
    key = str(network.folder / "front.key")
    file.write_text(_mars_server("onion", "balance", "--key", key, "--front", front, *names))
    command = [program, "--is-testnet", "-s", str(tor.control_socket), "-c", str(file)]
    with (network.folder / "onionbalance.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=network.folder)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _fetches(network: TorNetwork, host: str, publisher: Publisher, number: int) -> int:
    """Attempts that failed until so many documents were fetched and verified."""
    failures, end = 0, time.monotonic() + PATIENCE
    for _ in range(number):
        while True:
            request = Request(HTTPRequest.get(f"http://{host}{TARGET}"), deadline=20.0)
            try:
                answer = factory.fetcher(network.socks).fetch(request)
                break
            except TransportError:
                failures += 1
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
        now = factory.system_clock().now()
        accept(answer.body, {}, now, publisher.trust(), TrustState.initial())
    return failures


def _counted(server: kit.Served) -> int:
    return sum(part.read_bytes().count(b'" 200 ') for part in server.logs.glob("*.part"))
