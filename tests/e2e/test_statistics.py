"""Declared statistics from end to end on a real Tor network: ten reports of one installation, as
whoever serves the intake sees them, and what is counted of them.

The client is the one that applications embed, thread and all; only its clock is ours, so that weeks
pass in seconds, and its chance, so that they are the same ones each time. The server has the real
clock. It takes reports of its own week and of one before and
after, too few for ten entries at two reports a week; each is drawn every week here, and its yes
taken back once its report went.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mars import Mars, factory
from mars.channels.upcoming import Memory
from mars.core.channel import NextRequest
from mars.core.records import STATE_FILE
from mars.core.schedule import LATE_LEAST
from mars.core.state import State
from mars.core.state import decode as decode_state
from mars.core.thread import Background
from mars.testing.memory import SeededChance, machine
from mars.testing.publisher import Publisher
from mars.testing.world import ONION
from mars.wire.catalogue import digest
from mars.wire.keyfile import INTAKE, encode
from mars.wire.query import INTAKE_PATH, MOTD_PATH, REGISTRY_PATH
from mars.wire.report import Report, decode
from mars.wire.sealed import ID_BYTES, SMALL, Opener, key_id
from mars.wire.times import DAY, WEEK, day_of, week_of, week_start
from mars_server.common.config import load_catalogue
from testbed.tornet import TorNetwork
from tests.server.serving import kit
from tests.server.serving.onions import Arrival, Front, fronted
from tests.waiting import PATIENCE, day_that_lasts

pytestmark = [pytest.mark.tor, pytest.mark.timeout(400)]
GOLDEN = Path(__file__).parents[1] / "mars" / "golden" / "statistics.http"
HEAD = GOLDEN.read_bytes().partition(b"\r\n\r\n")[0]
"""Of a report to ``ONION``, as it is stored."""
PRODUCT = """product = "examplemail"
channel = "stable"
releases = ["0.5.1"]
languages = ["en"]
[statistics]
releases = ["0.5.1"]
"""
ENTRY = """[{name}]
label = "A label"
description = "What it is."
reason = "Decides something."
owner = "core team"
review = "https://example.org/1"
sensitivity = "technical"
expires = {expires}
rate = 1.0
{form}
"""
BOOL, BUCKET, VERSION = 'type = "bool"', 'type = "bucket"\nbounds = [1, 10]', 'type = "version"'
LONG = "a_rather_long_name_of_a_protocol"
ENUM = f'type = "enum"\nvalues = ["imap", "{LONG}"]'
ENTRIES: dict[str, tuple[str, Any, str]] = {
    "examplemail/folders": (BUCKET, lambda: 12, "10+"),
    "examplemail/protocol": (ENUM, "imap", "imap"),
    "calendar/used": (BOOL, lambda: True, "true"),
    "calendar/entries": (BUCKET, 0, "0"),
    "mars-runtime/python": (VERSION, "3.11.2", "3.11"),
    "spelling/on": (BOOL, False, "false"),
    "backup/protocol": (ENUM, lambda: LONG, LONG),
    "a/b": (BOOL, True, "true"),
    "encryption/library": (VERSION, "2.4.5", "2.4"),
    "a-plug-in-with-a-long-name/its_rather_long_key": (BUCKET, 5, "1-9"),
}
"""Of each its form, what the application provides, and what is said of that."""
SAID = {name: said for name, (_, _, said) in ENTRIES.items()}
SEED = 1
STEP = 110
"""Seconds of the client's clock between two looks: less than what counts as late for a time. One at
which a report is due ends sooner, as the thread's own sleep does."""
SESSION, PAUSE, STARTS = 3_600, 120, 5
"""Seconds of a session and until the next one; sessions in a day."""
DAYS = 22
"""From the Sunday on which the user agrees to the end of the last week that the intake takes."""


class Clock:
    """Of one session: stands still while the client's thread is awake. The loop of the thread asks
    for the running time before and after each sleep; so do others in between."""

    def __init__(self, wall: int) -> None:
        self.wall = wall
        self.running = 0
        self._asked = 0
        self._changed = threading.Condition()

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        if sys._getframe(1).f_code is Background._run.__code__:
            with self._changed:
                self._asked += 1
                self._changed.notify_all()
        return float(self.running)

    def until_asleep(self, turns: int) -> None:
        """Returns when the thread sleeps after so many turns."""
        with self._changed:
            slept = self._changed.wait_for(lambda: self._asked == 2 * turns - 1, 2 * PATIENCE)
        assert slept, "the client's thread does not come to its rest"

    def advance(self, seconds: int) -> None:
        self.wall += seconds
        self.running += seconds


