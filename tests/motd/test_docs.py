"""docs/publishing.md does what it says: its scripts are run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "publishing.md").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r"<!-- test: ([a-z ]+) -->\n```sh\n(.*?)```", PAGE, re.DOTALL))
USE = (
    *("five commands", "stock tools", "securesystemslib", "steering", "statistics", "events"),
    *("downloads", "rehearsal"),
)
DRILLS = ("stolen keys", "lost keys", "stolen root", "spare", "wide gap")


def test_the_page_has_its_scripts() -> None:
    assert set(SCRIPTS) == {*USE, *DRILLS}


@pytest.mark.parametrize("name", USE)
def test_the_scripts_of_the_page_run_as_they_stand(name: str, tmp_path: Path) -> None:
    run(SCRIPTS[name], tmp_path)


@pytest.mark.parametrize("name", DRILLS)
def test_l06_the_drills_run_as_they_stand(name: str, tmp_path: Path) -> None:
    run(SCRIPTS[name], tmp_path)


def run(lines: str, folder: Path) -> None:
    """Runs a script of the page; every line must succeed, and each ``!`` line must fail."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # "!" lets a command fail on purpose; bash -e passes over it, so it is checked by hand.
    script = re.sub(r"^! (.*)$", r"if \1; then echo 'must fail: \1' >&2; exit 9; fi", lines,
                    flags=re.MULTILINE)  # fmt: skip
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr + done.stdout
