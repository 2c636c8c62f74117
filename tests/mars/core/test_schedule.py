"""The schedule as a pure state machine, and as a population of machines would live it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from mars.core import schedule
from mars.core.schedule import HOUR, Schedule
from mars.testing.memory import START, MemoryClock, SeededChance
from mars.testing.world import World
from mars.wire.times import DAY
from testbed.machine import EARLY, Shares, live

DRAWS = 20_000


def test_first_delay_follows_the_equilibrium_law() -> None:
    chance = SeededChance(1)
    delays = [schedule.first_delay(chance) / DAY for _ in range(DRAWS)]
    # Mean of the forward recurrence time: (s2 + mu^2) / (2 mu) = 3.564 days.
    assert sum(delays) / DRAWS == pytest.approx((49 / 12 + 6.5**2) / 13, abs=0.04)
    assert 0 <= min(delays) < 0.01
    assert max(delays) < 10


def test_interval_is_uniform_from_3_to_10_days() -> None:
    chance = SeededChance(2)
    gaps = [schedule.next_interval(chance) / DAY for _ in range(DRAWS)]
    assert sum(gaps) / DRAWS == pytest.approx(6.5, abs=0.05)
    assert 3 <= min(gaps) < 3.01
    assert 9.99 < max(gaps) <= 10


@pytest.mark.parametrize(
    ("asked", "obeyed"),
    [
        (1, 3 * DAY),
        (3 * DAY, 3 * DAY),
        (604_800, 7 * DAY),
        (604_801, 7 * DAY),
        (604_800 + 3 * HOUR, 7 * DAY + 6 * HOUR),
        (30 * DAY, 30 * DAY),
        (2**53 - 1, 30 * DAY),
    ],
)
def test_c13_what_the_publisher_asks_is_clamped_and_rounded(asked: int, obeyed: int) -> None:
    chance = SeededChance(3)
    gaps = [schedule.next_interval(chance, asked) for _ in range(2_000)]
    assert schedule.steered(asked) == obeyed
    assert obeyed <= min(gaps)
    assert max(gaps) <= obeyed + 3 * DAY
    assert max(gaps) - min(gaps) > 2 * DAY


def test_a_running_process_fetches_on_time() -> None:
    chance, clock = SeededChance(4), MemoryClock()
    plan = Schedule(due=clock.wall + 90 * 60)
    plan, sleep = schedule.look(plan, clock.wall, None, chance)
    assert sleep == HOUR
    plan, sleep = schedule.look(plan, clock.wall + HOUR, HOUR, chance)
    assert sleep == 30 * 60
    assert schedule.look(plan, clock.wall + 90 * 60, 30 * 60, chance)[1] == 0


def test_an_overdue_fetch_waits_running_time_drawn_once_and_kept() -> None:
    chance = SeededChance(5)
    late, sleep = schedule.look(Schedule(due=START - 20 * DAY), START, None, chance)
    assert late.wait is not None
    drawn = late.wait
    assert HOUR < drawn <= 4 * HOUR
    assert sleep == 60, "what is left is kept for the first time"
    sleeps, ran = [], None
    for _ in range(6):
        sleeps.append(schedule.look(late, START, ran, chance)[1])
        ran = sleeps[-1]
    assert sleeps == [60, 120, 240, 480, 600, 600], "and then ever less often"
    kept = schedule.rested(late, 60)
    assert kept.wait == drawn - 60
    again, _ = schedule.look(kept, START + DAY, None, chance)  # a day off, then a new session
    assert again.wait == drawn - 60
    assert schedule.look(again, START + DAY, drawn, chance)[1] == 0


def test_c09_a_time_from_a_clock_in_2099_is_clamped_once_and_not_again() -> None:
    chance = SeededChance(6)
    from_2099 = Schedule(due=START + 73 * 365 * DAY)
    looked, sleep = schedule.look(from_2099, START, None, chance)
    assert sleep
    assert looked.due == START + 33 * DAY
    later, _ = schedule.look(looked, START + 10 * DAY, HOUR, chance)
    assert later.due == START + 33 * DAY, "the clamp must not slide along"


def test_c10_a_clock_that_steps_back_causes_no_burst() -> None:
    chance = SeededChance(7)
    plan, now, fetches = Schedule(due=START + DAY), START, 0
    for hour in range(90 * 24):
        if hour == 12:
            now -= 365 * DAY
        plan, sleep = schedule.look(plan, now, HOUR, chance)
        if not sleep:
            fetches += 1
            plan = schedule.attempt(plan, now, chance)
        now += HOUR
    assert 6 <= fetches <= 20


def test_a_clock_before_the_last_news_is_wrong_so_nothing_is_done() -> None:
    plan = Schedule(due=START + DAY)
    looked, sleep = schedule.look(plan, 0, None, SeededChance(8), floor=START)
    assert looked == plan, "a dead clock at 1970 must not move the due time"
    assert sleep


def test_e19_tries_that_never_left_wait_two_wide_draws_then_the_next_period() -> None:
    chance = SeededChance(9)
    first, second = [], []
    for _ in range(3_000):
        plan = schedule.attempt(Schedule(due=START), START, chance)
        period = plan.due
        plan = schedule.failed(plan, START, chance, left=False)
        first.append(plan.due - START)
        plan = schedule.failed(schedule.attempt(plan, START, chance), START, chance, left=False)
        second.append(plan.due - START)
        third = schedule.attempt(plan, START, chance)
        plan = schedule.failed(third, START, chance, left=False)
        assert plan.due == third.due, "the third failure leaves the next period as it stands"
        assert plan.failures == 0
        assert 3 * DAY <= period - START <= 10 * DAY
    assert min(first) >= HOUR
    assert max(first) <= 6 * HOUR
    assert min(second) >= 6 * HOUR
    assert max(second) <= DAY
    for draws in (first, second):
        phases = Counter(delay % HOUR // 300 for delay in draws)
        assert max(phases.values()) < 2 * min(phases.values()), "retries gather within the hour"


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_e19_once_a_byte_left_the_period_that_was_stored_before_stands(failures: int) -> None:
    tried = schedule.attempt(Schedule(START, failures=failures), START, SeededChance(9))
    after = schedule.failed(tried, START, SeededChance(1), left=True)
    assert after == replace(tried, failures=0)


def test_a_document_that_steers_anew_moves_the_next_time() -> None:
    chance = SeededChance(10)
    plan = schedule.attempt(Schedule(due=START), START, chance)
    assert schedule.succeeded(plan, START, chance, 0) == plan
    steered = schedule.succeeded(plan, START, chance, 30 * DAY)
    assert steered.period == 30 * DAY
    assert 30 * DAY <= steered.due - START <= 33 * DAY
    assert replace(steered, due=0) == Schedule(due=0, period=30 * DAY)


def test_check_now_is_once_an_hour_and_a_stepped_clock_does_not_lock_it() -> None:
    world = World()
    world.grant("plain")
    client = world.client()
    assert client.check_refusal(client.load()) is None
    client.check()
    for passed, may in ((10, False), (HOUR - 10, True), (-365 * DAY, True)):
        world.clock.step(passed)
        assert (client.check_refusal(client.load()) is None) is may


# --- machines that are switched on and off -------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "killed", "machines", "lowest", "highest"),
    [
        ("always", False, 25, 6.35, 6.65),
        ("office", False, 60, 6.5, 7.4),
        ("short", False, 60, 7, 12),
        ("short", True, 60, 7, 12),
        ("brief", True, 40, 15, 50),
    ],
)
def test_simulated_machines_fetch_at_the_mean_gap_and_not_at_their_start(
    pattern: str, killed: bool, machines: int, lowest: float, highest: float
) -> None:
    lives = [live(seed, 365, pattern, killed=killed) for seed in range(machines)]
    shares = Shares.of(lives)
    assert lowest < shares.gap < highest, f"{pattern}: mean gap {shares.gap:.2f} days"
    assert min(gap for life in lives for gap in life.gaps) >= 3 * DAY
    # Three standard deviations of a share of so many fetches.
    number = sum(len(life.since_start) for life in lives)
    slack = 3 * math.sqrt(shares.fair * (1 - shares.fair) / number)
    assert shares.seen <= shares.fair + slack, f"{pattern}: fetches gather at starts: {shares}"
    phases = Counter(phase // 600 for life in lives for phase in life.phases)
    assert max(phases.values()) < 1.6 * min(phases.values()), "fetches gather within the hour"


def test_a_killed_session_of_minutes_still_counts() -> None:
    chance = SeededChance(11)
    plan, sessions = Schedule(due=START - DAY), 0
    while True:
        sessions += 1
        ran, left = None, 8 * 60
        while left:
            looked, sleep = schedule.look(plan, START + sessions * HOUR, ran, chance)
            if not sleep:
                break
            plan = looked  # as it stands on disk when the signal comes
            ran = min(sleep, left)
            left -= ran
        if left:
            break
    # Of eight minutes seven are kept, and what is left at the end is ten at most.
    assert 1 < sessions <= 80


def test_e17_after_20_days_asleep_no_fetch_in_the_first_minutes() -> None:
    for seed in range(2_000):
        chance = SeededChance(seed)
        looked, sleep = schedule.look(Schedule(due=START - 10 * DAY), START, None, chance)
        assert sleep
        assert looked.wait is not None
        assert EARLY <= looked.wait <= 4 * HOUR
