"""What may ever be sent is fetched by all who agreed to any of it, and kept where root names it."""

from __future__ import annotations

import itertools
import json
from datetime import date

import pytest

from mars.channels.beside import Memory
from mars.consent import new_entries
from mars.core.records import STATE_FILE
from mars.core.schedule import SHORTEST
from mars.errors import ConfigError, TransportError
from mars.testing.memory import session
from mars.testing.world import World
from mars.wire.catalogue import Catalogue
from mars.wire.times import DAY, format_time
from tests.mars.channels.registries import (
    PLACE,
    A,
    B,
    C,
    a_world,
    asked,
    metric,
    registry,
    serve,
    until_asked,
)

FILE = "registry.json"


def names(found: Catalogue | None) -> list[str]:
    return [] if found is None else [one.name for one in found.metrics]


def test_what_is_shipped_holds_before_any_fetch_where_root_names_it() -> None:
    world = a_world()
    client = world.client()
    assert names(client.current_registry(client.load())) == [A, B]
    assert names(client.shown_registry(client.load())) == [A, B]
    world.pinned = world.publisher.trust(x_steering=None).encode()
    client = world.client()
    assert client.current_registry(client.load()) is None, "nobody has signed it"
    assert names(client.shown_registry(client.load())) == [A, B], "to be looked at"


def test_a_new_one_is_fetched_with_a_plain_request_kept_shown_and_recorded() -> None:
    world = a_world(served=registry(A, C))
    world.grant("plain", stats=True)
    shown = world.mars().preview(channel="registry")
    assert shown is not None
    assert (shown.url, shown.values, shown.level, shown.direct) == (PLACE, {}, "plain", None)
    until_asked(world)
    assert asked(world) == [PLACE]
    assert world.store.files[FILE] == registry(A, C)
    client = world.client()
    assert names(client.current_registry(client.load())) == [A, C]
    (entry,) = [one for one in client.journal() if one["channel"] == "registry"]
    assert entry["sent"] == shown.request.shown
    assert (entry["level"], entry["reason"], entry["entries"]) == ("plain", None, 2)


