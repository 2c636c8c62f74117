"""Noise: its law, that it is one sample for ever, and what it hides from a forging attacker."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from mars_server.tables.compose import RARE, Exact, FloorRules, Listing, compose, step
from mars_server.tables.floor import Published
from mars_server.tables.noise import CELLS_PER_HIT, Noise
from tests.server.tables import likelihood
from tests.server.tables.forging import KIND, SUMS, published_sums
from tests.server.tables.reconstruction import FETCHES, documented, table_of_noise
from tests.server.tables.simulated import BARE, PRODUCT, Requests, unlisted

CELLS = 20_000
TRIALS = 400
WEEKS = 5
SLACK = 0.04
"""The bound counts ten sums, and numbers before they are floored; these are nine, and floored."""
HUGE = 10**6


@pytest.mark.parametrize("value", [("cc", "IS"), ("cc", "DE"), ("lang", "is"), ("py", "3.11")])
def test_a_hit_adds_to_no_more_cells_than_the_noise_is_shared_among(
    value: tuple[str, str],
) -> None:
    """Otherwise epsilon would promise too much. IS is not listed, DE is."""
    name, row = value
    hit = {"level": "tracked", "v": "0.5.1", "os": "linux", "ia": "10", name: row}
    hit |= {other: "none" for other in ("lang", "py", "cc") if other != name}
    before = Recorder(PRODUCT, Noise(bytes(32), 1.0), seen={})
    after = Recorder(PRODUCT, Noise(bytes(32), 1.0), seen={})
    listings = {each: Listing() for each in RARE} | {"cc": Listing(frozenset({"DE"}))}
    for rules, hits in ((before, 1000), (after, 1001)):
        counts = {key: {each: hits} for key, each in hit.items()}
        counts["cc"]["DE"] = counts["cc"].get("DE", 500)
        exact = Exact(counts, {("0.5.1", "linux"): hits})
        compose("2026-W10", exact, step("2026-W10", exact, listings, rules), [], 0, rules)
    touched = [cell for cell, number in after.seen.items() if before.seen[cell] != number]
    assert 0 < len(touched) <= CELLS_PER_HIT


@dataclass(frozen=True)
class Recorder(FloorRules):
    """FloorRules that also remember every count that noise is added to, by table and value."""

    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def blurred(self, week: str, table: str, value: str, count: int) -> int:
        self.seen[table, value] = count
        return super().blurred(week, table, value, count)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 9.0])
@pytest.mark.parametrize("injected", [0, 7, 50])
def test_noise_bounds_what_an_injecting_attacker_learns(epsilon: float, injected: int) -> None:
    """Whatever is published, no true count is much likelier than another, as documented."""
    noise = Noise(bytes(32), epsilon)
    for first in range(10):
        for second in range(10):
            allowed = likelihood.bound(noise, abs(first - second)) * (1 + 1e-9)
            for low in range(-200, 400, 10):
                one = _between(noise, low - first - injected, low + 9 - first - injected)
                two = _between(noise, low - second - injected, low + 9 - second - injected)
                assert one <= allowed * two


@pytest.mark.parametrize("epsilon", [1.0, 3.0, 9.0])
def test_who_forges_and_sees_all_sums_errs_as_often_as_the_docs_say(epsilon: float) -> None:
    """All requests are of one kind, so that the attacker knows the rest of every sum; he forges
    another number each week and decides by the exact likelihood of what is published."""
    chance = random.Random(11)
    wrong = 0
    for _ in range(TRIALS):
        true = chance.choice((0, FETCHES))
        rules = FloorRules(BARE.product, Noise(chance.randbytes(32), epsilon))
        ratio = sum(_ratio(rules, week, true, chance.randrange(200, 300)) for week in range(WEEKS))
        wrong += (ratio > 0) != (true == FETCHES)
    at_least = likelihood.error(Noise(bytes(32), epsilon), FETCHES, WEEKS)
    tolerance = 3 * math.sqrt(at_least * (1 - at_least) / TRIALS)
    assert at_least - tolerance <= wrong / TRIALS <= at_least + tolerance + SLACK


def _ratio(rules: FloorRules, week: int, true: int, forged: int) -> float:
    """How much the week speaks for ``FETCHES`` true hits rather than none (log-likelihood)."""
    requests = Requests()
    requests.add(forged + true, **KIND)
    composed = compose(f"2026-W{week + 10}", requests.exact, unlisted(), [], 0, rules)
    published = published_sums(composed)
    assert len(published) == len(SUMS)
    assert rules.noise is not None
    found = 0.0
    for each in published:
        some, none = (_chance(rules.noise, each, forged + count) for count in (FETCHES, 0))
        found += math.log(some) - math.log(none)
    return found


def _chance(noise: Noise, published: Published, count: int) -> float:
    """That ``count`` hits are published like this."""
    low = -HUGE if published.hidden else published.least - count
    return _between(noise, low, published.most - count)


def test_the_attackers_error_is_that_of_the_best_test() -> None:
    """Counts that lie one apart: a majority of looks, each of which errs alike."""
    noise = Noise(bytes(32), 3.0)
    alpha = math.exp(-noise.per_cell)
    one = alpha / (1 + alpha)
    looks = 2 * CELLS_PER_HIT
    law = [math.comb(looks, k) * one**k * (1 - one) ** (looks - k) for k in range(looks + 1)]
    expected = sum(law[CELLS_PER_HIT + 1 :]) + law[CELLS_PER_HIT] / 2
    assert likelihood.error(noise, 1, 2) == pytest.approx(expected, rel=1e-9)
    assert likelihood.error(noise, 3, 52) < likelihood.error(noise, 3, 2)
    weeks = likelihood.weeks_until(noise, 3)
    assert weeks is not None
    assert likelihood.error(noise, 3, weeks) <= likelihood.SELDOM
    assert likelihood.error(noise, 3, weeks - 1) > likelihood.SELDOM


def test_the_docs_give_the_figures_of_the_noise() -> None:
    assert table_of_noise() in documented()


def test_the_drawn_noise_follows_its_law() -> None:
    noise = Noise(b"k" * 32, 10.0)
    drawn = Counter(noise.sample("week", str(n)) for n in range(CELLS))
    alpha = math.exp(-noise.per_cell)
    for k in range(-4, 5):
        expected = (1 - alpha) / (1 + alpha) * alpha ** abs(k)
        deviation = math.sqrt(expected * (1 - expected) / CELLS)
        assert abs(drawn[k] / CELLS - expected) < 4 * deviation
    mean_square = sum(k * k * number for k, number in drawn.items()) / CELLS
    assert math.sqrt(mean_square) == pytest.approx(noise.deviation, rel=0.03)


def test_noise_is_one_sample_for_ever() -> None:
    noise = Noise(b"k" * 32, 1.0)
    assert noise.sample("a", "b") == Noise(b"k" * 32, 1.0).sample("a", "b")
    cells = [noise.sample("week", "cc", str(n)) for n in range(50)]
    other_key = [Noise(b"l" * 32, 1.0).sample("week", "cc", str(n)) for n in range(50)]
    assert cells != other_key
    assert noise.sample("a", "bc") != noise.sample("ab", "c")


def _between(noise: Noise, low: int, high: int) -> float:
    """P(low <= X <= high) of the two-sided geometric law."""
    alpha = math.exp(-noise.per_cell)
    if low > 0:
        return (alpha**low - alpha ** (high + 1)) / (1 + alpha)
    if high < 0:
        return _between(noise, -high, -low)
    return 1 - (alpha ** (1 - low) + alpha ** (high + 1)) / (1 + alpha)
