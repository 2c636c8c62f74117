"""The answers to error reports: fetched by all, judged by the role ``status``, matched here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mars.channels.beside import Memory
from mars.core.schedule import HOUR, SHORTEST
from mars.errors import MarsError
from mars.testing.memory import session
from mars.testing.world import World
from mars.wire.catalogue import Catalogue
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import Answer, Known, Status
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    ANSWER,
    REGISTRY,
    STATUS_URL,
    a_world,
    answering,
    fault,
    kept,
    meet,
    released,
    running,
    signed,
    until_posted,
)

KNOWN = Known(Rule.parse("examplemail.store:load_1"), 0)


def asked(world: World) -> list[str]:
    return [url for url in world.server.visits if "status" in url]


def until_asked(world: World, times: int = 1) -> None:
    for _ in range(120):
        if len(asked(world)) >= times:
            return
        running(world, DAY // 3)
    raise AssertionError(f"asked {len(asked(world))} times")


def test_it_is_fetched_with_a_plain_request_with_an_open_report_or_without() -> None:
    """J8."""
    without, with_one = a_world(), a_world()
    released(with_one)
    shown = [world.mars().preview(channel="status") for world in (without, with_one)]
    assert shown[0] is not None
    assert shown[1] is not None
    assert shown[0].bytes == shown[1].bytes
    assert (shown[0].url, shown[0].values, shown[0].level) == (STATUS_URL, {}, "plain")
    for world in (without, with_one):
        until_asked(world)
        assert set(asked(world)) == {STATUS_URL}
        entry = next(one for one in world.mars().journal() if one["channel"] == "status")
        assert (entry["sent"], entry["reason"]) == (shown[0].request.shown, None)


def test_it_is_asked_for_once_a_period_changed_or_not() -> None:
    world = a_world()
    running(world, 40 * DAY)
    times = [one["time"] for one in world.mars().journal() if one["channel"] == "status"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 3 <= len(times) <= 12
    assert all(SHORTEST <= gap <= 14 * DAY for gap in gaps)


@pytest.mark.parametrize("mode", ["never", "always"])
def test_it_is_asked_for_by_whoever_agrees_to_reports_alone(mode: str) -> None:
    world = a_world(mode)
    running(world, 15 * DAY)
    assert bool(asked(world)) is (mode != "never")


def told(world: World) -> tuple[str, Any]:
    (one,) = world.mars().reports.list()
    return one["state"], one["help"] and one["help"]["summary"]


@pytest.mark.parametrize("state", ["open", "resolved", "known", "deleted"])
def test_who_sent_a_report_finds_its_answer(state: str) -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    assert told(world) == ("sent", None)
    answering(world, [(report.guid, Answer(state, 1, "It is so."))])
    until_asked(world, len(asked(world)) + 1)
    assert told(world) == (state, "It is so.")


def test_a_known_fault_shows_its_help_before_anything_was_sent() -> None:
    """C16."""
    world = a_world()
    answering(world, faults=[KNOWN])
    until_asked(world)
    meet(world, fault(1))
    assert told(world) == ("queued", ANSWER.summary)
    assert posted(world) == []
    seen: list[dict[str, Any]] = []
    mars = world.mars()
    mars.reports.on_known(seen.append)
    mars.reports.note()
    mars.reports.note()
    assert [(one["state"], one["help"]["fix"]) for one in seen] == [("queued", ANSWER.fix)]


def test_the_user_is_told_once_of_each_answer() -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    seen: list[str] = []
    for state in ("open", "resolved"):
        answering(world, [(report.guid, Answer(state, 1, f"It is {state}."))])
        until_asked(world, len(asked(world)) + 1)
        for _ in range(2):
            mars = world.mars()
            mars.reports.on_known(lambda one: seen.append(one["state"]))
            mars.reports.note()
    assert seen == ["open", "resolved"]


def test_a_callback_that_fails_is_told_and_hurts_nobody() -> None:
    world = a_world()
    answering(world, faults=[KNOWN])
    until_asked(world)
    meet(world, fault(1))
    mars = world.mars()
    mars.reports.on_known(lambda _one: 1 // 0)
    mars.reports.note()
    assert mars.status()["problem"]["reason"] == "callback"


def test_a_fault_that_is_mended_in_the_release_is_not_known_there() -> None:
    world = a_world()
    answering(world, faults=[replace(KNOWN, releases="<0.5.1")])
    until_asked(world)
    meet(world, fault(1))
    assert told(world) == ("queued", None)


def test_a_deletion_that_was_done_is_shown_and_stays_so() -> None:
    """C19, C25."""
    world = a_world()
    report = released(world)
    until_posted(world)
    world.mars().reports.forget(report.guid)
    until_posted(world, 2)
    assert told(world) == ("sent", None)
    answering(world, [(report.guid, Answer("deleted"))])
    until_asked(world, len(asked(world)) + 1)
    assert told(world)[0] == "deleted"
    world.mars().reports.note()
    answering(world)
    until_asked(world, len(asked(world)) + 1)
    assert told(world)[0] == "deleted"
    assert world.mars().reports.forget(report.guid) == "removed"
    assert kept(world) == []


REFUSED: dict[str, Callable[[World, Status], bytes]] = {
    "signature-threshold": lambda world, status: signed(world, status, "motd"),
    "wrong-product": lambda world, status: signed(world, replace(status, product="other")),
    "wrong-channel": lambda world, status: signed(world, replace(status, channel="beta")),
    "wrong-epoch": lambda world, status: signed(world, replace(status, epoch=2)),
    "rollback": lambda world, status: signed(world, replace(status, serial=status.serial - 1)),
    "equivocation": lambda world, status: signed(world, replace(status, faults=())),
    "future": lambda world, status: signed(
        world, replace(status, issued=status.issued + 30 * DAY, expires=status.expires + 30 * DAY)
    ),
    "fast-forward": lambda world, status: signed(
        world, replace(status, serial=status.serial + DAY)
    ),
    "bad-lifetime": lambda world, status: signed(
        world, replace(status, expires=status.issued + 61 * DAY)
    ),
    "expired": lambda world, status: signed(
        world, replace(status, serial=status.serial + 1, issued=status.issued + 1,
                       expires=status.issued + 2)
    ),
    "not-json": lambda _world, _status: b"{",
    "wrong-payload-type": lambda world, _status: world.publisher.document(world.clock.now()),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_a_document_that_does_not_hold_is_refused_and_the_one_before_stays(reason: str) -> None:
    world = a_world()
    answering(world, faults=[KNOWN])
    until_asked(world)
    client = world.client()
    before = client.answers.current(client.load())
    assert before is not None
    world.clock.step(HOUR)
    bad = REFUSED[reason](world, before)
    view = client.view(client.answers, client.load())
    with pytest.raises(MarsError) as error:
        client.answers.take(bad, view, client.ports.openpgp)
    assert error.value.reason == reason
    assert client.answers.current(client.load()) == before
    world.server.answers[STATUS_URL] = (200, bad)
    outcome = client.send(client.answers)
    assert outcome.reason == reason
    assert client.answers.current(client.load()) == before


def test_what_was_changed_on_the_disk_is_not_believed() -> None:
    world = a_world()
    answering(world, faults=[KNOWN])
    until_asked(world)
    meet(world, fault(1))
    other = answering(world, faults=[replace(KNOWN, match=Rule.parse("ValueError"))])
    world.store.files["status.json"] = signed(world, other)
    assert told(world) == ("queued", None)
    world.store.files["status.json"] = b"{"
    assert told(world) == ("queued", None)


def test_after_the_keys_were_changed_the_old_answers_count_no_more() -> None:
    world = a_world()
    answering(world, faults=[KNOWN])
    until_asked(world)
    assert world.client().fetch().ok
    client = world.client()
    assert client.answers.current(client.load()) is not None
    world.clock.step(DAY)
    world.publisher.rotate(world.clock.now())
    world.publish()
    assert client.fetch().ok
    assert client.answers.current(client.load()) is None


def test_the_serial_is_remembered() -> None:
    world = a_world()
    status = answering(world)
    until_asked(world)
    found = Memory.of(world.client().load(), "status")
    assert found.serial == status.serial


def test_nobody_asks_a_publisher_who_takes_no_reports() -> None:
    """His registry says so, whatever the user chose."""
    world = a_world("always", replace(Catalogue.decode(REGISTRY), reports={}).encode())
    running(world, 30 * DAY)
    assert asked(world) == []
    assert [one for one in world.mars().journal() if one["channel"] == "status"] == []


def test_a_server_without_answers_is_asked_as_any_other() -> None:
    """No more often, with the same bytes, and it keeps nothing else from working."""
    world, usual = a_world(), a_world()
    world.server.answers[STATUS_URL] = (404, b"nothing here")
    for each in (world, usual):
        running(each, 40 * DAY)
    missing, there = (
        [one for one in each.mars().journal() if one["channel"] == "status"]
        for each in (world, usual)
    )
    assert {one["reason"] for one in missing} == {"http-status"}
    assert {one["sent"] for one in missing} == {one["sent"] for one in there}
    times = [one["time"] for one in missing]
    assert 3 <= len(times) <= 12
    assert all(SHORTEST <= b - a <= 14 * DAY for a, b in itertools.pairwise(times))
    client = world.client()
    problems = []
    for answer in ((404, b"nothing here"), (200, b"{}")):
        world.server.answers[STATUS_URL] = answer
        session(client, world.clock, 15 * DAY)
        problems.append(client.failed["fetch status"] is not None)
    assert problems == [False, True], "of a forged one the user is told, of none not"
    answering(world, faults=[KNOWN])
    until_asked(world, len(asked(world)) + 1)
    meet(world, fault(1))
    assert told(world) == ("queued", ANSWER.summary)
