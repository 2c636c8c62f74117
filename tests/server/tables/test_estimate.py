"""The estimate against a population whose size is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from mars.core import schedule
from mars.wire.times import DAY
from mars_server.site.pages.address import parse
from mars_server.tables.estimate import (
    DEFAULT,
    WEEK,
    Interval,
    Law,
    bounds,
    estimate,
    fano,
    significant,
    steered,
)
from mars_server.tables.floor import NO_DATA, floor
from mars_server.tables.noise import Noise
from tests.server.publication import kit
from tests.server.tables.coverage import CASES, Case, measure


@pytest.mark.slow
@pytest.mark.parametrize(("size", "populations"), [(50, 60), (1000, 6)])
@pytest.mark.parametrize("case", [case for case in CASES if case.holds], ids=lambda case: case.name)
def test_intervals_cover_the_truth_where_the_assumptions_hold(
    case: Case, size: int, populations: int
) -> None:
    """A slice of the grid, always the same; ``make bench ARGS=coverage`` runs all of it."""
    assert measure(case, size, populations).fine


@pytest.mark.slow
def test_intervals_cover_the_truth_of_ten_thousand() -> None:
    case = next(case for case in CASES if case.plan.lifetime_days == 365)
    assert measure(case, 10_000, 2).fine


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "low", "high", "said"),
    [
        ({"late": 0.6}, 0.86, 0.90, "All estimates are therefore lower bounds, but"),
        (
            {"unsent": 0.2},
            0.97,
            1.0,
            "within hours and make the estimate a little too low",
        ),
        ({"lost": 0.05}, 0.94, 0.96, "too low by the share of such requests"),
    ],
    ids=["late", "unsent", "lost"],
)
def test_where_the_assumptions_fail_the_page_says_so(
    change: dict[str, Any], low: float, high: float, said: str
) -> None:
    case = next(case for case in CASES if all(vars(case.plan)[k] for k in change))
    ratio, _ = measure(case, 1000, 3).of(lambda each: each.ratio)
    assert low < ratio < high
    address = parse("method/index.html")
    assert address is not None
    content = kit.site([]).content(address)
    assert content is not None
    assert said in content.decode()


def test_the_interval_of_the_default_law_is_the_one_in_the_method_page() -> None:
    assert DEFAULT.mean == 6.5
    assert fano(DEFAULT) == pytest.approx(0.256, abs=0.001)
    hits = 5_000
    low, high = bounds(hits, hits + 9)
    spread = fano(DEFAULT)
    assert low == pytest.approx(6.5 / 7 * (hits - 1.96 * math.sqrt(spread * hits)))
    assert high == pytest.approx(6.5 / 7 * (hits + 9 + 1.96 * math.sqrt(spread * (hits + 9))))


@pytest.mark.parametrize("hits", range(30))
def test_few_hits_take_the_exact_poisson_interval(hits: int) -> None:
    low, high = bounds(hits, hits)
    factor = 6.5 / 7
    expected_low = 0.0 if hits == 0 else chi2.ppf(0.025, 2 * hits) / 2
    assert low / factor == pytest.approx(expected_low, abs=1e-6)
    assert high / factor == pytest.approx(chi2.ppf(0.975, 2 * hits + 2) / 2, abs=1e-6)


def test_hidden_hits_still_give_an_upper_bound_and_no_data_gives_nothing() -> None:
    guess = estimate(floor(3))
    assert guess is not None
    assert (guess.low, guess.high) == (0, 16)
    assert estimate(NO_DATA) is None


@given(st.integers(min_value=0, max_value=10**9))
def test_an_estimate_tells_nothing_that_the_floor_does_not(hits: int) -> None:
    assert estimate(floor(hits)) == estimate(floor(hits // 10 * 10))


@given(st.integers(min_value=0, max_value=10**9))
def test_the_published_interval_holds_the_unrounded_one(hits: int) -> None:
    guess = estimate(floor(hits))
    assert guess is not None
    low, high = bounds(hits, hits)
    assert guess.low <= low <= high <= guess.high
    assert guess.low <= guess.installations <= guess.high


INTERVALS = st.integers(12, 120).map(lambda steps: steered(steps * 6 * 3600)) | st.just(DEFAULT)


@given(
    hits=st.integers(min_value=0, max_value=10**7),
    served=st.lists(INTERVALS, min_size=1, max_size=3),
    earlier=st.lists(INTERVALS, max_size=5),
    expected=st.none() | st.floats(0.0, 2.3),
    deviation=st.sampled_from([0.0, 0.5, 42.4]),
)
def test_no_estimate_is_absurd(
    hits: int,
    served: list[Interval],
    earlier: list[Interval],
    expected: float | None,
    deviation: float,
) -> None:
    laws = [Law(law, 1 / len(served)) for law in served]
    guess = estimate(floor(hits), laws, earlier, expected, deviation)
    assert guess is not None
    assert 0 <= guess.low <= guess.installations <= guess.high
    for law in (*served, *earlier):
        low, high = bounds(hits, hits, law, deviation)
        assert guess.low <= max(0, low) <= high <= guess.high
    more = estimate(floor(hits + 10), laws, earlier, expected, deviation)
    assert more is not None
    assert (more.low, more.installations, more.high) >= (
        guess.low,
        guess.installations,
        guess.high,
    )


@given(value=st.floats(0, 1e12), digits=st.integers(1, 3))
def test_rounding_outward_goes_outward_and_no_farther_than_one_unit(
    value: float, digits: int
) -> None:
    down = significant(value, math.floor, digits)
    up = significant(value, math.ceil, digits)
    assert down <= value <= up
    assert up - down <= max(1, value / 10 ** (digits - 1))


def test_the_band_of_noise_covers_its_heavier_tails() -> None:
    """With few hits the noise decides; its law, unlike the normal's, has 6 % beyond 1.96 sd."""
    noise = Noise(b"k" * 32, 1.0)
    inside = 0
    for n in range(4000):
        hits = 100 + noise.sample(str(n))
        low, high = bounds(hits, hits, DEFAULT, noise.deviation)
        inside += low <= 100 * DEFAULT.mean / WEEK <= high
    assert inside / 4000 == pytest.approx(0.955, abs=0.01)


