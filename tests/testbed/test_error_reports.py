"""Simulated people send error reports as clients do, and the page says what was measured."""

from __future__ import annotations

from collections import Counter

import pytest

from bench import errors, page
from mars.channels.sending import DELETION_SPREAD, SPREAD
from mars.testing.memory import SeededChance
from mars.wire.times import DAY, WEEK
from testbed.reports import bursts, mixed
from testbed.reports.bursts import STATISTICS, Habit
from testbed.reports.habits import Span
from testbed.reports.people import BEGIN
from testbed.reports.reporter import STATUS, Act, Reporter, deletion_of

LATE = 14 * DAY
"""A time on whose day something else goes is moved by two days, again and again should it be so."""


@pytest.mark.parametrize(("deletion", "spread"), [(False, SPREAD), (True, DELETION_SPREAD)])
def test_each_goes_once_within_its_time_and_one_request_a_day(deletion: bool, spread: int) -> None:
    at = BEGIN + WEEK
    acts = [Act(at, name, deletion) for name in "abc"]
    client = Reporter(STATISTICS, BEGIN, SeededChance(1), acts=acts)
    sent = list(client.run([Span(BEGIN, BEGIN + 8 * WEEK)]))
    times = {one.what: one.when for one in sent if one.what[-1] in "abc"}
    assert times.keys() == {deletion_of(name) if deletion else name for name in "abc"}
    assert all(at <= when <= at + spread + LATE for when in times.values())
    assert max(Counter(one.when // DAY for one in sent).values()) == 1
    assert sum(one.what == STATUS for one in sent) >= 5
    assert client.is_done


@pytest.mark.parametrize(
    ("doing", "number"),
    [
        (bursts.faults_of_a_day, 3),
        (bursts.refused, 3),
        (bursts.offline, 5),
        (bursts.deletions, bursts.DELETIONS),
    ],
)
def test_nothing_of_a_burst_is_lost(doing: Habit, number: int) -> None:
    assert [len(one) for one in bursts.bursts(doing, 5)] == [number] * 5


def test_people_of_all_kinds_meet_common_faults_and_rare_ones() -> None:
    found = mixed.record(10, 26, 0)
    assert set(found.entry.tolist()) == set(range(len(mixed.KINDS)))
    alike = Counter(found.content.tolist())
    assert max(alike.values()) > 5 * min(alike.values())


def test_the_page_keeps_what_it_says() -> None:
    """A guess where the client's rules hold, and not where they are taken out; of ten deletions one
    in ten at most among a hundred others."""
    text = page.PRIVACY.read_text(encoding="utf-8")
    table = text.partition("<!-- errors: begin -->")[2].partition("<!-- errors: end -->")[0]
    told = [row.strip("| ").split(" | ") for row in table.splitlines() if row.startswith("| ")]
    by_name = {row[0]: row[1:] for row in reversed(told)}  # of two tables the first
    one_other, error = figures(by_name["one request a day"][0])
    assert abs(one_other - 50) <= 3 * error
    for name in errors.MARKS:
        right, error = figures(by_name[name][0])
        assert right > 99 if "never" in name else abs(right - 50) <= 3 * error
    right, error = figures(by_name["100"][0])
    assert right - error <= 10
    worse, error = figures(by_name["100"][2])
    assert worse - error > 10


def figures(cell: str) -> tuple[float, float]:
    """``5.4 ± 0.4, 2.5``: the first two."""
    right, _, error = cell.partition(",")[0].partition(" ± ")
    return float(right), float(error)
