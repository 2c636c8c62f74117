"""Which weeks are published, when, and what the later ones know of the earlier."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, update

from mars.errors import WireError
from mars.wire.times import parse_time
from mars_server.common.calendar import days
from mars_server.counting.tally import Tally
from mars_server.publication.closing import close_weeks, waiting
from mars_server.storage import open_database
from mars_server.storage.ledger import store
from mars_server.storage.schema import sources
from mars_server.storage.schema import weeks as closed
from mars_server.tables.compose import FloorRules
from mars_server.tables.week import decode, encode
from tests.server.publication import kit
from tests.server.publication.kit import Counted


def counted_at(engine: Engine, time: str) -> None:
    """As if logs had been counted for the last time at ``time``."""
    row = {"ladder": "", "position": 1, "tail": "", "lines": 1, "hits": 1}
    with engine.begin() as connection:
        connection.execute(insert(sources).values(counted=parse_time(time), **row))


def test_only_whole_settled_weeks_are_published(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/counts.db")
    for n in range(3):
        kit.count(engine, kit.week(n), kit.USUAL)
    now = parse_time("2026-01-20T23:59:59Z")
    assert [each.week for each in close_weeks(engine, kit.RULES, now)] == ["2026-W02"]
    assert [each.week for each in close_weeks(engine, kit.RULES, now + 1)] == [
        "2026-W02",
        "2026-W03",
    ]


def test_a_week_waits_until_logs_are_counted_after_its_end(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): kit.USUAL})  # all on Monday, 5 January
    counted_at(engine, "2026-01-07T12:00:00Z")
    assert close_weeks(engine, kit.RULES, kit.LATER) == []
    assert kit.kept(engine, lambda kept: waiting(kept, kit.LATER)) == [kit.week(0)]
    counted_at(engine, "2026-01-12T00:10:00Z")
    assert kit.kept(engine, lambda kept: waiting(kept, parse_time("2026-01-13T23:59:59Z"))) == []
    assert len(close_weeks(engine, kit.RULES, kit.LATER)) == 1
    assert kit.kept(engine, lambda kept: waiting(kept, kit.LATER)) == []


def test_a_time_given_by_hand_decides_alone(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): kit.USUAL})
    counted_at(engine, "2026-01-07T12:00:00Z")
    assert close_weeks(engine, kit.RULES, kit.LATER) == []
    assert len(close_weeks(engine, kit.RULES, kit.LATER, chosen=True)) == 1


def test_hits_of_a_later_day_or_from_the_future_settle_a_week(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    later = kit.database(tmp_path / "a", kit.usual_weeks(2))
    counted_at(later, "2026-01-12T12:00:00Z")
    assert [week.week for week in close_weeks(later, kit.RULES, kit.LATER)] == [kit.week(0)]
    future = kit.database(tmp_path / "b", kit.usual_weeks(2))
    counted_at(future, "2024-01-01T00:00:00Z")
    assert len(close_weeks(future, kit.RULES, kit.LATER)) == 2


def test_publishing_waits_for_a_counter_and_a_counter_for_publishing(database_url: str) -> None:
    """On PostgreSQL too: a count that has begun is in the week, one that begins later is late."""
    engine = open_database(database_url)
    kit.count(engine, kit.week(0), kit.USUAL)
    tally = Tally()
    tally.cells[days(kit.week(0))[2], "level", "plain"] = 50
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(closed.select()).all()
            publishing = pool.submit(close_weeks, engine, kit.RULES, kit.LATER)
            with pytest.raises(TimeoutError):
                publishing.result(timeout=0.5)
            assert store(connection, tally) == 0
        weeks = publishing.result(timeout=30)
    assert weeks[0].hits.value == 1050
    with engine.begin() as connection:
        assert store(connection, tally) == 50
    assert close_weeks(engine, kit.RULES, kit.LATER) == weeks
    engine.dispose()


def test_a_week_is_closed_to_the_counter_with_its_publication(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(2))
    close_weeks(engine, kit.RULES, kit.LATER)
    with engine.begin() as connection:
        rows = connection.execute(closed.select().order_by(closed.c.week)).all()
    assert [(row.week, row.published, row.late) for row in rows] == [
        (kit.week(0), kit.LATER, 0),
        (kit.week(1), kit.LATER, 0),
    ]


def test_weeks_published_one_by_one_equal_weeks_published_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    at_once = kit.published(tmp_path / "a", kit.usual_weeks(6))
    engine = kit.database(tmp_path / "b")
    for n in range(6):
        kit.count(engine, kit.week(n), kit.USUAL)
        close_weeks(engine, kit.RULES, kit.LATER)
    assert close_weeks(engine, kit.RULES, kit.LATER) == at_once


def test_a_gap_is_published_as_no_data_once_a_later_week_has_some(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): kit.USUAL})
    assert len(close_weeks(engine, kit.RULES, kit.LATER)) == 1
    kit.count(engine, kit.week(2), kit.USUAL)
    weeks = close_weeks(engine, kit.RULES, kit.LATER)
    assert [week.hits.value for week in weeks] == [1000, None, 1000]
    assert weeks[1].estimate is None
    assert encode(weeks[1]).count(b'"hits": null') == 1


def test_late_lines_are_told_floored_in_the_next_week_and_once(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(2))
    close_weeks(engine, kit.RULES, kit.LATER)
    with engine.begin() as connection:
        connection.execute(update(closed).where(closed.c.week == kit.week(0)).values(late=37))
    assert [week.late.value for week in close_weeks(engine, kit.RULES, kit.LATER)] == [
        "<10",
        "<10",
    ]
    for n in (2, 3):
        kit.count(engine, kit.week(n), kit.USUAL)
    weeks = close_weeks(engine, kit.RULES, kit.LATER)
    assert [week.late.value for week in weeks] == ["<10", "<10", 30, "<10"]


def test_after_a_change_of_the_interval_the_estimate_covers_both_laws(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    old = close_weeks(engine, kit.RULES, kit.LATER)[0].estimate
    steered = FloorRules(replace(kit.PRODUCT, reportback_next=30 * 86_400))
    for n in range(1, 9):
        kit.count(engine, kit.week(n), kit.USUAL)
        close_weeks(engine, steered, kit.LATER)
    weeks = close_weeks(engine, steered, kit.LATER)
    new = weeks[-1].estimate
    assert old is not None and new is not None and old.high < new.low
    for week in weeks[1:6]:
        assert week.estimate is not None
        assert (week.estimate.low, week.estimate.high) == (old.low, new.high)
        assert "steered" in week.flags
    assert weeks[6].estimate == new


def test_a_streak_is_remembered_though_only_the_last_weeks_are_read(tmp_path: Path) -> None:
    """Publishing week by week lists a country in the same week as publishing all at once."""
    weeks = {
        kit.week(n): Counted(plain=500, tables={"cc": {"DE": 60, "IS": 60 if n % 5 else 20}})
        for n in range(12)
        if n != 6
    }
    for name in "ab":
        (tmp_path / name).mkdir()
    engine = kit.database(tmp_path / "a")
    for name, counted in weeks.items():
        kit.count(engine, name, counted)
        close_weeks(engine, kit.RULES, kit.LATER)
    one_by_one = close_weeks(engine, kit.RULES, kit.LATER)
    at_once = kit.published(tmp_path / "b", weeks)
    for table in ("cc", "lang"):
        assert [week.tables[table] for week in one_by_one] == [
            week.tables[table] for week in at_once
        ]
    assert one_by_one[4].count("cc", "IS") is not None
    assert one_by_one[5].count("cc", "IS") is None


def test_a_document_is_its_bytes(tmp_path: Path) -> None:
    for week in kit.published(tmp_path, kit.usual_weeks(5)):
        data = encode(week)
        assert encode(decode(data)) == data
        for n in range(0, len(data), 7):
            flipped = data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :]
            try:
                assert encode(decode(flipped)) == flipped
            except WireError:
                continue
