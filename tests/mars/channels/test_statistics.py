"""The channel of statistics as an installation lives it: what goes, when, and what stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mars.channels.statistics import sealed, written
from mars.channels.upcoming import Memory
from mars.core.schedule import HOUR
from mars.errors import TransportError
from mars.providers import Given
from mars.testing.memory import START, SeededChance, machine, session
from mars.testing.world import World
from mars.wire.request import HTTPRequest
from mars.wire.sealed import SMALL
from mars.wire.times import DAY, WEEK, week_of, week_start
from tests.mars.channels.kit import (
    ENCRYPTION,
    FOLDERS,
    INTAKE,
    PROTOCOL,
    a_world,
    catalogue,
    often,
    opener,
    posted,
    publishing,
    read,
    value,
)

MONDAY = week_start(START) + WEEK
DRAWN = MONDAY + 60 - START
"""Seconds until the first week that counts is drawn."""


def until_sent(world: World) -> None:
    """Runs until one went."""
    for _ in range(60):
        running(world, DAY)
        if posted(world):
            return
    raise AssertionError("nothing went")


def running(world: World, seconds: int) -> None:
    """One long session."""
    session(world.client(), world.clock, seconds)


def test_each_agreed_entry_goes_with_its_own_value_and_nothing_else() -> None:
    world = a_world(often(FOLDERS), often(PROTOCOL), often(ENCRYPTION))
    running(world, 4 * WEEK)
    said = {}
    for request in posted(world):
        assert (request.method, request.url, len(request.body or b"")) == ("POST", INTAKE, SMALL)
        entry = [one for one in world.mars().journal() if one["sent"] == request.shown]
        week, report = read(request)
        assert week == week_of(entry[0]["time"]), "sealed to the week in which it goes"
        said[report.name] = (report.product, report.channel, report.release, report.value)
    whose = ("examplemail", "stable", "0.5.1")
    assert said == {
        FOLDERS.name: (*whose, "10-99"),
        PROTOCOL.name: (*whose, "imap"),
        ENCRYPTION.name: (*whose, "true"),
    }


def test_without_a_yes_nothing_goes_and_no_provider_is_called() -> None:
    called: list[str] = []
    given = {FOLDERS.name: lambda: len(called.append("x") or called)}  # type: ignore[func-returns-value]
    world = a_world(often(FOLDERS), given=given, agreed=False)
    world.grant("tracked")
    running(world, 4 * WEEK)
    assert (posted(world), called) == ([], [])


def test_an_entry_that_was_not_agreed_to_never_goes() -> None:
    world = a_world(often(FOLDERS), often(PROTOCOL), agreed=False)
    world.grant("plain", entries={PROTOCOL.name: True})
    running(world, 6 * WEEK)
    assert posted(world)
    assert all("protocol" in request.sealed for request in posted(world))


def test_the_first_report_is_of_the_first_whole_week_after_the_yes() -> None:
    world = a_world(often(FOLDERS))
    running(world, MONDAY - START - 1)
    assert posted(world) == []
    running(world, 2 * WEEK)
    assert posted(world)


def test_preview_journal_and_wire_show_the_same_bytes() -> None:
    world = a_world(often(FOLDERS))
    running(world, DRAWN)
    while not posted(world):
        shown = world.mars().preview(channel="statistics")
        running(world, 6 * HOUR)
    assert shown is not None
    assert shown.values == {FOLDERS.name: "10-99"}
    (went,) = posted(world)
    assert (went.golden, went.sealed) == (shown.bytes, shown.request.sealed)
    entries = [one for one in world.mars().journal() if one["channel"] == "statistics"]
    assert [one["sent"] for one in entries] == [shown.request.shown]
    assert f"{went.sealed}\r\n[{SMALL} bytes, sealed, " in entries[0]["sent"]
    assert entries[0]["reason"] is None


@pytest.mark.parametrize("status", [204, 200, 413, 503])
def test_a_report_of_which_a_byte_left_is_spent_whatever_comes_back(status: int) -> None:
    world = a_world(often(FOLDERS))
    world.server.answers[INTAKE] = (status, b"" if status == 204 else b"no")
    until_sent(world)
    entry, *_ = [one for one in world.mars().journal() if one["channel"] == "statistics"]
    assert (entry["reason"] is None) is (status == 204)
    running(world, WEEK)
    draws = Memory.of(world.client().load()).draws
    drawn = sum(week >= MONDAY for week in draws.weeks)
    assert len(posted(world)) + len(draws.pending) == drawn, "each draw is sent once"


def test_a_report_that_a_crash_cut_off_is_spent() -> None:
    world = a_world(often(FOLDERS))
    running(world, DRAWN)
    state = world.client().load()
    memory = Memory.of(state)
    (draw,) = memory.draws.pending
    cut = replace(memory, draws=replace(memory.draws, pending=()), trying=draw)
    world.client().update(lambda now: (cut.into(now), None))
    running(world, WEEK - 1)
    assert posted(world) == []


def test_what_could_not_leave_goes_on_another_day() -> None:
    world = a_world(often(FOLDERS))
    running(world, DRAWN)
    (draw,) = Memory.of(world.client().load()).draws.pending
    world.server.unreachable = TransportError("tor-unavailable", "No Tor.")
    running(world, draw.due + HOUR - world.clock.wall)
    memory = Memory.of(world.client().load())
    (moved,) = memory.draws.pending
    tomorrow = (draw.due // DAY + 1) * DAY
    assert (moved.week, memory.trying) == (draw.week, None)
    assert tomorrow <= moved.due <= tomorrow + 2 * DAY
    world.server.unreachable = None
    until_sent(world)  # later, where the news are due on that day
    assert len(posted(world)) == 1


def test_the_value_and_the_release_are_those_of_the_moment_in_which_it_goes() -> None:
    world = a_world(often(FOLDERS))
    running(world, DRAWN)
    world.given[FOLDERS.name] = 0
    world.version = "0.4.0"
    until_sent(world)
    _, report = read(posted(world)[0])
    assert (report.value, report.release) == ("0", "other")


def test_a_release_that_the_registry_does_not_list_is_said_as_other() -> None:
    world = a_world(often(FOLDERS), version="0.5.1+distro-7")
    until_sent(world)
    assert '"release":"other"' in posted(world)[0].sealed.replace(" ", "")


def test_nothing_is_sent_in_a_week_without_a_key_of_the_intake() -> None:
    world = a_world(often(FOLDERS))
    world.publisher.steer(
        world.clock.wall + 1, **publishing(world.registry or b"", (week_of(START),))
    )
    world.publish()
    running(world, 3 * WEEK)
    assert posted(world) == []
    state = world.client().load()
    with pytest.raises(TransportError, match="no key"):
        world.client().planned(world.client().statistics, state, world.client().voice(state))


@pytest.mark.parametrize(
    ("environ", "policy"),
    [
        ({"MARS_LEVEL": "plain"}, None),
        ({"DO_NOT_TRACK": "1"}, None),
        ({}, b"stats = false"),
        ({}, b'[statistics]\nveto = ["examplemail/*"]'),
        ({}, b'[statistics]\nvetoes = ["what is this?"]'),
        ({}, b"statistics = 3"),
    ],
)
def test_what_lowers_silences_statistics(environ: dict[str, str], policy: bytes | None) -> None:
    world = a_world(often(FOLDERS), host=machine(environ=environ, policy=policy))
    running(world, 2 * WEEK)
    assert posted(world) == []


def test_the_administrator_may_have_less_said() -> None:
    policy = b'[statistics.coarsen]\n"examplemail/folders" = [100]'
    world = a_world(often(FOLDERS), host=machine(policy=policy))
    until_sent(world)
    assert value(posted(world)[0]) == "0"


def test_the_user_may_have_less_said() -> None:
    world = a_world(often(PROTOCOL))
    world.mars().statistics.coarsen(PROTOCOL.name, "other")
    until_sent(world)
    assert value(posted(world)[0]) == "other"


def test_a_yes_that_is_taken_back_ends_it_at_once() -> None:
    world = a_world(often(FOLDERS))
    running(world, DRAWN)
    world.grant("plain", entries={FOLDERS.name: False})
    running(world, 3 * WEEK)
    assert posted(world) == []
    assert Memory.of(world.client().load()).upcoming is None


def test_a_yes_taken_back_and_given_anew_is_drawn_from_the_next_week_on() -> None:
    world = a_world(often(FOLDERS))
    until_sent(world)
    went = len(posted(world))
    world.grant("off")
    world.grant("plain", stats=True)
    next_week = week_start(world.clock.wall) + WEEK
    running(world, next_week - world.clock.wall)
    assert len(posted(world)) == went


def test_a_provider_that_fails_costs_its_own_report_alone() -> None:
    def broken() -> int:
        raise ValueError

    given: dict[str, Given] = {FOLDERS.name: broken, PROTOCOL.name: "imap"}
    world = a_world(often(FOLDERS), often(PROTOCOL), given=given)
    running(world, 5 * WEEK)
    assert posted(world)
    assert all("protocol" in request.sealed for request in posted(world))


def test_with_epsilon_a_random_value_is_drawn_anew_for_each_report() -> None:
    noisy = replace(often(ENCRYPTION), epsilon=0.1)
    world = a_world(noisy)
    running(world, 6 * WEEK)
    assert {value(request) for request in posted(world)} == {"true", "false"}


def test_a_report_is_these_very_bytes() -> None:
    """A change of them is a change of the wire format: compare before the file is written anew."""
    key, chance = opener("2026-W48").public.hex(), SeededChance(1)
    text = written(catalogue(), FOLDERS, "0.5.1", "10-99")
    request = HTTPRequest.post(INTAKE, sealed(text, key, chance), text)
    golden = Path(__file__).parents[1] / "golden" / "statistics.http"
    assert request.golden == golden.read_bytes()
    assert read(request)[1].encode().decode() == text
