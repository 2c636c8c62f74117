"""What an installation asks to have deleted, or forgets, of its error reports."""

from __future__ import annotations

import pytest

from mars.testing.memory import machine
from mars.wire.reports.direct import Deletion
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    LONGEST,
    a_world,
    fault,
    kept,
    meet,
    memory,
    read,
    released,
    running,
    until_posted,
)


def test_a_deletion_goes_within_thirty_days_sealed_as_a_report_is() -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    asked = world.clock.now()
    assert world.mars().reports.forget(report.guid) == "asked"
    assert world.mars().reports.list()[0]["deletion"] == "asked"
    assert world.mars().status()["error_reports"]["deletions"] == 1
    first, second = until_posted(world, 2)
    assert isinstance(read(second), Deletion)
    assert read(second) == Deletion(report.guid)
    assert len(first.body or b"") == len(second.body or b"")
    assert world.clock.now() - asked <= 31 * DAY
    assert world.mars().reports.list()[0]["deletion"] == "sent"
    running(world, 8 * DAY)
    assert len(posted(world)) == 2


@pytest.mark.parametrize("level", ["off", "plain"])
def test_a_deletion_goes_after_consent_was_withdrawn(level: str) -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    assert world.mars().reports.forget(report.guid) == "asked"
    world.grant(level, reports="never")
    assert world.mars().reports.list()[0]["deletion"] == "asked"
    running(world, 35 * DAY)
    assert read(posted(world)[-1]) == Deletion(report.guid)


def test_a_deletion_may_be_asked_for_after_consent_was_withdrawn() -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    world.mars().consent.revoke()
    gets = len(world.server.visits)
    assert world.mars().reports.forget(report.guid) == "asked"
    running(world, 35 * DAY)
    assert read(posted(world)[-1]) == Deletion(report.guid)
    assert len(world.server.visits) == gets + 1, "and nothing else goes"


def test_where_nothing_automatic_may_go_no_deletion_goes() -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    world.mars().reports.forget(report.guid)
    world.host = machine(environ={"DO_NOT_TRACK": "1"})
    running(world, 33 * DAY)
    assert len(posted(world)) == 1
    assert world.mars().reports.list()[0]["deletion"] == "asked"


def test_a_report_on_its_way_is_not_sent_once_it_was_forgotten() -> None:
    world = a_world()
    released(world)
    assert world.mars().reports.forget(1) == "removed"
    running(world, LONGEST)
    assert (posted(world), kept(world), memory(world).pending) == ([], [], ())


def test_a_new_installation_forgets_reports_too() -> None:
    world = a_world()
    meet(world, fault())
    world.client().forget(lambda: None)
    assert world.store.names("report-") == ()