@dataclass(frozen=True)
class Sent:
    """An arrival with what is known of it at the client."""

    arrival: Arrival
    at: int
    """By the client's clock."""
    running: int
    """Seconds since the client started."""
    shown: NextRequest | None
    """The preview of the next report, as it was until then."""


@dataclass
class Life:
    """Some weeks of an installation, seen from both sides."""

    start: int
    openers: dict[str, Opener]
    """The intake's pair of each week."""
    sent: list[Sent] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    """Of what left."""
    server_exit: int = -1
    server_said: str = ""
    spools: list[str] = field(default_factory=list)
    counted: dict[str, Any] = field(default_factory=dict)

    @property
    def reports(self) -> list[Sent]:
        return [one for one in self.sent if one.arrival.raw.startswith(b"POST ")]

    @property
    def said(self) -> list[Report]:
        """Of each report the preview's text."""
        return [decode(one.shown.request.sealed.encode()) for one in self.reports if one.shown]


def declare(folder: Path, start: int) -> bytes:
    """Writes what the product declares; its registry."""
    (folder / "product.toml").write_text(PRODUCT)
    entries = (
        ENTRY.format(name=name.replace("/", "."), form=form, expires=day_of(start + 100 * DAY))
        for name, (form, _, _) in ENTRIES.items()
    )
    (folder / "metrics.toml").write_text("\n".join(entries))
    return load_catalogue(folder / "product.toml").encode()


def publish(folder: Path, life: Life) -> None:
    """Keys, registry and news; all was signed before the client's clock begins."""
    registry, made = declare(folder, life.start), life.start - 60
    publisher = Publisher()
    keys = {week: pair.public.hex() for week, pair in life.openers.items()}
    publisher.steer(made, registry=digest(registry), intake=keys)
    secrets = {week: pair.secret for week, pair in life.openers.items()}
    (folder / "secrets.json").write_bytes(encode(INTAKE, secrets, None))
    (folder / "trust.json").write_bytes(publisher.trust_file(1000, built=made))
    (folder / "motd.json").write_bytes(publisher.document(made))
    (folder / "registry.json").write_bytes(registry)


@contextmanager
def serving(net: TorNetwork, folder: Path, life: Life) -> Iterator[tuple[str, Front]]:
    """The onion service, the recorder behind it, and ``mars-server`` behind that."""
    with (
        fronted(net, folder, "statistics") as (reached, front),
        kit.served(
            *("--trust", str(folder / "trust.json"), "--host", reached.host),
            unix=True,
            motd_file=(folder / "motd.json").read_bytes(),
            product=PRODUCT,
            folder=folder,
            spool=True,
        ) as server,
    ):
        yield reached.url, front
        life.server_exit, life.server_said = server.stop(), server.stderr
        life.spools = sorted(path.name for path in server.spools.iterdir())


class Installation:
    """Its user starts the application several times a day."""

    def __init__(self, net: TorNetwork, folder: Path, url: str, front: Front, life: Life) -> None:
        self._net = net
        self._folder = folder
        self._url = url
        self._front = front
        self._life = life
        self._chance = SeededChance(SEED)

    def mars(self, clock: Clock) -> Mars:
        made = Mars(
            "examplemail",
            "0.5.1",
            self._folder / "trust.json",
            url=self._url,
            socks=self._net.socks,
            folder=self._folder / "client",
            registry=self._folder / "registry.json",
            host=machine(),
            clock=clock,
            chance=self._chance,
        )
        for name, (_, given, _) in ENTRIES.items():
            made.statistics.provide(name, given)
        return made

    def day(self, start: int) -> Mars:
        """The client that ran last."""
        for number in range(STARTS):
            mars = self.session(start + number * (SESSION + PAUSE))
        return mars

    def session(self, start: int) -> Mars:
        """One start of the client, and all that goes until its end."""
        clock = Clock(start)
        mars = self.mars(clock)
        mars.start()
        clock.until_asleep(turns=1)
        turns = 1
        while clock.running < SESSION:
            shown = mars.preview(channel="statistics")
            seen = len(self._front.arrivals)
            clock.advance(self._step(clock.wall))
            mars.look()
            turns += 1
            clock.until_asleep(turns)
            for arrival in self._front.arrivals[seen:]:
                self._life.sent.append(Sent(arrival, clock.wall, clock.running, shown))
        mars.stop()
        return mars

    def _step(self, now: int) -> int:
        state = (self._folder / "client" / STATE_FILE).read_bytes()
        pending = Memory.of(decode_state(state) or State()).draws.pending
        return min([STEP, *(max(draw.earliest(now) - now, 1) for draw in pending)])

    def live(self) -> None:
        """Until there is a report of each entry."""
        first = self.mars(Clock(self._life.start - 60))
        assert first.consent.grant("plain", stats=True), first.status()
        for day in range(DAYS):
            mars = self.day(self._life.start + day * DAY)
            told = {one.name: False for one in self._life.said}
            if len(told) == len(ENTRIES):
                break
            assert mars.statistics.choose(told), mars.status()
        self._life.journal = [one for one in mars.journal() if one["sent"]]


