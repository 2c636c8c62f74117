"""An attacker with everything that was published, and an integer program."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mars_server.publication import rare
from mars_server.publication.compose import Exact, Rules, compose, step
from mars_server.publication.files import data_files
from mars_server.publication.floor import STEP
from mars_server.publication.noise import CELLS_PER_HIT, Noise
from tests.server.publication import kit
from tests.server.publication.reconstruction import (
    END,
    PRODUCT,
    START,
    USUAL,
    Attack,
    likelihood_bound,
    reconstruct,
    report,
    simulated,
)

DOCS = Path(__file__).parents[3] / "docs/privacy.md"
CELLS = 20_000


@pytest.mark.slow
def test_hidden_counts_stay_as_open_as_the_docs_say() -> None:
    """The ranges hold the truth: a program that assumes too much would find narrower ones that
    are wrong, one that knows too little wider ones than the docs give."""
    found = reconstruct()
    for cells in found.values():
        assert cells
        assert all(cell.low <= cell.true <= cell.high for cell in cells)
        assert all(cell.low >= 0 and cell.high < STEP for cell in cells)
    page = DOCS.read_text("utf-8")
    assert START + page.split(START)[1].split(END)[0] + END == report(found)


def test_the_program_knows_that_tables_add_up() -> None:
    _, week = simulated(USUAL, 60, 1)[0]
    attack = Attack(week)
    _, published = attack.cells["hits", ""]
    plain, shown = attack.cells["level", "plain"]
    tracked = attack.cells["level", "tracked"][1]
    assert attack.reach(plain, 1) >= max(shown.least, published.least - tracked.most)
    assert attack.reach(plain, -1) <= min(shown.most, published.most - tracked.least)


def test_everything_published_follows_from_the_floors(tmp_path: Path) -> None:
    """Two truths with the same floors give the same site: pages with their texts and percentages,
    charts, estimates, flags, every range, every file. So the floors are all an attacker has."""
    sites = []
    for name, extra in (("a", 0), ("b", 3)):
        (tmp_path / name).mkdir()
        weeks = {kit.week(n): _with_floors(n, extra) for n in range(6)}
        found = kit.published(tmp_path / name, weeks)
        site = kit.site(found)
        sites.append({**data_files(found), **dict(site.export())})
    assert sites[0] == sites[1]
    assert len(sites[0]) > 100


def _with_floors(number: int, extra: int) -> kit.Counted:
    """Counts whose floors do not depend on ``extra`` (0 to 3) more hits in one cell each."""
    new = 301 + 10 * number + extra
    tables = {
        "v": {"0.5.1": 202, "0.5.2": new},
        "os": {"linux": 102, "windows": 401 + 10 * number + extra},
        "ia": {"10": 52, "100": 451 + 10 * number + extra},
        "lang": {"en": 61 + extra, "is": 2},
        "cc": {"DE": 73, "IS": 1 + extra},
    }
    pairs = {("0.5.1", "linux"): 102, ("0.5.1", "windows"): 100, ("0.5.2", "windows"): new}
    return kit.Counted(plain=101, tables=tables, pairs=pairs)


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
    listings = {each: rare.Listing() for each in rare.DIMENSIONS} | {
        "cc": rare.Listing(frozenset({"DE"}))
    }
    for rules, hits in ((before, 1000), (after, 1001)):
        counts = {key: {each: hits} for key, each in hit.items()}
        counts["cc"]["DE"] = counts["cc"].get("DE", 500)
        exact = Exact(counts, {("0.5.1", "linux"): hits})
        compose("2026-W10", exact, step("2026-W10", exact, listings, rules), [], 0, rules)
    touched = [cell for cell, number in after.seen.items() if before.seen[cell] != number]
    assert 0 < len(touched) <= CELLS_PER_HIT


@dataclass(frozen=True)
class Recorder(Rules):
    """Rules that also remember every count that noise is added to, by table and value."""

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
            allowed = likelihood_bound(noise, abs(first - second)) * (1 + 1e-9)
            for low in range(-200, 400, 10):
                one = _between(noise, low - first - injected, low + 9 - first - injected)
                two = _between(noise, low - second - injected, low + 9 - second - injected)
                assert one <= allowed * two


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
