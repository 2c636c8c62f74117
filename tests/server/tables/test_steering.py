"""What served documents ask for, against simulated installations that obey them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.testing.memory import SeededChance
from mars.testing.publisher import Publisher
from mars.wire.times import DAY
from mars_server.common.calendar import following
from mars_server.publication import closing
from mars_server.storage.publication import stored
from mars_server.tables.compose import FloorRules
from mars_server.tables.estimate import DEFAULT, Law, estimate, steered
from mars_server.tables.fetch_intervals import (
    Period,
    begin_of,
    hits_per_installation,
    laws,
    periods_of,
    served_in,
)
from mars_server.tables.floor import floor
from mars_server.tables.signed_documents import Served, decode, encode
from testbed.population import Plan, simulate
from tests.server.publication import kit

FIRST = "2026-W23"
MONDAY = begin_of(FIRST)
LONG_AGO = Period(MONDAY - 300 * DAY, 0)
SEVEN = steered(7 * DAY)


def week(number: int) -> str:
    name = FIRST
    for _ in range(number):
        name = following(name)
    return name


@pytest.mark.parametrize(
    "changes",
    [
        [(0.0, 7 * DAY)],
        [(3.5, 10 * DAY), (38.0, 0)],
        [(0.0, 3 * DAY), (10.0, 5 * DAY)],
        [(1.0, 0), (2.0, 30 * DAY)],
    ],
    ids=["7 days", "10 days and back", "3, then 5 days", "30 days"],
)
def test_hits_come_in_the_bunches_that_the_renewal_equation_foretells(
    changes: list[tuple[float, int]],
) -> None:
    size = 4000
    plan = Plan(MONDAY, 70, size=size, lifetime_days=math.inf, tracked=0, steering=changes)
    days = list(simulate(plan, SeededChance(5)).days().values())
    periods = [LONG_AGO, *(Period(MONDAY + round(day * DAY), asked) for day, asked in changes)]
    for n in range(10):
        expected = hits_per_installation(periods, week(n))
        assert expected is not None
        found = sum(days[7 * n : 7 * n + 7]) / size
        assert found == pytest.approx(expected, abs=5 * math.sqrt(0.3 / size))


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(7 * DAY, 0.1, 0.17), (10 * DAY, 0.4, 0.55)], ids=["7", "10"]
)
def test_weights_of_single_hits_ripple_around_the_truth(
    asked: int, least: float, most: float
) -> None:
    """As docs/method.md says: by up to 17 % after a change to 7 days, by half after one to 10."""
    ripples = []
    for day in (0.0, 1.5, 3.5, 5.0):
        periods = [LONG_AGO, Period(MONDAY + round(day * DAY), asked)]
        for n in range(12):
            expected = hits_per_installation(periods, week(n))
            assert expected is not None
            weight = sum(
                each.share * each.interval.mean for each in served_in(periods, week(n), DEFAULT)
            )
            ripples.append(abs(expected * weight / 7 - 1))
    assert least < max(ripples) < most


def test_nothing_is_foretold_where_nothing_changed() -> None:
    assert hits_per_installation([], FIRST) is None
    assert hits_per_installation([Period(0, 7 * DAY)], FIRST) is None
    assert hits_per_installation([LONG_AGO, Period(MONDAY, 0)], FIRST) is None
    assert hits_per_installation([LONG_AGO, Period(MONDAY + 7 * DAY, 1)], FIRST) is None


def test_a_document_counts_from_its_signing_on() -> None:
    periods = [LONG_AGO, Period(MONDAY + 7 * DAY // 4, 7 * DAY)]
    assert served_in(periods, FIRST, DEFAULT) == [Law(DEFAULT, 0.25), Law(SEVEN, 0.75)]
    assert served_in(periods, week(1), DEFAULT) == [Law(SEVEN, 1.0)]
    assert served_in(periods[1:], FIRST, steered(1)) == [Law(steered(1), 0.25), Law(SEVEN, 0.75)]


@given(st.lists(st.tuples(st.integers(-90 * DAY, 20 * DAY), st.integers(0, 40 * DAY)), max_size=6))
def test_the_shares_of_a_week_add_up(changes: list[tuple[int, int]]) -> None:
    periods = sorted((Period(MONDAY + at, asked) for at, asked in changes), key=lambda p: p.since)
    assert sum(law.share for law in served_in(periods, FIRST, DEFAULT)) == pytest.approx(1)
    expected = hits_per_installation(periods, FIRST)
    assert expected is None or 0 <= expected <= 7 / 3 + 1


def test_what_nobody_named_is_filled_in_from_the_product_file() -> None:
    assert laws([], FIRST, None, SEVEN) == ([Law(SEVEN, 1.0)], [])
    assert laws([], FIRST, DEFAULT, SEVEN) == ([Law(SEVEN, 1.0)], [DEFAULT])
    assert laws([Period(MONDAY + 7 * DAY, 0)], FIRST, None, SEVEN)[0] == [Law(SEVEN, 1.0)]
    served, earlier = laws([LONG_AGO], FIRST, DEFAULT, SEVEN)
    assert served == [Law(DEFAULT, 1.0)]
    assert SEVEN in earlier, "the product file asks for more than the newest document named"


def test_the_interval_covers_earlier_laws_and_the_bunches() -> None:
    hits = floor(1000)
    alone = estimate(hits, [Law(SEVEN, 1.0)])
    wide = estimate(hits, [Law(SEVEN, 1.0)], [DEFAULT], expected=1.3)
    rare = estimate(hits, [Law(SEVEN, 1.0)], expected=0.01)
    assert alone is not None and wide is not None
    assert wide.low < alone.low and wide.high == alone.high
    assert wide.installations == alone.installations
    assert rare == alone, "too few hits for each installation to be divided by"


def test_documents_that_nobody_noted_an_interval_of_are_left_out() -> None:
    old, new = Served("a", "b", MONDAY, None), Served("c", "d", MONDAY - DAY, 7 * DAY)
    assert periods_of([old, new]) == [Period(MONDAY - DAY, 7 * DAY)]
    assert decode(encode(kit.PRODUCT, [old, new])) == [old, new]


def test_a_named_document_weighs_the_hits_of_its_own_weeks_alone(tmp_path: Path) -> None:
    """It was signed in the third week; the product file is of the day of publication."""
    publisher = Publisher()
    product = replace(
        kit.PRODUCT,
        product=publisher.product,
        channel=publisher.motd(kit.LATER).channel,
        reportback_next=7 * DAY,
    )
    signed = begin_of(kit.week(2)) + 7 * DAY // 2
    documents = [
        Served("0" * 64, "0" * 64, signed - 90 * DAY, 0),
        Served("1" * 64, "1" * 64, signed, 7 * DAY),
    ]
    engine = kit.database(tmp_path, {kit.week(n): kit.Counted(plain=1400) for n in range(4)})
    with stored(engine) as kept:
        for document in documents:
            kept.keep_served(document)
    weeks = closing.close_weeks(engine, FloorRules(product), kit.LATER)
    assert [each.interval for each in weeks] == [DEFAULT, DEFAULT, SEVEN, SEVEN]
    assert [each.flags for each in weeks] == [(), (), ("steered",), ("steered",)]
    middles = [each.estimate.installations for each in weeks if each.estimate]
    assert middles == [1300, 1300, 1500, 1700]
    assert weeks[1].estimate is not None and weeks[1].estimate.high < 1500
