"""What becomes of a failure, by the sentences of docs/hooks.md."""

from __future__ import annotations

import pytest

from mars.failures import machine as rules
from mars.failures import subjects
from mars.failures.counts import Counts, Day, Seen
from mars.failures.machine import FAILED, LATE
from mars.wire.times import DAY, WEEK
from tests.mars.failures import kit
from tests.mars.failures.kit import GRACE, MONDAY, Process


def test_what_resolves_within_its_grace_was_no_failure() -> None:
    process = Process()
    case = process.fail()
    process.passes(GRACE - 1)
    process.resolve(case)
    process.passes(WEEK)
    assert (process.told(), process.day(7).failed) == ([], {})


def test_what_does_not_has_failed_and_counts_once_on_the_day_on_which_its_grace_ended() -> None:
    process = Process(wall=MONDAY + DAY - 1)
    process.fail()
    process.passes(2 * DAY)
    assert process.told() == [(FAILED, "damaged")]
    assert [process.day(ago).failed for ago in (2, 1, 0)] == [{}, {"damaged": 1}, {}]


def test_what_resolves_later_is_late_once_on_the_day_of_the_failure() -> None:
    process = Process(wall=MONDAY + DAY - 2 * GRACE)
    case = process.fail()
    process.passes(kit.LATE - 1)
    process.resolve(case)
    process.resolve(case)
    assert process.told() == [(FAILED, "damaged"), (LATE, "damaged")]
    assert [process.day(ago).late for ago in (1, 0)] == [1, 0]


def test_what_resolves_after_that_says_nothing() -> None:
    process = Process()
    case = process.fail()
    process.passes(kit.LATE)
    process.resolve(case)
    assert process.told() == [(FAILED, "damaged")]


def test_the_resolution_of_one_failure_is_not_that_of_the_next() -> None:
    process = Process()
    first = process.fail(subject="a")
    process.resolve(first)
    process.fail(subject="a")
    process.resolve(first)
    process.passes(GRACE)
    assert process.told() == [(FAILED, "damaged")]


def test_a_retry_changes_nothing_and_another_cause_only_while_it_is_pending() -> None:
    process = Process()
    process.fail("damaged", "a", at="first")
    process.passes(GRACE - 1)
    process.fail("damaged", "a", at="second")
    process.fail("other", "a", at="third")
    process.passes(1)
    process.fail("key_missing", "a")
    process.passes(GRACE)
    assert process.told() == [(FAILED, "other")]
    assert process.day().last == {"other": {"at": "third"}}


def test_a_retry_that_resolves_resolves_the_failure_that_began_before() -> None:
    process = Process()
    process.fail(subject="a")
    process.passes(GRACE)
    process.resolve(process.fail(subject="a"))
    assert process.told() == [(FAILED, "damaged"), (LATE, "damaged")]


def test_without_a_subject_each_call_is_a_failure() -> None:
    process = Process()
    for _ in range(3):
        process.fail()
    process.passes(GRACE)
    assert process.day().failed == {"damaged": 3}


@pytest.mark.parametrize("subject", ["a", b"a", 1, -1, 0, 2**4000, "", "\udc80", "é" * 1000])
def test_i31_a_subject_that_counts_is_known_again_after_a_restart(subject: object) -> None:
    process = Process()
    for _ in range(2):
        process.fail(subject=subject)
        process.passes(GRACE)
        process.write()
        process.kept = Counts.read(process.kept.plain())
        process.restart()
    assert process.day().failed == {"damaged": 1}


def test_subjects_of_several_types_are_several() -> None:
    process = Process()
    for subject in ("1", b"1", 1, "\x01", b"\x01"):
        process.fail(subject=subject)
    process.passes(GRACE)
    assert process.day().failed == {"damaged": 5}


@pytest.mark.parametrize(("after", "counts"), [(DAY, 0), (2 * WEEK - 1, 0), (2 * WEEK, 1)])
def test_it_may_count_again_after_the_end_of_the_week_after(after: int, counts: int) -> None:
    process = Process(wall=MONDAY - GRACE)
    process.fail(subject="a")
    process.passes(GRACE)
    process.write()
    process.passes(after)
    process.fail(subject="a")
    process.passes(GRACE)
    assert process.day().failed.get("damaged", 0) == counts


