"""What keeps error reports of a client rare and unlinkable, one guard at a time: tries, times and
names."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from mars.channels.queue import MOST, SENT_KEPT, UNSENT_KEPT, Queue
from mars.channels.sending import A_WEEK, AGAIN, TRIES, Memory, Pending, Upcoming, begun, ended
from mars.core.schedule import HOUR
from mars.errors import TransportError
from mars.faults.own import Own
from mars.faults.text import faults
from mars.testing.memory import START, MemoryStore, SeededChance, session
from mars.wire.times import DAY, WEEK
from tests.mars.channels.kit import INTAKE, posted
from tests.mars.channels.reporting import (
    REPORT,
    a_world,
    fault,
    kept,
    meet,
    memory,
    released,
    running,
    until_posted,
)

# --- How often ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["load hunter2", "load(hunter2)", "'hunter2'", "/home/hunter2/x"])
def test_j12_what_stands_for_a_function_in_a_text_is_a_name_or_nothing(name: str) -> None:
    place = "/opt/site-packages/examplemail/store.py"
    lines = [f'  File "{place}", line {n}, in {it}' for n, it in enumerate(("run", name), 1)]
    text = "\n".join(["Traceback (most recent call last):", *lines, "ValueError: hunter2"])
    (found,) = faults(text, Own(["examplemail"]))
    assert found.frames == ("examplemail.store:run", "<other>")


def test_j13_a_message_goes_with_the_way_that_it_was_written_for() -> None:
    """Whoever thinks better of it and lets the report go to a crowd has the message nowhere."""
    world = a_world()
    meet(world, fault())
    running(world, 60)
    mars = world.mars()
    assert mars.reports.send(1, "direct", "my name is in it")
    assert not mars.reports.send(1, "crowd", "my name is in it")
    assert mars.status()["problem"]["reason"] == "message-in-crowd"
    assert mars.reports.send(1, "crowd")
    until_posted(world)
    assert "my name" not in posted(world)[0].sealed
    assert not any(b"my name" in data for data in world.store.files.values())


def test_j15_the_same_fault_a_thousand_times_is_one_report_and_one_line() -> None:
    """Of exceptions that live on, so that none can be taken for one before it."""
    world, errors = a_world("always"), list[Exception]()
    mars = world.mars(modules=["tests"])
    log, lines = logging.Logger("application"), list[str]()
    log.addHandler(mars.reports.handler())
    heard = logging.Handler()
    heard.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("application").addHandler(heard)
    try:
        for number in range(1_000):
            try:
                raise ValueError(f"{number}")
            except ValueError as error:
                errors = [*errors, error][-100:]
                log.exception("failed")
    finally:
        logging.getLogger("application").removeHandler(heard)
    assert len(world.store.names("report-")) == 1
    assert len(lines) > 1
    assert len(set(lines)) == 1
    running(world, 12 * DAY)
    assert len(posted(world)) == 1


def test_j15_of_one_fault_that_two_processes_met_at_once_one_report_stays() -> None:
    world = a_world()
    meet(world, fault())
    running(world, 60)
    (first,) = kept(world)
    second = replace(first, id="f" * 16, nonce="05" * 24, counted=False)
    world.client().queue.write(second)
    running(world, HOUR)
    assert kept(world) == [first]


def test_j15_ten_thousand_different_faults_are_three_reports_a_week() -> None:
    made, taken = Memory(secret="00" * 32), 0
    for number in range(10_000):
        after = made.taking(f"{number}", START)
        taken += after is not None
        made = after or made
    assert taken == A_WEEK == 3
    assert made.taking("more", START - WEEK) is None, "nor does a clock that is put back make room"
    assert made.taking("0", START + 3 * WEEK) is None, "and each once for its release"
    assert made.taking("more", START + WEEK) is not None


def test_j15_an_exception_that_is_logged_and_raised_on_is_one_fault() -> None:
    """With more frames around it each time; its report would be forgotten between the two."""
    world = a_world()
    mars = world.mars(modules=["tests"])
    handler = mars.reports.handler()
    log = logging.Logger("application")
    log.addHandler(handler)

    def inner() -> None:
        try:
            raise ValueError
        except ValueError:
            log.exception("here")
            for one in kept(world):
                world.client().queue.delete(one.id)
            raise

    try:
        inner()
    except ValueError:
        log.exception("and there")
    assert kept(world) == []


def test_j15_a_report_that_nobody_sends_goes_after_thirty_days_and_too_many_go() -> None:
    queue = Queue(MemoryStore())
    sent = replace(REPORT, id="2" * 16, sent=START)
    for one in (REPORT, sent):
        queue.write(one)
    assert len(queue.settle(START + UNSENT_KEPT - 1)) == 2
    assert [*queue.settle(START + UNSENT_KEPT)] == [sent.id]
    assert queue.settle(START + SENT_KEPT) == {}
    for number in range(MOST + 1):
        queue.write(replace(REPORT, id=f"{number:016x}"))
    assert len(queue.settle(START)) == MOST


def test_j10_a_deletion_that_waits_outlives_its_report_s_time() -> None:
    queue = Queue(MemoryStore())
    queue.write(replace(REPORT, way="direct", sent=START, deletion=START))
    assert len(queue.settle(START + 2 * SENT_KEPT)) == 1


# --- What links ---------------------------------------------------------------------------------


def test_j17_a_point_says_nothing_of_what_else_the_installation_met() -> None:
    """And is the same whenever the same fault is sent: an installation counts once."""
    from mars.wire.reports.crowd import Dealer

    secret, nonce = b"\1" * 32, b"\2" * 24
    dealers = [Dealer.of(fault(number), "examplemail", "0.5.1") for number in (1, 2)]
    xs = [dealer.share(secret, nonce).x for dealer in dealers]
    assert xs[0] != xs[1]
    assert dealers[0].share(secret, b"\3" * 24).x == xs[0]
    assert dealers[0].share(b"\4" * 32, nonce).x != xs[0]


def test_j17_a_file_says_neither_when_nor_whose() -> None:
    """Of two installations with the same fault in the same second no file has a name, nonce or
    number in common; whoever sees one learns its day."""
    found = []
    for seed in (1, 2):
        world = a_world(seed=seed)
        world.clock.advance(12_345)
        meet(world, fault())
        found += kept(world)
    first, second = found
    assert first.day == second.day == START - START % DAY
    for name in ("id", "nonce", "guid"):
        assert getattr(first, name) != getattr(second, name)
    assert first.fault.digest[:16] not in (first.id, second.id)


def test_j17_what_is_noted_later_are_days_too() -> None:
    world = a_world()
    world.clock.advance(12_345)
    report = released(world)
    until_posted(world)
    world.mars().reports.forget(report.guid)
    until_posted(world, 2)
    (one,) = kept(world)
    for day in (one.sent, one.deletion, one.deleted):
        assert day is not None
        assert day % DAY == 0


# --- Tries --------------------------------------------------------------------------------------


def test_j18_after_the_third_try_nothing_is_pending_whatever_came_of_it() -> None:
    chance, made = SeededChance(1), Memory().released("a", START, SeededChance(2))
    for number in range(1, TRIES + 1):
        made = begun(made, made.pending[0], START, chance)
        assert made.pending[0].tries == number, "stored before a byte leaves"
        made = ended(made, made.pending[0], START, chance, left=True, done=False)
    assert made.pending == ()


def test_j18_what_one_try_was_sealed_with_seals_no_other() -> None:
    """Equal bytes would tell that two tries are one report, also of a try that was cut short."""
    key, chance = "cd" * 32, SeededChance(1)
    made = Memory().released("a", START, chance)
    made = replace(made, upcoming=Upcoming("a", False, 0, key, "ef" * 64))
    assert made.upcoming is not None
    assert made.upcoming.is_of(made.pending[0], key)
    assert not made.upcoming.is_of(made.pending[0], "ab" * 32), "nor for another key"
    after = begun(made, made.pending[0], START, chance)
    assert not made.upcoming.is_of(after.pending[0], key)
    for left in (True, False):
        assert ended(after, after.pending[0], START, chance, left=left, done=False).upcoming is None


def test_j18_a_crash_in_the_third_try_is_followed_by_no_fourth() -> None:
    world = a_world()
    world.server.answers[INTAKE] = (503, b"")
    report = released(world)
    until_posted(world, 2)

    def third(state: Any) -> tuple[Any, None]:
        left = Pending(report.id, False, world.clock.now() + DAY, tries=TRIES)
        return replace(Memory.of(state), pending=(left,)).into(state), None

    world.client().update(third)
    running(world, 20 * DAY)
    assert len(posted(world)) == 2
    assert memory(world).pending == ()


def test_j18_a_crash_while_it_leaves_is_remembered_as_sent() -> None:
    """So that its deletion can be asked for, should it have come."""
    world = a_world()
    report = released(world)

    class Ending:
        """The process is killed while the request leaves."""

        def fetch(self, request: Any) -> Any:
            if request.message.method == "POST":
                raise KeyboardInterrupt
            return world.server.fetch(request)

    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _ready: Ending())
    with pytest.raises(KeyboardInterrupt):
        session(client, world.clock, 9 * DAY)
    (one,) = kept(world)
    assert (one.id, one.sent) == (report.id, world.clock.now() - world.clock.now() % DAY)
    (pending,) = memory(world).pending
    assert pending.tries == 1
    assert pending.due - world.clock.now() >= AGAIN[0]
    assert world.mars().reports.forget(report.guid) == "asked"


def test_j18_what_the_network_refused_is_not_said_to_be_sent() -> None:
    world = a_world()
    world.server.unreachable = TransportError("tor-unavailable", "No Tor.")
    report = released(world)
    running(world, 9 * DAY)
    assert [one.sent for one in kept(world)] == [None]
    assert world.mars().reports.forget(report.guid) == "removed"
