"""How much one request says is the trust file's to say, no server's, clock's or other file's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mars.channels.memory import Memory
from mars.core.records import STATE_FILE
from mars.errors import ConfigError
from mars.pinned import Pinned
from mars.testing.memory import START, session
from mars.testing.world import World
from mars.wire import envelope, motd
from mars.wire.times import DAY
from mars.wire.variables import BASIC, NAMES

ONE = [("v",), ("v",), ("os",), ("ia",)]
TWO = [("v", "os"), ("v", "os"), ("v", "ia"), ("v", "ia")]
THREE = [BASIC] * 4


def said(world: World, picks: tuple[float, ...] = (0.1, 0.4, 0.6, 0.9)) -> list[tuple[str, ...]]:
    """What the next request would say for each pick, by the kept state and the client's clock."""
    client = world.client()
    found = []
    for pick in picks:
        state = replace(Memory.of(client.load()), pick=pick).into(client.load())
        found.append(tuple(client.plan(state, client.voice(state)).values))
    return found


def a_world(crowd: int) -> World:
    world = World(crowd=crowd)
    world.grant("tracked")
    return world


def louder(world: World) -> Iterator[bytes]:
    """Signed news that says of the crowd what it likes: in the payload, and unsigned beside it."""
    louder = {"crowd": 1000, "built": "2026-11-01T00:00:00Z", "variables": list(NAMES)}
    payload = motd.encode(world.publisher.motd(world.clock.wall))
    signed = json.dumps({**json.loads(payload), **louder}).encode("ascii")
    yield envelope.encode(world.publisher.envelope(signed))
    world.clock.advance(60)
    beside = json.loads(world.publisher.document(world.clock.wall))
    yield json.dumps({**beside, **louder}).encode("ascii")


@pytest.mark.parametrize(("crowd", "due"), [(0, ONE), (150, TWO), (10**6, THREE)])
def test_f11_nothing_that_a_server_says_changes_the_crowd(
    crowd: int, due: list[tuple[str, ...]]
) -> None:
    """It would know a client by what that one says more, or less, than the others."""
    world = a_world(crowd)
    assert said(world) == due
    for body in louder(world):
        world.server.body = body
        assert world.client().fetch().ok
        assert said(world) == due


def test_f11_nothing_that_is_kept_changes_the_crowd_of_an_application() -> None:
    world = a_world(0)
    table = json.loads(world.store.files[STATE_FILE])
    table["app"] |= {"crowd": 1000, "built": START}
    table |= {"crowd": 1000, "built": START}
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    assert said(world) == ONE


def test_f11_a_trust_file_says_it_for_400_days_and_no_clock_before_it() -> None:
    """An application that is not released any more may have lost its crowd."""
    world = a_world(1000)
    assert said(world) == THREE
    world.clock.wall = START + 400 * DAY
    world.publish()
    assert world.client().fetch().ok  # else the client would ask for the chain of keys
    assert said(world) == THREE
    world.clock.wall += 1
    assert said(world) == ONE
    world.clock.wall = START - 1
    before = {names for one in said(world) for names in one}
    assert before <= {"v", "os"}, "nor is its age known then"


@pytest.mark.parametrize("crowd", [-1, -1000, "1000", 1000.0, 1e3, True, None, [1000], {}])
def test_f11_a_crowd_that_is_no_number_of_installations_is_refused(crowd: object) -> None:
    world = World()
    trust = json.dumps({**json.loads(world.trust), "crowd": crowd}).encode("ascii")
    with pytest.raises(ConfigError) as refused:
        Pinned.of(trust)
    assert refused.value.reason == "trust-invalid"
    mars = world.mars(trust=trust)
    mars.consent.grant("tracked")
    mars.start()
    mars.stop()
    assert mars.status()["problem"]["reason"] == "trust-invalid"
    assert world.server.visits == []


def test_f11_below_a_thousand_no_age_is_finer_than_up_to_a_month_or_longer() -> None:
    ages: dict[int, set[str]] = {}
    for crowd in (0, 100, 1000):
        world = a_world(crowd)
        ages[crowd] = set()
        for days in (0, 3, 4, 31, 32, 316, 317, 399):
            world.mars().reset_age(world.clock.wall - days * DAY)
            client = world.client()
            state = replace(Memory.of(client.load()), pick=0.9).into(client.load())
            ages[crowd].add(client.plan(state, client.voice(state)).values["ia"])
    assert ages == {0: {"10", "100"}, 100: {"10", "100"}, 1000: {"1", "10", "100", "1000"}}


def test_f11_a_draw_outlives_no_period() -> None:
    """Served, or lost after all tries: the next request says what is drawn for it alone."""
    world = a_world(1000)
    client = world.client()
    drawn: dict[bool, list[float | None]] = {True: [], False: []}
    for served, picks in drawn.items():
        world.publish()
        world.server.body = world.server.body if served else b"<html>"
        while len(picks) < 12:
            known = Memory.of(client.load())
            picks.append(known.pick)
            count = len(world.server.visits)
            while len(world.server.visits) == count:
                session(client, world.clock, 2 * DAY)
    assert len(set(drawn[True])) == 12
    assert len(set(drawn[False])) >= 4, "three tries are a period's"
