"""I27: a publisher who asks for little, and for more under the same name once many have agreed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mars.channels.upcoming import Memory
from mars.core.state import State
from mars.errors import ConsentError, TransportError
from mars.ports import Request, Response
from mars.testing.memory import session
from mars.testing.world import World
from mars.wire.events import Domain
from mars.wire.registry import BOOL, Metric
from mars.wire.times import WEEK, week_start
from tests.mars.channels.kit import (
    FOLDERS,
    PROTOCOL,
    REGISTRY_URL,
    a_world,
    catalogue,
    posted,
    publishing,
)
from tests.mars.failures.kit import DECRYPTION, cause

MOST = replace(FOLDERS, rate=0.9999)
NOISY = replace(PROTOCOL, rate=0.9999, epsilon=1.0)
LARGER: dict[str, tuple[Metric, dict[str, Any]]] = {
    "oftener": (MOST, {"rate": 1.0}),
    "finer": (MOST, {"bounds": (1, 5, 10, 100)}),
    "other values": (NOISY, {"values": ("imap", "pop3", "exchange")}),
    "another type": (MOST, {"type": BOOL, "bounds": ()}),
    "not random any more": (NOISY, {"epsilon": 0.0}),
    "less random": (NOISY, {"epsilon": 1.1}),
    "another label": (MOST, {"label": "Number of contacts"}),
    "another description": (MOST, {"description": "How many contacts there are."}),
    "another reason": (MOST, {"reason": "Decides what we advertise."}),
    "what one does": (replace(MOST, sensitivity="technical"), {"sensitivity": "interaction"}),
}
SMALLER: dict[str, tuple[Metric, dict[str, Any]]] = {
    "rarer": (replace(FOLDERS, rate=1.0), {"rate": 0.9999}),
    "random": (MOST, {"epsilon": 5.0}),
    "more random": (NOISY, {"epsilon": 0.9}),
    "of another owner": (MOST, {"owner": "somebody else"}),
    "reviewed again": (MOST, {"review": "https://example.org/99"}),
    "longer": (MOST, {"expires": date(2029, 1, 1)}),
    "with a date": (MOST, {"declared": date(2026, 1, 1)}),
}


def declare(world: World, *metrics: Metric) -> None:
    """A release ships it, and the news have root name it."""
    world.registry = catalogue(*metrics).encode()
    world.publisher.steer(world.clock.wall + 1, **publishing(world.registry))
    world.server.answers[REGISTRY_URL] = (200, world.registry)
    world.publish()
    assert world.client().fetch().ok


def drawn(metric: Metric) -> World:
    """One report is drawn, and sealed."""
    world = agreed_to(replace(metric, rate=1.0))
    assert next_week(world).upcoming is not None
    return world


def next_week(world: World) -> Memory:
    """Once it has begun, and was looked at."""
    world.clock.suspend(week_start(world.clock.wall) + WEEK + 60 - world.clock.wall)
    return looked(world)


def looked(world: World) -> Memory:
    world.client().step(None)
    return Memory.of(world.client().load())


def agreed_to(metric: Metric) -> World:
    return a_world(metric, given={FOLDERS.name: 12, PROTOCOL.name: "imap"})


@pytest.mark.parametrize("how", LARGER)
def test_i27_a_yes_is_none_to_a_larger_question_under_the_same_name(how: str) -> None:
    metric, change = LARGER[how]
    world = agreed_to(metric)
    asks = replace(metric, **change)
    declare(world, asks)
    world.given[metric.name] = True if asks.type == BOOL else world.given[metric.name]
    mars = world.mars()
    assert next_week(world).draws.pending == ()
    assert mars.statistics.to_ask == (metric.name,)
    (listed,) = mars.statistics.entries()
    assert (listed["on"], listed["changed"], mars.statistics.mode) == (False, True, "off")
    assert mars.statistics.choose({metric.name: True})
    assert mars.consent.decision.entries == {metric.name: world.clock.wall}  # type: ignore[union-attr]
    assert mars.status()["statistics"]["to_ask"] == []
    assert [draw.name for draw in next_week(world).draws.pending] == [metric.name]


@pytest.mark.parametrize("how", SMALLER)
def test_i27_who_asks_for_less_need_not_ask_again(how: str) -> None:
    metric, change = SMALLER[how]
    world = agreed_to(metric)
    since = world.clock.wall
    declare(world, replace(metric, **change))
    mars = world.mars()
    assert mars.statistics.to_ask == ()
    (listed,) = mars.statistics.entries()
    assert (listed["on"], listed["changed"], mars.statistics.mode) == (True, False, "on")
    assert [draw.name for draw in next_week(world).draws.pending] == [metric.name]
    assert mars.consent.decision.entries == {metric.name: since}  # type: ignore[union-attr]


def test_i27_a_draw_that_is_pending_is_dropped_and_never_sent() -> None:
    world = drawn(FOLDERS)
    declare(world, replace(FOLDERS, rate=1.0, label="Number of contacts"))
    client = world.client()
    with pytest.raises(ConsentError) as refused:
        client.planned(client.statistics, client.load(), client.voice(client.load()))
    assert refused.value.reason == "asks-anew", "before any look, too"
    memory = looked(world)
    assert (memory.upcoming, memory.draws.pending) == (None, ())


def test_i27_a_report_sealed_as_it_is_goes_no_more_once_the_entry_is_random() -> None:
    world = drawn(FOLDERS)
    plain = Memory.of(world.client().load()).upcoming
    asks = replace(FOLDERS, rate=1.0, epsilon=0.0001)
    declare(world, asks)
    client = world.client()
    with pytest.raises(TransportError, match="No report is drawn"):
        client.planned(client.statistics, client.load(), client.voice(client.load()))
    session(client, world.clock, 60)
    anew = Memory.of(client.load()).upcoming
    assert plain is not None
    assert anew is not None
    assert (anew.name, anew.week, anew.question) == (plain.name, plain.week, asks.question)
    session(client, world.clock, 2 * WEEK)
    assert posted(world), "the yes goes on"
    assert plain.body not in {request.body for request in posted(world)}


@pytest.mark.parametrize(
    "change", [{"label": "Number of contacts"}, {"epsilon": 1.0}], ids=["larger", "random"]
)
def test_i27_a_question_that_changes_while_connecting_lets_nothing_out(
    change: dict[str, Any],
) -> None:
    world = drawn(FOLDERS)
    client = world.client()
    asks = replace(FOLDERS, rate=1.0, **change)

    class Slow:
        def fetch(self, request: Request) -> Response:
            declare(world, asks)
            client.registry._shipped = world.registry
            return world.server.fetch(request)

    client.ports = replace(client.ports, fetcher=lambda _ready: Slow())
    outcome = client.send(client.statistics)
    assert outcome.reason in ("withdrawn", "nothing-drawn")
    assert posted(world) == []


def test_i27_a_registry_that_comes_while_a_screen_stands_is_not_agreed_to() -> None:
    world = a_world(MOST, given={FOLDERS.name: 12}, agreed=False)
    world.grant("plain")
    screen = world.mars()
    assert [one["name"] for one in screen.statistics.entries()] == [FOLDERS.name]
    asks = replace(MOST, label="Number of contacts")
    declare(world, asks)
    world.store.files["registry.json"] = world.registry or b""
    assert screen.statistics.choose({FOLDERS.name: True})
    assert screen.statistics.to_ask == (FOLDERS.name,)
    (listed,) = screen.statistics.entries()
    assert (listed["label"], listed["on"]) == ("Number of contacts", False)
    assert screen.statistics.choose({FOLDERS.name: True})
    assert not screen.statistics.to_ask, "now it was shown"


@pytest.mark.parametrize("grant", ["entries", "stats", "purposes"])
def test_i27_every_way_to_say_yes_says_to_what(grant: str) -> None:
    ways: dict[str, dict[str, Any]] = {
        "entries": {"entries": [FOLDERS.name]},
        "stats": {"stats": True},
        "purposes": {"purposes": ["statistics"]},
    }
    world = a_world(MOST, agreed=False)
    assert world.mars().consent.grant("plain", **ways[grant])
    decision = world.client().load().decision
    assert decision is not None
    assert decision.questions == {FOLDERS.name: MOST.question}


def test_i27_a_state_that_does_not_say_what_was_asked_draws_nothing() -> None:
    world = drawn(FOLDERS)

    def forgotten(state: State) -> tuple[State, None]:
        assert state.decision is not None
        return replace(state, decision=replace(state.decision, questions={})), None

    world.client().update(forgotten)
    assert looked(world).draws.pending == ()
    assert world.mars().statistics.to_ask == (FOLDERS.name,)


def test_i27_a_domain_that_grows_beyond_its_rate_asks_anew() -> None:
    """A new cause asks nothing new; so many that more is sent than was agreed to do."""

    def many(number: int) -> Domain:
        return replace(DECRYPTION, rate=0.001, names=tuple(cause(f"n{n}") for n in range(number)))

    world = a_world(domains=(many(7),))
    for number, on in ((8, True), (9, False)):
        world.registry = catalogue(domains=(many(number),)).encode()
        world.publisher.steer(world.clock.wall + number, **publishing(world.registry))
        world.server.answers[REGISTRY_URL] = (200, world.registry)
        world.publish()
        assert world.client().fetch().ok
        (domain,) = world.mars().failures_seen()
        assert (len(domain["names"]), domain["on"], domain["changed"]) == (number, on, not on)
