"""Error reports as an installation lives them: what goes, when, what stays, what the user sees."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest

from mars.channels.one_fault import OneFault
from mars.channels.queue import SENT_KEPT, UNSENT_KEPT, Report
from mars.channels.sending import A_WEEK, SPREAD
from mars.core.channel import NextRequest
from mars.core.schedule import HOUR
from mars.errors import TransportError
from mars.ports import Fetcher
from mars.testing.memory import session
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Direct
from mars.wire.times import DAY, WEEK
from tests.mars.channels.kit import INTAKE, posted
from tests.mars.channels.reporting import (
    LONGEST,
    RELEASE,
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


def test_a_released_report_goes_once_through_tor_within_seven_days() -> None:
    world = a_world()
    report = released(world, message="I opened the archive.")
    begun = world.clock.now()
    until_posted(world)
    running(world, 8 * DAY)
    (went,) = posted(world)
    said = read(went)
    assert isinstance(said, Direct)
    assert (said.guid, said.content.fault, said.content.platform, said.content.message) == (
        *(report.guid, fault(), "linux", "I opened the archive."),
    )
    entry = next(one for one in world.mars().journal() if one["channel"] == "reports")
    assert begun + HOUR < entry["time"] <= begun + SPREAD + 4 * HOUR
    assert (entry["reason"], entry["status"]) == (None, 204)
    (shown,) = world.mars().reports.list()
    assert (shown["state"], shown["guid"], shown["released"]) == ("sent", report.guid, False)


def test_a_crowd_report_is_made_after_its_release_and_says_what_its_key_is_made_of() -> None:
    world = a_world()
    meet(world, fault())
    running(world, HOUR)
    assert kept(world)[0].share == "", "not where the fault was met"
    assert world.mars().reports.send(1)
    until_posted(world)
    said = read(posted(world)[0])
    assert isinstance(said, Share)
    assert said.inner() == kept(world)[0].inner
    (shown,) = world.mars().reports.list()
    assert (shown["state"], shown["guid"], shown["way"]) == ("sent", None, "crowd")


def test_nothing_goes_before_it_is_released_and_the_user_is_asked_for_each() -> None:
    world = a_world("ask")
    meet(world, fault())
    running(world, LONGEST)
    assert posted(world) == []
    assert [one["state"] for one in world.mars().reports.list()] == ["queued"]
    assert world.mars().status()["error_reports"]["queued"] == 1


def test_always_means_that_each_goes_as_a_crowd_report() -> None:
    world = a_world("always")
    meet(world, fault(1), fault(2))
    sent = until_posted(world, 2)
    assert all(isinstance(read(one), Share) for one in sent)
    days = [one["time"] // DAY for one in world.mars().journal() if one["sent"]]
    assert len(set(days)) == len(days), "one request a day, whatever it is"


def test_the_line_in_the_log_has_the_guid_of_the_direct_report() -> None:
    world = a_world()
    (line,) = meet(world, fault())
    until_sent = released(world)
    assert line == f"TELEMETRY {until_sent.guid}"
    said = read(until_posted(world)[0])
    assert isinstance(said, Direct)
    assert line == f"TELEMETRY {said.guid}"


@pytest.mark.parametrize("version", ["dev", "0.5.2.dev1", "", "1.0rc1"])
def test_a_build_that_is_no_release_keeps_and_sends_nothing(version: str) -> None:
    world = a_world("always")
    world.version = version
    assert meet(world, fault()) == [None]
    assert kept(world) == []


def test_preview_journal_and_wire_say_the_same() -> None:
    for way in ("direct", "crowd"):
        world = a_world()
        report = released(world, way)
        shown = world.mars().reports.preview(1, way, None)
        until_posted(world)
        (went,) = posted(world)
        assert went.sealed == shown
        entries = [one for one in world.mars().journal() if one["channel"] == "reports"]
        assert [one["sent"] for one in entries] == [went.shown]
        outside, head, content = went.sealed.split("\n")
        assert json.loads(outside) == {
            "type": "report",
            "product": "examplemail",
            "channel": "stable",
            "release": RELEASE,
        }
        assert json.loads(head)["kind"] == way
        body = json.loads(content)
        assert (body["types"], body["frames"]) == (
            list(report.fault.types),
            list(report.fault.frames),
        )
        assert ("platform" in body) is (way == "direct")


def test_the_next_request_can_be_seen_as_that_of_any_channel() -> None:
    world = a_world()
    released(world, "direct")
    running(world, 60)
    shown = world.mars().preview(channel="reports")
    assert shown is not None
    until_posted(world)
    assert posted(world)[0].golden == shown.bytes


def test_each_try_is_sealed_anew_under_the_same_guid_days_apart_and_thrice_at_most() -> None:
    world = a_world()
    world.server.answers[INTAKE] = (503, b"")
    report = released(world)
    until_posted(world, 3)
    running(world, 8 * DAY)
    tries = posted(world)
    assert len(tries) == 3
    assert len({one.body for one in tries}) == 3, "equal bytes would link them"
    assert len({one.body[:100] for one in tries if one.body}) == 3
    found = [read(one) for one in tries]
    assert {one.guid for one in found if isinstance(one, Direct)} == {report.guid}
    times = [one["time"] for one in world.mars().journal() if one["channel"] == "reports"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(2 * DAY <= gap <= 9 * DAY for gap in gaps)
    assert world.mars().reports.list()[0]["state"] == "sent", "it may have come"


def test_an_answer_ends_the_tries() -> None:
    world = a_world()
    world.server.answers[INTAKE] = (503, b"")
    released(world)
    until_posted(world)
    world.server.answers[INTAKE] = (204, b"")
    running(world, 16 * DAY)
    assert len(posted(world)) == 2


def test_a_try_of_which_nothing_left_does_not_count() -> None:
    world = a_world()
    world.server.unreachable = TransportError("tor-unavailable", "No Tor.")
    released(world)
    running(world, LONGEST)
    assert posted(world) == []
    assert world.mars().reports.list()[0]["state"] == "queued", "nothing of it went"
    world.server.unreachable = None
    until_posted(world, 1, 5)


def test_a_crash_in_the_middle_of_a_try_is_followed_by_the_same_guid_days_later() -> None:
    """J18."""
    world = a_world()
    world.server.fault = TransportError("timeout", "No answer.")
    report = released(world)
    client = world.client()
    while not posted(world):
        session(client, world.clock, HOUR, crash=True)
    first = world.clock.now()
    world.server.fault = None
    world.publish()
    until_posted(world, 2)
    assert world.clock.now() - first >= DAY
    guids = [one.guid for one in map(read, posted(world)) if isinstance(one, Direct)]
    assert guids == [report.guid] * 2


def test_one_fault_of_a_release_is_reported_once() -> None:
    """J15."""
    world = a_world()
    lines = meet(world, *[fault()] * 50)
    assert len(kept(world)) == 1
    assert len(set(lines)) == 1, "the log names the one that is kept"
    running(world, HOUR)
    assert world.mars().reports.forget(1) == "removed"
    assert meet(world, fault()) == [None], "also once it was forgotten"
    world.version = "0.5.2"
    meet(world, fault())
    assert [one.release for one in kept(world)] == ["0.5.2"]


def test_at_most_three_a_week() -> None:
    """J15."""
    world = a_world()
    for number in range(40):
        meet(world, fault(number))
        running(world, HOUR)
    assert len(kept(world)) == A_WEEK
    for one in kept(world):
        world.mars().reports.forget(one.id)
    meet(world, fault(100))
    running(world, HOUR)
    assert kept(world) == [], "forgetting makes no room"
    running(world, WEEK)
    meet(world, *[fault(number) for number in range(200, 210)])
    running(world, HOUR)
    assert len(kept(world)) == A_WEEK


def test_of_two_processes_that_meet_a_fault_at_once_one_report_is_kept() -> None:
    world = a_world()
    first, second = world.client(), world.client()
    from mars.channels.filing import Filing

    class Late:
        """The other process has looked already, and writes now."""

        def __init__(self) -> None:
            self.done = False

        def __getattr__(self, name: str) -> object:
            return getattr(world.store, name)

        def write(self, name: str, data: bytes) -> None:
            if not self.done:
                self.done = True
                Filing(second, second.queue).take(fault())
            world.store.write(name, data)

    first.queue.store = Late()  # type: ignore[assignment]
    Filing(first, first.queue).take(fault())
    assert len(kept(world)) == 2
    running(world, HOUR)
    assert len(kept(world)) == 1


def test_only_the_process_that_fetches_sends() -> None:
    world = a_world()
    released(world)
    first, second = world.client(), world.client()
    for _ in range(9 * 24):
        session(first, world.clock, HOUR // 2)
        session(second, world.clock, HOUR // 2)
    assert len(posted(world)) == 1


def test_a_report_is_dropped_after_thirty_days_and_after_half_a_year_once_it_was_sent() -> None:
    world = a_world()
    released(world)
    until_posted(world)
    meet(world, fault(2))
    running(world, HOUR)
    world.clock.suspend(UNSENT_KEPT + DAY)
    running(world, HOUR)
    assert [one.fault for one in kept(world)] == [fault(1)]
    world.clock.suspend(SENT_KEPT)
    running(world, HOUR)
    assert kept(world) == []


def test_no_time_stands_in_a_file_and_names_say_nothing() -> None:
    world = a_world()
    world.clock.advance(12_345)
    meet(world, fault(), fault(2))
    files = {name: data for name, data in world.store.files.items() if "report-" in name}
    assert len(files) == 2
    for name, data in files.items():
        assert len(name) == len("report-0123456789abcdef.json")
        told = json.loads(data)
        assert told["day"] % DAY == 0
        assert told.keys() == {"version", *Report.__dataclass_fields__}


def test_a_damaged_file_is_told_left_and_sends_nothing() -> None:
    world = a_world("always")
    meet(world, fault())
    (name,) = world.store.names("report-")
    whole = world.store.files[name]
    for data in (b"", b"{", whole[:-9], whole.replace(b"crowd", b"croud"), b"[" * 9_000):
        world.store.files[name] = data
        running(world, HOUR)
        assert memory(world).pending == ()
        assert posted(world) == []
        assert world.store.files[name] == data
        status = world.mars().status()["error_reports"]
        assert status["problem"]["reason"] == "report-damaged"
        assert name in status["problem"]["message"]
    assert world.mars().reports.forget(name) == "removed"
    assert world.store.names("report-") == ()


def test_a_state_that_was_lost_loses_times_and_no_report() -> None:
    world = a_world()
    released(world)
    del world.store.files["state.json"]
    world.grant("plain", reports="ask")
    assert [one["state"] for one in world.mars().reports.list()] == ["queued"]
    running(world, LONGEST)
    assert posted(world) == []


def test_without_a_key_of_its_release_a_report_waits_and_that_is_told() -> None:
    """J2: withdrawn by deleting."""
    world = a_world()
    report = released(world)
    client = world.client()
    client.queue.write(replace(report, release="0.4.9"))
    running(world, LONGEST)
    assert posted(world) == []
    assert world.mars().reports.preview(1, "direct") is None


@pytest.mark.parametrize("step", [-400 * DAY, -DAY, DAY, 20 * DAY])
def test_a_clock_that_steps_causes_no_burst(step: int) -> None:
    world = a_world("always")
    meet(world, fault(1), fault(2), fault(3))
    running(world, HOUR)
    world.clock.step(step)
    before = len(world.server.visits)
    running(world, HOUR // 2)
    assert len(world.server.visits) - before <= 1
    running(world, 5 * DAY)
    world.clock.step(-step)
    running(world, 12 * DAY)
    assert len(posted(world)) <= 3
    days = [one["time"] // DAY for one in world.mars().journal() if one["sent"]]
    assert len(set(days)) == len(days)


def test_one_that_did_not_go_by_hand_is_not_kept() -> None:
    world = a_world("never")
    client = world.client()

    def fetcher(_: NextRequest) -> Fetcher:
        raise TransportError("tor-unavailable", "No Tor.")

    client.ports = replace(client.ports, fetcher=fetcher)
    assert OneFault(client, fault(), "direct").send("plain").reason == "tor-unavailable"
    assert kept(world) == []


def test_a_message_goes_in_no_crowd_report_and_is_bounded() -> None:
    """J13."""
    world = a_world()
    meet(world, fault())
    mars = world.mars()
    assert not mars.reports.send(1, "crowd", "secret")
    assert mars.status()["problem"]["reason"] == "message-in-crowd"
    assert not mars.reports.send(1, "direct", "x" * 2_001)
    assert mars.status()["problem"]["reason"] == "too-large"
    assert not mars.reports.send(1, "loud")
    assert memory(world).pending == ()
