"""Group I: who has every report, its day and its content asks which are of one installation."""

from __future__ import annotations

from collections import Counter

import pytest

from mars.channels import draws as rules
from mars.channels.draws import Draw, Draws, Wanted
from mars.core.schedule import HOUR, LATE_LEAST, LATE_SPREAD
from mars.testing.memory import SeededChance, session
from mars.wire import sealed
from mars.wire.report import Report
from mars.wire.times import DAY, WEEK
from testbed.reports.attack import PAIR, Attacker
from testbed.reports.client import Client, Sent
from testbed.reports.habits import FORTNIGHT, Span
from testbed.reports.people import BEGIN, Plan, people
from testbed.reports.record import FETCHED, Record
from tests.mars.channels.kit import FOLDERS, INTAKE, PROTOCOL, a_world, often, posted

WEEKLY = {f"plugin{at:02}/kind": Wanted(1.0, 0) for at in range(4)}
SEEDS = range(60)


def reports(sent: list[Sent]) -> list[Sent]:
    return [one for one in sent if one.what not in FETCHED]


def run(*spans: Span, seed: int = 1, wants: dict[str, Wanted] | None = None) -> list[Sent]:
    return list(Client(wants or WEEKLY, BEGIN, SeededChance(seed)).run(spans))


def test_i21_the_days_of_two_reports_tell_nothing_beyond_their_content() -> None:
    """Of two with equal content, one of the same installation as a third, the right one is named
    in half of the cases; the attacker has learned from years of which it was told the truth."""
    plan = Plan(40)
    years = [Record.of(people(plan, seed), plan.weeks) for seed in range(3)]
    found = Attacker.taught(years[1:], PAIR, 1_000).answers(years[0], 1_000)
    assert found.right == pytest.approx(0.5, abs=3.5 * found.error)


def test_i22_a_report_that_left_never_comes_again() -> None:
    """Whoever withholds or spoils the answer waits in vain for a second try."""
    draw, other = (Draw(name, BEGIN, BEGIN + HOUR) for name in ("plugin00/kind", "plugin01/kind"))
    assert rules.spent(Draws((BEGIN,), (draw, other)), draw).pending == (other,)
    sent = reports(run(Span(BEGIN, BEGIN + 20 * WEEK)))
    assert max(Counter(one.what for one in sent).values()) <= 20
    assert len(sent) > 60


@pytest.mark.parametrize("answer", [(503, b""), (204, b"come again"), (302, b""), (413, b"")])
def test_i22_real_clients_send_the_same_at_the_same_time_whatever_is_answered(
    answer: tuple[int, bytes],
) -> None:
    arrivals = []
    for answered in ((204, b""), answer):
        world = a_world(often(FOLDERS), often(PROTOCOL))
        world.server.answers[INTAKE] = answered
        session(world.client(), world.clock, 5 * WEEK)
        times = [one["time"] for one in world.client().journal() if one["sent"]]
        arrivals.append((times, [one.body for one in posted(world)]))
    honest, hostile = arrivals
    assert len(honest[1]) >= 6
    assert honest == hostile


