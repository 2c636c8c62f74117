"""Tracebacks of one fault from elsewhere are one fault, and two faults are two."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from mars.faults.text import faults
from mars.faults.walk import fault_of
from mars.wire.reports.fault import Fault
from tests.mars.faults import kit

TEXTS = sorted(Path(__file__).with_name("texts").iterdir())
NEWEST = next(file for file in TEXTS if file.stem == "3.13")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Fault]]:
    """What is captured of each fault by this Python in a folder of its own."""
    with kit.failing(tmp_path_factory.mktemp("app")) as raised:
        yield {name: fault_of(error, kit.OWN) for name, error in raised.items()}


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.stem)
def test_the_text_of_another_python_tells_what_is_captured_here(
    here: dict[str, Fault], file: Path
) -> None:
    """Python 3.8 to 3.13, other folders, a frozen program."""
    found = {
        name: faults(text, kit.OWN) for name, text in kit.sections(file.read_text("utf-8")).items()
    }
    assert len(found) >= 10
    assert {name: [one.signature for one in some] for name, some in found.items()} == {
        name: [here[name].signature] for name in found
    }


def test_no_two_faults_are_one(here: dict[str, Fault]) -> None:
    """Also those that pass through one helper with the same types."""
    assert len(here) == 12
    for one, other in combinations(here, 2):
        assert here[one].signature != here[other].signature, (one, other)
    assert here["helped_number"].types == here["helped_date"].types


def test_nothing_that_was_said_is_in_a_fault(here: dict[str, Fault]) -> None:
    for fault in here.values():
        assert kit.SECRET not in kit.words(fault)
    for file in TEXTS:
        text = file.read_text("utf-8")
        assert kit.SECRET in text
        assert kit.SECRET not in str(faults(text, kit.OWN))


def test_a_log_that_writes_before_each_line_changes_nothing(here: dict[str, Fault]) -> None:
    for prefix in ("2026-12-01 04:00:00 ERROR [main] ", "> ", "      ", "Dec 01 host app[12]: "):
        text = re.sub("^", prefix, NEWEST.read_text("utf-8"), flags=re.MULTILINE)
        signatures = {fault.signature for fault in faults(text, kit.OWN)}
        assert signatures == {fault.signature for fault in here.values()}, prefix


def test_one_line_less_or_more_never_raises(here: dict[str, Fault]) -> None:
    lines = NEWEST.read_text("utf-8").splitlines(keepends=True)
    for at in range(0, len(lines), 7):
        faults("".join(lines[at:]), kit.OWN)
        faults("".join(lines[:at]), kit.OWN)
