"""Tests may be named in any order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def test_a_file_of_the_folder_above_takes_no_fixture_from_a_folder() -> None:
    named = ("cli/test_records.py", "test_docs.py", "cli/test_names.py")
    pytest = Path(sys.executable).with_name("pytest")
    done = subprocess.run(
        [pytest, "-q", "-p", "no:xdist", "--setup-plan", *(HERE / "mars" / each for each in named)],
        cwd=HERE.parent, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "test_names.py::" in done.stdout
    assert "fixture 'desk' not found" not in done.stdout
