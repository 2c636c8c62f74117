"""Adds tallies to the counts; what belongs to a published week is dropped and only numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date

from sqlalchemy import Connection, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from mars_server.counting.tally import LEVEL, Cell, Tally
from mars_server.storage.schema import counts, pairs, weeks


def iso_week(day: str) -> str:
    """``2026-W12`` for an ISO day."""
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year:04d}-W{week:02d}"


def store(connection: Connection, tally: Tally) -> int:
    """Adds ``tally`` in the caller's transaction; returns the hits that came too late."""
    closed = set(connection.scalars(select(weeks.c.week)))
    late: Counter[str] = Counter()
    for (day, variable, _), n in tally.cells.items():
        if variable == LEVEL and (week := iso_week(day)) in closed:
            late[week] += n
    for week, n in late.items():
        connection.execute(update(weeks).where(weeks.c.week == week).values(late=weeks.c.late + n))
    _add(connection, counts, {k: n for k, n in tally.cells.items() if iso_week(k[0]) not in closed})
    _add(connection, pairs, {k: n for k, n in tally.pairs.items() if iso_week(k[0]) not in closed})
    return late.total()


def _add(connection: Connection, table: Table, cells: Mapping[Cell, int]) -> None:
    if not cells:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    names = [column.name for column in table.columns]
    insert = dialect.insert(table)
    upsert = insert.on_conflict_do_update(
        index_elements=names[:3], set_={"n": table.c.n + insert.excluded.n}
    )
    # Sorted, so that two writers take row locks in the same order and cannot deadlock.
    rows = [dict(zip(names, (*key, n), strict=True)) for key, n in sorted(cells.items())]
    connection.execute(upsert, rows)
