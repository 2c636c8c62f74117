"""Installations and shares from reports, against populations whose truth is known."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from mars_server.tables.estimate import Estimate
from mars_server.tables.floor import NO_DATA, floor
from mars_server.tables.shares import (
    ALL,
    EXACT_BELOW,
    OWN_WEEK,
    Sampling,
    among_all,
    consenting,
    wilson,
)
from mars_server.tables.statistics_week import Share
from tests.server.publication import kit
from tests.server.tables.reported import (
    LN3,
    MACHINES,
    MIXED,
    RATES_TRIED,
    Case,
    held_with_noise,
    measure,
    regular,
    waits,
)

POOL = 8
"""Machines of each kind; the bench has more."""
ENOUGH = 100
"""Sums; of fewer a share says little."""
METHOD = Path(__file__).parents[3] / "docs/method.md"
RATES = st.sampled_from([0.01, 0.07, 0.25, 0.5, 1.0])
COUNTS = st.integers(min_value=0, max_value=5_000)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "epsilon"), RATES_TRIED)
@pytest.mark.parametrize(("size", "populations"), [(60, 200), (400, 100), (3000, 40)])
def test_intervals_cover_the_truth(
    rate: float, epsilon: float, size: int, populations: int
) -> None:
    """A slice of the grid, always the same; ``make bench ARGS=shares`` runs all of it."""
    for found in measure(Case(MIXED, size, rate, epsilon), populations, pool=POOL):
        assert found.fine or found.sums < ENOUGH, found
        assert 0.97 < found.ratio < 1.03


@pytest.mark.slow
def test_no_machine_is_less_regular_than_the_intervals_take_it_for() -> None:
    found = {machine: regular(waits(machine, POOL)) for machine in MACHINES}
    assert min(found.values()) > OWN_WEEK - 0.03
    assert max(found.values()) < 1, "some reports wait for another week"


@pytest.mark.parametrize("rate", [0.07, 0.25, 1.0])
def test_below_thirty_reports_the_limits_are_exact(rate: float) -> None:
    """By the binomial law of scipy: the true number is outside one time in twenty at most."""
    sampling = Sampling(rate)
    for reports in range(EXACT_BELOW):
        low, high = (
            round(each * rate / sampling.drawn) for each in sampling.number(reports, reports)
        )
        assert binom.sf(reports - 1, low, sampling.drawn) >= 0.025 or reports == 0
        assert low == 0 or binom.sf(reports - 1, low - 1, sampling.drawn) < 0.025
        assert binom.cdf(reports, high, sampling.drawn) >= 0.025
        assert binom.cdf(reports, high + 1, sampling.drawn) < 0.025


@given(RATES, COUNTS)
def test_the_published_interval_holds_that_of_each_count_it_stands_for(
    rate: float, count: int
) -> None:
    sampling = Sampling(rate)
    guess = sampling.installations(floor(count))
    assert guess is not None
    low, high = sampling.number(count, count)
    assert guess.low <= low + 1e-9 and high - 1e-9 <= guess.high
    assert guess.low <= guess.installations <= guess.high


@given(RATES, COUNTS, COUNTS)
def test_so_does_that_of_a_share(rate: float, one: int, rest: int) -> None:
    sampling, total = Sampling(rate), one + rest
    found = sampling.shares([floor(one), floor(rest)], floor(total))
    if total < 10:
        assert found == [None, None], "nothing to divide by"
        return
    low, high = sampling.part(one, one, total, total)
    assert found[0] is not None and found[1] is not None
    assert found[0].low / 100 <= low + 1e-9 and high - 1e-9 <= found[0].high / 100
    assert (found[0].percent is None) == (one < 10)
    if one >= 10 and rest >= 10:
        both = (found[0].percent or 0) + (found[1].percent or 0)
        assert abs(both - 100) <= 1 + 100 * 9 / total


@given(RATES, COUNTS, COUNTS)
def test_everything_comes_from_floors_alone(rate: float, one: int, rest: int) -> None:
    sampling = Sampling(rate, epsilon=LN3)
    floors = [count // 10 * 10 for count in (one, rest, one + rest)]
    assert sampling.installations(floor(one)) == sampling.installations(floor(floors[0]))
    exact = sampling.shares([floor(one), floor(rest)], floor(one + rest))
    assert exact == sampling.shares([floor(each) for each in floors[:2]], floor(floors[2]))


def test_a_randomised_answer_is_taken_back() -> None:
    """Half of the answers to ln 3 are random: a truth of 60 % says true in 55 % of reports."""
    sampling = Sampling(0.07, epsilon=math.log(3), values=2)
    low, high = sampling.part(55_000, 55_000, 100_000, 100_000)
    assert (low + high) / 2 == pytest.approx(0.60, abs=1e-3)
    plain = Sampling(0.07).part(55_000, 55_000, 100_000, 100_000)
    assert high - low > 1.9 * (plain[1] - plain[0])
    assert sampling.part(0, 0, 100, 100) == (0.0, 0.0)
    assert sampling.part(100, 100, 100, 100) == (1.0, 1.0)


def test_more_weeks_make_the_interval_smaller() -> None:
    one, quarter = Sampling(0.25).number(100, 100), Sampling(0.25, 13).number(1300, 1300)
    assert quarter[1] - quarter[0] < (one[1] - one[0]) / 3
    assert sum(quarter) == pytest.approx(sum(one))


def test_a_week_without_any_report_leaves_both_ends_open() -> None:
    """It may have had none, or lost them."""
    whole, gap = (Sampling(0.25, 4).installations(floor(400), [1.0] * told) for told in (4, 2))
    assert whole is not None and gap is not None
    assert gap.low == whole.low
    assert gap.high >= 2 * whole.high - 10
    assert gap.installations == pytest.approx(2 * whole.installations, rel=0.02)


def test_of_a_part_of_a_week_the_interval_holds_none_and_all() -> None:
    """Its draws may all have gone on other days, or none."""
    three, four, part = (
        Sampling(0.25, len(told)).installations(floor(400), told)
        for told in ([1.0] * 3, [1.0] * 4, [1.0, 1.0, 1.0, 3 / 7])
    )
    assert three is not None and four is not None and part is not None
    assert (part.low, four.installations < part.installations) == (four.low, True)
    assert part.installations < three.installations <= three.high <= part.high + 10
    assert Sampling(0.25).installations(floor(400), [3 / 7]) is None


def test_noise_makes_intervals_wider() -> None:
    plain, noisy = Sampling(0.25), Sampling(0.25, deviation=59.4)
    for guess in (noisy.installations(floor(400)), noisy.installations(floor(0))):
        assert guess is not None
        assert guess.high - guess.low > 2 * 2 * 59
    assert noisy.part(100, 109, 400, 409)[0] < 1e-9 < plain.part(100, 109, 400, 409)[0]
    assert noisy.installations(NO_DATA) is None


@pytest.mark.parametrize("size", [400, 3_000])
@pytest.mark.parametrize("epsilon", [1.0, 3.0])
def test_with_noise_the_published_intervals_hold_the_truth_too(size: int, epsilon: float) -> None:
    assert held_with_noise(size, epsilon, 400) >= 0.95


def test_a_score_interval_of_nothing_is_everything() -> None:
    assert wilson(0, 0, 1.96) == (0.0, 1.0)
    assert wilson(10, 40, 1.96) == pytest.approx((0.1419, 0.4019), abs=1e-4)  # by hand


def test_what_is_told_of_all_who_fetch(tmp_path: Path) -> None:
    """At least so many send it; the others may all have a value, or none of them."""
    week = kit.published(tmp_path, kit.usual_weeks(1))[0]
    assert week.estimate is not None
    late = week.estimate.high * (6.5 + 0.9) / 6.5
    guess = Estimate(500, 400, 600)
    found = consenting(guess, [week])
    assert found == math.floor(100 * 400 / late)
    assert consenting(guess, [week, None]) is None, "the news of a week are not published"
    assert consenting(guess, []) is None
    assert consenting(None, [week]) is None
    for flag in ("incomplete", "disturbed", "steered"):
        assert consenting(guess, [replace(week, flags=(flag,))]) is None
    assert (consenting(Estimate(5000, 4000, 6000), [week]) or 0) > ALL, "which cannot be"
    assert among_all(40, Share(30, 20, 45)) == (8, 78)
    assert among_all(100, Share(30, 20, 45)) == (20, 45)
    assert among_all(0, Share(30, 20, 45)) == (0, 100)


def test_the_page_tells_how_it_was_measured() -> None:
    table = METHOD.read_text("utf-8").split("<!-- shares: ")[1].split("<!-- end of shares -->")[0]
    rows = re.findall(r"^\| (?:mixed|always).*\|$", table, re.MULTILINE)
    assert len(rows) == 36
    for row in rows:
        _, shown, _, share_shown = (float(each) for each in re.findall(r"([0-9.]+) %", row))
        assert shown >= 95 and share_shown >= 95
