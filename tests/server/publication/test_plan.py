"""Which weeks are published: a clock that was wrong publishes no years of empty weeks."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import insert

from mars.wire.times import parse_time
from mars_server.common.calendar import following, span
from mars_server.counting.foreign.identity import Source
from mars_server.counting.scrub import policy
from mars_server.operate.doctor import Closed, settled
from mars_server.publication.closing import (
    PAUSE_WEEKS,
    DueWeeks,
    close_weeks,
    due_weeks,
    left_out,
    waiting,
)
from mars_server.storage.ledger import open_weeks
from mars_server.storage.reading import all_weeks, overview
from mars_server.storage.schema import sources
from mars_server.tables.compose import FloorRules
from tests.server.counting.commands import completed
from tests.server.publication import kit
from tests.server.publication.kit import Counted

RULES = FloorRules(kit.PRODUCT)
USUAL = Counted(plain=700)
FEW = Counted(plain=9)
LAST = "2030-W01"


def later(week: str, weeks: int) -> str:
    for _ in range(weeks):
        week = following(week)
    return week


def test_a_stray_old_week_is_left_out_with_the_empty_ones_after_it() -> None:
    found = due_weeks({"2023-W10": False, "2026-W02": True, "2026-W04": True}, (), LAST, LAST)
    assert found.due == ("2026-W02", "2026-W03", "2026-W04")
    assert found.left_out == tuple(span("2023-W10", "2026-W01"))


@pytest.mark.parametrize(("empty", "due"), [(PAUSE_WEEKS, PAUSE_WEEKS + 2), (PAUSE_WEEKS + 1, 1)])
def test_half_a_year_without_a_hit_is_a_pause(empty: int, due: int) -> None:
    found = due_weeks({"2026-W02": False, later("2026-W02", empty + 1): False}, (), LAST, LAST)
    assert len(found.due) == due


@pytest.mark.parametrize(
    ("counted", "closed"),
    [
        ({"2023-W10": True, "2026-W02": True}, ()),  # ten hits: somebody was there
        ({"2026-W02": True}, ("2023-W10",)),  # published before anything else was known
    ],
)
def test_what_was_real_stays_and_a_pause_is_not_filled(
    counted: dict[str, bool], closed: tuple[str, ...]
) -> None:
    found = due_weeks(counted, closed, LAST, LAST)
    assert found.due == ("2023-W10", "2026-W02")
    assert found.left_out == tuple(span("2023-W11", "2026-W01"))


@pytest.mark.parametrize("enough", [True, False])
def test_the_week_that_has_just_begun_shows_what_was_stray(enough: bool) -> None:
    """A server that ran with a wrong clock for its first minutes is published right from then."""
    found = due_weeks({"2023-W10": False, "2026-W02": enough}, (), "2026-W01", "2026-W02")
    assert found == DueWeeks((), tuple(span("2023-W10", "2026-W01")))


def test_a_week_that_is_not_complete_fills_no_gap_and_a_future_one_shows_nothing() -> None:
    found = due_weeks({"2026-W02": False, "2026-W05": True}, (), "2026-W04", "2026-W05")
    assert found == DueWeeks(("2026-W02",), ())
    found = due_weeks({"2026-W02": False, "2031-W05": True}, (), "2026-W04", "2026-W05")
    assert found == DueWeeks(("2026-W02",), ())


def test_days_before_every_client_are_left_out_whatever_their_number() -> None:
    assert due_weeks({"1970-W01": True}, (), LAST, LAST) == DueWeeks((), ("1970-W01",))


def test_few_hits_are_published_where_there_is_nothing_else() -> None:
    assert due_weeks({"2023-W10": False}, (), LAST, LAST).due == ("2023-W10",)


def stray(folder: Path) -> Path:
    """A database with a stray line of a dead clock, one of a wrong clock, and two usual weeks."""
    weeks = {"1970-W01": USUAL, "2023-W10": FEW, kit.week(0): USUAL, kit.week(1): USUAL}
    kit.database(folder, weeks).dispose()
    (folder / "product.toml").write_text(kit.PRODUCT_TOML)
    return folder / "counts.db"


def test_the_operator_is_told_what_was_left_out_and_how_much(tmp_path: Path) -> None:
    database = f"sqlite:///{stray(tmp_path)}"
    done = completed(
        *("publish", "--db", database, "--out", str(tmp_path / "site")),
        *("--product", str(tmp_path / "product.toml")),
        *("--now", "2026-02-11T00:00:00Z"),
    )
    assert done.returncode == 0, done.stderr
    assert "2 weeks published" in done.stdout
    assert "Left out: 1970-W01, 2023-W10;" in done.stderr
    assert len(list((tmp_path / "site/data").glob("????-W??.json"))) == 2
    table = json.loads(completed("counts", "weeks", "--db", database, "--json").stdout)
    assert {week: row["left_out"] for week, row in table.items()} == {
        "1970-W01": True,
        "2023-W10": True,
        kit.week(0): False,
        kit.week(1): False,
    }
    text = completed("counts", "weeks", "--db", database).stdout
    assert [line for line in text.splitlines() if "left out" in line] == [
        "1970-W01  1 days         700 hits  left out, too far back",
        "2023-W10  1 days           9 hits  left out, too far back",
    ]
    assert "709 hits lie too far back" in completed("counts", "show", "--db", database).stdout


def test_left_out_weeks_are_closed_and_told_once(tmp_path: Path) -> None:
    stray(tmp_path)
    engine = kit.database(tmp_path)
    first = close_weeks(engine, RULES, kit.LATER)
    assert kit.kept(engine, left_out) == {"1970-W01", "2023-W10"}
    kit.count(engine, "2023-W20", USUAL)  # what a counter would drop by now
    assert close_weeks(engine, RULES, kit.LATER) == first
    assert kit.kept(engine, lambda kept: waiting(kept, kit.LATER)) == []
    assert [week.week for week in all_weeks(engine) if not week.left_out] == [
        kit.week(0),
        kit.week(1),
    ]


@pytest.mark.parametrize("first", ["1970-01-01", "2019-06-01", "2023-03-06", "2026-01-05"])
def test_a_stray_day_keeps_no_log(tmp_path: Path, first: str) -> None:
    stray(tmp_path)
    engine = kit.database(tmp_path)
    rule = policy(open_weeks(engine), kit.LATER, 30)
    log = Source(1, None, (), 0, "", None, first_day=first, last_day="2026-01-06")
    assert rule.spares(log) is not None
    close_weeks(engine, RULES, kit.LATER)
    rule = policy(open_weeks(engine), kit.LATER, 30)
    assert rule.spares(log) is None
    assert {"1970-W01", "2023-W10"} <= overview(engine).weeks


@pytest.mark.parametrize(
    ("day", "goes"), [("1970-01-01", True), ("2026-01-05", True), ("2026-01-12", False)]
)
def test_a_log_of_a_dead_clock_goes_once_it_is_counted(day: str, goes: bool) -> None:
    log = Closed(Path("access.log"), date.fromisoformat(day), "id", 70)
    assert settled(log, {"id": 70}, {"2026-W02"}) is goes
    assert not settled(log, {"id": 69}, {"2026-W02"})


def test_one_stray_line_of_the_future_settles_no_week(tmp_path: Path) -> None:
    """Only days up to the counting tell how far the logs are counted."""
    engine = kit.database(tmp_path, {kit.week(0): USUAL, "2027-W40": FEW})
    row = {"ladder": "", "position": 1, "tail": "", "lines": 1, "hits": 1}
    counted = parse_time("2026-01-07T12:00:00Z")
    with engine.begin() as connection:
        connection.execute(insert(sources).values(counted=counted, **row))
    assert close_weeks(engine, RULES, parse_time("2026-03-01T00:00:00Z")) == []