def test_it_is_asked_for_once_a_period_changed_or_not() -> None:
    world = a_world()
    world.grant("plain", stats=True)
    session(world.client(), world.clock, 65 * DAY)
    times = [one["time"] for one in world.client().journal() if one["channel"] == "registry"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 6 <= len(times) <= 16
    assert all(SHORTEST <= gap <= 14 * DAY for gap in gaps)
    assert set(asked(world)) == {PLACE}
    assert Memory.of(world.client().load(), "registry").schedule is not None


def test_without_a_yes_to_statistics_it_is_asked_for_by_nobody() -> None:
    world = a_world()
    world.grant("tracked")
    session(world.client(), world.clock, 20 * DAY)
    assert world.server.visits
    assert asked(world) == []
    world.grant("tracked", entries=[A])
    until_asked(world)
    world.grant("tracked", stats=False)
    before = len(asked(world))
    assert Memory.of(world.client().load(), "registry").schedule is None
    session(world.client(), world.clock, 20 * DAY)
    assert len(asked(world)) == before


def test_a_yes_taken_back_and_given_anew_asks_no_sooner() -> None:
    for seed in range(10):
        world = a_world(seed=seed)
        world.grant("plain", stats=True)
        until_asked(world)
        (last,) = [one["time"] for one in world.client().journal() if one["channel"] == "registry"]
        world.grant("plain", stats=False)
        world.grant("plain", stats=True)
        kept = Memory.of(world.client().load(), "registry").schedule
        assert kept is not None
        assert kept.due >= last - 60 + SHORTEST


def test_one_that_root_no_longer_names_sends_nothing_from_then_on() -> None:
    world = a_world()
    world.grant("plain", stats=True)
    serve(world, registry(C))
    assert world.client().fetch().ok
    client = world.client()
    assert client.current_registry(client.load()) is None
    assert names(client.shown_registry(client.load())) == [A, B], "it is still to be seen"
    until_asked(world)
    client = world.client()
    assert names(client.current_registry(client.load())) == [C]


def test_a_bare_yes_is_one_to_what_is_collected_today_and_to_nothing_later() -> None:
    gone = metric("old/one", expires=date(2026, 11, 21))
    taken_back = metric("old/two", withdrawn=date(2026, 11, 1))
    world = a_world(registry(A, gone, taken_back), registry(A, B))
    mars = world.mars()
    assert mars.consent.grant("plain", stats=True)
    assert mars.consent.decision.entries == {A: world.clock.wall}  # type: ignore[union-attr]
    until_asked(world)
    client = world.client()
    state = client.load()
    assert client.voice(state).entries.keys() == {A}
    assert new_entries(state.decision, client.declared(state)) == (B,)
    assert mars.consent.grant("plain", stats=True)
    assert mars.consent.decision.entries.keys() == {A, B}  # type: ignore[union-attr]


def test_a_yes_to_what_nothing_declares_is_dropped_and_told() -> None:
    mars = a_world().mars()
    assert mars.preview("plain", entries=[A, C], channel="registry") is not None
    assert mars.consent.grant("plain", entries=[A, C])
    assert mars.consent.decision.entries.keys() == {A}  # type: ignore[union-attr]
    problem = mars.status()["problem"]
    assert (problem["reason"], C in problem["message"]) == ("undeclared", True)
    assert mars.consent.grant("plain", entries={B: True})
    assert mars.status()["problem"] is None


def test_without_a_registry_nobody_is_asked_for_what_could_not_be_shown() -> None:
    world = World()
    mars = world.mars()
    assert mars.consent.grant("plain", stats=True)
    assert mars.status()["problem"]["reason"] == "not-offered"
    assert mars.preview(channel="registry") is None


@pytest.mark.parametrize(
    "shipped",
    [b"", b"{}", registry(A, product="othermail"), registry(A, channel="beta")],
    ids=["empty", "no registry", "product", "channel"],
)
def test_what_is_shipped_and_is_none_is_told_and_harms_nothing(shipped: bytes) -> None:
    world = a_world(shipped)
    mars = world.mars()
    assert mars.consent.grant("plain", stats=True)
    assert mars.consent.decision.entries == {}  # type: ignore[union-attr]
    assert mars.status()["problem"]["reason"] == "registry-invalid"
    assert mars.consent.revoke()
    client = world.client()
    assert client.current_registry(client.load()) is None
    with pytest.raises(ConfigError, match="registry-invalid"):
        client.shown_registry(client.load())


def test_a_file_that_cannot_be_read_is_told_to_the_developer() -> None:
    world = a_world()
    mars = world.mars(registry="/no/such/registry.json")
    assert mars.status()["problem"]["reason"] == "registry-invalid"
    with pytest.raises(ConfigError):
        world.mars(registry="/no/such/registry.json", debug=True)


def test_a_damaged_memory_of_it_is_told_and_begins_anew() -> None:
    world = a_world()
    world.grant("plain", stats=True)
    table = json.loads(world.store.files[STATE_FILE])
    table["registry"]["schedule"]["due"] = "soon"
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    mars = world.mars()
    assert mars.status()["problem"]["reason"] == "state-damaged"
    until_asked(world)


def test_it_is_forgotten_with_all_else() -> None:
    world = a_world(served=registry(C))
    world.grant("plain", stats=True)
    until_asked(world)
    assert FILE in world.store.files
    world.client().forget(lambda: None)
    assert world.store.files == {}


def test_where_nothing_left_it_is_tried_again_within_hours() -> None:
    world = a_world()
    world.grant("plain", stats=True)
    client = world.client()
    due = Memory.of(client.load(), "registry").schedule
    assert due is not None
    world.server.unreachable = TransportError("tor-unavailable", "No Tor here.")
    client.send(client.channels[1], scheduled=True)
    after = Memory.of(client.load(), "registry").schedule
    assert after is not None
    assert after.failures == 1
    assert after.due - world.clock.wall <= 6 * 3600, format_time(after.due)
