"""What keeps error reports of a client rare, unlinkable and agreed to, one guard at a time: files
that are none of ours, a yes that ends at the last moment, tries, times and names."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars.adapters.files import Folder, clear
from mars.channels.filing import Filing
from mars.channels.one_fault import OneFault
from mars.channels.queue import (
    MOST,
    SENT_KEPT,
    UNSENT_KEPT,
    Queue,
    Report,
    decode,
    name_of,
)
from mars.channels.sending import A_WEEK, AGAIN, TRIES, Memory, Pending, Upcoming, begun, ended
from mars.consent import Layer
from mars.consent.purposes import DELETIONS, NEWS, REPORTS
from mars.core.schedule import HOUR
from mars.errors import ConfigError, StateError, TransportError
from mars.faults.own import Own
from mars.faults.text import faults
from mars.testing.memory import START, MemoryStore, SeededChance, machine, session
from mars.testing.world import World
from mars.wire.reports.direct import Deletion
from mars.wire.times import DAY, WEEK
from tests.mars.channels.kit import INTAKE, posted
from tests.mars.channels.reporting import (
    a_world,
    fault,
    kept,
    meet,
    memory,
    read,
    released,
    running,
    until_posted,
)

REPORT = Report("00112233aabbccdd", fault(), "0.5.1", START, "a" * 32, "04" * 24, "linux")
WHOLE = REPORT.encode()


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(WHOLE), **members}).encode()


# --- Files --------------------------------------------------------------------------------------

DAMAGED = {
    "empty": b"",
    "half written": WHOLE[: len(WHOLE) // 2],
    "too large": WHOLE.ljust(64 * 1024 + 1),
    "too deep": b"[" * 60_000,
    "not ASCII": WHOLE.replace(b"linux", "línux".encode("latin-1")),
    "another report's": changed(id="f" * 16),
    "of a later version": changed(version=2),
    "with a member that we do not know": changed(more=1),
    "a fault that is none": changed(fault={"types": ["a b"], "frames": []}),
    "a release that is none": changed(release="0.5.1.dev1"),
    "a way that is none": changed(way="loud"),
    "a share that is none": changed(share="?"),
    "a day before the epoch": changed(day=-1),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_e22_a_file_that_is_no_report_is_left_told_and_not_sent(tmp_path: Path, kind: str) -> None:
    store, data = Folder(tmp_path), DAMAGED[kind]
    queue, good = Queue(store), replace(REPORT, id="1" * 16)
    store.write(name_of(REPORT.id), data)
    queue.write(good)
    for now in (START, START + UNSENT_KEPT - DAY):
        assert [*queue.settle(now)] == [good.id], "the others go on"
    assert queue.damage is not None
    assert queue.damage.reason == "report-damaged"
    assert name_of(REPORT.id) in queue.damage.message
    assert store.read(name_of(REPORT.id)) == data
    queue.settle(START + UNSENT_KEPT)
    assert store.names("report-") == (name_of(REPORT.id),)


def test_e22_a_report_under_another_name_is_not_that_report(tmp_path: Path) -> None:
    """As a copy that somebody made: it would be sent twice."""
    queue = Queue(Folder(tmp_path))
    queue.write(REPORT)
    for name in ("report-00112233aabbccdd", "report-00112233aabbccdd.json.json", "report-2.json"):
        (tmp_path / name).write_bytes(WHOLE)
    assert [*queue.all()] == [REPORT.id]
    assert len(queue.damaged) == 3


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_e22_what_cannot_be_read_stops_reports_alone_and_loses_none(
    tmp_path: Path, kind: str
) -> None:
    """What could not be read this once must not be taken for what was never there."""
    world, store = a_world(), Folder(tmp_path / "state")
    for name, data in world.store.files.items():
        store.write(name, data)
    mars = world.mars(store=store, modules=["tests"])
    client = mars._client
    Filing(client, client.queue).take(fault())
    session(client, world.clock, 60)
    assert mars.reports.send(1, "direct")
    (name,) = store.names("report-")
    place = store.path / "report-ffffffffffffffff.json"
    if kind == "link":
        place.symlink_to(store.path / name)
    else:
        place.mkdir()
    session(client, world.clock, 12 * DAY)
    assert posted(world) == []
    assert world.server.visits, "the news were asked for all the same"
    with pytest.raises(StateError) as caught:
        client.queue.all()
    assert caught.value.reason == "state-unreadable"
    assert str(place) in caught.value.message
    place.unlink() if kind == "link" else place.rmdir()
    session(client, world.clock, 9 * DAY)
    assert len(posted(world)) == 1


def test_e22_a_crash_while_a_report_was_written_leaves_none(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    store.write("state.json", b"{}")
    half = tmp_path / f".{name_of(REPORT.id)}-x1"
    half.write_bytes(WHOLE[:100])
    queue = Queue(store)
    assert (queue.all(), queue.damage) == ({}, None)
    clear(tmp_path)
    assert not half.exists()


# --- A yes, and its end -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["never", "ask", "always"])
def test_f01_without_a_yes_nothing_of_a_fault_is_kept_or_logged(mode: str) -> None:
    world = a_world(mode)
    (line,) = meet(world, fault())
    assert (len(kept(world)), line is not None) == ((0, False) if mode == "never" else (1, True))


@pytest.mark.parametrize("version", ["dev", "0.5.1.dev3", "0.5.1+local", "", "1", "0.5.1\n"])
def test_f04_what_is_no_release_keeps_and_sends_no_report(version: str) -> None:
    world = a_world("always")
    world.version = version
    assert meet(world, fault()) == [None]
    with pytest.raises(ConfigError) as caught:
        OneFault(world.client(), fault(), "direct")
    assert caught.value.reason == "no-release"
    running(world, 9 * DAY)
    assert (kept(world), posted(world)) == ([], [])


class Meanwhile:
    """The user decides while the circuit is built."""

    def __init__(self, world: World, mode: str) -> None:
        self.world, self.mode, self.asked = world, mode, 0

    def fetch(self, request: Any) -> Any:
        if request.message.method == "POST":
            self.asked += 1
            self.world.grant("plain", reports=self.mode)
        return self.world.server.fetch(request)


@pytest.mark.parametrize(("mode", "by_hand"), [("ask", False), ("never", False), ("never", True)])
def test_f03_what_goes_by_itself_stops_at_the_last_moment(mode: str, by_hand: bool) -> None:
    """From ``always`` to ``ask`` too: nobody has released this one."""
    world = a_world("always")
    if by_hand:
        released(world)
    else:
        meet(world, fault())
    client = world.client()
    between = Meanwhile(world, mode)
    client.ports = replace(client.ports, fetcher=lambda _ready: between)
    session(client, world.clock, 9 * DAY)
    assert between.asked == 1
    assert posted(world) == []


def test_f03_an_environment_that_asks_first_holds_while_the_circuit_is_built() -> None:
    """Without any decision of the user's: the channel itself is asked whether this one may go."""
    world = a_world("always")
    meet(world, fault())
    client, server = world.client(), world.server
    asked = list[str]()

    class Between:
        def fetch(self, request: Any) -> Any:
            if request.message.method == "POST":
                asked.append(request.message.url)
                lowered = machine(environ={"MARS_REPORTS": "ask"})
                client.ports = replace(client.ports, host=lowered)
            return server.fetch(request)

    client.ports = replace(client.ports, fetcher=lambda _ready: Between())
    session(client, world.clock, 9 * DAY)
    assert len(asked) == 1
    assert posted(world) == []


