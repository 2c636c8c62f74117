"""Error events from end to end over real sockets: an application that fails, the intake, and what
is counted of it.

The proxy stands where Tor's SocksPort stands, and all behind it is ``mars-server``. Only clock and
chance of the client are ours, so that weeks pass in seconds and each entry is drawn in each; the
server takes reports of its own week and of those before and after.
"""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mars import Mars, factory
from mars.testing.memory import MemoryClock, SeededChance, machine, session
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, Visit
from mars.testing.world import ONION
from mars.wire.catalogue import digest
from mars.wire.keyfile import INTAKE, encode
from mars.wire.query import MOTD_PATH
from mars.wire.report import Report, decode
from mars.wire.sealed import Opener
from mars.wire.times import DAY, WEEK, day_of, week_of, week_start
from mars_server.common.config import load_catalogue
from tests.server.serving import kit
from tests.waiting import day_that_lasts

PRODUCT = """product = "examplemail"
channel = "stable"
releases = ["0.5.1"]
languages = ["en"]
[statistics]
releases = ["0.5.1"]
"""
NAME = """[decryption.{name}]
description = "What failed."
owner = "mail encryption team"
review = "https://example.org/15"
sensitivity = "technical"
expires = {expires}
"""
DOMAIN = '[decryption]\ndescription = "Decrypting a mail that somebody sent."\nrate = 1.0\n'
DIMENSION = '[decryption.key_missing.dimensions]\ndevice = ["own", "other"]\n'
SAID = {
    "decryption/key_missing": "10-99",
    "decryption/key_missing.device": "other",
    "decryption/cancelled": "2-9",
    "decryption/failed_share": "below_10",
    "decryption/late": "2-9",
}
"""Of two failures a day by a missing key, one of which another device resolves an hour later, and
one by the user, among fifty tries that work."""
HOUR = 3_600
SUBJECT = "message 4711 of alice"


class Often(SeededChance):
    """Each coin that falls for one entry of five does so."""

    def uniform(self, low: float, high: float) -> float:
        drawn = super().uniform(low, high)
        return drawn / 10 if (low, high) == (0.0, 1.0) else drawn


@dataclass
class Life:
    """Some weeks of an installation, and what the server made of them."""

    visits: list[Visit]
    journal: list[dict[str, Any]]
    counted: dict[str, Any] = field(default_factory=dict)
    spool: bytes = b""

    @property
    def said(self) -> list[tuple[int, Report]]:
        """When, and what, by the journal."""
        texts = [
            (one["time"], str(one["sent"]).partition("\r\n\r\n")[2].partition("\r\n[")[0])
            for one in self.journal
            if one["channel"] == "statistics"
        ]
        return [(at, decode(text.encode())) for at, text in texts]


def publish(folder: Path, start: int) -> bytes:
    """Keys and registry; the news. All was signed before the client's clock begins."""
    expires = day_of(start + 100 * DAY)
    names = [NAME.format(name=name, expires=expires) for name in ("key_missing", "cancelled")]
    (folder / "errors.toml").write_text(f"{DOMAIN}{names[0]}{DIMENSION}{names[1]}expected = true\n")
    (folder / "product.toml").write_text(PRODUCT)
    registry = load_catalogue(folder / "product.toml").encode()
    weeks = [week_of(start + number * WEEK) for number in range(6)]
    openers = {week: Opener.of(factory.system_chance().token(32)) for week in weeks}
    publisher, made = Publisher(), start - 60
    keys = {week: pair.public.hex() for week, pair in openers.items()}
    publisher.steer(made, registry=digest(registry), intake=keys)
    secrets = {week: pair.secret for week, pair in openers.items()}
    (folder / "secrets.json").write_bytes(encode(INTAKE, secrets, None))
    (folder / "trust.json").write_bytes(publisher.trust_file(1000, built=made))
    (folder / "registry.json").write_bytes(registry)
    return publisher.document(made)


def handing_on(path: Path) -> Any:
    """What the proxy does with each connection: all of it goes to the server."""

    def pump(source: socket.socket, sink: socket.socket) -> None:
        while more := source.recv(65_536):
            sink.sendall(more)

    def handle(sock: socket.socket, visit: Visit) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(str(path))
            back = threading.Thread(target=pump, args=(server, sock), daemon=True)
            back.start()
            while back.is_alive() and (more := sock.recv(65_536)):
                visit.request += more
                server.sendall(more)
            back.join(10)

    return handle


def live(folder: Path, start: int, socks: str) -> Mars:
    """Four weeks, of which something is told from the second on."""
    clock = MemoryClock(start)
    mars = Mars(
        "examplemail",
        "0.5.1",
        folder / "trust.json",
        url=f"http://{ONION}{MOTD_PATH}",
        socks=socks,
        folder=folder / "client",
        registry=folder / "registry.json",
        host=machine(),
        clock=clock,
        chance=Often(1),
    )
    assert mars.consent.grant("plain", events=True)
    stream = mars.failures("decryption")
    while clock.wall < start + 4 * WEEK:
        failures = [
            stream.fail("key_missing", subject=f"{SUBJECT} {clock.wall} {number}", device="other")
            for number in range(2)
        ]
        stream.fail("cancelled")
        stream.succeeded(50)
        session(mars._client, clock, HOUR)
        failures[0].resolved()
        session(mars._client, clock, HOUR)
        clock.suspend(DAY - 2 * HOUR)
    mars.stop()
    return mars


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    day_that_lasts()
    folder = tmp_path_factory.mktemp("e2e")
    start = week_start(factory.system_clock().now()) - 2 * WEEK
    told = ("--trust", str(folder / "trust.json"), "--host", ONION)
    news = publish(folder, start)
    with kit.served(
        *told, unix=True, motd_file=news, product=PRODUCT, folder=folder, spool=True
    ) as server:
        with SocksServer(handing_on(Path(server.path))) as socks:
            mars = live(folder, start, socks.address)
            found = Life(socks.visits, [one for one in mars.journal() if one["sent"]])
        assert server.stop() == 0, server.stderr
    spools = sorted(server.spools.iterdir())
    found.spool = b"".join(path.read_bytes() for path in spools)
    command = [kit.COMMAND, "count", "spool", "--keys", "secrets.json", "--product", "product.toml"]
    command += ["--dry-run", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found.counted = json.loads(done.stdout)
    return found


def test_what_is_counted_is_what_failed(life: Life) -> None:
    assert {report.name: report.value for _, report in life.said} == SAID
    told: dict[str, Any] = {}
    for at, report in life.said:
        values = told.setdefault(week_of(at), {}).setdefault(report.name, {})
        values.setdefault("0.5.1", Counter())[report.value] += 1
    assert life.counted["events"] == told
    assert not life.counted["dropped"]


def test_nothing_else_of_it_leaves(life: Life) -> None:
    bodies = [one.request.partition(b"\r\n\r\n")[2] for one in life.visits]
    assert {len(body) for body in bodies} == {0, 1024}
    assert sum(map(bool, bodies)) == len(life.said)
    everything = b"\0".join([life.spool, *(one.request for one in life.visits)])
    for word in (b"alice", b"decryption", b"key_missing", b"4711"):
        assert word not in everything
