"""Every row of the list of hostile inputs A to D has a test of its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HOSTILE = Path(__file__).parents[2] / "hostile"
ROWS = {"a": 22, "b": 20, "c": 16, "d": 19}
"""How many rows each group has."""


@pytest.mark.parametrize("group", ROWS)
def test_every_row_has_a_test(group: str) -> None:
    text = "\n".join(path.read_text() for path in HOSTILE.glob(f"test_{group}*_*.py"))
    found = re.findall(rf"^(?:async )?def test_{group}([0-9]+)_", text, re.MULTILINE)
    assert sorted({int(number) for number in found}) == list(range(1, ROWS[group] + 1))
