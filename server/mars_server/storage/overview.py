"""What an operator wants to know of the counts database without any count."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, func, select

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


def overview(engine: Engine) -> Overview:
    """Raises what SQLAlchemy raises where the database does not answer."""
    with engine.connect() as connection:
        counted = connection.execute(select(func.max(sources.c.counted))).scalar()
        closed = connection.execute(select(weeks.c.week, weeks.c.published)).all()
        own = connection.execute(
            select(sources.c.own, sources.c.position).where(sources.c.own.is_not(None))
        ).all()
    return Overview(
        counted=counted,
        published=max((when for _, when in closed), default=None),
        weeks=frozenset(week for week, _ in closed),
        positions={ident: position for ident, position in own if ident is not None},
    )
