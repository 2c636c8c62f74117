"""Intervals of shares of hits: they hold the true share, and follow from published numbers."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from mars_server.tables.estimate import estimate
from mars_server.tables.floor import NO_DATA, floor
from mars_server.tables.hit_shares import between
from mars_server.tables.week import Row, Tables, Week
from tests.server.publication import kit


@pytest.fixture
def one(tmp_path: Path) -> Week:
    """A published week."""
    return kit.published(tmp_path, {kit.week(0): kit.USUAL})[0]


def week(one: Week, hits: int, rows: dict[str, int], noise: float | None = None) -> Week:
    table = tuple(Row(value, floor(n)) for value, n in rows.items())
    users = floor(hits)
    tables = Tables({**one.tables, "v": table, "level": (Row("tracked", users),)})
    return replace(one, hits=users, tables=tables, tracked=estimate(users), noise=noise)


@pytest.mark.parametrize(("installations", "said"), [(60, 1.0), (400, 0.5), (3000, 1.0)])
def test_the_interval_holds_the_true_share(one: Week, installations: int, said: float) -> None:
    """Installations that ask at the law's times and say their version with the chance ``said``."""
    chance = random.Random(1)
    shares = {"1.0": 0.55, "1.1": 0.3, "1.2": 0.12, "1.3": 0.03}
    held = tried = 0
    for _ in range(60):
        counts, none, hits = dict.fromkeys(shares, 0), 0, 0
        versions = chance.choices([*shares], [*shares.values()], k=installations)
        for version in versions:
            at = chance.random() * chance.uniform(9, 100) ** 0.5
            while at < 7:
                hits += 1
                if chance.random() < said:
                    counts[version] += 1
                else:
                    none += 1
                at += chance.uniform(3, 10)
        found = week(one, hits, {**counts, "other": 0, "none": none})
        for version in shares:
            count = found.count("v", version)
            assert count is not None
            told = between("v", found, [count])
            tried += 1
            held += told.low <= 100 * versions.count(version) / installations <= told.high
            assert told.installations is not None
            assert told.installations[0] <= versions.count(version) * 1.05
    assert held / tried >= 0.95


def test_it_covers_every_count_that_the_floors_stand_for(one: Week) -> None:
    few = week(one, 100, {"1.0": 50, "1.1": 50})
    many = week(one, 109, {"1.0": 59, "1.1": 50})
    count = floor(50)
    assert between("v", few, [count]) == between("v", many, [count])
    assert between("v", few, [count]).low < 41


def test_noise_widens_it(one: Week) -> None:
    rows = {"1.0": 500, "1.1": 500}
    plain, noisy = (week(one, 1000, rows, noise) for noise in (None, 1.0))
    sharp, wide = (between("v", each, [floor(500)]) for each in (plain, noisy))
    assert wide.low < sharp.low - 5
    assert wide.high > sharp.high + 5


def test_without_data_nothing_is_known(one: Week) -> None:
    nothing = replace(week(one, 0, {}), hits=NO_DATA, tracked=None)
    told = between("v", nothing, [NO_DATA])
    assert (told.low, told.high, told.installations) == (0, 100, None)
