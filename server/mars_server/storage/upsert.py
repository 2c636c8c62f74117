"""INSERT … ON CONFLICT, which both databases know, each in its own dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection, Table

from mars_server.storage.schema import meta

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_Key = TypeVar("_Key", bound=tuple[str, ...])


def add(connection: Connection, table: Table, cells: Mapping[_Key, int]) -> None:
    """Adds each number to its row of ``table``, whose last column it is."""
    if not cells:
        return
    *keys, last = names = table.columns.keys()
    new = into(connection, table)
    sums = {last: table.c[last] + new.excluded[last]}
    upsert = new.on_conflict_do_update(index_elements=keys, set_=sums)
    # Sorted, so that two writers take row locks in the same order and cannot deadlock.
    rows = [dict(zip(names, (*key, n), strict=True)) for key, n in sorted(cells.items())]
    connection.execute(upsert, rows)


def into(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Only the one that is used is loaded: each takes a tenth of a second of CPU time."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as into_postgresql

        return into_postgresql(table)
    from sqlalchemy.dialects.sqlite import insert as into_sqlite

    return into_sqlite(table)


def note(connection: Connection, key: str, value: int | str) -> None:
    """Puts ``value`` in the place of what ``meta`` holds under ``key``."""
    new = into(connection, meta).values(key=key, value=str(value))
    held = {"value": new.excluded.value}
    connection.execute(new.on_conflict_do_update(index_elements=["key"], set_=held))