def test_i22_a_try_of_which_nothing_left_comes_on_another_day_at_any_time() -> None:
    draw = Draw("plugin00/kind", BEGIN, BEGIN + HOUR)
    dues = [
        rules.moved(Draws((BEGIN,), (draw,)), draw, BEGIN + DAY, SeededChance(seed)).pending[0].due
        for seed in range(700)
    ]
    spread = Counter((due - BEGIN) // DAY for due in dues)
    assert set(spread) == {1, 2}
    assert max(spread.values()) < 2 * min(spread.values())


def test_i23_the_order_of_reports_is_nobody_s() -> None:
    """Not that of their names, of the registry, or of a queue that is emptied."""
    firsts: Counter[str] = Counter()
    for seed in range(200):
        sleeps = Span(BEGIN, BEGIN + 60), Span(BEGIN + WEEK - HOUR, BEGIN + 3 * WEEK, starts=False)
        firsts[reports(run(*sleeps, seed=seed))[0].what] += 1
    assert set(firsts) == set(WEEKLY)
    assert max(firsts.values()) < 2 * min(firsts.values())


@pytest.mark.parametrize("names", [list(WEEKLY), list(WEEKLY)[::-1]])
def test_i23_of_all_that_are_due_the_one_goes_whose_time_came_first(names: list[str]) -> None:
    late = [Draw(name, BEGIN, BEGIN + at, 0) for at, name in enumerate(names)]
    kept = Draws((BEGIN,), tuple(sorted(late, key=lambda draw: draw.name)))
    chance = SeededChance(1)
    _, due, _ = rules.look(kept, WEEKLY, BEGIN + DAY, 60, chance, day_after=BEGIN + 2 * DAY)
    assert due == late[0]


@pytest.mark.parametrize("ran", [None, 60])
def test_i24_a_report_whose_time_passed_waits_whoever_watches_a_start(ran: int | None) -> None:
    """Also where nothing else is overdue, which would go first."""
    for seed in SEEDS:
        kept = Draws((BEGIN,), (Draw("plugin00/kind", BEGIN, BEGIN + HOUR),))
        chance, now = SeededChance(seed), BEGIN + 2 * DAY
        kept, due, _ = rules.look(kept, WEEKLY, now, ran, chance, day_after=BEGIN + 3 * DAY)
        (wait,) = [draw.wait for draw in kept.pending]
        assert due is None
        assert LATE_LEAST <= (wait or 0) <= LATE_SPREAD


def test_i24_nothing_is_sent_at_a_start_and_no_two_after_weeks_offline() -> None:
    """A laptop wakes with four reports, news and registry overdue."""
    for seed in SEEDS:
        woken = BEGIN + FORTNIGHT
        sent = run(Span(BEGIN, BEGIN + 60), Span(woken, woken + WEEK, starts=False), seed=seed)
        after = [one.when - woken for one in sent if one.when >= woken]
        assert min(after) >= LATE_LEAST
        assert sum(one < LATE_SPREAD + HOUR for one in after) <= 1
        assert max(Counter(one.when // DAY for one in sent).values()) == 1


def test_i24_reports_that_were_late_together_are_spread_over_the_days_after() -> None:
    """Of those that are left the next day has no more than its share, and a little."""
    later: Counter[int] = Counter()
    for seed in SEEDS:
        woken = BEGIN + FORTNIGHT
        sent = run(Span(BEGIN, BEGIN + 60), Span(woken, woken + WEEK, starts=False), seed=seed)
        later.update((one.when - woken) // DAY for one in reports(sent))
    assert later[1] < 2.5 * sum(later[day] for day in range(2, 7)) / 5


@pytest.mark.parametrize("step", [0, -DAY, -WEEK, -30 * DAY])
def test_i25_a_week_that_was_drawn_is_not_drawn_again(step: int) -> None:
    kept, chance = Draws(), SeededChance(1)
    for now in (BEGIN + 3 * DAY, BEGIN + 3 * DAY + step):
        kept, *_ = rules.look(kept, WEEKLY, now, None, chance, day_after=now + DAY)
        assert len(kept.pending) == len(WEEKLY)


@pytest.mark.parametrize("ahead", [8 * DAY, 40 * DAY, 400 * DAY])
def test_i25_a_clock_that_steps_brings_no_report_twice(ahead: int) -> None:
    """Ahead and back, again and again: no week is drawn twice, no day used twice."""
    spans: list[Span] = []
    at = BEGIN
    for _ in range(6):
        spans += [Span(at, at + 2 * DAY, starts=not spans)]
        spans += [Span(at + ahead, at + ahead + 2 * HOUR, starts=False)]
        at += 2 * DAY
    sent = run(*spans, seed=2)
    weeks = 2 + len({(span.begin - BEGIN) // WEEK for span in spans[1::2]})
    assert max(Counter(one.what for one in reports(sent)).values()) <= weeks
    assert max(Counter(one.when // DAY for one in sent).values()) == 1


@pytest.mark.parametrize("value", ["true", "1000000+", "v" * 40, "3.11"])
@pytest.mark.parametrize("project", ["a", "p" * 40])
def test_i26_a_body_has_one_size_whatever_it_says(project: str, value: str) -> None:
    key = sealed.public_key(bytes(range(32)))
    text = Report("example", "stable", project, "k" * len(project), "other", value).encode()
    assert len(sealed.seal(text, key, bytes(32))) == 1_024
