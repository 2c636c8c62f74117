"""What is known of logs, for deciding which may go; and the forgetting of those that went."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Engine, delete, insert, select, update

from mars.errors import StateError
from mars_server.common.calendar import iso_week
from mars_server.counting.tally import LEVEL
from mars_server.storage.database import LOCK_WAIT
from mars_server.storage.reading import HITS_BEFORE, LINES_BEFORE
from mars_server.storage.schema import counts, meta, sources, weeks


def open_weeks(engine: Engine) -> set[str]:
    """The weeks with hits that are not closed: neither published nor left out."""
    with engine.connect() as connection:
        days = connection.scalars(select(counts.c.day).where(counts.c.variable == LEVEL).distinct())
        return {iso_week(day) for day in days} - set(connection.scalars(select(weeks.c.week)))


def forget(engine: Engine, numbers: Iterable[int]) -> None:
    """Removes these sources, keeping the totals."""
    with engine.begin() as connection:
        for number in sorted(numbers):
            _keep_totals(connection, number)
            connection.execute(delete(sources).where(sources.c.id == number))


def wipe(engine: Engine, patience: float = LOCK_WAIT) -> bool:
    """Takes what was forgotten out of the database's own files; False where another program reads
    it for more than ``patience`` seconds, so that it stays in them for now.

    SQLite overwrites what it deletes, and its write-ahead log is emptied here. PostgreSQL writes
    the tables anew; its own write-ahead log holds the old rows until it is recycled.
    """
    milliseconds = int(1000 * patience)
    if engine.dialect.name == "postgresql":
        return _write_anew(engine, milliseconds)
    raw = engine.raw_connection()  # without the transaction that all others begin with
    try:
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout={milliseconds}")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        row = cursor.fetchone()  # whether it was kept from it, and two numbers of pages
        return row is not None and not row[0]
    except engine.dialect.loaded_dbapi.Error:
        return False
    finally:
        raw.close()


def _write_anew(engine: Engine, milliseconds: int) -> bool:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")
        try:
            connection.exec_driver_sql("VACUUM (FULL) sources, archives")
        except StateError:
            return False
    return True


def _keep_totals(connection: Connection, number: int) -> None:
    lines, hits = connection.execute(
        select(sources.c.lines, sources.c.hits).where(sources.c.id == number)
    ).one()
    for key, n in ((LINES_BEFORE, lines), (HITS_BEFORE, hits)):
        held = connection.scalar(select(meta.c.value).where(meta.c.key == key))
        if held is None:
            connection.execute(insert(meta).values(key=key, value=str(n)))
        else:
            new = str(int(held) + n)
            connection.execute(update(meta).where(meta.c.key == key).values(value=new))
