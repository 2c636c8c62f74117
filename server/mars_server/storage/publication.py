"""Reads exact weekly counts for publication and keeps what was published, byte for byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, Engine, Table, func, insert, select, update

from mars_server.common.calendar import is_stale, iso_week, sunday, week_of
from mars_server.counting.tally import LEVEL
from mars_server.storage.openings import KEPT_DAYS, OPENED
from mars_server.storage.schema import (
    counts,
    documents,
    dropped,
    gaps,
    intake_keys,
    meta,
    pairs,
    publications,
    sources,
    statistics,
    statistics_publications,
    statistics_weeks,
    weeks,
)
from mars_server.storage.upsert import note
from mars_server.tables.compose import Exact
from mars_server.tables.signed_documents import Served
from mars_server.tables.statistics import Reports

_FOREIGN_LOGS = "foreign_logs"
"""In ``meta``: a log of another server was counted."""
_UNCERTAIN = "statistics_taken_over"
"""In ``meta``: the last week of reports whose document was taken over from a folder."""
LOST = "lost"
"""In ``dropped``: reports that the disk refused."""


@dataclass(frozen=True)
class StoredWeek:
    """One published week as it is kept: the bytes of its document, and the exact number of late
    hits, or reports, that was known, and so reported, by then."""

    week: str
    document: bytes
    late_seen: int


class Closed:
    """The weeks of hits, or of reports, that are closed, and what was published of them, within one
    transaction."""

    def __init__(self, connection: Connection, weeks: Table, publications: Table) -> None:
        self._connection = connection
        self._weeks, self._publications = weeks, publications

    def kept(self) -> list[StoredWeek]:
        """All published weeks, oldest first."""
        wanted = select(self._publications).order_by(self._publications.c.week)
        rows = self._connection.execute(wanted)
        return [StoredWeek(row.week, row.document.encode("ascii"), row.late_seen) for row in rows]

    def published(self) -> dict[str, bytes]:
        """The bytes of every published week, by week."""
        return {each.week: each.document for each in self.kept()}

    def made(self) -> dict[str, str]:
        """In which week each closed one was closed."""
        return {
            row.week: week_of(datetime.fromtimestamp(row.published, UTC).date())
            for row in self._connection.execute(select(self._weeks))
        }

    def late(self) -> int:
        """The exact number that was dropped because its week was published."""
        late = func.coalesce(func.sum(self._weeks.c.late), 0)
        return int(self._connection.execute(select(late)).scalar_one())

    def keep(self, week: StoredWeek, now: int) -> None:
        """Records ``week`` as published at ``now`` (Unix seconds) and closes it to the counter."""
        document = week.document.decode("ascii")
        row = {"week": week.week, "document": document, "late_seen": week.late_seen}
        self._connection.execute(insert(self._publications).values(row))
        mine = self._weeks.c.week == week.week
        done = self._connection.execute(update(self._weeks).where(mine).values(published=now))
        if done.rowcount == 0:
            self.leave_out([week.week], now)

    def closed(self) -> set[str]:
        """All weeks that take no more: published ones, and those that were left out."""
        return set(self._connection.scalars(select(self._weeks.c.week)))

    def leave_out(self, names: Iterable[str], now: int) -> None:
        """Closes these weeks at ``now`` (Unix seconds) without publishing them."""
        known = self.closed()
        rows = [{"week": name, "published": now, "late": 0} for name in names if name not in known]
        if rows:
            self._connection.execute(insert(self._weeks), rows)


class StoredReports(Closed):
    """The weeks of reports, and the exact sums that they are made of."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, statistics_weeks, statistics_publications)

    def by_week(self) -> dict[str, int]:
        """All reports of each week that has some."""
        query = select(statistics.c.week, func.sum(statistics.c.n)).group_by(statistics.c.week)
        return {week: int(n) for week, n in self._connection.execute(query)}

    def lines_by_day(self) -> dict[str, int]:
        """The lines of the spools of each day that has some, reports or not."""
        query = select(sources.c.day, func.sum(sources.c.lines)).where(sources.c.day.is_not(None))
        return {day: int(n) for day, n in self._connection.execute(query.group_by(sources.c.day))}

    def last_opened(self) -> int | None:
        """When a spool was last read to its end with keys (Unix seconds), None where none was."""
        found = self._connection.scalar(select(meta.c.value).where(meta.c.key == OPENED))
        return None if found is None else int(found)

    def waiting(self) -> int:
        """Lines of spools that are sealed to keys which were not given."""
        return int(self._connection.scalar(select(func.sum(sources.c.waiting))) or 0)

    def locked(self, names: Iterable[str], now: int) -> list[str]:
        """Those of the weeks ``names`` of which reports may wait at ``now`` (Unix seconds): there
        is a spool whose lines may be of the week, some of them wait, and no key of the week was
        given for it. Lines that wait although it was are junk, or of another week. Of a week that
        was long over when a spool was last opened, the spools are gone: by the clock of ``publish``
        alone, which may be wrong, no week is given up."""
        keys = {row.id: row.week for row in self._connection.execute(select(intake_keys))}
        wanted = select(sources.c.day, sources.c["keys"])
        rows = self._connection.execute(
            wanted.where(sources.c.waiting > 0, sources.c.day.is_not(None))
        ).all()
        opened = [
            (date.fromisoformat(day), {keys.get(each) for each in (ids or "").split()})
            for day, ids in rows
        ]
        moment = min(now, self.last_opened() or now)
        oldest = datetime.fromtimestamp(moment, UTC).date() - timedelta(days=KEPT_DAYS)
        return sorted(
            week
            for week in names
            if sunday(week) >= oldest
            and any(not is_stale(day, week) and week not in given for day, given in opened)
        )

    def exact(self, first: str) -> dict[str, Reports]:
        """Exact sums by week, for all weeks with reports, or lost ones, from ``first`` on."""
        counts: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
        for row in self._connection.execute(select(statistics).where(statistics.c.week >= first)):
            entry = counts.setdefault(row.week, {}).setdefault(row.name, {})
            entry.setdefault(row.release, {})[row.value] = row.n
        losses = select(dropped).where(dropped.c.week >= first, dropped.c.reason == LOST)
        lost = {row.week: row.n for row in self._connection.execute(losses)}
        return {
            week: Reports(counts.get(week, {}), lost.get(week, 0)) for week in counts.keys() | lost
        }

    def uncertain(self) -> str:
        """The last week that was taken over from a folder; an empty text where none was."""
        wanted = select(meta.c.value).where(meta.c.key == _UNCERTAIN)
        return self._connection.scalar(wanted) or ""

    def note_uncertain(self, week: str) -> None:
        """Of ``week`` and those before, the sums that are here need not be all that was counted."""
        note(self._connection, _UNCERTAIN, max(self.uncertain(), week))


class StoredWeeks(Closed):
    """What was published, and the exact counts it is made of, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, weeks, publications)
        self.statistics = StoredReports(connection)

    def lock(self) -> None:
        """Keeps counters out until this transaction ends, so that a week closes exactly once.

        SQLite transactions already hold the only write lock (``BEGIN IMMEDIATE``). On PostgreSQL
        every counter reads the closed weeks in the transaction in which it adds, so this waits for
        those that have begun, and the others wait for this.
        """
        if self._connection.dialect.name == "postgresql":
            tables = "weeks, statistics_weeks"
            self._connection.exec_driver_sql(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")

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
        note(self._connection, _FOREIGN_LOGS, 1)
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
