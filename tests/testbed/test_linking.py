"""The attacker links as well as it can; the page has its figures, and they keep the limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from typing import TypeVar

import numpy as np
import pytest

from bench import linking, page
from mars.testing.memory import SeededChance
from testbed.linking import held, person, price, settings, tracks, trial
from testbed.linking.evidence import Evidence
from testbed.linking.law import Law
from testbed.linking.trial import MUCH, SILENCE, TRACKED, Cell, Job

LIMIT = 5.0
"""Per cent of next requests linked right, at most, from 100 installations on."""
FIGURE = re.compile(r"(\d+\.\d+) ± (\d+\.\d+)")
One = TypeVar("One")
Other = TypeVar("Other")


@cache
def attacked(job: Job) -> Cell:
    return trial.attacked(job)


@cache
def evidence(size: int, rule: str, seed: int = 0) -> Evidence:
    return Job(settings.tracked(size), rule, seed).evidence()


def here(work: Callable[[One], Other], items: Iterable[One]) -> list[Other]:
    return [work(item) for item in items]


def test_the_attacker_would_link_most_if_all_were_said() -> None:
    cell = attacked(Job(60, MUCH, 0))
    assert cell.right > 0.6
    assert cell.sure > 0.03


def test_who_says_nothing_is_linked_by_chance_alone() -> None:
    cell = attacked(Job(60, SILENCE, 0))
    assert cell.right == pytest.approx(cell.chance, abs=0.008)


@pytest.mark.parametrize(("size", "rule"), [(167, TRACKED), (1_000, MUCH)])
def test_two_strangers_are_as_likely_as_chance(size: int, rule: str) -> None:
    """The mean likelihood ratio over pairs of strangers is 1: nothing is counted twice."""
    known = evidence(size, rule)
    rows = np.arange(0, len(known.traffic) // 4, 5)
    later = slice(len(known.traffic) // 2, None)
    strangers = known.traffic.owner[rows][:, None] != known.traffic.owner[later][None, :]
    assert float(known.ratios(rows, later)[strangers].mean()) == pytest.approx(1, abs=0.15)


def test_the_law_of_intervals_is_the_client_s() -> None:
    law = evidence(100, TRACKED).law
    assert law.reach == pytest.approx((3, 10))
    assert law.mean == pytest.approx(6.5, abs=0.03)
    assert law.longer(np.array([0.0, 3.0, 6.5, 10.0, 50.0])) == pytest.approx(
        [1, 1, 0.5, 0, 0], abs=0.01
    )


def test_computers_that_are_off_are_part_of_the_law() -> None:
    """60 % late by 1.5 days: 0.9 days more on average, and far beyond ten days at times."""
    law = Law(replace(settings.plan(60), late=0.6), settings.plain)
    assert law.mean == pytest.approx(7.4, abs=0.05)
    assert law.reach[1] > 12


def test_a_memory_of_tracks_does_not_keep_itself_alive() -> None:
    """Even told the truth, the attacker falls back to nearly what pairs tell."""
    told = tracks.remembered(evidence(100, TRACKED), 5, from_truth=True)
    assert told[1].right > 2 * told[0].right
    assert told[-1].right < told[0].right + 0.04


def test_somebody_known_is_found_only_if_all_were_said() -> None:
    found = {
        rule: person.advantage(
            evidence(100, rule),
            person.residents(evidence(100, rule).traffic, 30),
            person.residents(evidence(100, rule, 1).traffic, 30),
        )
        for rule in (TRACKED, MUCH)
    }
    assert found[MUCH] > 0.5
    assert found[TRACKED] < 0.3


def test_a_document_that_is_held_back_is_a_mark() -> None:
    known = evidence(100, TRACKED)
    chance = SeededChance(1)
    half = held.some(known.traffic, 30, chance)
    before, after = held.right(known, half, np.unique(known.traffic.owner))
    assert before < after < 3 * before
    one = held.some(known.traffic, 1, chance)
    assert held.right(known, one, one)[1] > 0.4


def test_less_said_is_a_larger_error() -> None:
    errors = {rule: price.errors([evidence(100, rule).traffic]) for rule in (TRACKED, MUCH)}
    assert all(errors[TRACKED][of] > errors[MUCH][of] for of in price.SHARES)
    assert price.weeks_to_pool(6, 3) == 4


def test_the_page_has_what_the_program_writes() -> None:
    heading, dashes, *rows = linking.first_table(here)
    text = page.PRIVACY.read_text(encoding="utf-8")
    there = text.partition(f"{heading}\n{dashes}\n")[2].splitlines()[: len(rows)]
    for row, written in zip(rows, there, strict=True):
        assert figures(written) == pytest.approx(figures(row), abs=0.35)


def figures(row: str) -> list[float]:
    return [float(cell) for cell in row.strip("| ").split(" | ")]


def test_the_page_keeps_the_limit() -> None:
    text = page.PRIVACY.read_text(encoding="utf-8")
    table = text.partition("<!-- linking: begin -->")[2].partition("\n\n")[2].partition("\n\n")[0]
    found = [FIGURE.search(line) for line in table.splitlines()[2:]]
    assert len(found) == len(linking.SIZES)
    for size, figure in zip(linking.SIZES, found, strict=True):
        assert figure
        kept = float(figure[1]) + 2 * float(figure[2]) <= LIMIT
        assert kept is (size >= 100), "and the page tells smaller projects that it does not hold"
    assert "**Fewer than 100 installations are too few to hide among.**" in text


def test_the_page_has_the_rows_of_small_projects_that_the_program_writes() -> None:
    """The first five records of 10 installations, where some have nobody to ask about."""
    row = trial.row(10, 5, attacked)
    written = page.PRIVACY.read_text(encoding="utf-8").partition("\n| 10 | 6 |")[2]
    assert row.startswith("| 10 | 6 | `v`, `os` or `ia` | ")
    assert "nan" not in row and "–" not in row
    mine, theirs = (FIGURE.search(each) for each in (row, "| 10 | 6 |" + written.splitlines()[0]))
    assert mine and theirs
    assert abs(float(mine[1]) - float(theirs[1])) < 4 * float(mine[2])
