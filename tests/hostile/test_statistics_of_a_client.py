"""Group I, as far as the client goes: what a report says, when it goes, and who could make it."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace

import pytest

from mars.channels.draws import Draw, Draws, Wanted, look
from mars.channels.statistics import written
from mars.channels.upcoming import Memory
from mars.core.records import LOCK_WAIT, STATE_FILE
from mars.core.schedule import HOUR, LATE_LEAST
from mars.errors import MarsError, WireError
from mars.ports import Request, Response
from mars.providers import PATIENCE, Collector, Given
from mars.testing.memory import START, MemoryServer, MemoryStore, SeededChance, session
from mars.testing.world import World
from mars.wire.registry import Metric
from mars.wire.sealed import SMALL
from mars.wire.times import DAY, WEEK, week_start
from tests.mars.channels.kit import (
    ENCRYPTION,
    FOLDERS,
    INTAKE,
    PROTOCOL,
    VALUES,
    a_world,
    catalogue,
    often,
    posted,
    publishing,
    read,
)

MONDAY = week_start(START) + WEEK
MANY = tuple(replace(often(FOLDERS), key=f"key{number}") for number in range(8))


def running(world: World, seconds: int) -> None:
    session(world.client(), world.clock, seconds)


def sent_days(world: World) -> list[int]:
    return [entry["time"] // DAY for entry in world.mars().journal() if entry["sent"]]


def many(count: int) -> World:
    metrics = MANY[:count]
    return a_world(*metrics, given={metric.name: 1 for metric in metrics})


@pytest.mark.parametrize(
    "lie",
    [
        "all my mail",
        "10-99",
        "1\u202e-9",
        "",
        -(2**70),
        2**70,
        3.5,
        True,
        None,
        b"12",
        ["12"],
        {"value": 12},
    ],
)
def test_i01_what_is_not_declared_never_leaves(lie: Given) -> None:
    """A provider says what its entry does not declare: text, another type, a huge number."""
    world = a_world(often(FOLDERS))
    view_of = world.client()
    said = {*FOLDERS.values_known}
    world.given[FOLDERS.name] = lambda: lie  # type: ignore[assignment,return-value]
    running(world, MONDAY + 60 - START)
    upcoming = Memory.of(world.client().load()).upcoming
    assert upcoming is None or upcoming.said in said
    assert (upcoming is None) is (type(lie) is not int)
    assert view_of.load().decision is not None


def test_i01_a_hook_adds_nothing() -> None:
    made = Collector()
    made.provide(PROTOCOL.name, "imap")
    made.alter(lambda _name, _value: "all my mail")
    assert made.value(PROTOCOL) is None


class Equal(str):
    """Claims to be whatever it is compared with."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("imap")


@pytest.mark.parametrize("metric", [FOLDERS, PROTOCOL, ENCRYPTION], ids=lambda one: one.key)
def test_i01_a_text_that_claims_to_be_equal_to_all_is_refused(metric: Metric) -> None:
    made = Collector()
    made.provide(metric.name, VALUES[metric.name])
    made.alter(lambda _name, _value: Equal("all my mail"))
    assert made.value(metric) is None
    assert not metric.fits(Equal("imap"))


def test_i01_what_is_not_declared_is_not_even_written() -> None:
    for said in ("all my mail", Equal("all my mail")):
        with pytest.raises(WireError):
            written(catalogue(), PROTOCOL, "0.5.1", said)


def test_i01_a_provider_that_exits_is_noted_and_ends_nothing() -> None:
    made = Collector()
    made.provide(PROTOCOL.name, lambda: sys.exit("a secret"))
    assert made.value(PROTOCOL) is None
    assert made.faults[PROTOCOL.name].reason == "provider-failed"
    assert "secret" not in str(made.faults[PROTOCOL.name])


