"""Row L5: an onion service that nobody reached for weeks is a gap in the figures, not a fall."""

from __future__ import annotations

import json
import subprocess
from datetime import date, timedelta
from pathlib import Path

from tests.server.serving import kit

MONDAY = date(2026, 9, 7)
LINE = (
    '- - - [{:%d/%b/%Y}:00:00:00 +0000] "GET /motd/motd.json?v=0.5.2&os=linux HTTP/1.1" '
    '200 530 "-" "-"\n'
)
REACHED, UNREACHED = (0, 4), (1, 2, 3)
"""Weeks after ``MONDAY``."""


def log(week: int) -> str:
    return "".join(LINE.format(MONDAY + timedelta(weeks=week, days=day)) for day in range(7))


def test_l05_weeks_out_of_reach_are_a_gap_and_not_a_fall(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "access.log").write_text("".join(log(week) * 40 for week in REACHED))
    store = ("--product", "product.toml", "--db", "sqlite:///counts.db")
    for command in (
        ("count", "access.log", *store),
        ("publish", *store, "--out", "site", "--now", "2026-11-01T00:00:00Z"),
    ):
        done = subprocess.run(
            [kit.COMMAND, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    weeks = json.loads((tmp_path / "site/data/hits.json").read_text())["weeks"]
    assert [entry["hits"] for entry in weeks] == [280, None, None, None, 280]
    for number in UNREACHED:
        entry = weeks[number]
        assert (entry["installations"], entry["low"], entry["high"]) == (None, None, None)
    assert weeks[REACHED[1]]["installations"] == weeks[REACHED[0]]["installations"]
    page = (tmp_path / "site/index.html").read_text()
    assert "2026-W38" in page
    assert "No data" in page
