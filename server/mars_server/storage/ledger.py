"""What is counted and how far: counts and positions change in one transaction, or neither does.

Hits of a published week are dropped; only their number is kept, beside the week.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from mars.errors import StateError
from mars.wire.times import DAY
from mars_server.common.calendar import iso_week
from mars_server.counting.foreign.identity import Source
from mars_server.counting.reports import SPOOL
from mars_server.counting.store_port import Advance, Stored
from mars_server.counting.tally import LEVEL, Tally
from mars_server.storage.database import LOCK_WAIT
from mars_server.storage.marks_key import marks_key
from mars_server.storage.openings import note_opened, prune, store_opened
from mars_server.storage.reading import HITS_BEFORE, LINES_BEFORE
from mars_server.storage.schema import archives, counts, dropped, gaps, meta, pairs, sources, weeks
from mars_server.storage.upsert import add, into, note

_COMMIT_LOCK = 0x636F6D6D6974
"""The key (``commit``) of PostgreSQL's advisory lock that lasts for one transaction."""
_DIGITS = 16
"""Hex digits of one rung of a ladder."""


class Ledger:
    """The counts database as the counter sees it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._positions: dict[int, int] = {}
        """How far each source was counted when this ledger last looked."""

    def bind(self, product: str, channel: str) -> None:
        """Raises ``StateError`` (``other-product``) where the counts belong to another product."""
        with self._engine.begin() as connection:
            for key, value in (("product", product), ("channel", channel)):
                # On PostgreSQL two that begin at once both find nothing; one waits for the other.
                first = into(connection, meta).values(key=key, value=value)
                connection.execute(first.on_conflict_do_nothing())
                held = connection.scalar(select(meta.c.value).where(meta.c.key == key))
                _require_own(key, held, value)

    def require(self, product: str, channel: str) -> None:
        """As ``bind``, of a database that is only read."""
        with self._engine.connect() as connection:
            for key, value in (("product", product), ("channel", channel)):
                held = connection.scalar(select(meta.c.value).where(meta.c.key == key))
                _require_own(key, held or value, value)

    def sources(self) -> list[Source]:
        wanted = select(*(sources.c[one.name] for one in fields(Source)))
        with self._engine.connect() as connection:
            rows = connection.execute(wanted).mappings()
            known = [Source(**{**row, **_sets(row)}) for row in rows]
        self._positions = {one.id: one.position for one in known}
        return known

    def archived(self, fingerprint: str) -> int | None:
        """The source of a compressed file that is counted to its end."""
        wanted = select(archives.c.source).where(archives.c.fingerprint == fingerprint)
        with self._engine.connect() as connection:
            return connection.scalar(wanted)

    def key(self) -> bytes:
        """Of the marks of foreign logs. Raises ``StateError`` (``marks-key``)."""
        return marks_key(self._engine)

    def replace_day(self, day: str, tally: Tally) -> None:
        """Puts ``tally`` in the place of what was counted for an ISO day.

        Raises ``StateError``: ``week-published`` where the day's week is published, and
        ``counted-elsewhere`` where another process counted since ``sources()``, for it may have
        added to this day.
        """
        with self._engine.begin() as connection:
            _one_at_a_time(connection)
            now = connection.execute(select(sources.c.id, sources.c.position)).all()
            if {row.id: row.position for row in now} != self._positions:
                raise _counted_elsewhere()
            if iso_week(day) in set(connection.scalars(select(weeks.c.week))):
                raise StateError(
                    "week-published", f"The week of {day} is published and never changes."
                )
            for table in (counts, pairs):
                connection.execute(delete(table).where(table.c.day == day))
            add(connection, counts, tally.cells)
            add(connection, pairs, tally.pairs)

    def commit(self, advances: Iterable[Advance], now: int) -> Stored:
        """Stores them all or none.

        ``now`` is Unix time.

        Raises ``StateError`` (``counted-elsewhere``) where another process moved a position, or
        made a source since ``sources()``, which may be one of these logs.
        """
        total = Tally()
        taken = list(advances)
        with self._engine.begin() as connection:
            _one_at_a_time(connection)
            newest = connection.scalar(select(func.max(sources.c.id)))
            if newest != max(self._positions, default=None):
                raise _counted_elsewhere()
            ids = []
            for one in taken:
                ids.append(_advance(connection, one, now))
                total.add(one.tally)
                note_opened(connection, one.opened, now)
            late = store(connection, total)
            reports = store_opened(connection, total.opened)
            prune(connection, now)
        self._positions |= {one: step.now.position for one, step in zip(ids, taken, strict=True)}
        return Stored(ids, late, reports)


def _require_own(key: str, held: str | None, value: str) -> None:
    if held != value:
        raise StateError(
            "other-product",
            f"This database belongs to the {key} {held}; give {value} one of its own.",
        )


def note_run(engine: Engine, command: str, now: int) -> None:
    """Remembers the day (``now`` in Unix seconds) on which ``count`` or ``publish`` last ran to its
    end, found it anything or not; written once a day."""
    with engine.begin() as connection:
        note(connection, f"{command}-ran", now // DAY * DAY)


def note_doctor(engine: Engine, broken: int, now: int) -> None:
    """Remembers when the doctor looked (Unix seconds), and how many promises were broken."""
    with engine.begin() as connection:
        note(connection, "doctor-ran", now)
        note(connection, "doctor-broken", broken)


def _one_at_a_time(connection: Connection) -> None:
    """Until the transaction ends, as SQLite's are anyway: a counter whose lock PostgreSQL took
    away, with its session, may still be at work."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_COMMIT_LOCK)))