def test_i01_a_choice_waits_for_no_provider() -> None:
    """Plug-ins that hang hold no lock that a choice needs, and a choice asks none itself."""
    world = a_world(often(FOLDERS), often(PROTOCOL))
    running(world, MONDAY + 60 - START)
    assert Memory.of(world.client().load()).upcoming
    asked: list[str] = []
    for name in (FOLDERS.name, PROTOCOL.name):
        world.given[name] = lambda name=name: asked.append(name) or 1  # type: ignore[misc,func-returns-value]
    for choice in ({FOLDERS.name: True}, {PROTOCOL.name: False}, {PROTOCOL.name: True}):
        assert world.mars().statistics.choose(choice)
    world.grant("off")
    assert asked == []
    assert PATIENCE < LOCK_WAIT, "all providers together"


def test_i01_a_report_holds_its_members_and_nothing_else() -> None:
    world = a_world(often(FOLDERS), often(PROTOCOL))
    running(world, 3 * WEEK)
    assert posted(world)
    for request in posted(world):
        _, report = read(request)
        assert request.sealed == report.encode().decode()
        assert len(request.body or b"") == SMALL
        assert [name for name, _ in request.fields] == [
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Connection",
            "Content-Type",
            "Content-Length",
        ]


def test_i02_nothing_goes_before_the_day_of_the_yes_whatever_the_clock_says() -> None:
    """The clock steps to before the consent: no draw, no report of a week before it."""
    world = a_world(often(FOLDERS))
    world.clock.step(-6 * WEEK)
    running(world, 4 * WEEK)
    assert posted(world) == []
    assert Memory.of(world.client().load()).draws.pending == ()


@pytest.mark.parametrize("answer", [(503, b""), (204, b"an answer"), (200, b"")])
def test_i03_no_answer_brings_a_report_back(answer: tuple[int, bytes]) -> None:
    world = a_world(often(FOLDERS))
    world.server.answers[INTAKE] = answer
    running(world, 2 * WEEK + MONDAY - START)
    draws = Memory.of(world.client().load()).draws
    drawn = sum(week >= MONDAY for week in draws.weeks)
    assert len(posted(world)) + len(draws.pending) == drawn > 1


class CutOff(MemoryServer):
    """The process ends as soon as a report has left."""

    def fetch(self, request: Request) -> Response:
        found = super().fetch(request)
        if request.message.method == "POST":
            raise KeyboardInterrupt
        return found


def test_i04_a_crash_after_leaving_sends_nothing_again() -> None:
    world = a_world(often(FOLDERS))
    server = world.server
    world.server = CutOff(server.body, answers=server.answers)
    with pytest.raises(KeyboardInterrupt):
        running(world, 3 * WEEK + MONDAY - START)
    (went,) = posted(world)
    left = Memory.of(world.client().load())
    assert left.trying is not None
    assert left.trying not in left.draws.pending
    running(world, HOUR)
    after = Memory.of(world.client().load())
    assert after.trying is None
    assert after.upcoming is None or after.upcoming.text == went.sealed
    assert left.trying.week not in {draw.week for draw in after.draws.pending}


def test_i04_a_state_put_back_brings_the_sealed_report_again_in_the_same_bytes() -> None:
    """A backup, or a crash that undoes a write: the intake counts identical bodies once."""
    world = a_world(often(FOLDERS))
    while not posted(world):
        kept, at = dict(world.store.files), replace(world.clock)
        running(world, HOUR)
    (first,) = posted(world)
    world.store, world.clock = MemoryStore(kept), at
    while len(posted(world)) < 2:
        assert world.clock.wall < at.wall + DAY
        running(world, 6 * HOUR)
    second = posted(world)[1]
    assert read(first)[0] == read(second)[0], "in the same week"
    assert first.body == second.body


def test_i04_no_two_reports_have_the_same_bytes() -> None:
    world = many(4)
    running(world, MONDAY - START + WEEK)
    bodies = [request.body for request in posted(world)]
    keys = {(body or b"")[9:41] for body in bodies}
    assert len(set(bodies)) == len(keys) == len(bodies) > 1, "not even the key that seals them"


def test_i05_one_request_a_day_over_all_channels() -> None:
    world = many(8)
    running(world, 4 * WEEK)
    days = Counter(sent_days(world))
    assert max(days.values()) == 1
    assert len(days) > 15, "and room for many"


