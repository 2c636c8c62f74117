"""The draws of a week: made once, spread over all of it, kept, and never sent at a start."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from mars.channels import draws as rules
from mars.channels.draws import REMEMBERED, Draw, Draws, Wanted
from mars.core.schedule import HOUR, LATE_LEAST, LATE_SPREAD, LONGEST_SLEEP
from mars.core.state import midnight
from mars.testing.memory import START, SeededChance
from mars.wire.times import DAY, WEEK, week_start

MONDAY = week_start(START) + WEEK
ONE = {"app/docs": Wanted(1.0, MONDAY - DAY)}
MANY = {f"app/key{n}": Wanted(0.25, MONDAY - DAY) for n in range(4_000)}


@dataclass
class Machine:
    """Sessions of one installation, with nothing else on its day but what it sends itself."""

    now: int
    wants: dict[str, Wanted] | None = field(default_factory=lambda: dict(ONE))
    kept: Draws = field(default_factory=Draws)
    used: int = -1
    chance: SeededChance = field(default_factory=lambda: SeededChance(1))
    sent: list[tuple[int, Draw]] = field(default_factory=list)

    def look(self, ran: int | None) -> int:
        day_after = midnight(self.now) + DAY
        self.kept, due, sleep = rules.look(
            self.kept,
            self.wants,
            self.now,
            ran,
            self.chance,
            free=self.used != midnight(self.now),
            day_after=day_after,
        )
        if due is None:
            return sleep
        self.kept, self.used = rules.spent(self.kept, due), midnight(self.now)
        self.sent.append((self.now, due))
        return 60

    def run(self, seconds: int) -> None:
        end, ran = self.now + seconds, None
        while True:
            ran = min(self.look(ran), end - self.now)
            self.now += ran
            if self.now >= end:
                break
        self.kept = rules.rested(self.kept, ran)


def first(wants: dict[str, Wanted], now: int = MONDAY, kept: Draws | None = None) -> Draws:
    after = midnight(now) + DAY
    return rules.look(kept or Draws(), wants, now, 0, SeededChance(2), day_after=after)[0]


def test_each_entry_has_a_coin_of_its_rate_and_a_time_uniform_over_the_whole_week() -> None:
    drawn = first(MANY).pending
    assert len(drawn) == pytest.approx(1_000, abs=90)
    assert len({draw.name for draw in drawn}) == len(drawn)
    times = sorted((draw.due - MONDAY) / WEEK for draw in drawn)
    assert max(abs(t - n / len(times)) for n, t in enumerate(times)) < 0.05


def test_the_time_does_not_depend_on_when_in_the_week_the_first_look_is() -> None:
    early, late = first(MANY), first(MANY, MONDAY + 6 * DAY)
    assert [one.due for one in early.pending] == [one.due for one in late.pending]


def test_a_week_is_drawn_once() -> None:
    kept = first(MANY)
    later = first(MANY, MONDAY + HOUR, kept)
    assert later.weeks == (MONDAY,)
    assert {one.name for one in later.pending} == {one.name for one in kept.pending}


def test_the_first_draws_are_of_the_first_whole_week_after_the_yes() -> None:
    agreed = {"app/docs": Wanted(1.0, MONDAY + 1)}
    kept = first(agreed, MONDAY + HOUR)
    assert kept == Draws((MONDAY,))
    assert len(first(agreed, MONDAY + WEEK, kept).pending) == 1
    assert len(first({"app/docs": Wanted(1.0, MONDAY)}, MONDAY).pending) == 1


def test_without_a_registry_nothing_is_drawn_or_sent_and_nothing_is_lost() -> None:
    machine = Machine(MONDAY, wants=None)
    machine.run(DAY)
    assert machine.kept == Draws()
    machine.wants = dict(ONE)
    machine.run(HOUR)
    machine.wants = None
    machine.run(6 * DAY)
    assert (machine.sent, len(machine.kept.pending)) == ([], 1)


def test_what_is_not_agreed_to_any_more_is_dropped() -> None:
    kept = first(ONE)
    assert first({}, MONDAY + HOUR, kept) == Draws((MONDAY,))


def test_a_running_machine_sends_at_the_very_time() -> None:
    machine = Machine(MONDAY - HOUR)
    machine.run(WEEK + 2 * HOUR)
    ((at, draw),) = [one for one in machine.sent if one[1].week == MONDAY]
    assert at == draw.due


def test_a_time_that_passed_while_nothing_ran_waits_running_time_over_sessions() -> None:
    machine = Machine(MONDAY, kept=Draws((MONDAY,), (Draw("app/docs", MONDAY, MONDAY - 1),)))
    machine.look(None)
    (draw,) = machine.kept.pending
    assert draw.wait is not None
    assert LATE_LEAST <= draw.wait <= LATE_SPREAD
    machine.kept = replace(machine.kept, pending=(replace(draw, wait=3 * HOUR),))
    for _ in range(2):
        machine.run(HOUR)
        machine.now += DAY
        assert machine.sent == []
    begun = machine.now
    machine.run(2 * HOUR)
    assert machine.sent[0][0] == begun + HOUR


def test_nothing_goes_in_the_first_minutes_of_a_session() -> None:
    for seed in range(300):
        chance = SeededChance(seed)
        due = MONDAY + int(chance.uniform(-LATE_SPREAD, 2 * LATE_LEAST))
        wait = int(chance.uniform(0, LATE_LEAST)) if seed % 2 else None
        kept = Draws((MONDAY,), (Draw("app/docs", MONDAY, due, wait),))
        machine = Machine(MONDAY, kept=kept, chance=chance)
        machine.run(LATE_LEAST - 1)
        assert machine.sent == []


def test_a_machine_that_runs_for_some_minutes_a_day_sends_in_the_end() -> None:
    machine = Machine(MONDAY, kept=Draws((MONDAY,), (Draw("app/docs", MONDAY, MONDAY - 1, 600),)))
    for _ in range(27):
        machine.run(8 * 60)
        machine.now += DAY - 8 * 60
    assert machine.sent


def test_no_two_go_on_one_day_and_the_other_moves_into_the_two_days_after() -> None:
    pair = tuple(Draw(f"app/{n}", MONDAY, MONDAY + HOUR) for n in range(2))
    machine = Machine(MONDAY, {f"app/{n}": Wanted(0.01, MONDAY) for n in range(2)})
    machine.kept = Draws((MONDAY,), pair)
    machine.run(DAY)
    ((at, sent),) = machine.sent
    (left,) = machine.kept.pending
    assert (at, sent.name, left.name, left.wait) == (MONDAY + HOUR, "app/0", "app/1", None)
    assert MONDAY + DAY <= left.due <= MONDAY + 3 * DAY
    moves = [rules.moved(Draws(), sent, MONDAY, SeededChance(n)).pending[0].due for n in range(500)]
    assert sum(moves) / 500 == pytest.approx(MONDAY + DAY, abs=DAY / 8)


def test_what_waited_four_weeks_beyond_its_own_is_dropped() -> None:
    kept = Draws((MONDAY,), (Draw("app/docs", MONDAY, MONDAY + HOUR, 3_600),))
    last = MONDAY + 5 * WEEK
    few = {"app/docs": Wanted(0.000_001, MONDAY)}
    assert first(few, last - 1, kept).pending
    assert not first(few, last, kept).pending


def test_a_clock_that_steps_back_draws_nothing() -> None:
    kept = first(MANY, MONDAY + WEEK)
    assert first(MANY, MONDAY, kept) == kept
    assert first(MANY, MONDAY + WEEK, kept).weeks == kept.weeks


def test_a_clock_that_was_far_ahead_is_forgotten_and_no_week_is_drawn_twice() -> None:
    kept = first(MANY)
    names = sorted(one.name for one in kept.pending)
    ahead = first(MANY, MONDAY + 300 * WEEK, kept)
    assert ahead.weeks[-1] == MONDAY + 300 * WEEK
    back = first(MANY, MONDAY + DAY, ahead)
    assert back == Draws((MONDAY,)), f"{len(names)} were lost, and none is drawn anew"
    for year in range(2 * REMEMBERED):
        back = first(MANY, MONDAY + DAY, first(MANY, MONDAY + (50 + year) * WEEK, back))
        assert back == Draws((MONDAY,))


def test_a_clock_before_the_build_date_does_nothing() -> None:
    before = rules.look(
        Draws(), ONE, MONDAY, None, SeededChance(1), day_after=MONDAY, floor=MONDAY + 2 * DAY
    )
    assert before == (Draws(), None, LONGEST_SLEEP)


def test_most_declared_draws_of_a_machine_that_runs_two_hours_an_evening_arrive() -> None:
    machine = Machine(MONDAY, {f"app/{n}": Wanted(0.25, 0) for n in range(6)})
    for _ in range(7 * 200):
        machine.now += 19 * HOUR
        machine.run(2 * HOUR)
        machine.now += 3 * HOUR
    assert len(machine.sent) / (200 * 6 * 0.25) == pytest.approx(1, abs=0.12)
