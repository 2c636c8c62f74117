"""Clocks, frozen documents, a silent server."""

from __future__ import annotations

import pytest

from mars.channels.memory import Memory
from mars.core.schedule import HOUR
from mars.errors import TransportError
from mars.testing.memory import session
from mars.testing.world import ONION, World
from mars.wire import envelope
from mars.wire import motd as motds
from tests.hostile.steering import onion
from tests.hostile.test_starts_and_state_files import a_world

DAY = 86_400
UNREACHABLE = TransportError("tor-unavailable", "No Tor here.")


def test_c05_the_same_document_for_60_days_is_reported_stale_at_the_same_pace() -> None:
    world = a_world()
    mars = world.mars()
    session(world.client(), world.clock, 44 * DAY)
    fresh = len(world.server.visits)
    assert mars.status()["stale_since"] is None
    session(world.client(), world.clock, 44 * DAY)
    later = len(world.server.visits) - fresh
    assert mars.status()["stale_since"] == "2027-01-05T00:00:00Z"
    assert abs(later - fresh) <= 4
    reading = mars.motd()
    assert reading is not None
    assert reading.messages == ()


def test_c09_a_day_in_2099_postpones_nothing_for_decades() -> None:
    world = a_world()
    session(world.client(), world.clock, 12 * DAY)
    world.clock.step(73 * 365 * DAY)
    session(world.client(), world.clock, DAY)
    world.clock.step(-73 * 365 * DAY)
    world.server.visits.clear()
    world.publish()
    session(world.client(), world.clock, 34 * DAY)
    assert 1 <= len(world.server.visits) <= 4


def test_c10_a_clock_that_flaps_causes_no_burst() -> None:
    world = a_world()
    client = world.client()
    client.step(None)
    for hour in range(60 * 24):
        world.clock.step(365 * DAY if hour % 2 else -365 * DAY)
        client.step(HOUR)
        world.clock.advance(HOUR)
    assert len(world.server.visits) <= 12


def test_c12_an_old_backup_of_the_state_works() -> None:
    world = a_world()
    session(world.client(), world.clock, 12 * DAY)
    backup = dict(world.store.files)
    world.publish()
    session(world.client(), world.clock, 20 * DAY)
    world.store.files = backup
    world.publish()
    session(world.client(), world.clock, 20 * DAY)
    state = world.client().load()
    last = Memory.of(state).last
    assert last is not None
    assert last["reason"] is None


OTHER = onion("b")


def steered() -> World:
    """News came with a steering document that names another server."""
    world = World()
    world.pinned = world.trust
    world.publisher.steer(world.clock.wall, servers=(OTHER,))
    world.publish()
    world.grant("plain")
    session(world.client(), world.clock, 11 * DAY)
    assert hosts(world)[-1] == OTHER
    return world


def hosts(world: World) -> list[str]:
    """Where each request was to go, and the next one."""
    ready = world.mars().preview()
    assert ready is not None
    urls = [*(entry["url"] for entry in world.client().journal()), ready.url]
    return [url.removesuffix("/motd/motd.json") for url in urls]


@pytest.mark.parametrize("way", ["unreachable", "withheld"])
def test_c15_a_server_that_never_answers_is_left_after_three_periods(way: str) -> None:
    world, left = steered(), way == "withheld"
    client = world.client()
    world.server.fault, world.server.unreachable = UNREACHABLE, None if left else UNREACHABLE
    client.delete_journal()
    session(client, world.clock, 55 * DAY)
    tries, built_in = 3 if left else 9, f"http://{ONION}"
    assert hosts(world)[: 2 * tries] == [*[OTHER] * tries, *[built_in] * tries], "three periods"
    world.publish()
    client.delete_journal()
    session(client, world.clock, 30 * DAY)
    assert hosts(world)[-1] == OTHER, "after newer news it is tried again"


def test_c15_a_server_without_a_newer_serial_for_30_days_is_left() -> None:
    world = steered()
    session(world.client(), world.clock, 33 * DAY)
    assert hosts(world)[-1] == f"http://{ONION}"


@pytest.mark.parametrize(
    "server",
    [
        "https://example.org",
        "http://127.0.0.1",
        "http://expyuzz4wqqyqhjn.onion",
        f"http://{'a' * 56}.onion",
        f"http://{ONION}/path",
        f"http://{ONION}:80",
        f"http://user@{ONION}",
        f"http://{ONION}?q",
        "",
    ],
)
def test_c14_an_unfit_server_is_ignored_and_the_document_stands(server: str) -> None:
    world = World()
    payload = motds.encode(world.publish(reportback_server=server))
    world.pinned = world.trust
    world.publisher.steer(world.clock.wall, servers=(server,))
    world.server.body = envelope.encode(world.publisher.envelope(payload))
    world.grant("plain")
    assert world.client().fetch().ok
    assert hosts(world) == [f"http://{ONION}"] * 2
