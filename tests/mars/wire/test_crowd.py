"""How much a tracked request says, by how many say it: each share exact, none given away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from fractions import Fraction

import pytest

from mars.wire.crowd import CROWDS, VALID, effective
from mars.wire.times import DAY
from mars.wire.variables import BASIC, NAMES, chosen, rule

BUILT = 1_795_219_200
FOUND = dict(zip(NAMES, ("0.5.2", "linux", "1000", "is", "3.11", "IS"), strict=True))
GRID = 12_000
"""Of picks, a multiple of every number of slots."""
HALF, FOURTH, SIXTH = Fraction(1, 2), Fraction(1, 4), Fraction(1, 6)
ALL = ("v", "os", "ia")
DUE: dict[int, dict[tuple[str, ...], Fraction]] = {
    0: {("v",): HALF, ("os",): FOURTH, ("ia",): FOURTH},
    100: {("v", "os"): HALF, ("v", "ia"): HALF},
    1000: {ALL: HALF} | {(*ALL, name): SIXTH for name in ("lang", "py", "cc")},
}


def shares(
    crowd: int, consented: Collection[str] = NAMES, found: Collection[str] = NAMES
) -> dict[tuple[str, ...], Fraction]:
    """What part of all picks says these names, in the order of the query."""
    known = {name: FOUND[name] for name in found}
    picks = ((at + 0.5) / GRID for at in range(GRID))
    said = Counter(tuple(chosen(known, consented, pick, crowd)) for pick in picks)
    return {names: Fraction(count, GRID) for names, count in said.items()}


@pytest.mark.parametrize("crowd", CROWDS)
def test_each_slot_falls_as_often_as_the_rule_says(crowd: int) -> None:
    assert shares(crowd) == DUE[crowd]


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("lacking", NAMES)
def test_what_is_switched_off_or_unknown_is_said_by_no_other(crowd: int, lacking: str) -> None:
    """Else a request that says another more often would tell of the switch."""
    due: dict[tuple[str, ...], Fraction] = {}
    for names, share in DUE[crowd].items():
        left = tuple(name for name in names if name != lacking)
        due[left] = due.get(left, Fraction(0)) + share
    rest = [name for name in NAMES if name != lacking]
    assert shares(crowd, consented=rest) == shares(crowd, found=rest) == due


@pytest.mark.parametrize("crowd", CROWDS)
def test_with_all_switched_off_nothing_is_said(crowd: int) -> None:
    assert shares(crowd, consented=()) == shares(crowd, found=()) == {(): 1}


def test_the_least_and_the_greatest_pick_fall_on_the_first_and_the_last_slot() -> None:
    assert [list(chosen(FOUND, NAMES, pick, 0)) for pick in (0.0, 1.0)] == [["v"], ["ia"]]
    assert list(chosen(FOUND, NAMES, 1.0, 1000)) == [*BASIC, "cc"]


@pytest.mark.parametrize(
    ("age", "few"), [("1", "10"), ("10", "10"), ("100", "100"), ("1000", "100")]
)
def test_below_a_thousand_an_age_is_at_most_a_month_or_longer(age: str, few: str) -> None:
    said = [chosen({"ia": age}, ["ia"], 0.99, crowd)["ia"] for crowd in CROWDS]
    assert said == [few, few, age]


@pytest.mark.parametrize(
    ("crowd", "due"),
    [(0, 0), (1, 0), (99, 0), (100, 100), (150, 100), (999, 100), (1000, 1000), (10**6, 1000)],
)
def test_a_crowd_counts_as_the_largest_that_it_reaches(crowd: int, due: int) -> None:
    assert effective(crowd, BUILT, BUILT) == due


def test_a_trust_file_is_believed_for_400_days() -> None:
    assert effective(1000, BUILT, BUILT + 400 * DAY) == 1000
    assert effective(1000, BUILT, BUILT + 400 * DAY + 1) == 0
    assert VALID == 400 * DAY
    assert effective(1000, 0, BUILT) == 0


def test_before_its_build_a_clock_is_wrong_and_the_crowd_unknown() -> None:
    assert effective(1000, BUILT, BUILT - 1) == 0
    assert effective(1000, BUILT, 0) == 0


def test_the_rule_in_words() -> None:
    assert [rule(crowd) for crowd in CROWDS] == [
        "Each request says one thing, drawn at random: in half of them v, else os or ia.",
        "Each request says v, and os or ia, drawn at random.",
        "Each request says v, os and ia; every other one, by chance, lang, py or cc too.",
    ]
