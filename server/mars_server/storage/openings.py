"""Stores what was opened of spools: sums, reasons to drop, and which sealed lines are counted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Connection, delete, select, text, update

from mars_server.common.calendar import week_of
from mars_server.counting.reports import (
    DIGEST_BYTES,
    LATE,
    Digests,
    Reports,
    each,
    sums,
)
from mars_server.storage.schema import (
    dropped,
    intake_keys,
    openings,
    statistics,
    statistics_weeks,
)
from mars_server.storage.upsert import add, into, note

KEPT_DAYS = 42
"""Whole days after a week's end for which its digests are kept: a spool is gone before."""
_AT_ONCE = 4096
"""Digests in one statement."""
_FEW = 500
"""Of those that are looked for."""
_INTO = "INSERT INTO openings (week, digest) %s ON CONFLICT DO NOTHING"
_INTO_SQLITE = _INTO % "VALUES (?, ?)"
_INTO_POSTGRESQL = text(_INTO % "SELECT :week, unnest(CAST(:digests AS bytea[]))")


def store_opened(connection: Connection, opened: Digests) -> Reports:
    """Adds what was never seen before, in the caller's transaction. Late reports are dropped; their
    number stands beside the week."""
    if not opened:
        return Reports()
    closed = set(connection.scalars(select(statistics_weeks.c.week)))
    found = sums(opened, partial(_fresh, connection), closed, partial(_gone, connection))
    add(connection, statistics, found.counted)
    late = {one.week: n for one, n in sorted(found.dropped.items()) if one.reason == LATE}
    add(connection, dropped, {one: n for one, n in found.dropped.items() if one.reason != LATE})
    add(connection, dropped, {one: -n for one, n in found.rejudged.items() if n})
    for week, n in late.items():
        here = update(statistics_weeks).where(statistics_weeks.c.week == week)
        connection.execute(here.values(late=statistics_weeks.c.late + n))
    return found


OPENED = "spools-opened"
"""In ``meta``: when a spool was last read to its end with keys, in Unix seconds."""


def note_opened(connection: Connection, weeks: Mapping[str, str], now: int) -> None:
    """At ``now`` a spool was read to its end with keys of these weeks, by their ids; nothing where
    there are none."""
    if not weeks:
        return
    note(connection, OPENED, now)
    rows = [{"id": name, "week": week} for name, week in sorted(weeks.items())]
    connection.execute(into(connection, intake_keys).on_conflict_do_nothing(), rows)


def _fresh(connection: Connection, week: str, digests: bytes) -> int:
    step = _AT_ONCE * DIGEST_BYTES
    parts = (digests[at : at + step] for at in range(0, len(digests), step))
    return sum(_insert(connection, week, sorted(each(part))) for part in parts)


def _gone(connection: Connection, week: str, digests: bytes) -> int:
    """Forgets them; how many there were."""
    every, n = list(each(digests)), 0
    for at in range(0, len(every), _FEW):
        one = openings.c.digest.in_(every[at : at + _FEW])
        n += connection.execute(delete(openings).where(openings.c.week == week, one)).rowcount
    return n


def _insert(connection: Connection, week: str, digests: list[bytes]) -> int:
    """How many were new. By hand, since a row for each line is most of what storing costs."""
    if connection.dialect.name == "postgresql":
        told = {"week": week, "digests": digests}
        return connection.execute(_INTO_POSTGRESQL, told).rowcount
    rows = [(week, digest) for digest in digests]
    return connection.exec_driver_sql(_INTO_SQLITE, rows).rowcount


def prune(connection: Connection, now: int) -> None:
    """Forgets the digests of closed weeks that ended more than ``KEPT_DAYS`` before ``now`` (Unix
    seconds): whatever is sealed to their keys is late."""
    first = week_of(datetime.fromtimestamp(now, UTC).date() - timedelta(days=KEPT_DAYS))
    closed = select(statistics_weeks.c.week)
    old = delete(openings).where(openings.c.week < first, openings.c.week.in_(closed))
    connection.execute(old)