def test_i05_a_time_that_passed_is_not_made_up_for_at_a_start() -> None:
    kept = Draws((MONDAY,), (Draw(FOLDERS.name, MONDAY, MONDAY + HOUR),))
    wants, now = {FOLDERS.name: Wanted(1.0, START)}, MONDAY + 2 * HOUR
    _, due, sleep = look(kept, wants, now, None, SeededChance(1), day_after=MONDAY + DAY)
    assert due is None
    assert sleep > 0


def test_i05_no_burst_after_weeks_offline_and_nothing_at_a_start() -> None:
    """A laptop sleeps for weeks with reports drawn: they go on days of their own, never at once."""
    world = many(6)
    running(world, MONDAY + 60 - START)
    assert len(Memory.of(world.client().load()).draws.pending) == 6
    world.clock.suspend(2 * WEEK)
    woken, before = world.clock.wall, len(world.server.requests)
    running(world, LATE_LEAST - 1)
    assert len(world.server.requests) == before
    running(world, WEEK)
    days = Counter(day for day in sent_days(world) if day >= woken // DAY)
    assert max(days.values()) == 1


def test_i05_a_start_a_minute_sends_nothing() -> None:
    """Who restarts an application again and again sees no request at any of its starts."""
    world = many(6)
    running(world, MONDAY + 60 - START)
    world.clock.suspend(WEEK)
    before = len(world.server.requests)
    for _ in range(200):
        session(world.client(), world.clock, 60, crash=True)
    assert len(world.server.requests) == before


def test_i02_what_root_withdraws_is_not_sent_from_that_document_on() -> None:
    """Another hash in the steering document: nothing of the old registry goes any more."""
    world = many(6)
    running(world, MONDAY + 60 - START)
    assert Memory.of(world.client().load()).draws.pending
    fewer = catalogue(often(ENCRYPTION)).encode()
    world.publisher.steer(world.clock.wall, **publishing(fewer))
    world.publish()
    assert world.client().fetch().ok
    world.server.answers.clear()
    before = len(posted(world))
    running(world, 2 * WEEK)
    assert len(posted(world)) == before
    with pytest.raises(MarsError, match="registry"):
        client = world.client()
        client.planned(client.statistics, client.load(), client.voice(client.load()))


def test_i06_no_type_of_entry_can_express_free_text() -> None:
    for text in ("jmap ", "IMAP", "10.0.0.1", "a word"):
        with pytest.raises(WireError):
            PROTOCOL.said(text)
    for metric in (FOLDERS, PROTOCOL, ENCRYPTION):
        for text in ("a word", "10.0.0.1", "", "é", "x" * 64):
            assert not metric.fits(text)


@pytest.mark.parametrize("metric", [FOLDERS, PROTOCOL, ENCRYPTION], ids=lambda one: one.key)
def test_i02_a_yes_to_one_entry_is_a_yes_to_no_other(metric: Metric) -> None:
    world = a_world(
        *(often(one) for one in (FOLDERS, PROTOCOL, ENCRYPTION)), given=VALUES, agreed=False
    )
    world.grant("plain", entries={metric.name: True})
    running(world, 3 * WEEK)
    assert {read(request)[1].name for request in posted(world)} == {metric.name}


def test_i02_a_state_file_that_says_yes_to_what_is_withdrawn_sends_nothing() -> None:
    """A forged or stale state: draws of entries that are not agreed to are dropped."""
    world = a_world(often(FOLDERS), often(PROTOCOL), agreed=False)
    world.grant("plain", entries={PROTOCOL.name: True})
    running(world, MONDAY + 60 - START)
    data = world.store.files[STATE_FILE]
    assert PROTOCOL.name.encode() in data
    before, _, after = data.partition(b'"draws"')
    forged = after.replace(PROTOCOL.name.encode(), FOLDERS.name.encode())
    world.store.files[STATE_FILE] = before + b'"draws"' + forged
    running(world, 2 * WEEK)
    assert all("folders" not in request.sealed for request in posted(world))
