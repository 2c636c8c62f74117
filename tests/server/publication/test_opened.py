"""A week of statistics closes once its reports can all be opened, whatever strangers post."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import Engine

from mars.factory import system_clock
from mars.wire.times import parse_time
from mars_server.cli.publish import _warnings
from mars_server.common.config import load_catalogue
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.executors import here
from mars_server.counting.progress import Progress
from mars_server.publication.closing import locked_reports, waiting_reports
from mars_server.site.publish import PublishReport
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from tests.server.counting.examples import ALLOW
from tests.server.counting.spools import NEXT, WEEK, many, product_of, sealed, spool, written
from tests.server.counting.test_spools import opening_of
from tests.server.publication import kit
from tests.server.publication import reports_kit as reports

AFTER = "2026-W50"
SETTLED = parse_time("2026-12-02T00:00:00Z")
"""Two days after ``WEEK``."""


class Machine:
    """Counts spools and publishes at chosen times."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self.catalogue = load_catalogue(product_of(folder))

    def count(self, time: str, *weeks: str) -> Counted:
        """All spools, with the keys of ``weeks``."""
        opening = opening_of(self.folder, *weeks) if weeks else None
        paths = [str(path) for path in sorted(self.folder.glob("*.log"))]
        using = (ALLOW, here, Progress(system_clock(), None), Ledger(self.engine))
        return count_once(paths, *using, lambda: parse_time(time), opening=opening)

    def publish(self, now: int = SETTLED) -> list[str]:
        return [week.week for week in reports.close(self.engine, self.catalogue, now=now)]

    def waiting(self, now: int = SETTLED) -> list[str]:
        return kit.kept(self.engine, lambda kept: waiting_reports(kept.statistics, now))

    def spool(self, bodies: list[bytes], day: str) -> None:
        written(self.folder / f"{day}.log", spool(bodies, date.fromisoformat(day), day))


@pytest.fixture
def machine(tmp_path: Path, new_database: Callable[[], str]) -> Machine:
    return Machine(tmp_path, open_database(new_database()))


def test_a_spool_without_any_junk_is_opened_as_far_as_its_day(machine: Machine) -> None:
    machine.spool(many(20), "2026-11-24")
    machine.count("2026-11-25T06:00:00Z", WEEK)
    assert machine.publish() == []
    assert machine.waiting() == [WEEK]
    machine.spool(many(20, 20), "2026-11-29")
    assert machine.count("2026-11-30T06:00:00Z", WEEK).reports.dropped == {}
    assert machine.publish() == [WEEK]


def test_junk_in_a_spool_does_not_hold_a_week(machine: Machine) -> None:
    machine.spool([*many(20), sealed(week="2020-W01")], "2026-11-24")
    machine.count("2026-11-25T06:00:00Z", WEEK)
    machine.spool(many(20, 20), "2026-11-29")
    machine.count("2026-11-30T06:00:00Z", WEEK)
    assert machine.publish() == [WEEK]
    assert machine.waiting() == []


def test_spools_that_were_counted_without_keys_settle_nothing(machine: Machine) -> None:
    machine.spool(many(20), "2026-11-24")
    machine.count("2026-11-25T06:00:00Z", WEEK)
    machine.spool(many(20, 20), "2026-11-29")
    machine.count("2026-11-30T06:00:00Z")
    assert machine.publish() == []
    machine.count("2026-11-30T07:00:00Z", WEEK)
    assert machine.publish() == [WEEK]


def test_a_week_whose_key_was_not_given_is_no_week_without_data(machine: Machine) -> None:
    machine.spool(many(20), "2026-11-29")
    machine.spool(many(20, week=NEXT), "2026-12-06")
    machine.spool(many(20, week=AFTER), "2026-12-13")
    machine.count("2026-12-14T06:00:00Z", WEEK, AFTER)
    now = parse_time("2026-12-16T00:00:00Z")
    assert machine.publish(now) == [WEEK]
    assert machine.waiting(now) == [AFTER]
    assert kit.kept(machine.engine, lambda kept: locked_reports(kept.statistics, now)) == [NEXT]
    machine.count("2026-12-16T06:00:00Z", NEXT)
    assert machine.publish(now) == [WEEK, NEXT, AFTER]
    assert kit.kept(machine.engine, lambda kept: kept.statistics.late()) == 0


def test_a_key_that_was_given_for_one_spool_alone_leaves_the_reports_of_others(
    machine: Machine,
) -> None:
    machine.spool(many(20), "2026-11-24")
    machine.count("2026-11-30T05:00:00Z", WEEK)
    machine.spool([*many(20, 20), *many(20, week=NEXT)], "2026-11-30")
    machine.count("2026-12-01T06:00:00Z", NEXT)
    assert machine.publish() == []
    machine.count("2026-12-01T07:00:00Z", WEEK)
    assert machine.publish() == [WEEK]


def test_junk_holds_no_week_whose_keys_were_given_nor_one_long_past(machine: Machine) -> None:
    """Whoever posts may name the key of any week, and a key that nobody has."""
    junk = [sealed(number=n, week="2020-W01") for n in range(5)]
    machine.spool([*many(20), *junk], "2026-11-29")
    machine.spool([*many(20, week=AFTER), *junk], "2026-12-13")
    machine.count("2026-12-14T06:00:00Z", WEEK, AFTER)
    now = parse_time("2026-12-16T00:00:00Z")
    assert machine.publish(now) == [WEEK], "a key of the week between may be there"
    late = parse_time("2027-01-20T00:00:00Z")
    assert machine.publish(late) == [WEEK], "the clock of publish alone may be wrong"
    machine.spool(many(20, week=AFTER), "2027-01-18")
    machine.count("2027-01-19T06:00:00Z", AFTER)
    assert machine.publish(late) == [WEEK, NEXT, AFTER]


def test_what_statistics_wait_for_is_said() -> None:
    report = PublishReport([], 0, 0, waiting_reports=[WEEK], waiting_lines=1)
    assert "no spool was opened" in next(_warnings(report, declared=True))
    assert "1 line of spools" in next(_warnings(report, declared=True))
    assert "metrics.toml" in next(_warnings(report, declared=False))
    locked = replace(report, locked_reports=[NEXT])
    assert NEXT in next(_warnings(locked, declared=True))