def test_f03_what_was_put_off_by_a_change_of_mind_is_not_pending_any_more() -> None:
    world = a_world("always")
    meet(world, fault())
    running(world, HOUR)
    (before,) = memory(world).pending
    world.grant("plain", reports="ask")
    running(world, HOUR)
    assert memory(world).pending == ()
    world.grant("plain", reports="always")
    running(world, HOUR)
    (after,) = memory(world).pending
    assert after.due != before.due, "drawn anew"


def test_f03_with_the_yes_goes_what_was_not_sent_from_the_disk_too() -> None:
    world = a_world()
    released(world)
    until_posted(world)
    meet(world, fault(2))
    running(world, 60)
    world.grant("plain", reports="never")
    assert [one.fault for one in kept(world)] == [fault(1)], "its deletion may be asked for"


def test_f03_a_deletion_is_the_user_s_act_and_yet_obeys_who_may_forbid() -> None:
    """No decision of the user's holds it back; a policy or the environment does."""
    off = Layer("user", "off", "")
    assert off.allows(DELETIONS)
    assert not off.allows(REPORTS)
    assert not off.allows(NEWS)
    assert not Layer("environment", "off", "").allows(DELETIONS)
    world = a_world()
    report = released(world)
    until_posted(world)
    world.mars().consent.revoke()
    assert world.mars().reports.forget(report.guid) == "asked"
    world.host = machine(environ={"DO_NOT_TRACK": "1"})
    running(world, 33 * DAY)
    assert len(posted(world)) == 1
    world.host = machine()
    until_posted(world, 2)
    assert read(posted(world)[-1]) == Deletion(report.guid)


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


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_e22_a_report_is_read_as_it_was_written_or_not_at_all(data: bytes) -> None:
    assert decode(data, REPORT.id) is None
    assert decode(WHOLE, REPORT.id) == REPORT
