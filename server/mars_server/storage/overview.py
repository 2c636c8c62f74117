"""What an operator wants to know of the counts database without any count."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from mars_server.counting.tally import is_unread
from mars_server.storage.schema import meta, sources, weeks


@dataclass(frozen=True)
class Overview:
    """Times are Unix seconds, None for never."""

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


def overview(engine: Engine) -> Overview:
    """Raises what SQLAlchemy raises where the database does not answer."""
    with engine.connect() as connection:
        counted = connection.execute(select(func.max(sources.c.counted))).scalar()
        closed = connection.execute(select(weeks.c.week, weeks.c.published)).all()
        own = connection.execute(select(sources).where(sources.c.own.is_not(None))).all()
        ran = {row.key: row.value for row in connection.execute(select(meta))}
    unread = frozenset(one.own for one in own if one.stays or is_unread(one.lines, one.unread))
    return Overview(
        counted=max(filter(None, (counted, int(ran.get("count-ran", 0)))), default=None),
        published=max((when for _, when in closed), default=None),
        publish_ran=int(ran["publish-ran"]) if "publish-ran" in ran else None,
        weeks=frozenset(week for week, _ in closed),
        positions={one.own: one.position for one in own if one.own not in unread},
        unread=unread,
    )
