"""An attacker with everything that was published, and an integer program."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from mars_server.publication.floor import STEP
from mars_server.publication.noise import Noise
from tests.server.publication.reconstruction import (
    END,
    START,
    Attack,
    likelihood_bound,
    reconstruct,
    report,
    simulated,
)

DOCS = Path(__file__).parents[3] / "docs/publication.md"
CELLS = 20_000


@pytest.mark.slow
def test_no_hidden_count_is_narrower_than_the_documented_arithmetic_allows() -> None:
    found = reconstruct()
    for cells in found.values():
        assert cells
        for cell in cells:
            assert cell.low <= cell.claimed_low
            assert cell.high >= cell.claimed_high
            assert cell.values >= STEP - 1
    page = DOCS.read_text("utf-8")
    assert START + page.split(START)[1].split(END)[0] + END == report(found)


def test_the_program_finds_the_truth_inside_its_ranges() -> None:
    """A program that knows too little would make the figures look better than they are."""
    week = simulated(60, 1, 60)[0]
    attack = Attack(week)
    column, published = attack.cells["hits", ""]
    assert attack.reach(column, 1) >= published.least
    assert attack.reach(column, -1) <= published.most
    plain, shown = attack.cells["level", "plain"]
    tracked = attack.cells["level", "tracked"][1]
    assert attack.reach(plain, 1) == max(shown.least, published.least - tracked.most)


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 9.0])
@pytest.mark.parametrize("injected", [0, 7, 50])
def test_noise_bounds_what_an_injecting_attacker_learns(epsilon: float, injected: int) -> None:
    """Whatever is published, no true count is much likelier than another, as documented."""
    noise = Noise(bytes(32), epsilon)
    for first in range(10):
        for second in range(10):
            allowed = likelihood_bound(noise, abs(first - second)) * (1 + 1e-9)
            for low in range(-200, 400, 10):
                one = _between(noise, low - first - injected, low + 9 - first - injected)
                two = _between(noise, low - second - injected, low + 9 - second - injected)
                assert one <= allowed * two


def test_the_drawn_noise_follows_its_law() -> None:
    noise = Noise(b"k" * 32, 9.0)
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
