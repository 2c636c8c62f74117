"""Whoever could give one client a registry of its own could follow it by what it then sends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from mars.channels.beside import Memory
from mars.core.records import STATE_FILE
from mars.core.schedule import SHORTEST
from mars.errors import StateError
from mars.ports import Request, Response
from mars.testing.memory import machine, session
from mars.testing.world import World
from mars.wire.catalogue import MAX_REGISTRY
from mars.wire.times import DAY
from tests.mars.channels.registries import (
    PLACE,
    A,
    B,
    C,
    a_world,
    asked,
    registry,
    serve,
    until_asked,
)

FILE = "registry.json"
OURS = registry(A, B)
FLIPPED = OURS.replace(b"Is it so?", b"Is it sp?", 1)
OWN = {
    "another": registry(A, B, "only/you"),
    "one letter": FLIPPED,
    "a space more": OURS + b" ",
    "of another product": registry(A, B, product="othermail"),
    "nothing": b"",
    "the news": b"{}",
    "too large": b"[" * (MAX_REGISTRY + 1),
}


def last(world: World) -> tuple[str | None, bool]:
    entry = [one for one in world.client().journal() if one["channel"] == "registry"][-1]
    return entry["reason"], bool(entry["sent"])


@pytest.mark.parametrize("own", OWN, ids=str)
def test_e24_a_registry_that_root_does_not_name_is_refused_and_the_old_one_stays(own: str) -> None:
    world = a_world(OURS)
    world.grant("plain", stats=True)
    until_asked(world)
    world.server.answers[PLACE] = (200, OWN[own])
    until_asked(world, 2)
    assert last(world) == ("registry-unknown", True)
    assert world.store.files[FILE] == OURS
    client = world.client()
    assert client.current_registry(client.load()) is not None
    (*_, then) = [one["time"] for one in client.journal() if one["channel"] == "registry"]
    after = Memory.of(client.load(), "registry").schedule
    assert after is not None
    assert after.due - then >= SHORTEST, "what left brings nobody back sooner"


def test_e24_one_for_another_product_does_not_count_though_root_should_name_it() -> None:
    other = registry(A, product="othermail")
    world = a_world(OURS, other)
    world.grant("plain", stats=True)
    until_asked(world)
    session(world.client(), world.clock, 12 * DAY)
    assert FILE not in world.store.files or world.store.files[FILE] == OURS
    client = world.client()
    assert client.current_registry(client.load()) is None


def test_e24_a_file_changed_on_disk_is_as_good_as_none() -> None:
    new = registry(C)
    world = a_world(OURS, new)
    world.grant("plain", stats=True)
    until_asked(world)
    session(world.client(), world.clock, DAY)
    for damaged in (FLIPPED, b"", new[:-5], OURS):
        world.store.files[FILE] = damaged
        client = world.client()
        assert client.current_registry(client.load()) is None


def test_e24_the_request_is_the_same_for_everyone_whatever_they_agreed_to() -> None:
    seen = set()
    for number, agreed in enumerate(({A: True}, {A: True, B: True}, {B: True})):
        world = a_world(OURS, seed=number, host=machine(["linux", "windows", "macos"][number]))
        world.version = ["0.5.1", "0.4.0", "dev"][number]
        world.grant("tracked", "v", "cc", entries=agreed, country=["IS", "DE", ""][number])
        until_asked(world)
        seen |= {one.golden for one in world.server.requests if "registry" in one.url}
    assert len(seen) == 1


def test_e24_where_no_signed_document_names_one_none_is_asked_for() -> None:
    world = World(registry=OURS)
    world.publish()
    world.grant("plain", stats=True)
    session(world.client(), world.clock, 40 * DAY)
    assert len(world.server.visits) > 3
    client = world.client()
    assert {one["channel"] for one in client.journal()} == {"motd"}, "nor is it tried"
    assert client.send(client.channels[1]).reason == "cannot-judge", "nor by hand"
    assert asked(world) == []


def test_e24_it_goes_on_a_day_of_its_own() -> None:
    for seed in range(2):
        world = a_world(OURS, seed=seed)
        world.grant("plain", stats=True)
        session(world.client(), world.clock, 25 * DAY)
        days = Counter(one["time"] // DAY for one in world.client().journal() if one["sent"])
        assert max(days.values()) == 1
        assert len(asked(world)) >= 2


def test_e24_a_registry_that_cannot_be_kept_changes_nothing() -> None:
    world = a_world(OURS, registry(C))
    world.grant("plain", stats=True)
    assert world.client().fetch().ok
    client = world.client()

    class Filling:
        def fetch(self, request: Request) -> Response:
            answer = world.server.fetch(request)
            world.store.full = True
            return answer

    client.ports = replace(client.ports, fetcher=lambda _ready: Filling())
    with pytest.raises(StateError):
        client.send(client.channels[1])
    world.store.full = False
    assert FILE not in world.store.files
    client = world.client()
    assert client.current_registry(client.load()) is None
    assert world.store.files[STATE_FILE]
    world.clock.advance(DAY)
    serve(world, OURS)
    assert world.client().fetch().ok
    client = world.client()
    assert client.current_registry(client.load()) is not None, "what is shipped counts again"
