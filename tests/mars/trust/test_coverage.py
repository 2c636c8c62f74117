"""Every branch of the pure modules is taken by a quick test.

``.venv/bin/pytest tests/mars/trust/test_coverage.py``; it names the lines that are missing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
QUICK = (
    "tests/mars/wire",
    "tests/mars/trust/test_answers.py",
    "tests/mars/trust/test_rules.py",
    "tests/mars/trust/test_state.py",
    "tests/hostile/test_forged_envelopes.py",
    "tests/hostile/test_forged_rotations.py",
    "tests/hostile/test_malformed_payloads.py",
    "tests/hostile/test_misleading_texts.py",
    "tests/hostile/test_openpgp_keys_that_end.py",
    "tests/hostile/test_rollback_and_freeze.py",
    "tests/hostile/test_stolen_roles.py",
    "tests/vectors/test_reports.py",
    "tests/vectors/test_statistics.py",
)
SLOW = (
    *("a_document_is_read_as_it_was_written", "domains_as_they_were_declared", "a27_a_whole_chain"),
    *("it_means_what_python_means_by_it", "j14_", "every_number_has_one_range", "flipped_bit"),
    *("other_parts_are_another_text", "i20_what_is_no_body_is_none", "d02_a_rev", "d13_a_new"),
    *("a_message_comes_back_as_it_was_written", "switched_off_or_unknown", "changed_bit"),
    *("a_report_fits_by_its_known_values", "prefixes_is_a_multiple"),
)
"""Parts of the names of dear tests that take no branch which the others leave."""
PATIENCE = 500
"""Seconds; beside other tests on two cores it takes half of that."""


@pytest.mark.timeout(PATIENCE + 60)
def test_pure_modules_have_full_branch_coverage(tmp_path: Path) -> None:
    data = f"--data-file={tmp_path / 'coverage'}"
    run = ["run", "--branch", data, "--source=mars.wire,mars.trust", "-m", "pytest", "-q"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "COVERAGE"))}

    def coverage(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "coverage", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE
        )

    tests = coverage(
        *run, "-p", "no:cacheprovider", "-p", "no:xdist", *QUICK, "-k", f"not ({' or '.join(SLOW)})"
    )
    assert tests.returncode == 0, tests.stdout[-4000:]
    report = coverage("report", data, "--show-missing", "--skip-covered", "--fail-under=100")
    assert report.returncode == 0, report.stdout
