"""Forgets the sources whose weeks are published: from then on their lines could only be dropped."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from mars_server.counting.calendar import iso_week
from mars_server.counting.retention import Known, Policy
from mars_server.counting.tally import LEVEL
from mars_server.storage.reading import HITS_BEFORE, LINES_BEFORE
from mars_server.storage.schema import counts, meta, sources, weeks


def known(engine: Engine) -> list[Known]:
    wanted = select(sources.c.id, sources.c.first_day, sources.c.last_day, sources.c.counted)
    with engine.connect() as connection:
        return [Known(*row) for row in connection.execute(wanted)]


def open_weeks(engine: Engine) -> set[str]:
    """The weeks with hits that are not closed: neither published nor left out."""
    with engine.connect() as connection:
        days = connection.scalars(select(counts.c.day).where(counts.c.variable == LEVEL).distinct())
        return {iso_week(day) for day in days} - set(connection.scalars(select(weeks.c.week)))


def forget(engine: Engine, rule: Policy) -> int:
    """Removes every source that ``rule`` does not spare, keeping the totals; returns how many."""
    gone = [one.id for one in known(engine) if rule.spares(one) is None]
    with engine.begin() as connection:
        for number in gone:
            _keep_totals(connection, [number])
            connection.execute(delete(sources).where(sources.c.id == number))
    return len(gone)


def _keep_totals(connection: Connection, numbers: Collection[int]) -> None:
    lines, hits = connection.execute(
        select(func.sum(sources.c.lines), func.sum(sources.c.hits)).where(sources.c.id.in_(numbers))
    ).one()
    for key, n in ((LINES_BEFORE, lines), (HITS_BEFORE, hits)):
        held = connection.scalar(select(meta.c.value).where(meta.c.key == key))
        if held is None:
            connection.execute(insert(meta).values(key=key, value=str(n or 0)))
        else:
            new = str(int(held) + int(n or 0))
            connection.execute(update(meta).where(meta.c.key == key).values(value=new))
