"""Moves a database from SQLite to PostgreSQL or back, whole or not at all."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    MetaData,
    Select,
    Table,
    func,
    insert,
    select,
    text,
)

from mars.errors import StateError
from mars_server.storage import schema
from mars_server.storage.database import COUNTS, Tables, counting_lock, open_database
from mars_server.storage.marks_key import carry
from mars_server.storage.triage import schema as triage_schema
from mars_server.storage.triage.store import TRIAGE

_ROWS = 1000
"""Read and written at once."""


class Kind(NamedTuple):
    tables: Tables
    metadata: MetaData


_KINDS = (Kind(COUNTS, schema.metadata), Kind(TRIAGE, triage_schema.metadata))


def move(source: str, target: str) -> dict[str, int]:
    """Copies what ``source`` holds into ``target``, which is made if need be; rows by table.

    Nobody counts into either meanwhile. The source stays as it is. Raises as ``open_database``, and
    ``StateError``: ``database-not-empty`` where the target holds rows, ``database-differs`` where
    it does not hold the same afterwards (then it holds nothing).
    """
    old, kind = _opened(source)
    new = open_database(target, tables=kind.tables)
    try:
        with counting_lock(old), counting_lock(new):
            _require_empty(new, kind.metadata)
            if kind.tables is COUNTS:
                carry(old, new)
            with old.connect() as reading, new.begin() as writing:
                return {
                    table.name: _copied(table, reading, writing)
                    for table in kind.metadata.sorted_tables
                }
    finally:
        old.dispose()
        new.dispose()


def _opened(url: str) -> tuple[Engine, Kind]:
    counts, triage = _KINDS
    try:
        return open_database(url, create=False, tables=counts.tables), counts
    except StateError as error:
        if error.reason != "database-other":
            raise
    return open_database(url, create=False, tables=triage.tables), triage


def _require_empty(engine: Engine, metadata: MetaData) -> None:
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            if connection.scalar(select(func.count()).select_from(table)):
                raise StateError(
                    "database-not-empty",
                    f"The database that is moved to holds {table.name} already; give a new one.",
                )


def _copied(table: Table, reading: Connection, writing: Connection) -> int:
    found = reading.execute(_all(table))
    for rows in found.partitions():
        writing.execute(insert(table), [dict(row._mapping) for row in rows])
    n, held = _digest(table, reading)
    if (n, held) != _digest(table, writing):
        raise StateError(
            "database-differs", f"{table.name} was not the same afterwards; nothing was moved."
        )
    _go_on(table, writing)
    return n


def _all(table: Table) -> Select[Any]:
    return select(table).execution_options(yield_per=_ROWS)


def _digest(table: Table, connection: Connection) -> tuple[int, int]:
    """Number of rows, and a sum of their hashes: the two sort texts differently."""
    n = total = 0
    for row in connection.execute(_all(table)):
        values = [bytes(each) if isinstance(each, memoryview) else each for each in row]
        hashed = blake2b(repr(values).encode(), digest_size=16).digest()
        n, total = n + 1, (total + int.from_bytes(hashed)) % 2**128
    return n, total


def _go_on(table: Table, connection: Connection) -> None:
    """PostgreSQL numbers new rows by a sequence, which knows nothing of rows that had a number."""
    if connection.dialect.name != "postgresql":
        return
    column = table.autoincrement_column
    if column is None or not isinstance(column.type, Integer):
        return
    name = connection.scalar(
        text("SELECT pg_get_serial_sequence(:table, :column)"),
        {"table": table.name, "column": column.name},
    )
    last = connection.scalar(select(func.max(column)))
    if name and last:
        connection.execute(text("SELECT setval(:name, :last)"), {"name": name, "last": last})
