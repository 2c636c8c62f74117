"""When a client asks for the chain of keys in place of the news."""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mars import Mars, factory
from mars.channels.memory import AWAY, SELDOM, Memory
from mars.consent import Decision
from mars.core import state as states
from mars.core.records import STATE_FILE
from mars.core.schedule import Schedule
from mars.errors import MarsError, TransportError
from mars.ports import Request, Response
from mars.testing.memory import MemoryServer, session
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.testing.world import World
from mars.wire.envelope import MAX_CHAIN, MAX_CHAIN_STEPS, MAX_STEPS, encode_chain
from mars.wire.query import KEYS_PATH
from mars.wire.times import DAY
from mars.wire.url import parse_url
from tests.hostile.steering import BUILT_IN, SEED, a_world, asked_for, next_url, years
from tests.waiting import until


@dataclass
class Far(MemoryServer):
    """Has the whole chain, of which fewer steps than were made since ride in its news."""

    chain: bytes = b""

    def fetch(self, request: Request) -> Response:
        news, path = self.body, parse_url(request.message.url).target
        self.body = self.chain if path.startswith(KEYS_PATH) else news
        assert request.limit == (MAX_CHAIN if path.startswith(KEYS_PATH) else Request.limit)
        try:
            return super().fetch(request)
        finally:
            self.body = news


def far_behind(world: World, rotations: int = MAX_STEPS + 3) -> Far:
    """So many epochs later."""
    publisher = world.publisher
    for number in range(rotations):
        publisher.rotate(world.clock.wall, seeds=[bytes([number]) * 32])
    far = Far(chain=encode_chain(publisher.chain))
    del publisher.chain[:-MAX_STEPS]
    world.server = far
    return far


