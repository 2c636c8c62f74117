"""Reads exact weekly counts for publication and keeps what was published, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, func, insert, select, update

from mars_server.common.calendar import iso_week
from mars_server.counting.tally import LEVEL
from mars_server.storage.schema import (
    counts,
    documents,
    gaps,
    meta,
    pairs,
    publications,
    sources,
    weeks,
)
from mars_server.tables.compose import Exact
from mars_server.tables.signed_documents import Served

_FOREIGN_LOGS = "foreign_logs"
"""In ``meta``: a log of another server was counted."""


@dataclass(frozen=True)
class StoredWeek:
    """One published week as it is kept: the bytes of ``WEEK.json``, and the exact number of late
    hits that was known, and so reported, by then."""

    week: str
    document: bytes
    late_seen: int


class StoredWeeks:
    """What was published, and the exact counts it is made of, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def lock(self) -> None:
        """Keeps counters out until this transaction ends, so that a week closes exactly once.

        SQLite transactions already hold the only write lock (``BEGIN IMMEDIATE``). On PostgreSQL
        every counter reads ``weeks`` in the transaction in which it adds, so this waits for those
        that have begun, and the others wait for this.
        """
        if self._connection.dialect.name == "postgresql":
            self._connection.exec_driver_sql("LOCK TABLE weeks IN ACCESS EXCLUSIVE MODE")

    def owner(self) -> tuple[str | None, str | None]:
        """Product and channel that the database belongs to, None where nothing was counted yet."""
        found = {row.key: row.value for row in self._connection.execute(select(meta))}
        return found.get("product"), found.get("channel")

    def hits_by_day(self) -> dict[str, int]:
        """All hits of each day that has some."""
        query = select(counts.c.day, func.sum(counts.c.n)).where(counts.c.variable == LEVEL)
        return {day: int(n) for day, n in self._connection.execute(query.group_by(counts.c.day))}

    def last_counted(self) -> int | None:
        """When logs were last counted (Unix seconds), None where no log is remembered."""
        found = self._connection.scalar(select(func.max(sources.c.counted)))
        return None if found is None else int(found)

    def note_foreign(self) -> bool:
        """Whether a log was counted that our own server did not write; noted, so that it stays
        known when the log is forgotten."""
        noted = select(meta.c.value).where(meta.c.key == _FOREIGN_LOGS)
        if self._connection.scalar(noted) is not None:
            return True
        one = select(sources.c.id).where(sources.c.own.is_(None)).limit(1)
        if self._connection.scalar(one) is None:
            return False
        self._connection.execute(insert(meta).values(key=_FOREIGN_LOGS, value="yes"))
        return True

    def exact(self, first: str) -> dict[str, Exact]:
        """Exact counts by week, for all weeks with data from the day ``first`` on."""
        single: dict[str, dict[str, dict[str, int]]] = {}
        query = select(counts).where(counts.c.day >= first)
        for row in self._connection.execute(query):
            table = single.setdefault(iso_week(row.day), {}).setdefault(row.variable, {})
            table[row.value] = table.get(row.value, 0) + row.n
        crossed: dict[str, dict[tuple[str, str], int]] = {}
        for row in self._connection.execute(select(pairs).where(pairs.c.day >= first)):
            cells = crossed.setdefault(iso_week(row.day), {})
            cells[row.v, row.os] = cells.get((row.v, row.os), 0) + row.n
        lost: Counter[str] = Counter()
        for row in self._connection.execute(select(gaps).where(gaps.c.day >= first)):
            lost[iso_week(row.day)] += row.lost
        return {
            week: Exact(single.get(week, {}), crossed.get(week, {}), lost[week])
            for week in sorted(single.keys() | lost.keys())
        }

    def kept(self) -> list[StoredWeek]:
        """All published weeks, oldest first."""
        rows = self._connection.execute(select(publications).order_by(publications.c.week))
        return [StoredWeek(row.week, row.document.encode("ascii"), row.late_seen) for row in rows]

    def published(self) -> dict[str, bytes]:
        """The bytes of every published week, by week."""
        return {each.week: each.document for each in self.kept()}

    def late(self) -> int:
        """The exact number of hits dropped because their week was published."""
        return int(
            self._connection.execute(select(func.coalesce(func.sum(weeks.c.late), 0))).scalar_one()
        )

    def keep(self, week: StoredWeek, now: int) -> None:
        """Records ``week`` as published at ``now`` (Unix seconds) and closes it to the counter."""
        self._connection.execute(
            insert(publications).values(
                week=week.week, document=week.document.decode("ascii"), late_seen=week.late_seen
            )
        )
        done = self._connection.execute(
            update(weeks).where(weeks.c.week == week.week).values(published=now)
        )
        if done.rowcount == 0:
            self._connection.execute(insert(weeks).values(week=week.week, published=now, late=0))

    def closed(self) -> set[str]:
        """All weeks that take no more hits: published ones, and those that were left out."""
        return set(self._connection.scalars(select(weeks.c.week)))

    def leave_out(self, names: Iterable[str], now: int) -> None:
        """Closes these weeks at ``now`` (Unix seconds) without publishing them."""
        known = self.closed()
        rows = [{"week": name, "published": now, "late": 0} for name in names if name not in known]
        if rows:
            self._connection.execute(insert(weeks), rows)

    def served(self) -> list[Served]:
        """All documents that were ever named to ``publish``, oldest first."""
        query = select(documents).order_by(documents.c.serial, documents.c.sha256)
        return [
            Served(row.sha256, row.payload_sha256, row.serial, row.reportback_next)
            for row in self._connection.execute(query)
        ]

    def keep_served(self, document: Served) -> None:
        """Records a document; where it is known, only what it asks for, if nobody noted that."""
        mine = documents.c.sha256 == document.sha256
        if self._connection.scalar(select(documents.c.sha256).where(mine)) is None:
            self._connection.execute(insert(documents).values(**asdict(document)))
            return
        unknown = update(documents).where(mine, documents.c.reportback_next.is_(None))
        self._connection.execute(unknown.values(reportback_next=document.reportback_next))


@contextmanager
def stored(engine: Engine) -> Iterator[StoredWeeks]:
    """One transaction; undone where the body raises."""
    with engine.begin() as connection:
        yield StoredWeeks(connection)
