"""Group J: who has every spool, key and database and saw the day of each request asks which error
reports, deletions and look-ups are of one installation.

Most are asked of the client's own rules, where the answer must be small, and of a worse one, where
the attacker must find it: one that would find nothing anyway shows nothing.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from mars.core.schedule import HOUR
from mars.testing.world import World
from mars.wire.reports.crowd import Dealer, Share
from mars.wire.reports.direct import Deletion, Direct
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY
from testbed.reports import bursts, marks, mixed
from testbed.reports.attack import PAIR, Answers, Attacker
from testbed.reports.bursts import Habit, Linker, Links
from testbed.reports.reporter import CLIENT, Rules
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    RELEASE,
    a_world,
    fault,
    inside,
    kept,
    meet,
    memory,
    outer,
    read,
    released,
    running,
)

PEOPLE = 40
OTHERS = 30
"""Requests of others that look alike, in thirty days, where a day's faults are linked; ..."""
MANY = 100
"""... and where ten deletions are."""
LIMIT = 0.1
"""Of ten deletions, linked right at most."""
AT_OWN_TIMES = Rules(apart=False)
AT_ONCE = Rules(apart=False, spread=0)


@cache
def linked(doing: Habit, rules: Rules = CLIENT, others: int = OTHERS) -> Links:
    known = bursts.bursts(doing, PEOPLE, rules, seed=1)
    people = bursts.bursts(doing, PEOPLE, rules)
    taught = Linker.taught(known, others, alike=False)
    return taught.links(people, others, alike=False)


def a_day(world: World) -> None:
    """Of a computer that runs for five hours of it."""
    running(world, 5 * HOUR)
    world.clock.suspend(DAY - 5 * HOUR)


def until(world: World, number: int = 1) -> list[HTTPRequest]:
    """So many reports and deletions went."""
    for _ in range(60):
        if len(posted(world)) >= number:
            break
        a_day(world)
    assert len(posted(world)) == number
    return posted(world)


def is_a_guess(found: Answers) -> bool:
    return found.right == pytest.approx(0.5, abs=3.5 * found.error)


# --- one question for all channels ----------------------------------------------------------------


def test_j25_no_two_requests_of_any_channel_tell_that_they_are_of_one_installation() -> None:
    """Crowd and direct reports, deletions and statistics, of faults on days of their own; asked
    of two with equal content, beside one known request of whatever kind."""
    years = [mixed.record(24, 26, seed) for seed in range(3)]
    found = Attacker.taught(years[1:], PAIR, 1_000).answers(years[0], 1_000)
    assert is_a_guess(found)
    assert set(years[0].entry.tolist()) == set(range(len(mixed.KINDS))), "all channels are there"


@pytest.mark.parametrize("rules", [CLIENT, AT_ONCE])
def test_j25_faults_of_one_hour_are_not_sent_together(rules: Rules) -> None:
    """What is left is that they go within about a week; were they sent at once, most
    would be linked."""
    found = linked(bursts.faults_of_a_day, rules)
    assert (found.right < 0.35) == (rules is CLIENT)


# --- one test for each way round the schedule -----------------------------------------------------


def test_j26_an_intake_that_refuses_links_no_more_than_one_that_answers() -> None:
    """Three tries of each report, each at a time of its own."""
    plain, refused = linked(bursts.faults_of_a_day), linked(bursts.refused)
    assert refused.right <= plain.right + 3 * (plain.error + refused.error)
    tries = [days for one in bursts.bursts(bursts.refused, 10) for days in one]
    assert {len(days) for days in tries} == {3}
    gaps = [later - day for days in tries for day, later in pairwise(days)]
    assert min(gaps) > 1


@pytest.mark.parametrize("rules", [CLIENT, AT_OWN_TIMES])
def test_j26_a_queue_after_a_fortnight_offline_links_no_more_than_one_without(rules: Rules) -> None:
    always, woken = linked(bursts.five_faults), linked(bursts.offline, rules)
    worse = woken.right > always.right + 3 * (always.error + woken.error)
    assert worse == (rules is not CLIENT)


def test_j26_a_clock_that_steps_links_no_more_than_one_that_does_not() -> None:
    plain, stepping = linked(bursts.faults_of_a_day), linked(bursts.stepping)
    assert stepping.right <= plain.right + 3 * (plain.error + stepping.error)


@pytest.mark.parametrize("rules", [CLIENT, AT_OWN_TIMES])
def test_j26_no_request_follows_another_within_hours_more_often_than_by_chance(
    rules: Rules,
) -> None:
    """News, registry, answers, statistics and five reports are overdue when a laptop wakes."""
    close, even = bursts.close(rules, 30)
    assert (close < even) == (rules is CLIENT)


