"""``mars-server counts`` beside published weeks: exact figures for the operator, in every form."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest
from sqlalchemy import update

from mars_server.publication.closing import close_weeks
from mars_server.storage.schema import weeks as closed
from mars_server.tables.compose import FloorRules
from tests.server.counting.commands import completed
from tests.server.publication import kit
from tests.server.publication.kit import Counted

USUAL = Counted(plain=407, tables={"v": {"0.5.2": 13}})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two published weeks, one with 37 late hits, and an open one."""
    folder = tmp_path_factory.mktemp("counts")
    engine = kit.database(folder, {kit.week(0): USUAL, kit.week(1): USUAL})
    close_weeks(engine, FloorRules(kit.PRODUCT), kit.LATER)
    with engine.begin() as connection:
        connection.execute(update(closed).where(closed.c.week == kit.week(0)).values(late=37))
    kit.count(engine, kit.week(2), USUAL)
    engine.dispose()
    return f"sqlite:///{folder}/counts.db"


def counts(*arguments: str) -> subprocess.CompletedProcess[str]:
    return completed("counts", *arguments)


def test_weeks_tell_what_is_published_open_and_late(url: str) -> None:
    table = json.loads(counts("weeks", "--db", url, "--json").stdout)
    when = "2030-01-01T00:00:00Z"
    row = {"days": 1, "hits": 420, "left_out": False}
    assert table == {
        kit.week(0): {**row, "published": when, "late": 37},
        kit.week(1): {**row, "published": when, "late": 0},
        kit.week(2): {**row, "published": None, "late": 0},
    }
    assert counts("weeks", "--db", url).stdout.splitlines() == [
        f"{kit.week(0)}  1 days         420 hits  published {when}, 37 too late",
        f"{kit.week(1)}  1 days         420 hits  published {when}",
        f"{kit.week(2)}  1 days         420 hits  open",
    ]


def test_show_tells_the_exact_number_of_late_hits(url: str) -> None:
    assert json.loads(counts("show", "--db", url, "--json").stdout)["late"] == 37
    text = counts("show", "--db", url).stdout
    assert "37 hits came too late for a published week and were dropped" in text
    assert "2026-01-05         420  (407 plain, 13 tracked)" in text


def test_export_gives_one_day_or_all_and_refuses_what_is_no_day(url: str) -> None:
    whole = list(csv.DictReader(io.StringIO(counts("export", "--db", url).stdout)))
    assert sum(int(row["n"]) for row in whole if row["variable"] == "level") == 3 * 420
    day = counts("export", "--db", url, "--day", "2026-01-12", "--format", "json")
    rows = json.loads(day.stdout)
    assert {row["day"] for row in rows} == {"2026-01-12"}
    assert {"day": "2026-01-12", "variable": "v", "value": "0.5.2", "n": 13} in rows
    empty = counts("export", "--db", url, "--day", "2026-01-13")
    assert (empty.returncode, empty.stdout) == (0, "day,variable,value,n\n")


@pytest.mark.parametrize("day", ["nonsense", "2026-02-30", "20260112", "2026-1-2", "", "2026-W02"])
def test_a_day_that_is_none_is_refused(url: str, day: str) -> None:
    done = counts("export", "--db", url, "--day", day)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "day-invalid" in done.stderr
    assert "2026-11-21" in done.stderr
    assert "Traceback" not in done.stderr