def test_in_a_week_with_two_documents_each_hit_weighs_what_its_document_asked_for() -> None:
    hits = floor(700)
    old, new = steered(5 * DAY), steered(12 * DAY)
    guess = estimate(hits, [Law(old, 0.25), Law(new, 0.75)])
    assert guess is not None
    assert guess.installations == significant(704.5 * (0.25 * 6.5 + 0.75 * 13.5) / 7)
    alone = [estimate(hits, [Law(law, 1.0)]) for law in (old, new)]
    assert alone[0] is not None and alone[1] is not None
    assert (guess.low, guess.high) == (alone[0].low, alone[1].high)


@pytest.mark.parametrize(
    ("value", "rounding", "expected"),
    [
        (0.0, math.floor, 0),
        (7.2, math.ceil, 8),
        (99.5, math.ceil, 100),
        (123.0, math.floor, 120),
        (123.0, math.ceil, 130),
        (120.0, math.ceil, 120),
        (998.0, math.ceil, 1000),
        (6_449.0, round, 6_400),
        (1e9 + 1, math.floor, 10**9),
    ],
)
def test_two_significant_digits(
    value: float, rounding: Callable[[float], int], expected: int
) -> None:
    assert significant(value, rounding) == expected


@pytest.mark.parametrize(
    ("reportback_next", "interval"),
    [
        (0, Interval(3, 10)),
        (1, Interval(3, 6)),
        (7 * DAY, Interval(7, 10)),
        (7 * DAY + 1, Interval(7, 10)),
        (40 * DAY, Interval(30, 33)),
        (3 * DAY + 3 * 3600, Interval(3.25, 6.25)),
        (3 * DAY + 9 * 3600, Interval(3.5, 6.5)),
    ],
)
def test_steering_follows_the_clients_own_rounding(
    reportback_next: int, interval: Interval
) -> None:
    assert steered(reportback_next) == interval
    if reportback_next:
        assert schedule.steered(reportback_next) == interval.low * DAY


def test_a_steered_interval_longer_than_the_week_is_all_or_nothing() -> None:
    interval = steered(30 * DAY)
    assert fano(interval) == pytest.approx(1 - 7 / 31.5)