def store(connection: Connection, tally: Tally) -> int:
    """Adds ``tally`` in the caller's transaction; returns the hits that came too late."""
    closed = set(connection.scalars(select(weeks.c.week)))
    late: Counter[str] = Counter()
    for (day, variable, _), n in tally.cells.items():
        if variable == LEVEL and (week := iso_week(day)) in closed:
            late[week] += n
    for week, n in sorted(late.items()):
        connection.execute(update(weeks).where(weeks.c.week == week).values(late=weeks.c.late + n))
    add(connection, counts, {k: n for k, n in tally.cells.items() if iso_week(k[0]) not in closed})
    add(connection, pairs, {k: n for k, n in tally.pairs.items() if iso_week(k[0]) not in closed})
    return late.total()


def _advance(connection: Connection, step: Advance, when: int) -> int:
    days = sorted({day for day, _, _ in step.tally.cells})
    now, kept = (
        step.now,
        ("position", "tail", "inode", "boot", "timeless", "waiting", "day", "catalogue"),
    )
    known = {name: getattr(now, name) for name in kept} | {
        "ladder": "".join(now.ladder),
        "keys": " ".join(sorted(now.keys)) or None,
        # To the day: a follower counts a foreign log's line within a second of its request.
        "counted": when if now.own else when // DAY * DAY,
    }
    if now.inode is not None:  # an inode is one log at a time
        connection.execute(update(sources).where(sources.c.inode == now.inode).values(inode=None))
    if not now.id:
        sums = {name: getattr(step.tally, name) for name in ("lines", "hits", "unread")}
        span = {"first_day": days[0] if days else None, "last_day": days[-1] if days else None}
        made = connection.execute(
            insert(sources).values(
                own=now.own, format=now.format, stays=now.stays, **sums, **span, **known
            )
        )
        key = made.inserted_primary_key
        assert key is not None
        number = int(key[0])
        if step.gap is not None and now.format == SPOOL:
            add(connection, dropped, {(iso_week(step.gap.day), "lost"): step.gap.lost})
        elif step.gap is not None:
            add(connection, gaps, {(step.gap.day,): step.gap.lost})
    else:
        number = now.id
        _move(connection, step, days, known)
    if step.fingerprint is not None:
        archive = into(connection, archives).values(fingerprint=step.fingerprint, source=number)
        connection.execute(archive.on_conflict_do_nothing())
    return number


def _move(
    connection: Connection, step: Advance, days: list[str], known: Mapping[str, object]
) -> None:
    here = (sources.c.id == step.now.id) & (sources.c.position == step.before)
    row = connection.execute(
        select(sources.c.first_day, sources.c.last_day).where(here).with_for_update()
    ).first()
    if row is None:
        raise _counted_elsewhere()
    span = sorted([*days, *(day for day in row if day is not None)])
    connection.execute(
        update(sources)
        .where(here)
        .values(
            lines=sources.c.lines + step.tally.lines,
            hits=sources.c.hits + step.tally.hits,
            unread=sources.c.unread + step.tally.unread,
            stays=func.coalesce(sources.c.stays, step.now.stays),
            first_day=span[0] if span else None,
            last_day=span[-1] if span else None,
            **known,
        )
    )


def _counted_elsewhere() -> StateError:
    return StateError(
        "counted-elsewhere",
        "Another process counted the same logs meanwhile; nothing was stored twice. Run again.",
    )


def _sets(row: Mapping[Any, Any]) -> dict[str, object]:
    """What stands as one text in a row of ``sources``."""
    return {"ladder": _rungs(row["ladder"]), "keys": frozenset((row["keys"] or "").split())}


def _rungs(ladder: str) -> tuple[str, ...]:
    return tuple(ladder[at : at + _DIGITS] for at in range(0, len(ladder), _DIGITS))


# --- What is known of logs, for deciding which may go; and the forgetting of those that went ---


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


def wipe(
    engine: Engine,
    patience: float = LOCK_WAIT,
    tables: Sequence[str] = (sources.name, archives.name),
) -> bool:
    """Takes what was forgotten of ``tables`` out of the database's own files; False where another
    program reads it for more than ``patience`` seconds, so that it stays in them for now.

    SQLite overwrites what it deletes, and its write-ahead log is emptied here. PostgreSQL writes
    the tables anew; its own write-ahead log holds the old rows until it is recycled.
    """
    milliseconds = int(1000 * patience)
    if engine.dialect.name == "postgresql":
        return _write_anew(engine, milliseconds, tables)
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


def _write_anew(engine: Engine, milliseconds: int, tables: Sequence[str]) -> bool:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"SET lock_timeout = {milliseconds}")
        try:
            connection.exec_driver_sql(f"VACUUM (FULL) {', '.join(tables)}")
        except StateError:
            return False
    return True


def _keep_totals(connection: Connection, number: int) -> None:
    lines, hits = connection.execute(
        select(sources.c.lines, sources.c.hits).where(sources.c.id == number)
    ).one()
    for key, n in ((LINES_BEFORE, lines), (HITS_BEFORE, hits)):
        held = connection.scalar(select(meta.c.value).where(meta.c.key == key))
        note(connection, key, int(held or 0) + n)
