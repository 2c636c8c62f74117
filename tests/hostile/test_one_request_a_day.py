"""Two requests of one installation are never known for such by their times: one goes a day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from mars.channels import beside
from mars.channels.memory import Memory, due
from mars.channels.news import NewsClient
from mars.consent import Purpose
from mars.core import days, schedule
from mars.core import state as states
from mars.core.days import DAY_USED, KEPT
from mars.core.records import STATE_FILE
from mars.core.schedule import HOUR, PAUSE
from mars.core.state import State
from mars.errors import StateError, TransportError
from mars.ports import Request, Response
from mars.testing.memory import START, session
from mars.testing.world import World
from mars.wire.times import DAY
from tests.mars.channels import registries
from tests.mars.core.test_channels import WHERE, a_world, posted
from tests.mars.core.test_faulty_channels import Restless

LETTERS = Purpose("letters", "Letters")
REGISTRY = "registry"


def a_restless_world(seed: int = 1) -> World:
    """Beside the news two channels that would go at any moment."""
    world = a_world(Restless(), Restless(LETTERS, "letters"), seed=seed)
    world.grant("plain", stats=True, purposes=["letters"])
    return world


def departures(client: NewsClient) -> list[tuple[str, int]]:
    """Channel and time of each request of which something left."""
    return [(one["channel"], one["time"]) for one in client.journal() if one["sent"]]


def news_times(world: World, length: int) -> list[int]:
    session(world.client(), world.clock, length)
    return [at for name, at in departures(world.client()) if name == "motd"]


def test_e23_what_would_go_after_another_waits_for_the_next_day() -> None:
    world = a_restless_world()
    client = world.client()
    client.step(None)
    for _ in range(5):
        world.clock.advance(HOUR)
        client.step(HOUR)
    assert len(departures(client)) == 1
    assert len(client.journal()) == 1, "nor is it tried"


@pytest.mark.parametrize("seed", range(2))
def test_e23_channels_that_always_want_get_one_day_each_and_never_that_of_the_news(
    seed: int,
) -> None:
    world, alone = a_restless_world(seed), a_world(seed=seed)
    alone.grant("plain")
    expected, found = news_times(alone, 20 * DAY), news_times(world, 20 * DAY)
    assert found == expected, "the news keep their times"
    gone = departures(world.client())
    assert max(Counter(at // DAY for _, at in gone).values()) == 1
    assert len(gone) >= 20
    assert {name for name, _ in gone} == {"motd", "postcards", "letters"}


def test_e23_while_the_news_are_overdue_nothing_else_goes() -> None:
    world = a_restless_world()
    session(world.client(), world.clock, HOUR)
    world.clock.suspend(20 * DAY)
    before = len(world.server.visits)
    session(world.client(), world.clock, 5 * HOUR)
    assert [url.rpartition("/")[2] for url in world.server.visits[before:]] == ["motd.json"]


def test_e23_what_is_asked_for_by_hand_goes_and_uses_the_day() -> None:
    world = a_restless_world()
    client = world.client()
    client.check()
    client.fetch()
    assert len(world.server.visits) == 2, "it is never refused"
    session(client, world.clock, DAY - 2 * PAUSE)
    assert len(world.server.visits) == 2, "and nothing follows it by itself"
    session(client, world.clock, DAY)
    assert len(world.server.visits) == 3


def test_e23_news_whose_day_is_used_come_at_any_time_of_the_next_one() -> None:
    hours: list[int] = []
    for seed in range(12):
        world = World(seed=seed)
        world.publish()
        world.grant("plain")
        client = world.client()
        known = Memory.of(client.load())
        assert known.schedule is not None
        soon = replace(known, schedule=replace(known.schedule, due=world.clock.wall + HOUR))
        client.update(lambda state, soon=soon: (soon.into(state), None))  # type: ignore[misc]
        client.check()
        session(client, world.clock, 2 * DAY)
        hours += [(at - START) // HOUR for _, at in departures(client)[1:]]
    assert len(hours) == 12
    assert 24 <= min(hours) < 30
    assert 42 <= max(hours) < 48


def due_soon(world: World) -> NewsClient:
    """Of one who agreed to statistics: the registry is due in an hour, the news are not."""
    world.grant("plain", stats=True)
    client = world.client()
    known = beside.Memory.of(client.load(), REGISTRY)
    begun = schedule.begin(world.clock.wall, world.chance)
    soon = replace(known, schedule=replace(begun, due=world.clock.wall + HOUR)).plain()
    client.update(lambda state: (state.keeping(REGISTRY, soon), None))
    return client


def test_e23_the_registry_whose_day_is_used_comes_at_any_time_of_the_next_one() -> None:
    hours: list[int] = []
    for seed in range(12):
        world = registries.a_world(seed=seed)
        client = due_soon(world)
        client.check()
        session(client, world.clock, 2 * DAY)
        hours += [(at - START) // HOUR for name, at in departures(client) if name == REGISTRY]
    assert len(hours) >= 8, "but where the news are due then: it waits for yet another day"
    assert 24 <= min(hours) < 30
    assert 42 <= max(hours) < 48


def test_e23_a_registry_kept_back_at_the_last_moment_takes_the_next_day_and_is_no_fault() -> None:
    world = registries.a_world()
    due_soon(world)
    client = through(world.client(), Meanwhile(world, lambda: world.client().fetch()))
    assert client.send(client.registry, scheduled=True).reason == DAY_USED
    assert registries.asked(world) == []
    after = beside.Memory.of(client.load(), REGISTRY).schedule
    assert after is not None
    assert (after.failures, after.due // DAY) == (0, START // DAY + 1)


@pytest.mark.parametrize("step", [1, 2, 5, 365, 25_000])
def test_e23_a_clock_that_flaps_brings_one_request_a_day_at_most(step: int) -> None:
    """Whichever days it shows in turn, but for the first jump ahead, which is a day like any."""
    world = a_restless_world()
    client = world.client()
    client.step(None)
    for hour in range(20 * 24):
        world.clock.step(step * DAY if hour % 2 else -step * DAY * (hour > 0))
        client.step(HOUR)
        world.clock.advance(HOUR)
    assert len(world.server.visits) <= 20 + 2
    world.clock.step(-step * DAY)
    before = len(world.server.visits)
    session(client, world.clock, 10 * DAY)
    assert len(world.server.visits) - before >= 10 - KEPT // 2, "and silences nobody"


@pytest.mark.parametrize("wrong", [2, 40, 25_000])
def test_e23_a_day_far_ahead_costs_the_day_of_the_step_back_and_no_more(wrong: int) -> None:
    state = days.used(State(), START + wrong * DAY)
    back = days.settled(state, START)
    assert not days.is_free(back, START, None)
    assert not days.is_free(state, START, None), "asked before it was stored too"
    assert days.is_free(back, START + DAY, None)
    assert not days.is_free(back, START + wrong * DAY, None), "what was used stays used"


def test_e23_of_the_days_as_many_are_kept_as_are_said_and_read_back() -> None:
    state = State()
    for day in range(20):
        state = days.used(state, day * DAY)
        assert days.used(state, day * DAY + 5) == state
    assert state.days == tuple(range(20 - KEPT, 20))
    found = states.decode(states.encode(state))
    assert found is not None
    assert found.days == state.days


class Meanwhile:
    """A fetcher during whose connecting something happens."""

    def __init__(self, world: World, happens: Callable[[], object], *, asks: bool = True) -> None:
        self.world, self.happens, self.asks = world, happens, asks

    def fetch(self, request: Request) -> Response:
        self.happens()
        if not self.asks:
            return self.world.server.fetch(replace(request, leaving=None))
        return self.world.server.fetch(request)


def through(client: NewsClient, fetcher: Meanwhile, *, own: bool = False) -> NewsClient:
    client.ports = replace(client.ports, fetcher=lambda _ready: fetcher, is_own_fetcher=own)
    return client


@pytest.mark.parametrize("number", [0, 1])
def test_e23_of_two_processes_the_one_by_hand_goes_and_the_other_waits(number: int) -> None:
    world = a_restless_world()
    world.publish()
    client = through(world.client(), Meanwhile(world, lambda: world.client().fetch()))
    before = client.load()
    outcome = client.send(client.channels[number], scheduled=True)
    assert (outcome.reason, len(world.server.visits)) == (DAY_USED, 1)
    assert [(one["reason"], bool(one["sent"])) for one in client.journal()] == [
        (None, True),
        (DAY_USED, False),
    ]
    assert not [error for error in client.failed.values() if error], "it is no fault"
    if not number:
        after, then = Memory.of(client.load()), Memory.of(before)
        assert after.schedule is not None
        assert (after.pick, after.schedule.failures, after.spent) == (then.pick, 0, False)
        assert 1 <= due(client.load()) // DAY - START // DAY < 2  # type: ignore[operator]
        assert after.last is not None
        assert after.last["reason"] is None, "of the fetch by hand"


@pytest.mark.parametrize("asks", [True, False])
def test_e23_a_fetcher_of_the_applications_own_uses_the_day_before_it_starts(asks: bool) -> None:
    world = a_restless_world()
    seen: list[int] = []
    client = world.client()
    look = Meanwhile(world, lambda: seen.extend(client.load().days), asks=asks)
    through(client, look, own=True)
    outcome = client.send(client.channels[1], scheduled=True)
    assert (outcome.reason, seen) == (None, [START // DAY])
    assert client.send(client.channels[2], scheduled=True).reason == DAY_USED
    assert posted(world) == [WHERE]


def test_e23_the_day_is_on_disk_before_a_byte_leaves_and_a_crash_then_brings_no_second() -> None:
    world = a_restless_world()

    class Crashing:
        def fetch(self, request: Request) -> Response:
            assert request.leaving is not None
            request.leaving(request.message, "memory")
            stored = states.decode(world.store.files[STATE_FILE])
            assert stored is not None
            assert stored.days == (START // DAY,)
            raise KeyboardInterrupt  # the process dies here

    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _ready: Crashing())
    with pytest.raises(KeyboardInterrupt):
        session(client, world.clock, DAY)
    for _ in range(5):
        session(world.client(), world.clock, HOUR, crash=True)
    assert world.server.visits == []
    session(world.client(), world.clock, DAY)
    assert len(world.server.visits) == 1


def test_e23_where_the_day_cannot_be_stored_nothing_leaves() -> None:
    world = a_restless_world()
    client = through(world.client(), Meanwhile(world, lambda: setattr(world.store, "full", True)))
    with pytest.raises(StateError):
        client.send(client.channels[1], scheduled=True)
    assert world.server.visits == []


def test_e23_what_never_left_uses_no_day() -> None:
    world = a_restless_world()
    world.server.unreachable = TransportError("tor-unavailable", "No Tor here.")
    client = world.client()
    session(client, world.clock, 10 * PAUSE)
    assert client.load().days == ()
    world.server.unreachable = None
    session(client, world.clock, 10 * PAUSE)
    assert len(world.server.visits) == 1


@pytest.mark.parametrize("told", [KeyError("no"), "soon"], ids=str)
def test_e23_where_it_cannot_be_told_when_the_first_is_due_no_other_goes(told: object) -> None:
    class Vague(Restless):
        def due(self, state: State) -> int | None:
            if isinstance(told, BaseException):
                raise told
            return told  # type: ignore[return-value]

    world = a_restless_world()
    client = world.client()
    client.channels = (Vague(LETTERS, "first"), *client.channels[1:])
    assert client.send(client.channels[1], scheduled=True).reason == DAY_USED
    assert client.send(client.channels[1]).ok, "by hand it goes"
