"""Who leads a client elsewhere, and which links of news it offers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from mars.channels.memory import Memory
from mars.ports import Request, Response
from mars.testing.memory import MemoryServer, session
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.testing.world import ONION, World
from mars.wire import envelope
from mars.wire import motd as motds
from mars.wire.envelope import STEERING_TYPE
from mars.wire.motd import Message
from mars.wire.times import DAY
from mars.wire.url import parse_url
from tests.hostile.steering import BUILT_IN, SEED, a_world, news, next_url, notes, onion, years

OTHER, EVIL = onion("b"), onion("e")


@dataclass
class Thief(MemoryServer):
    """Holds the news keys: each circuit gets a document of its own, which names a server of its
    own and another pace, and steering documents that the news keys signed."""

    world: World | None = None
    served: Iterator[int] = field(default_factory=itertools.count)

    def fetch(self, request: Request) -> Response:
        world, number = self.world, next(self.served)
        assert world is not None
        thief, now = world.publisher, world.clock.wall
        own = (EVIL, onion("f"), "https://evil.example")[number % 3]
        steering = Publisher(seeds=[bytes([number % 100]) * 32])
        if number % 2:
            steering = replace(thief)
        steering.steer(now, servers=(EVIL,), reportback_next=3 * DAY, links=("https://evil.org/",))
        forged = steering.x_steering
        assert forged is not None
        if number % 2:  # signed by the pair that was stolen, which is not root's
            forged = thief.envelope(forged.payload, STEERING_TYPE, now)
            forged = replace(forged, x_keys=(), x_steering=None, x_release=None)
        payload = motds.encode(thief.motd(now, reportback_server=own, reportback_next=3 * DAY))
        served = replace(thief.envelope(payload, at=now), x_steering=forged)
        self.body = envelope.encode(served)
        return super().fetch(request)


def test_c14_a_thief_of_the_news_keys_leads_no_client_elsewhere_in_years() -> None:
    world = a_world()
    world.server = Thief(world=world)
    years(world, 3 * 365 * DAY)
    visits = [parse_url(url) for url in world.server.visits]
    assert len(visits) > 100
    assert {visit.host for visit in visits} == {ONION}
    assert {visit.target.partition("?")[0] for visit in visits} == {"/motd/motd.json"}
    entries = world.client().journal()
    assert {entry["reason"] for entry in entries} == {None}, "its news are as good as genuine ones"
    assert all("steering: differs" in entry["notes"] for entry in entries)
    assert all("steering: signature-threshold" in entry["notes"] for entry in entries)
    gaps = [b["time"] - a["time"] for a, b in itertools.pairwise(entries)]
    assert max(gaps) > 9 * DAY, "nor does it set the pace: that would be 3 to 6 days"
    reading = world.mars().motd()
    assert reading is not None
    assert {message.url for message in reading.messages} == {"https://example.org/news"}


def test_c14_root_leads_elsewhere_and_an_older_document_leads_not_back() -> None:
    world = a_world()
    older = world.publisher.x_steering
    world.clock.advance(DAY)
    world.publisher.steer(world.clock.wall, servers=(OTHER,), reportback_next=30 * DAY)
    session(world.client(), world.clock, 12 * DAY)
    world.publish()
    session(world.client(), world.clock, 12 * DAY)
    assert next_url(world).startswith(f"{OTHER}/motd/motd.json")
    due = Memory.of(world.client().load()).schedule
    assert due is not None
    assert due.period == 30 * DAY
    world.publisher.x_steering = older
    news(world, reportback_server=BUILT_IN)
    assert world.client().fetch().ok
    assert notes(world) == ["steering: rollback", "steering: differs"]
    assert next_url(world).startswith(f"{OTHER}/")
    world.publisher.x_steering = None
    news(world, reportback_server=OTHER, reportback_next=30 * DAY)
    assert world.client().fetch().ok
    assert notes(world) == [], "withheld is not contradicted"
    assert next_url(world).startswith(f"{OTHER}/")


def test_c14_two_steering_documents_of_one_serial_are_evidence_and_the_first_holds() -> None:
    world = a_world()
    world.publisher.steer(servers=(EVIL,))
    news(world)
    assert world.client().fetch().ok
    assert "steering: equivocation" in notes(world)
    (found,) = Memory.of(world.client().load()).trust_state().evidence
    assert (found.kind, found.number) == ("steering", EXAMPLE_NOW)
    assert next_url(world).startswith(f"{BUILT_IN}/")


def test_c14_a_release_that_steers_elsewhere_leads_from_the_first_request_on() -> None:
    """Also where nobody but the application knows its trust file, as in the command."""
    publisher = Publisher(seeds=SEED)
    publisher.steer(servers=(OTHER,))
    world = World(publisher=publisher)
    world.pinned = publisher.trust(servers=(BUILT_IN,)).encode()
    mars = world.mars()
    assert mars.status()["server"] == f"{OTHER}/motd/motd.json"
    assert mars.consent.grant("plain")
    bare = replace(world.client().app, by_hand=True, server="", steered="", url="")
    kept = bare.of(world.client().load().app)
    assert (kept.server, kept.steered) == (BUILT_IN, OTHER)
    world.publish()
    session(world.client(), world.clock, 12 * DAY)
    assert {parse_url(url).host for url in world.server.visits} == {parse_url(OTHER).host}


LINKS = {
    "https://example.org/news": True,
    "https://example.org/": True,
    "https://example.org": False,
    "https://example.org/?id=7": False,
    "https://example.org/#7": False,
    "https://example.org/a/../../b": False,
    "https://example.org/%2e%2e/b": False,
    "https://example.org/a/.%2E/b": False,
    "https://example.org.evil.org/": False,
    "https://evil.org/https://example.org/": False,
    "https://example.org:8443/": False,
    "http://example.org/": False,
}


@pytest.mark.parametrize(("url", "offered"), LINKS.items(), ids=LINKS)
def test_b14_only_links_that_steering_allows_are_offered(url: str, offered: bool) -> None:
    world = a_world()
    news(world, messages=(Message("a", {"en": "Hello"}, url=url),))
    assert world.client().fetch().ok
    reading = world.mars().motd()
    assert reading is not None
    (message,) = reading.messages
    assert message.url == (url if offered else "")
    (shown,) = world.client().claim()
    assert shown.url == message.url


def test_c09_news_signed_while_a_clock_stood_years_ahead_end_with_the_next_rotation() -> None:
    """By a thief, for nobody else dates news so; the client goes on asking all the same."""
    world = a_world()
    world.clock.wall += 730 * DAY
    world.publish()
    assert world.client().fetch().ok
    world.clock.wall -= 730 * DAY
    world.publisher.rotate(world.clock.wall, seeds=[b"n" * 32])
    world.publish()
    years(world, 40 * DAY)
    reading = world.mars().motd()
    assert reading is not None
    assert reading.issued <= world.clock.wall


def test_e18_who_takes_a_yes_back_and_gives_it_anew_is_not_seen_twice_in_a_day() -> None:
    for seed in range(12):
        world = a_world(seed=seed)
        years(world, 12 * DAY)
        seen = len(world.server.visits)
        last = world.client().journal()[-1]["time"]
        world.grant("off")
        world.grant("tracked")
        while len(world.server.visits) == seen:
            years(world, DAY)
        assert world.client().journal()[-1]["time"] - last >= 3 * DAY


def test_e18_a_cut_off_request_counts_where_a_yes_is_taken_back_and_given_anew() -> None:
    """The process was killed while it waited, so nothing else is known of that request."""

    class Killed(MemoryServer):
        def fetch(self, request: Request) -> Response:
            super().fetch(request)
            raise KeyboardInterrupt

    for seed in range(12):
        world = a_world(seed=seed)
        world.server = Killed()
        with pytest.raises(KeyboardInterrupt):
            years(world, 30 * DAY)
        last, pick = world.clock.wall, Memory.of(world.client().load()).pick
        world.server = MemoryServer(body=world.publisher.document(last))
        world.grant("off")
        world.grant("tracked")
        while not world.server.visits:
            years(world, DAY)
        assert world.clock.wall - last >= 3 * DAY - DAY // 24
        assert Memory.of(world.client().load()).pick != pick
