"""The table of protections fits the project, and the trial tells a test that bites from others.

Here two rows run; ``make soak ARGS=protections`` takes every protection out.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts import remove_protections as script

ROWS = {
    "A": 27,
    "B": 20,
    "C": 16,
    "D": 19,
    "E": 24,
    "F": 12,
    "G": 20,
    "H": 18,
    "I": 31,
    "J": 30,
    "K": 6,
    "L": 6,
}
"""How many rows each group of docs/threat-model.md has."""


def test_every_guard_is_found_and_every_numbered_row_stands_in_the_table() -> None:
    script.check(script.load())


def test_every_row_of_the_list_is_tried_or_says_why_not() -> None:
    listed = {f"{group}{number}" for group, most in ROWS.items() for number in range(1, most + 1)}
    assert listed == set(script.attempts()) | set(script.load().none)


def test_a_guard_that_has_gone_or_a_row_without_an_entry_is_told() -> None:
    table = script.load()
    first, *others = table.protections
    gone = replace(table, protections=(replace(first, changes=(("no such text", ""),)), *others))
    with pytest.raises(script.RottenError, match="A1: 'no such text' stands 0 times"):
        script.check(gone)
    untold = {row: why for row, why in table.none.items() if row != "A9"}
    with pytest.raises(script.RottenError, match="not in the table: A9"):
        script.check(replace(table, none=untold))


def test_without_their_protections_two_rows_fail() -> None:
    told: list[str] = []
    results = script.trial(["A7", "C6"], told.append)
    assert [each.noticed.verdict for each in results] == ["noticed", "noticed"], told
    assert "test_a07_same_key_twice_counts_once" in told[0]
    assert "test_c06_lifetime_is_14_to_60_days" in told[1]


def test_what_passes_or_takes_long_does_not_bite() -> None:
    verdicts = [script.Noticed(*run, "").verdict for run in ((0, 0.1), (1, 10.1), (2, 0.0))]
    assert verdicts == ["DOES NOT BITE", "TOO SLOW", "BREAKS THE RUN"]
