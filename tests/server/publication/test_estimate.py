"""The estimate against a population whose size is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from mars.testing.chance import SeededChance
from mars.testing.population import DAY, Plan, simulate
from mars_server.publication.estimate import (
    DEFAULT,
    Interval,
    bounds,
    estimate,
    fano,
    significant,
    steered,
)
from mars_server.publication.flags import flags
from mars_server.publication.floor import NO_DATA, floor

MONDAY = 1_780_272_000
"""2026-06-01T00:00:00Z."""
WEEK_S = 7 * DAY
STEERED = 3 * DAY


def weekly(plan: Plan, seed: int) -> list[tuple[int, float]]:
    """Exact hits and the true number of installations of each week of a simulation."""
    population = simulate(plan, SeededChance(seed))
    days = list(population.days().values())
    return [
        (
            sum(days[7 * n : 7 * n + 7]),
            population.active(plan.start + n * WEEK_S, plan.start + (n + 1) * WEEK_S),
        )
        for n in range(plan.days // 7)
    ]


def coverage(plan: Plan, seeds: range, interval: Interval = DEFAULT) -> tuple[float, float]:
    """Share of weeks whose truth lies in the unrounded, and in the published interval."""
    exact = shown = weeks = 0
    for seed in seeds:
        for hits, truth in weekly(plan, seed):
            low, high = bounds(hits, hits, interval)
            guess = estimate(floor(hits), interval)
            assert guess is not None
            exact += low <= truth <= high
            shown += guess.low <= truth <= guess.high
            weeks += 1
    return exact / weeks, shown / weeks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plan", "seeds", "interval"),
    [
        (Plan(MONDAY, 70, size=50, lifetime_days=math.inf), range(60), DEFAULT),
        (Plan(MONDAY, 70, size=1000, lifetime_days=math.inf), range(20), DEFAULT),
        (Plan(MONDAY, 70, size=1000, lifetime_days=365), range(20), DEFAULT),
        (
            Plan(
                MONDAY,
                70,
                size=600,
                lifetime_days=math.inf,
                steering=[(-120.0, STEERED)],
                warm_up_days=120,
            ),
            range(20),
            steered(STEERED),
        ),
    ],
    ids=["50", "1000", "1000 that come and go in a year", "600 steered to 3 days"],
)
def test_intervals_cover_the_truth_where_the_assumptions_hold(
    plan: Plan, seeds: range, interval: Interval
) -> None:
    exact, shown = coverage(plan, seeds, interval)
    assert 0.93 <= exact <= 0.98
    assert shown >= 0.95


@pytest.mark.slow
def test_after_a_change_of_the_interval_the_estimate_swings_so_such_weeks_are_flagged() -> None:
    plan = Plan(MONDAY, 70, size=1000, lifetime_days=math.inf, steering=[(0.0, 10 * DAY)])
    misses = sum(
        not low <= truth <= high
        for hits, truth in weekly(plan, 1)
        for low, high in [bounds(hits, hits, steered(10 * DAY))]
    )
    assert misses >= 5
    assert flags(floor(1000), [steered(10 * DAY)], []) == ("steered",)


@pytest.mark.slow
def test_late_installations_make_the_estimate_a_lower_bound() -> None:
    plan = Plan(MONDAY, 70, size=2000, lifetime_days=math.inf, late=0.6, warm_up_days=40)
    for hits, truth in weekly(plan, 1):
        guess = estimate(floor(hits))
        assert guess is not None
        assert guess.installations < truth


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
    ],
)
def test_steering_follows_the_clients_own_rounding(
    reportback_next: int, interval: Interval
) -> None:
    assert steered(reportback_next) == interval


def test_a_steered_interval_longer_than_the_week_is_all_or_nothing() -> None:
    interval = steered(30 * DAY)
    assert fano(interval) == pytest.approx(1 - 7 / 31.5)
