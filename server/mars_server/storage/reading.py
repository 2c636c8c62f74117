"""What the operator may see: exact counts, weeks, and how many late hits were dropped.

These figures are not floored. They are for the operator's screen, never for a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from mars_server.common.calendar import iso_week
from mars_server.counting.reports import LATE, Dropped, Reports, Statistic
from mars_server.counting.tally import LEVEL, is_unread
from mars_server.storage.schema import (
    counts,
    dropped,
    meta,
    publications,
    sources,
    statistics,
    statistics_weeks,
    weeks,
)


@dataclass(frozen=True)
class Week:
    """One ISO week. ``published`` is Unix time, None while it is open or where it is left out."""

    week: str
    days: int
    """With hits, 0 to 7."""
    hits: int
    published: int | None
    late: int
    left_out: bool
    """Closed without being published: it lies too far back to be real."""


@dataclass(frozen=True)
class Totals:
    """Of the whole database."""

    product: str | None
    channel: str | None
    logs: int
    lines: int
    hits: int
    """Of all logs ever counted, late ones included; ``lines = hits + rejected``."""
    late: int

    @property
    def rejected(self) -> int:
        return self.lines - self.hits


LINES_BEFORE = "scrubbed_lines"
HITS_BEFORE = "scrubbed_hits"
"""In ``meta``: the totals of logs that are forgotten."""


def totals(engine: Engine) -> Totals:
    with engine.connect() as connection:
        held = {row.key: row.value for row in connection.execute(select(meta))}
        logs, lines, hits = connection.execute(
            select(func.count(), func.sum(sources.c.lines), func.sum(sources.c.hits))
        ).one()
        late = connection.scalar(select(func.sum(weeks.c.late)))
    return Totals(
        held.get("product"),
        held.get("channel"),
        int(logs),
        int(lines or 0) + int(held.get(LINES_BEFORE, 0)),
        int(hits or 0) + int(held.get(HITS_BEFORE, 0)),
        int(late or 0),
    )


def cells(engine: Engine, day: str | None = None) -> Iterator[tuple[str, str, str, int]]:
    """Day, variable, value and number of hits, sorted; of one ISO day or of all."""
    wanted = select(counts).order_by(counts.c.day, counts.c.variable, counts.c.value)
    if day is not None:
        wanted = wanted.where(counts.c.day == day)
    with engine.connect() as connection:
        for row in connection.execute(wanted):
            yield row.day, row.variable, row.value, row.n


def levels(engine: Engine) -> dict[str, dict[str, int]]:
    """Hits by day and level."""
    wanted = select(counts).where(counts.c.variable == LEVEL).order_by(counts.c.day)
    table: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for row in connection.execute(wanted):
            table.setdefault(row.day, {})[row.value] = row.n
    return table


def all_weeks(engine: Engine) -> list[Week]:
    """Every week with hits, published, or with late hits, the oldest first."""
    days: dict[str, list[int]] = {}
    for day, by_level in levels(engine).items():
        days.setdefault(iso_week(day), []).append(sum(by_level.values()))
    with engine.connect() as connection:
        closed = {row.week: row for row in connection.execute(select(weeks))}
        published = set(connection.scalars(select(publications.c.week)))
    shown = {*days, *published, *(week for week, row in closed.items() if row.late)}
    return [
        Week(
            week,
            len(days.get(week, [])),
            sum(days.get(week, [])),
            closed[week].published if week in published else None,
            closed[week].late if week in closed else 0,
            left_out=week in closed and week not in published,
        )
        for week in sorted(shown)
    ]


def reports(engine: Engine) -> Reports:
    """All that was opened of spools; what came too late, by its week too."""
    found = Reports()
    with engine.connect() as connection:
        for row in connection.execute(select(statistics)):
            found.counted[Statistic(row.week, row.name, row.release, row.value)] = row.n
        for row in connection.execute(select(dropped).where(dropped.c.n > 0)):
            found.dropped[Dropped(row.week, row.reason)] = row.n
        late = select(statistics_weeks).where(statistics_weeks.c.late > 0)
        for row in connection.execute(late):
            found.dropped[Dropped(row.week, LATE)] = row.late
    return found


def waiting(engine: Engine) -> int:
    """Lines of spools that are sealed to keys which no count was given."""
    with engine.connect() as connection:
        return int(connection.scalar(select(func.sum(sources.c.waiting))) or 0)


@dataclass(frozen=True)
class Overview:
    """What an operator wants to know without any count. Times are Unix seconds, None for never."""

    counted: int | None
    """When a log was last counted, or the day on which ``count`` ran and found none."""
    published: int | None
    """When a week was last published."""
    publish_ran: int | None
    """The day on which ``publish`` ran, whether a week was due or not."""
    weeks: frozenset[str]
    """ISO weeks that are published."""
    positions: dict[str, int]
    """Id of each of our own log generations to the number of its bytes that are counted."""
    unread: frozenset[str]
    """Ids of those that were counted as another format than they are written in."""
    waiting: frozenset[str] = frozenset()
    """Ids of spools in which lines wait for keys that were not given, or may count by another
    registry; not among ``positions``."""
    doctor_ran: int | None = None
    broken: int = 0
    """Promises that the doctor found broken then."""


def overview(engine: Engine) -> Overview:
    """Raises what SQLAlchemy raises where the database does not answer."""
    with engine.connect() as connection:
        counted = connection.execute(select(func.max(sources.c.counted))).scalar()
        closed = connection.execute(select(weeks.c.week, weeks.c.published)).all()
        own = connection.execute(select(sources).where(sources.c.own.is_not(None))).all()
        ran = {row.key: row.value for row in connection.execute(select(meta))}
    waits = frozenset(one.own for one in own if one.waiting or one.catalogue)
    unread = frozenset(one.own for one in own if one.stays or is_unread(one.lines, one.unread))
    return Overview(
        counted=max(filter(None, (counted, int(ran.get("count-ran", 0)))), default=None),
        published=max((when for _, when in closed), default=None),
        publish_ran=int(ran["publish-ran"]) if "publish-ran" in ran else None,
        weeks=frozenset(week for week, _ in closed),
        positions={one.own: one.position for one in own if one.own not in unread | waits},
        unread=unread,
        waiting=waits,
        doctor_ran=int(ran["doctor-ran"]) if "doctor-ran" in ran else None,
        broken=int(ran.get("doctor-broken", 0)),
    )
