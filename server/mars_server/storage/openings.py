"""Stores what was opened of spools: sums, reasons to drop, and which sealed lines are counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, select, update

from mars_server.common.calendar import week_of
from mars_server.counting.reports import (
    LATE,
    Digests,
    Reports,
    each,
    sums,
)
from mars_server.storage.schema import dropped, openings, statistics, statistics_weeks
from mars_server.storage.upsert import add, into

KEPT_DAYS = 42
"""Whole days after a week's end for which its digests are kept: a spool is gone before."""
_AT_ONCE = 500
"""Digests in one statement."""


def store_opened(connection: Connection, opened: Digests) -> Reports:
    """Adds what was never seen before, in the caller's transaction. Late reports are dropped; their
    number stands beside the week."""
    if not opened:
        return Reports()
    closed = set(connection.scalars(select(statistics_weeks.c.week)))
    found = sums(opened, lambda week, digests: _fresh(connection, week, digests), closed)
    add(connection, statistics, found.counted)
    late = {one.week: n for one, n in sorted(found.dropped.items()) if one.reason == LATE}
    add(connection, dropped, {one: n for one, n in found.dropped.items() if one.reason != LATE})
    for week, n in late.items():
        here = update(statistics_weeks).where(statistics_weeks.c.week == week)
        connection.execute(here.values(late=statistics_weeks.c.late + n))
    return found


def _fresh(connection: Connection, week: str, digests: bytes) -> int:
    new = into(connection, openings).on_conflict_do_nothing()
    rows = [{"week": week, "digest": one} for one in sorted(set(each(digests)))]
    told = new.returning(openings.c.digest)
    return len(connection.execute(told, rows).all())


def prune(connection: Connection, now: int) -> None:
    """Forgets the digests of closed weeks that ended more than ``KEPT_DAYS`` before ``now`` (Unix
    seconds): whatever is sealed to their keys is late."""
    first = week_of(datetime.fromtimestamp(now, UTC).date() - timedelta(days=KEPT_DAYS))
    closed = select(statistics_weeks.c.week)
    old = delete(openings).where(openings.c.week < first, openings.c.week.in_(closed))
    connection.execute(old)
