"""Floors are a type: nothing else can be published, and nobody else can make it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mars_server
from mars.errors import WireError
from mars_server.site.pages.language import language
from mars_server.tables import floor as floors
from mars_server.tables.floor import (
    NO_DATA,
    Percent,
    Published,
    floor,
    joint_share,
    restore,
    shares,
)


@pytest.mark.parametrize(
    ("count", "value"),
    [(-7, "<10"), (0, "<10"), (9, "<10"), (10, 10), (19, 10), (20, 20), (12_345, 12_340)],
)
def test_counts_go_down_to_tens_and_below_ten_they_hide(count: int, value: object) -> None:
    assert floor(count).value == value


def test_no_data_is_neither_zero_nor_few() -> None:
    assert floor(None) == NO_DATA
    assert NO_DATA.missing and not NO_DATA.hidden
    assert floor(0).hidden and not floor(0).missing
    assert floor(0) != NO_DATA


@given(st.integers(min_value=0, max_value=10**12))
def test_a_floor_holds_the_true_count_within_ten_values(count: int) -> None:
    value = floor(count)
    assert value.least <= count <= value.most
    assert value.most - value.least == 9


@given(st.integers(min_value=-100, max_value=10**12) | st.none())
def test_what_was_published_is_read_back(count: int | None) -> None:
    value = floor(count)
    assert restore(value.value) == value


@pytest.mark.parametrize("value", [0, 5, 12, -10, 10.0, True, "0", "<20", "", [], {}])
def test_anything_but_a_floor_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="multiple of ten"):
        restore(value)


def test_nobody_else_makes_published_values() -> None:
    with pytest.raises(TypeError):
        Published(10, object())
    with pytest.raises(TypeError):
        Percent(10, object())
    with pytest.raises(TypeError):
        Published(7, None)


def test_the_seal_is_used_in_the_flooring_module_alone() -> None:
    root = Path(mars_server.__file__).parent
    users = [
        path.name
        for path in root.rglob("*.py")
        if re.search(r"_SEAL|\bPublished\(|\bPercent\(", path.read_text())
    ]
    assert users == ["floor.py"]


def test_pages_take_nothing_but_published_values() -> None:
    with pytest.raises(TypeError, match="Only Published"):
        language("en").count(7)  # type: ignore[arg-type]


@given(st.lists(st.integers(min_value=0, max_value=5000), min_size=1, max_size=9))
def test_percentages_come_from_floors_alone(counts: list[int]) -> None:
    exact = shares([floor(n) for n in counts])
    rounded = shares([floor(n // 10 * 10) for n in counts])
    assert exact == rounded
    assert all(part.value is None or 0 <= part.value <= 100 for part in exact)


def test_a_hidden_part_has_no_percentage() -> None:
    parts = [floor(9), floor(90)]
    assert [each.value for each in shares(parts)] == [None, 100]
    assert joint_share(parts[:1], parts).value is None
    assert floors.STEP == 10