@pytest.fixture(scope="module")
def life(tornet: TorNetwork) -> Iterator[Life]:
    day_that_lasts()
    # A Sunday morning, so that the first whole week is that before the server's.
    start = week_start(factory.system_clock().now()) - WEEK - DAY + 9 * 3_600
    weeks = (week_of(start + number * WEEK) for number in range(4))
    found = Life(start, {week: Opener.of(factory.system_chance().token(32)) for week in weeks})
    with ExitStack() as stack:  # short: a socket's path is
        place = stack.enter_context(tempfile.TemporaryDirectory(prefix="mars-e2e-", dir="/tmp"))
        folder = Path(place)
        publish(folder, found)
        with serving(tornet, folder, found) as (url, front):
            Installation(tornet, folder, url, front, found).live()
        command = [
            kit.COMMAND,
            "count",
            "spool",
            "--keys",
            "secrets.json",
            "--product",
            "product.toml",
        ]
        command += ["--dry-run", "--json"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        found.counted = json.loads(done.stdout)
        yield found


def test_ten_entries_are_reported_once_each_with_what_is_true(life: Life) -> None:
    assert {one.name: one.value for one in life.said} == SAID, life.journal
    assert len(life.reports) == len(ENTRIES)
    assert {one.release for one in life.said} == {"0.5.1"}


def test_reports_differ_in_nothing_outside_the_seal(life: Life) -> None:
    assert len({len(one.arrival.raw) for one in life.reports}) == 1
    (head,) = {one.arrival.head for one in life.reports}
    host = re.search(rb"(?m)^Host: (.*?)\r$", head)
    assert host is not None
    assert head == HEAD.replace(ONION.encode(), host[1])
    for one in life.reports:
        assert len(one.arrival.body) == SMALL
        key = life.openers[week_of(one.at)].public
        assert one.arrival.body[: 1 + ID_BYTES] == b"\x01" + key_id(key), "equal for all of a week"
    assert len({one.arrival.body for one in life.reports}) == len(ENTRIES)


def test_each_request_has_a_circuit_and_a_day_of_its_own(life: Life) -> None:
    circuits = [one.arrival.circuit for one in life.sent]
    assert None not in circuits
    assert len(set(circuits)) == len(circuits)
    days = [one.at // DAY for one in life.sent]
    assert len(set(days)) == len(days)


def test_no_report_goes_within_five_minutes_of_a_start(life: Life) -> None:
    assert min(one.running for one in life.reports) >= LATE_LEAST


def test_preview_journal_and_wire_are_the_same(life: Life) -> None:
    entries = [one for one in life.journal if one["channel"] == "statistics"]
    assert len(entries) == len(life.reports)
    for one, entry in zip(life.reports, entries, strict=True):
        assert one.shown is not None
        assert one.arrival.raw == one.shown.bytes
        assert entry["sent"] == one.shown.request.shown
        assert (entry["time"], entry["status"], entry["reason"]) == (one.at, 204, None)


def test_all_else_that_came_is_the_news_and_the_registry(life: Life) -> None:
    targets = {one.arrival.head.split()[1].decode() for one in life.sent}
    assert {MOTD_PATH, INTAKE_PATH} <= targets <= {MOTD_PATH, INTAKE_PATH, REGISTRY_PATH}
    assert len(life.sent) == len(life.journal)


def test_the_server_closes_its_spool_and_the_count_is_what_was_said(life: Life) -> None:
    assert life.server_exit == 0, life.server_said
    assert all(name.endswith(".log") for name in life.spools)
    told: dict[str, Any] = {}
    for one, report in zip(life.reports, life.said, strict=True):
        of_week = told.setdefault(week_of(one.at), {})
        of_week[report.name] = {report.release: {report.value: 1}}
    assert life.counted["statistics"] == told
    assert not life.counted["dropped"]
