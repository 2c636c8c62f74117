"""What a server could not answer, or could not write down, is a gap and not a fall."""

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
        run(*command, folder=tmp_path)
    weeks = json.loads((tmp_path / "site/data/hits.json").read_text())["weeks"]
    assert [entry["hits"] for entry in weeks] == [280, None, None, None, 280]
    for number in UNREACHED:
        entry = weeks[number]
        assert (entry["installations"], entry["low"], entry["high"]) == (None, None, None)
    assert weeks[REACHED[1]]["installations"] == weeks[REACHED[0]]["installations"]
    page = (tmp_path / "site/index.html").read_text()
    assert "2026-W38" in page
    assert "No data" in page


def test_l05_answers_that_a_full_disk_refused_to_note_are_told(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    store = ("--product", "product.toml", "--db", "sqlite:///counts.db")
    for week, lost in ((0, 9), (1, 10), (2, 0)):
        day = MONDAY + timedelta(weeks=week)
        comment = f"# mars lost={lost} day={day}\n" if lost else ""
        name = tmp_path / f"{week}.log"
        name.write_text(f"# mars access log v1 id={week:032x}\n{comment}" + log(week) * 40)
    subprocess.run(["gzip", "1.log"], cwd=tmp_path, check=True)
    told = [run("count", "0.log", "1.log.gz", "2.log", *store, folder=tmp_path) for _ in "12"]
    assert told[0].count("whose lines the disk refused") == 2
    assert f"lacks 10 answers of {MONDAY + timedelta(weeks=1)}" in told[0]
    assert told[1] == ""
    run("publish", *store, "--out", "site", "--now", "2026-11-01T00:00:00Z", folder=tmp_path)
    weeks = json.loads((tmp_path / "site/data/hits.json").read_text())["weeks"]
    # Nine are too few to be told, as of any other figure.
    assert [entry["flags"] for entry in weeks] == [[], ["incomplete"], []]
    assert "The figures are too low." in (tmp_path / "site/events/index.html").read_text()


def run(*arguments: str, folder: Path) -> str:
    """What the program said on stderr."""
    done = subprocess.run(
        [kit.COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stderr