def test_the_key_changes_weekly_and_hashes_of_weeks_before_the_last_are_removed() -> None:
    process = Process()
    weeks = []
    for week in range(4):
        process.fail(subject=week)
        process.passes(GRACE)
        process.write()
        weeks.append([(one.week - MONDAY) // WEEK for one in process.kept.seen])
        process.passes(WEEK - GRACE)
    assert weeks == [[0], [1, 0], [2, 1], [3, 2]]
    assert len({one.key for one in process.kept.seen}) == 2


def test_what_is_pending_at_a_restart_is_no_failure() -> None:
    process = Process()
    process.fail(subject="a")
    process.passes(GRACE - 1)
    process.write()
    process.restart()
    process.passes(GRACE)
    assert process.day() == Day()


def test_of_more_than_4096_pending_each_has_failed_at_once() -> None:
    process = Process()
    cases = [process.fail(subject=n) for n in range(rules.MOST_PENDING + 1)]
    assert process.told() == [(FAILED, "damaged")]
    for case in cases:
        process.resolve(case)
    process.passes(GRACE)
    assert (process.told(), process.day().failed) == ([], {"damaged": 1})


def test_ten_thousand_devices_are_many_failures_and_one_device_is_one() -> None:
    process = Process()
    for device in range(10_000):
        process.fail(subject=f"device {device}")
        process.fail("other", "device")
    process.passes(GRACE)
    assert process.day().failed == {"damaged": 10_000, "other": 1}
    (seen,) = process.kept.seen
    assert len(seen.hashes) == subjects.MOST
    assert [len(one._known) for one in process.machine._every] == [subjects.MOST]


def test_of_more_than_4096_that_failed_only_the_newest_may_be_late() -> None:
    process = Process()
    cases = []
    for _ in range(2):
        cases += [process.fail() for _ in range(rules.MOST_PENDING)]
        process.passes(GRACE)
        process.told()
    process.resolve(cases[rules.MOST_PENDING - 1])
    process.resolve(cases[rules.MOST_PENDING])
    assert process.told() == [(LATE, "damaged")]


def test_what_counts_next_week_is_hashed_with_its_key_whatever_was_written_meanwhile() -> None:
    process = Process(wall=MONDAY - GRACE - 1)
    process.fail(subject="this week")
    process.passes(1)
    process.fail(subject="the next")
    process.write()
    process.fail(subject="the next, too")
    process.passes(GRACE)
    process.write()
    found = {one.week: len(one.hashes) for one in process.kept.seen}
    assert found == {MONDAY - WEEK: 1, MONDAY: 2}


def test_more_keys_than_four_are_never_in_use() -> None:
    weeks = (MONDAY - WEEK, MONDAY - WEEK, MONDAY + WEEK, MONDAY + WEEK)
    keys = tuple(Seen(week, bytes([n]) * 16, {}) for n, week in enumerate(weeks))
    process = Process(kept=Counts(seen=keys))
    process.fail(subject="a")
    assert [one.week for one in process.machine._every] == [MONDAY, *weeks[:3]]


def test_durations_do_not_go_by_the_wall_clock() -> None:
    process = Process()
    case = process.fail()
    process.wall += 10 * DAY
    process.resolve(case)
    case = process.fail()
    process.wall -= 20 * DAY
    process.passes(GRACE)
    process.resolve(case)
    assert process.told() == [(FAILED, "damaged"), (LATE, "damaged")]


def test_i31_two_processes_add_up_and_count_a_subject_once() -> None:
    one = Process()
    one.fail(subject="known")
    one.passes(GRACE)
    one.write()
    two = Process(kept=one.kept, wall=one.wall)
    for process in (one, two):
        process.fail(subject="both")
        process.fail("other", subject=id(process))
        process.succeed(5)
        process.passes(GRACE)
    one.write()
    two.kept = one.kept
    assert two.day().failed == {"damaged": 2, "other": 2}
    assert two.day().succeeded == 10
    one.kept = two.kept
    one.write()
    one.fail("other", subject=id(two))
    one.passes(GRACE)
    assert one.day() == two.day()


def test_two_processes_that_drew_a_key_each_know_what_either_counts() -> None:
    one, two = Process(), Process()
    two.chance.seed(2)
    for process, subject in ((one, "a"), (two, "b")):
        process.fail(subject=subject)
        process.passes(GRACE)
    one.write()
    two.kept = one.kept
    two.write()
    one.kept = two.kept
    one.write()
    assert len({seen.key for seen in one.kept.seen}) == 2
    for process in (one, two):
        process.fail(subject="a")
        process.fail(subject="b")
        process.passes(GRACE)
        assert process.day().failed == {"damaged": 2}


def test_what_could_not_be_written_is_written_later() -> None:
    process = Process()
    process.fail(subject="a")
    process.passes(GRACE)
    process.machine.look(process.running)
    process.machine.regain(process.machine.gained())
    process.fail(subject="a")
    process.fail(subject="b")
    process.passes(GRACE)
    assert process.day().failed == {"damaged": 2}
    process.restart()
    process.fail(subject="a")
    process.passes(GRACE)
    assert process.day().failed == {"damaged": 2}


def test_i30_after_a_yes_was_taken_back_nothing_of_before_counts() -> None:
    process = Process()
    process.fail(subject="a")
    process.passes(GRACE)
    process.fail(subject="pending")
    process.machine.look(process.running)
    gained = process.machine.gained()
    process.machine.forget()
    process.machine.regain(gained)
    process.passes(GRACE)
    process.fail(subject="while off")
    process.succeed()
    process.passes(GRACE)
    process.machine.look(process.running)
    assert not process.machine.gained()
    process.machine.known(Counts(), process.wall)
    process.machine.regain(gained)
    assert process.day() == Day()


def test_what_is_pending_when_counting_begins_is_not_counted() -> None:
    process = Process()
    process.restart(counting=False)
    process.fail()
    process.machine.known(Counts(), process.wall)
    process.passes(GRACE)
    assert process.day() == Day()
