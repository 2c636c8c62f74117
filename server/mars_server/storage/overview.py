"""What an operator wants to know of the counts database without any count."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

from mars_server.counting.tally import is_unread
from mars_server.storage.schema import sources, weeks


@dataclass(frozen=True)
class Overview:
    """Times are Unix seconds, None for never."""

    counted: int | None
    """When a log was last counted."""
    published: int | None
    """When a week was last published."""
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
        wanted = select(sources.c.own, sources.c.position, sources.c.lines, sources.c.unread)
        own = connection.execute(wanted.where(sources.c.own.is_not(None))).all()
    unread = frozenset(one.own for one in own if is_unread(one.lines, one.unread))
    return Overview(
        counted=counted,
        published=max((when for _, when in closed), default=None),
        weeks=frozenset(week for week, _ in closed),
        positions={one.own: one.position for one in own if one.own not in unread},
        unread=unread,
    )