def test_j26_of_a_real_client_with_reports_one_request_goes_a_day_over_all_channels() -> None:
    world = a_world("always")
    meet(world, *[fault(number) for number in range(3)])
    running(world, HOUR)
    world.clock.suspend(14 * DAY)
    for _ in range(20):
        a_day(world)
    gone = [one for one in journal(world) if one["sent"]]
    assert {one["channel"] for one in gone} == {"motd", "registry", "status", "reports"}
    assert len(posted(world)) == 3
    assert max(Counter(one["time"] // DAY for one in gone).values()) == 1


def test_j26_which_fault_came_first_is_not_seen() -> None:
    """Of five released one after the other each is as often the first to go."""
    firsts = [
        min(range(len(one)), key=lambda at: one[at]) for one in bursts.bursts(bursts.offline, 60)
    ]
    assert max(firsts.count(at) for at in range(5)) < 60 / 5 + 4 * (60 * 0.16) ** 0.5


# --- deletions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [CLIENT, Rules(deletion_spread=DAY)])
def test_j27_of_ten_deletions_one_in_ten_is_linked_at_most(rules: Rules) -> None:
    """Among as many of others; not so, were they to go within a day or as soon after as one may."""
    found = linked(bursts.deletions, rules, MANY)
    assert (found.right <= LIMIT) == (rules is CLIENT)


def test_j27_a_deletion_names_its_own_report_and_has_nothing_of_another() -> None:
    """The first is what it is for."""
    world = a_world()
    first, second = (released(world, number=number) for number in (1, 2))
    until(world, 2)
    world.mars().reports.forget(first.id)
    reports, gone = posted(world)[:2], until(world, 3)[2]
    assert read(gone) == Deletion(first.guid)
    own, other = sorted(
        (inside(one)[0] for one in reports), key=lambda head: head["nonce"] != first.nonce
    )
    head, rest = inside(gone)
    assert (head["key"], head["nonce"], rest) == (own["key"], own["nonce"], b"")
    assert not {head[name] for name in ("key", "nonce", "signature")} & set(other.values())
    assert is_a_guess(marks.told_apart(marks.deletion, 600))
    assert second.guid != first.guid


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [CLIENT, Rules(asked_by_all=False)])
def test_j28_who_asks_for_answers_may_have_a_report_or_none(rules: Rules) -> None:
    found = marks.looked_up(60, rules)
    if rules is CLIENT:
        assert is_a_guess(found)
    else:
        assert found.right > 0.95


def test_j28_a_real_client_without_any_report_asks_as_often_as_one_with_reports() -> None:
    asked = []
    for faults in ((), (fault(1), fault(2))):
        world = a_world("always")
        meet(world, *faults)
        for _ in range(25):
            a_day(world)
        asked.append(sum(one["channel"] == "status" for one in journal(world) if one["sent"]))
        assert len(posted(world)) == len(faults)
    without, having = asked
    assert min(without, having) >= 2
    assert abs(without - having) <= 2


def journal(world: World) -> list[dict[str, Any]]:
    return world.mars().journal()


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "leaks"),
    [
        (marks.direct, False),
        (marks.one_key, True),
        (marks.crowd, False),
        (marks.one_point, True),
    ],
)
def test_j29_keys_numbers_and_points_of_two_reports_tell_nothing(
    make: marks.Make, leaks: bool
) -> None:
    """Of one installation against another's; a crowd report of the same fault in another release,
    or of another fault."""
    found = marks.told_apart(make, 100 if leaks else 600)
    assert found.right > 0.95 if leaks else is_a_guess(found)


def test_j29_the_same_installation_is_the_same_point_of_the_same_fault_and_release() -> None:
    """So that nobody counts as ten; it is all that two crowd reports can have in common."""
    dealer = Dealer.of(fault(), "examplemail", RELEASE)
    ours, others = (
        {dealer.share(bytes([who]) * 32, bytes([nonce]) * 24).x for nonce in range(3)}
        for who in (1, 2)
    )
    assert len(ours) == len(others) == 1
    assert ours != others


# --- a new release --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["direct", "crowd"])
def test_j30_a_report_that_waits_goes_as_it_would_have_without_the_update(way: str) -> None:
    """At the same time, of the release that failed, sealed to that one's key."""
    gone = []
    for version in (RELEASE, "0.5.2"):
        world = a_world()
        world.version = RELEASE
        released(world, way)
        world.version = version
        (request,) = until(world)
        times = [one["time"] for one in journal(world) if one["channel"] == "reports"]
        assert f'"release":"{RELEASE}"'.encode() in outer(request)
        gone.append((times, inside(request)))
    assert gone[0] == gone[1]


def test_j30_the_same_fault_in_the_next_release_is_another_report() -> None:
    """Of another key and another point."""
    for way, kind in (("direct", Direct), ("crowd", Share)):
        world = a_world()
        heads = []
        for at, version in enumerate((RELEASE, "0.5.2"), 1):
            world.version = version
            meet(world, fault())
            running(world, 60)
            (report,) = [one for one in kept(world) if one.release == version]
            world.mars().reports.send(report.id, way)
            until(world, at)
            assert isinstance(read(posted(world)[-1]), kind)
            heads.append(inside(posted(world)[-1])[0])
            world.clock.suspend(DAY)
        first, second = (
            {value for name, value in head.items() if name not in ("kind", "server")}
            for head in heads
        )
        assert not first & second
        assert memory(world).secret
