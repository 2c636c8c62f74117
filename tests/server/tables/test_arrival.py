"""Whether news has arrived: the law of the time to the next request, and what hits tell of it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mars.wire.times import DAY
from mars_server.tables.arrival import arrivals, asked
from mars_server.tables.estimate import DEFAULT, Interval, estimate
from mars_server.tables.fetch_intervals import begin_of
from mars_server.tables.floor import floor
from mars_server.tables.signed_documents import Served
from mars_server.tables.week import Week
from tests.server.publication import kit

SIGNED_IN = 6
"""The week in which the document of these tests is signed."""


@pytest.fixture
def one(tmp_path: Path) -> Week:
    """A published week."""
    return kit.published(tmp_path, {kit.week(0): kit.USUAL})[0]


def document(week: int, day: float) -> Served:
    return Served("a" * 64, "b" * 64, int(begin_of(kit.week(week)) + day * DAY), 0)


def weeks(one: Week, hits: list[int]) -> list[Week]:
    """Published weeks with so many hits."""
    return [
        replace(one, week=kit.week(n), hits=floor(each), estimate=estimate(floor(each)))
        for n, each in enumerate(hits)
    ]


@pytest.mark.parametrize("law", [DEFAULT, Interval(7.0, 10.0)])
def test_the_law_is_that_of_clients_that_were_seen_at_any_moment(law: Interval) -> None:
    chance = random.Random(4)
    waits = []
    for _ in range(20_000):
        length = chance.uniform(law.low**2, law.high**2) ** 0.5  # a long one is met more often
        waits.append(chance.random() * length)
    for days in (0, 1, 3, 5, 7, 9, 10, 40):
        seen = sum(wait <= days for wait in waits) / len(waits)
        assert asked(law, days) == pytest.approx(seen, abs=0.011)


def fetches(chance: random.Random, days: float) -> list[float]:
    """Of one installation, from its first day on."""
    at = chance.random() * chance.uniform(9, 100) ** 0.5
    found = []
    while at < days:
        found.append(at)
        at += chance.uniform(3, 10)
    return found


@pytest.mark.parametrize("gone", [0.0, 0.3])
@pytest.mark.parametrize("day", [0.0, 2.5, 6.9])
def test_the_interval_holds_the_share_that_did(one: Week, day: float, gone: float) -> None:
    """Of a simulated crowd of which ``gone`` asks no more from the moment of signing on."""
    chance = random.Random(7)
    signed = SIGNED_IN * 7 + day
    after, held = SIGNED_IN + 3, 0
    for _ in range(20):
        hits, did = [0] * after, 0
        for _ in range(600):
            stays = chance.random() >= gone
            times = [at for at in fetches(chance, 7 * after) if stays or at < signed]
            did += any(at >= signed for at in times)
            for at in times:
                hits[int(at // 7)] += 1
        (found,) = arrivals([document(SIGNED_IN, day)], weeks(one, hits))
        low, high = found.low, found.high
        assert low is not None
        assert high is not None
        assert high - low <= 45
        assert high < 100 or not gone
        held += low <= 100 * did / 600 <= high
    assert held >= 19


def test_nothing_is_said_that_the_weeks_do_not_tell(one: Week) -> None:
    usual = weeks(one, [1000] * 9)
    (found,) = arrivals([document(SIGNED_IN, 1)], usual)
    assert (found.had_time, found.low) == (100, 91)
    (young,) = arrivals([document(20, 1)], usual)
    assert young.had_time is None
    (fresh,) = arrivals([document(8, 3)], usual)
    assert (fresh.had_time, fresh.low) == (60, None), "no whole week since"
    assert arrivals([document(8, 3)], []) == []
    for flagged in (SIGNED_IN + 1, SIGNED_IN + 2):
        doubtful = [*usual]
        doubtful[flagged] = replace(usual[flagged], flags=("disturbed",))
        (found,) = arrivals([document(SIGNED_IN, 1)], doubtful)
        assert (found.had_time, found.low, found.high) == (100, None, None)
    without = [week for week in usual if week.week != kit.week(SIGNED_IN + 1)]
    (found,) = arrivals([document(SIGNED_IN, 1)], without)
    assert found.low is None
    (first,) = arrivals([document(0, 0)], usual)
    assert first.low is None, "nobody knows how many asked before"


def test_days_by_which_installations_have_asked(one: Week) -> None:
    (found,) = arrivals([document(SIGNED_IN, 0.5)], weeks(one, [1000] * 9))
    assert found.signed == date(2026, 2, 16)
    assert [found.asked_by(share).day for share in (0.5, 0.9, 1.0)] == [20, 23, 26]
    newest = arrivals([document(2, 1), document(4, 1), document(3, 1)], weeks(one, [1000]), 2)
    assert [each.document for each in newest] == [document(4, 1), document(3, 1)]