def test_a27_over_a_wide_gap_the_chain_is_asked_for_once_plainly_and_then_the_news() -> None:
    world = a_world(crowd=1000)
    session(world.client(), world.clock, 12 * DAY)
    far_behind(world)
    while KEYS_PATH not in asked_for(world):
        world.publish()
        ready = world.mars().preview()
        for _ in range(24):
            if KEYS_PATH not in asked_for(world):
                session(world.client(), world.clock, DAY // 24)
    keys = asked_for(world).index(KEYS_PATH)
    assert world.server.visits[keys] == f"{BUILT_IN}{KEYS_PATH}", "without a query"
    assert ready is not None
    assert ready.level == "plain", "and the preview of that day said so"
    assert (ready.url, ready.values, ready.limit) == (f"{BUILT_IN}{KEYS_PATH}", {}, MAX_CHAIN)
    assert "?" in world.server.visits[keys - 1]
    entry = world.client().journal()[-1]
    assert (entry["reason"], entry["epoch"], entry["level"]) == (None, 12, "plain")
    begun = Memory.of(world.client().load())
    assert begun.heard is not None
    assert AWAY <= entry["time"] - begun.heard < AWAY + 11 * DAY
    assert world.mars().motd() is None, "what the former epoch said is nobody's word now"
    world.publish()
    session(world.client(), world.clock, 12 * DAY)
    assert asked_for(world)[keys + 1 : keys + 2] == ["/motd/motd.json"]
    assert world.mars().status()["last"]["reason"] is None
    assert world.mars().motd() is not None


ANSWERS: dict[str, bytes] = {
    "garbage": b"garbage",
    "nothing": b"",
    "another's": Publisher("othermail").document(),
    "forged": Publisher(seeds=[b"x" * 32]).document(),
}


def asked_when(answer: bytes | MarsError) -> list[tuple[str, int]]:
    """Of a new installation, in more than a year of nothing acceptable."""
    world = a_world()
    far = Far(chain=b"{}")
    world.server = far
    if isinstance(answer, bytes):
        far.body = answer
        far.chain = answer
    else:
        far.fault = answer
    years(world, 400 * DAY)
    entries = world.client().journal()
    return [(parse_url(entry["url"]).target.partition("?")[0], entry["time"]) for entry in entries]


def test_a27_no_answer_chooses_when_the_chain_is_asked_for() -> None:
    """Whoever could would know the client again by it."""
    asked = [asked_when(answer) for answer in ANSWERS.values()]
    asked.append(asked_when(TransportError("http-status", "500")))
    assert all(each == asked[0] for each in asked)
    times = [time for path, time in asked[0] if path == KEYS_PATH]
    assert times[0] >= EXAMPLE_NOW + AWAY
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(gaps) == 2
    assert min(gaps) >= SELDOM


def test_a27_where_the_keys_that_hold_still_sign_the_chain_is_never_asked_for() -> None:
    """Though nothing is accepted: it has expired, and these keys are those that sign."""
    expired = asked_when(Publisher(seeds=SEED).document(EXAMPLE_NOW - 50 * DAY))
    assert {path for path, _ in expired} == {"/motd/motd.json"}


def test_a27_the_chain_lies_beside_the_news() -> None:
    world = World(url="https://example.org/app/news/motd.json", publisher=Publisher(seeds=SEED))
    world.grant("plain")
    world.server.body = b"garbage"
    years(world, 80 * DAY)
    assert asked_for(world)[-1] == "/app/news/keys.json" or "/app/news/keys.json" in asked_for(
        world
    )


def test_a27_where_news_are_accepted_the_chain_is_never_asked_for() -> None:
    world = a_world()
    for _ in range(20):
        world.publish()
        years(world, 20 * DAY)
    assert set(asked_for(world)) == {"/motd/motd.json"}


@dataclass
class CutOff(MemoryServer):
    """Each process ends while it waits; now and then its first try does not leave."""

    tries: int = 0

    def fetch(self, request: Request) -> Response:
        self.tries += 1
        if self.tries % 2:
            raise TransportError("tor-unavailable", "No Tor here.")
        super().fetch(request)
        raise KeyboardInterrupt


def test_a27_f11_a_period_that_was_cut_off_is_over() -> None:
    """The chain is not asked for again in the next, and what a request says is drawn anew."""
    world = a_world(crowd=100)
    world.server = CutOff()
    while world.clock.wall < EXAMPLE_NOW + 500 * DAY:
        with contextlib.suppress(KeyboardInterrupt):
            years(world, 30 * DAY)
    entries = world.client().journal()
    times = [entry["time"] for entry in entries if KEYS_PATH in entry["url"] and entry["sent"]]
    assert len(times) > 1
    assert all(later - earlier >= SELDOM for earlier, later in itertools.pairwise(times))
    said = {frozenset(parse_qs(urlsplit(url).query)) for url in world.server.visits}
    assert {frozenset({"v", "os"}), frozenset({"v", "ia"})} <= said


def test_a27_a_process_that_dies_while_it_asks_for_the_chain_does_not_ask_again() -> None:
    world = a_world()
    world.server.body = b"garbage"

    class Dying(MemoryServer):
        def fetch(self, request: Request) -> Response:
            super().fetch(request)
            if KEYS_PATH in request.message.url:
                raise KeyboardInterrupt
            raise TransportError("timeout", "Nothing came.")

    world.server = Dying()
    with pytest.raises(KeyboardInterrupt):
        session(world.client(), world.clock, 90 * DAY)
    with pytest.raises(KeyboardInterrupt):
        session(world.client(), world.clock, 200 * DAY)
    times = [entry["time"] for entry in world.client().journal() if KEYS_PATH in entry["url"]]
    assert len(times) == 2
    assert times[1] - times[0] >= SELDOM


def test_a27_while_no_tor_is_there_the_chain_is_not_asked_for_and_stays_due() -> None:
    world = a_world()
    world.server.unreachable = TransportError("tor-unavailable", "No Tor here.")
    session(world.client(), world.clock, 90 * DAY)
    world.server.unreachable = None
    world.server.body = b"garbage"
    session(world.client(), world.clock, 30 * DAY)
    assert asked_for(world)[:2] == [KEYS_PATH, "/motd/motd.json"]


def test_a27_what_a_person_asks_for_by_hand_is_the_news() -> None:
    world = a_world()
    world.clock.advance(90 * DAY)
    world.publish()
    assert next_url(world) == f"{BUILT_IN}{KEYS_PATH}"
    outcome = world.client().check()
    assert outcome is not None
    assert outcome.ok
    assert asked_for(world) == ["/motd/motd.json"]
    assert next_url(world).startswith(f"{BUILT_IN}/motd/motd.json")


def test_a27_a_chain_that_root_did_not_sign_changes_nothing() -> None:
    world = a_world()
    far = far_behind(world)
    thief = replace(a_world().publisher, chain=[])
    thief.seeds = [b"x" * 32]
    thief.rotate(world.clock.wall, seeds=[b"y" * 32])
    far.chain, far.body = encode_chain(thief.chain), b"garbage"
    session(world.client(), world.clock, 90 * DAY)
    entry = next(entry for entry in world.client().journal() if KEYS_PATH in entry["url"])
    assert entry["reason"] == "keys-threshold"
    assert Memory.of(world.client().load()).trust_state().epoch in (0, 1)


def test_a27_the_whole_chain_comes_through_a_real_proxy(tmp_path: Path) -> None:
    """It is larger than news may be."""
    publisher, now = Publisher(seeds=SEED), factory.system_clock().now()
    trust = publisher.trust().encode()
    for number in range(MAX_CHAIN_STEPS):
        publisher.rotate(now - DAY, seeds=[bytes([number]) * 32])
    chain = encode_chain(publisher.chain)
    assert len(chain) > Request.limit
    decided = replace(states.first(now), decision=Decision.of("tracked", now - AWAY))
    with SocksServer(answering(ok(chain))) as socks:
        # Overdue, and with all but a second of its wait behind it: however slow this machine is.
        state = Memory(schedule=Schedule(due=now - DAY, wait=1)).into(decided)
        factory.folder(str(tmp_path)).write(STATE_FILE, states.encode(state))
        mars = Mars(
            *("examplemail", "0.5.1", trust),
            url="http://127.0.0.1:8080/motd/motd.json",
            socks=socks.address,
            folder=tmp_path,
        )
        mars.start()
        until(lambda: mars.status()["last"] is not None)
        mars.stop()
        (visit,) = socks.visits
    assert visit.request.startswith(b"GET /motd/keys.json HTTP/1.1\r\n")
    (entry,) = mars.journal()
    assert (entry["reason"], entry["epoch"]) == (None, MAX_CHAIN_STEPS + 1)
