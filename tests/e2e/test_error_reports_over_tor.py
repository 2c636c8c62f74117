"""Group J, as far as it is about the network: over a real onion service to the real server, whose
spools are opened by the operator's own command."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import Popen

import pytest

from mars import Mars, factory
from mars.channels.filing import Filing
from mars.channels.sending import AGAIN
from mars.testing.memory import MemoryClock, SeededChance, machine, session
from mars.wire.query import STATUS_PATH
from mars.wire.reports.direct import Deletion, Direct, Identity, prefix_of
from mars.wire.reports.fault import Fault
from mars.wire.sealed import LARGE, SMALL, key_id
from mars.wire.times import DAY, week_of
from mars_server.common.config import Limits
from mars_server.publication import status_document
from testbed.tornet import TorNetwork
from tests.conftest import ROOT
from tests.e2e.reporting import PRODUCT, RELEASE, Operator
from tests.mars.channels.reporting import alike
from tests.server.serving import kit
from tests.server.serving.onions import Arrival, Front, Reached, fronted
from tests.server.triage.kit import PLANTED, content, identity

pytestmark = [pytest.mark.tor, pytest.mark.usefixtures("one_day")]

TAKEN = b"HTTP/1.1 204 No Content\r\n"
AGO = 6 * DAY
"""Before the server's time, at which the clients' clocks begin."""
HOUR = 3_600
THIEF = Identity.of(b"t" * 32, b"t" * 24)


@dataclass
class Network:
    """One onion service, for the servers of all tests."""

    net: TorNetwork
    reached: Reached
    front: Front
    folder: Path


@pytest.fixture(scope="module")
def network(tornet: TorNetwork) -> Iterator[Network]:
    with (
        tempfile.TemporaryDirectory(prefix="mars-j-", dir="/tmp") as place,
        fronted(tornet, Path(place), "j-reports") as (reached, front),
    ):
        yield Network(tornet, reached, front, Path(place))


@dataclass
class Intake(Network):
    """That of one test, with keys and a database of its own."""

    operator: Operator

    def report(self, number: int = 1, message: str = "") -> bytes:
        """Sealed anew each time."""
        to = self.operator.to()
        return self.operator.sealed(identity(number).report(content(message=message), to), to)

    def deletion(self, number: int = 1) -> bytes:
        to = self.operator.to()
        return self.operator.sealed(identity(number).deletion(to), to)

    def post(self, body: bytes, circuit: str = "") -> bytes:
        """The raw answer; each on a circuit of its own, unless one is named."""
        self.posted += 1
        return self.reached.post(body, circuit or f"{self.operator.start} {self.posted}")

    posted: int = 0


@pytest.fixture
def intake(network: Network) -> Iterator[Intake]:
    for path in network.folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.is_socket():
            path.unlink()
    network.front.arrivals.clear()
    network.front.fault = None
    operator = Operator(network.folder, network.reached.host, factory.system_clock().now() - AGO)
    yield Intake(**vars(network), operator=operator)
    network.front.fault = None


# --- what anybody may post ------------------------------------------------------------------


def _bodies(intake: Intake) -> dict[str, bytes]:
    key = intake.operator.weeks[week_of(factory.system_clock().now())].public
    low_order = (bytes(32), b"\x01" + bytes(31), bytes.fromhex("ec" + "ff" * 30 + "7f"))
    head = b"\x01" + key_id(key)
    said = {
        "report": intake.report(),
        "deletion": intake.deletion(2),
        "random": head + factory.system_chance().token(LARGE),
        "another format": b"\x02" * LARGE,
        "a key that nobody has": b"\x01" + bytes(LARGE),
    }
    said |= {f"low order {at}": head + point for at, point in enumerate(low_order)}
    return {name: body.ljust(LARGE, b"\x07")[:LARGE] for name, body in said.items()}


def test_j01_all_bodies_of_the_right_size_are_answered_alike_and_kept(intake: Intake) -> None:
    bodies = _bodies(intake)
    with intake.operator.serving():
        answers = {intake.post(body) for body in bodies.values()}
        wrong = (0, 1, SMALL - 1, SMALL + 1, LARGE - 1, LARGE + 1, 2 * LARGE)
        statuses = {kit.status(intake.post(bytes(size))) for size in wrong}
    (answer,) = answers
    assert answer.startswith(TAKEN)
    assert statuses == {413}
    found = intake.operator.open()
    assert found["lines"] == len(bodies)
    assert (found["direct"], found["deletion"], found["waiting"]) == (1, 1, 1)
    assert found["dropped"] == {"bad-body": 1, "unopenable": 4}


def test_j02_a_report_to_a_withdrawn_release_is_answered_alike_and_not_stored(
    intake: Intake,
) -> None:
    other = intake.operator.to("0.5.2")
    with intake.operator.serving():
        withdrawn = intake.post(intake.report(message="to a key that is gone"))
        current = intake.post(intake.operator.sealed(identity(2).report(content(), other), other))
    assert withdrawn == current
    intake.operator.withdraw(RELEASE)
    found = intake.operator.open()
    assert (found["dropped"], found["direct"]) == ({"unknown-release": 1}, 1)
    assert found["waiting"] == 0
    held = intake.operator.contents()
    assert b"to a key that is gone" not in held
    assert identity(1).guid.encode() not in held
    assert identity(2).guid.encode() in held, "the search would see it"


def test_j05_what_was_captured_counts_once_however_it_comes_again(intake: Intake) -> None:
    body = intake.report()
    with intake.operator.serving():
        for again in (body, body, body, intake.report(), intake.report()):
            assert intake.post(again).startswith(TAKEN)
    found = intake.operator.open()
    assert (found["lines"], found["direct"], found["repeated"]) == (5, 1, 4)
    with intake.operator.serving():
        intake.post(body)
    found = intake.operator.open()
    assert (found["lines"], found["direct"], found["repeated"]) == (1, 0, 1)


def test_j07_one_circuit_fills_no_spool(intake: Intake) -> None:
    most = Limits().hits_per_circuit
    with intake.operator.serving() as server:
        flood = {intake.post(intake.report(number), "flood") for number in range(most + 5)}
        others = {intake.post(intake.report(100 + number)) for number in range(2)}
    assert flood == others, "nobody learns that he is over it"
    assert len(server.reports()) == most + 2
    circuits = [one.circuit for one in intake.front.posts]
    assert len(set(circuits)) == 3
    found = intake.operator.open()
    assert found["direct"] == most + 2


def _forged(intake: Intake) -> Iterator[bytes]:
    """Deletions of the report of ``identity(1)``, or of none, by who has not its key."""
    to = intake.operator.to()
    head, _, rest = identity(1).deletion(to).partition(b"\n")
    signature = json.loads(THIEF.deletion(to).partition(b"\n")[0])["signature"]
    said = json.dumps({**json.loads(head), "signature": signature}, separators=(",", ":"))
    yield intake.operator.sealed((said.encode() + b"\n" + rest)[:12_000].ljust(12_000, b"\0"), to)
    yield intake.operator.sealed(THIEF.deletion(to), to)
    elsewhere = replace(to, server=f"{'a' * 51}m2dqd.onion")
    yield intake.operator.sealed(identity(1).deletion(elsewhere), to)


def test_j10_all_deletions_are_answered_alike_and_only_the_owners_has_an_effect(
    intake: Intake,
) -> None:
    genuine = intake.deletion()
    with intake.operator.serving():
        answers = {intake.post(intake.report(message="secret words"))}
        answers |= {intake.post(body) for body in _forged(intake)}
    intake.operator.open()
    (group,) = intake.operator.errors("list")["groups"]
    assert group["direct"] == 1
    with intake.operator.serving():
        answers |= {intake.post(body) for body in (genuine, genuine, intake.deletion())}
    found = intake.operator.open()
    assert len(answers) == 1
    assert found["lines"] == 3
    assert intake.operator.errors("list")["groups"] == []
    intake.operator.retain()
    held = intake.operator.contents()
    for word in (*PLANTED, b"secret words", identity(1).guid.encode()):
        assert word not in held


# --- what real clients send -----------------------------------------------------------------


class Soon(SeededChance):
    """Of each span the first tenth, so that little passes by."""

    def uniform(self, low: float, high: float) -> float:
        return low + (super().uniform(low, high) - low) / 10


class User:
    """An installation whose clock and chance are ours, and nothing else."""

    def __init__(self, intake: Path, url: str, socks: str, start: int, name: str) -> None:
        self.clock = MemoryClock(start)
        self.mars = Mars(
            PRODUCT,
            RELEASE,
            intake / "trust.json",
            url=url,
            socks=socks,
            folder=intake / name,
            registry=intake / "registry.json",
            host=machine(),
            clock=self.clock,
            chance=Soon(name),
        )

    def agrees(self) -> None:
        assert self.mars.consent.grant("plain", reports="ask"), self.mars.status()

    def releases(self, *numbers: int) -> None:
        filing = Filing(self.mars._client, self.mars._client.queue)
        for number in numbers:
            filing.take(Fault(("ValueError",), (f"examplemail.store:load_{number}+3",)))
        session(self.mars._client, self.clock, 60)
        for one in self.mars.reports.list():
            assert self.mars.reports.send(one["id"], "direct")

    def lives(self, until: Callable[[], object], days: int = 14) -> None:
        for _ in range(days * 4):
            if until():
                return
            session(self.mars._client, self.clock, 6 * HOUR)
        raise AssertionError(self.mars.journal())

    @property
    def times(self) -> list[int]:
        """At which reports or deletions went."""
        return [one["time"] for one in self.mars.journal() if one["channel"] == "reports"]


def a_user(intake: Intake, name: str) -> User:
    place = (intake.folder, intake.reached.url, intake.net.socks)
    return User(*place, intake.operator.start, name)


def _asked(front: Front, path: str) -> list[Arrival]:
    return [one for one in front.arrivals if one.raw.startswith(f"GET {path} ".encode())]


def test_j08_who_has_a_report_asks_as_who_has_none_and_all_are_told_the_same(
    intake: Intake,
) -> None:
    with intake.operator.serving():
        sender = a_user(intake, "sender")
        sender.agrees()
        sender.releases(1)
        sender.lives(lambda: intake.front.posts)
    intake.operator.open()
    intake.operator.answer(sender.clock.now())
    guid = sender.mars.reports.list()[0]["guid"]
    intake.front.arrivals.clear()
    with intake.operator.serving() as server:
        sender.lives(lambda: _asked(intake.front, STATUS_PATH))
        nobody = a_user(intake, "nobody")
        nobody.clock.wall = sender.clock.now()
        nobody.agrees()
        nobody.lives(lambda: len(_asked(intake.front, STATUS_PATH)) == 2)
        documents = {intake.reached.fetch(path=STATUS_PATH) for _ in range(2)}
        documents.add(intake.reached.fetch(path=STATUS_PATH, query=f"guid={guid}"))
    assert len({one.raw for one in _asked(intake.front, STATUS_PATH)}) == 1
    circuits = [one.circuit for one in intake.front.arrivals]
    assert len(set(circuits)) == len(circuits)
    (document,) = documents
    assert prefix_of(guid) in status_document.said(document).prefixes
    assert len(status_document.said(document).prefixes) % 10 == 0
    assert guid.encode() not in document
    assert guid not in "".join(path.read_text() for path in server.logs.iterdir())
    (told,) = sender.mars.reports.list()
    assert (told["guid"], told["state"]) == (guid, "open")


def test_j10_reports_and_deletions_of_one_user_have_nothing_in_common(intake: Intake) -> None:
    user = a_user(intake, "user")
    with intake.operator.serving():
        user.agrees()
        user.releases(1, 2, 3)
        user.lives(lambda: len(intake.front.posts) == 3)
        for kept in user.mars.reports.list():
            assert user.mars.reports.forget(kept["id"]) == "asked"
        user.lives(lambda: len(intake.front.posts) == 6)
    posts = intake.front.posts
    assert [type(intake.operator.read(one.body)) for one in posts] == [Direct] * 3 + [Deletion] * 3
    assert len({one.head for one in posts}) == 1
    assert {len(one.body) for one in posts} == {LARGE}
    assert len({one.circuit for one in intake.front.arrivals}) == len(intake.front.arrivals)
    assert len({time // DAY for time in user.times}) == 6
    assert not alike([one.body for one in posts])
    found = intake.operator.open()
    # Of the month that the user's clock went ahead, the server's has seen minutes.
    stale = found["dropped"].pop("stale", 0)
    assert (found["direct"], found["deletion"] + stale) == (3, 3)
    assert found["dropped"] == {}
    assert bool(intake.operator.errors("list")["groups"]) == bool(stale)


# --- a connection that breaks ---------------------------------------------------------------


def _half(request: bytes, _answer: bytes) -> bool:
    return b"POST " in request and len(request) > LARGE // 2


def _lost(request: bytes, answer: bytes) -> bool:
    return b"POST " in request and answer != b""


def once(fault: Callable[[bytes, bytes], bool], then: threading.Event) -> Callable[..., bool]:
    """The first time; ``then`` is set at that moment."""

    def broken(request: bytes, answer: bytes) -> bool:
        if then.is_set() or not fault(request, answer):
            return False
        then.set()
        return True

    return broken


@pytest.mark.parametrize(("fault", "lines"), [(_half, 1), (_lost, 2)], ids=["half", "lost"])
def test_j18_what_was_cut_off_goes_again_days_later_and_counts_once(
    intake: Intake, fault: Callable[[bytes, bytes], bool], lines: int
) -> None:
    user, cut = a_user(intake, "user"), threading.Event()
    intake.front.fault = once(fault, cut)
    with intake.operator.serving():
        user.agrees()
        user.releases(1)
        user.lives(cut.is_set)
        user.lives(lambda: len(user.times) == 2)
    first, second = user.times
    assert second - first >= AGAIN[0]
    found = intake.operator.open()
    assert (found["lines"], found["direct"], found["repeated"]) == (lines, 1, lines - 1)
    posts = intake.front.posts
    assert len(posts) == lines
    assert not alike([one.body for one in posts])
    read = [intake.operator.read(one.body) for one in posts]
    assert len({one.guid for one in read if isinstance(one, Direct)}) == 1


def main() -> None:
    """A client that ends in the middle of its first report."""
    folder, url, socks, start = sys.argv[1:]
    user = User(Path(folder), url, socks, int(start), "user")
    user.agrees()
    user.releases(1)
    user.lives(lambda: False)


def test_j18_a_client_that_is_killed_while_it_sends_sends_again_days_later(intake: Intake) -> None:
    start, cut = intake.operator.start, threading.Event()
    told = [str(intake.folder), intake.reached.url, intake.net.socks, str(start)]
    intake.front.fault = once(_half, cut)
    program = f"from {__name__} import main; main()"
    with intake.operator.serving():
        with Popen([sys.executable, "-c", program, *told], cwd=ROOT) as client:
            assert cut.wait(60)
            client.kill()
        user = a_user(intake, "user")
        user.clock.wall = start + DAY
        user.lives(lambda: intake.front.posts)
    assert len(user.times) == 2, "that of which a part left is recorded"
    assert user.times[1] - user.times[0] >= AGAIN[0]
    found = intake.operator.open()
    assert (found["lines"], found["direct"]) == (1, 1)
