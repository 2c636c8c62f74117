"""What is forgotten leaves the database's files too, and these are open to their owner alone."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Engine, insert, text

from mars_server.storage import open_database
from mars_server.storage.ledger import forget, wipe
from mars_server.storage.schema import sources

MARK = b"0123456789abcdef" * 2
ROW = {"own": None, "position": 100, "lines": 3, "hits": 2, "counted": 0}


def remember(engine: Engine, number: int, mark: bytes) -> None:
    row = {**ROW, "id": number, "ladder": mark.decode() * 20, "tail": mark.decode()}
    with engine.begin() as connection:
        connection.execute(insert(sources).values(row))


def bytes_of(engine: Engine) -> bytes:
    """All that the database's files hold of the logs, the write-ahead log of SQLite included."""
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CHECKPOINT"))
        read = text("SELECT pg_read_binary_file(pg_relation_filepath('sources'))")
        return bytes(connection.scalar(read) or b"")


def test_a_forgotten_mark_is_in_no_file_while_a_counter_goes_on(database_url: str) -> None:
    follower, engine = open_database(database_url), open_database(database_url)
    remember(follower, 1, MARK)
    remember(follower, 2, MARK[::-1])
    forget(engine, {1})
    assert MARK in bytes_of(engine)
    assert wipe(engine)
    found = bytes_of(engine)
    assert MARK not in found
    assert MARK[::-1] in found
    for one in (follower, engine):
        one.dispose()


def test_what_somebody_still_reads_is_said_to_stay(database_url: str) -> None:
    reader, engine = open_database(database_url), open_database(database_url)
    remember(engine, 1, MARK)
    raw = reader.raw_connection()
    cursor = raw.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SELECT count(*) FROM sources")
    cursor.fetchall()
    forget(engine, {1})
    assert not wipe(engine, patience=0.1)
    raw.rollback()
    assert wipe(engine)
    assert MARK not in bytes_of(engine)
    for one in (reader, engine):
        one.dispose()


def test_sqlite_overwrites_what_it_deletes(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/c.db")
    with engine.connect() as connection:
        assert connection.scalar(text("PRAGMA secure_delete")) == 1
    engine.dispose()


def test_exact_counts_are_nobody_elses(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        engine = open_database(f"sqlite:///{tmp_path}/c.db")
    finally:
        os.umask(before)
    remember(engine, 1, MARK)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"c.db": 0o600, "c.db-wal": 0o600, "c.db-shm": 0o600}
    engine.dispose()
