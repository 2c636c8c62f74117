"""The simulated clients keep the client's times, all that is drawn arrives, and the attacker who
joins reports is strong where a rule is weak."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from bench import page, reports
from mars.channels.draws import Wanted
from mars.core.schedule import HOUR
from mars.testing.memory import SeededChance
from mars.wire.times import DAY, WEEK
from testbed.reports import arrivals, attack, people, rare
from testbed.reports.attack import ALL, PAIR, Attacker
from testbed.reports.client import NEWS, REGISTRY, Client
from testbed.reports.habits import ALWAYS, EVENINGS, FORTNIGHT, HABITS, OFFICE, Span, spans
from testbed.reports.people import BEGIN, PLUGINS, Plan
from testbed.reports.record import Record

WANTS = {f"plugin{at:02}/kind": Wanted(0.5, 0) for at in range(4)}


@cache
def record(seed: int, *, apart: bool = True) -> Record:
    plan = Plan(60, ALWAYS, 0, apart)
    return Record.of(people.people(plan, seed), plan.weeks)


def answers(knows: str, *, apart: bool = True) -> attack.Answers:
    taught = Attacker.taught([record(seed, apart=apart) for seed in (1, 2)], knows, 1_500)
    return taught.answers(record(0, apart=apart), 1_500)


def test_computers_run_as_their_habit_says() -> None:
    hours = {
        habit: sum(one.end - one.begin for one in spans(habit, BEGIN, 10, SeededChance(1))) / HOUR
        for habit in HABITS
    }
    assert hours == {
        ALWAYS: 1_680,
        OFFICE: pytest.approx(400, rel=0.02),
        EVENINGS: pytest.approx(140, rel=0.05),
    }


def test_who_sleeps_for_a_fortnight_goes_on_without_a_start() -> None:
    before, after = spans(ALWAYS, BEGIN, 52, SeededChance(1), 1)
    assert (before.starts, after.starts) == (True, False)
    assert after.begin - before.end == FORTNIGHT


@pytest.mark.parametrize("habit", [OFFICE, EVENINGS])
def test_the_short_way_without_idle_looks_sends_the_same(habit: str) -> None:
    """But for the minute in which a wait that ran out is looked at, after which chance differs."""
    ways = []
    for whole in (False, True):
        chance = SeededChance(3)
        awake = spans(habit, BEGIN, 26, chance)
        client = Client(WANTS, BEGIN, chance, whole=whole)
        ways.append([one.what for one in client.run(awake)])
    short, whole_way = ways
    assert Counter(short).keys() == Counter(whole_way).keys()
    assert len(short) == pytest.approx(len(whole_way), abs=20)


def test_one_request_a_day_and_none_beside_the_news() -> None:
    sent = list(Client(WANTS, BEGIN, SeededChance(4)).run([Span(BEGIN, BEGIN + 52 * WEEK)]))
    assert max(Counter(one.when // DAY for one in sent).values()) == 1
    assert {NEWS, REGISTRY, *WANTS} == {one.what for one in sent}


@pytest.mark.parametrize(("habit", "asleep"), arrivals.HABITS)
def test_what_is_drawn_arrives_however_a_computer_runs(habit: str, asleep: float) -> None:
    found = arrivals.arrived(habit, asleep, 6)
    assert arrivals.LEAST - 0.01 <= found.share <= arrivals.MOST + 0.01, "few, so a little wider"


def test_the_attacker_would_tell_requests_apart_by_the_days_that_are_used() -> None:
    """It is strong where much is known of one: on a day with a request nothing else goes."""
    assert answers(ALL).right > 0.65
    assert answers(ALL, apart=False).right < 0.60


def test_two_reports_alone_tell_nothing() -> None:
    found = answers(PAIR)
    assert found.right == pytest.approx(0.5, abs=3.5 * found.error)


def test_questions_are_of_equal_content_and_of_different_people() -> None:
    known = record(0)
    asked = attack._questions(known, ALL, 200, np.random.default_rng(1))
    assert (known.content[asked.mine] == known.content[asked.others]).all()
    assert (known.owner[asked.mine] != known.owner[asked.others]).all()
    assert all(one not in some for one, some in zip(asked.mine, asked.known, strict=True))


def test_plug_ins_are_from_nearly_everybody_s_to_one_person_s() -> None:
    some = people.people(replace(Plan(120, ALWAYS, 0), weeks=1), 0)
    users = Counter(plugin for one in some for plugin in one.plugins)
    assert users[1] > 100
    assert min(users[plugin] for plugin in range(15, PLUGINS)) < 10


def test_of_one_person_s_plug_in_every_report_is_linked_whatever_is_done() -> None:
    assert rare.named(1).content == 1
    few = rare.named(10)
    assert few.content < 0.5
    assert few.days == pytest.approx(few.content, abs=0.08), "and days add nothing"
    assert rare.named(10, rare.LN3).content < few.content / 1.5


def test_the_page_keeps_what_it_says() -> None:
    """Two reports alone tell next to nothing, and all that is drawn arrives."""
    text = page.PRIVACY.read_text(encoding="utf-8")
    table = text.partition("<!-- reports: begin -->")[2].partition("<!-- reports: end -->")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    told = [row for row in rows if row[1] in reports.RULES]
    assert len(told) == len(reports.PLANS) * len(reports.RULES)
    for computers, _rule, one_other, *_ in told:
        right, error = map(float, one_other.split(" ± "))
        habits = 0.0 if computers == ALWAYS else 3.0  # whoever reports on a Sunday is in no office
        assert abs(right - 50) <= habits + 2.5 * error
    arrived = [row for row in rows if row[0] in HABITS and row[1] in ("0", "2")]
    assert len(arrived) == len(arrivals.HABITS)
    assert all(arrivals.LEAST <= float(row[2]) / 100 <= arrivals.MOST for row in arrived)
