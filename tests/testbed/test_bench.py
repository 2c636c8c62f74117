"""What the measurements say of themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.__main__ import SECTIONS


def test_help_names_every_section_and_what_it_measures() -> None:
    command = [sys.executable, "-m", "bench", "--help"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}
    assert tuple(lines) == SECTIONS
    assert all(len(words) > 4 for words in lines.values())
