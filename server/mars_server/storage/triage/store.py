"""Opens the database of error reports, and what it remembers beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, Engine, func, select

from mars_server.storage.database import Tables, open_database
from mars_server.storage.ledger import Ledger, wipe
from mars_server.storage.triage import versions
from mars_server.storage.triage.schema import (
    crowds,
    dropped,
    groups,
    meta,
    reports,
    shares,
    spools,
    tombstones,
    trends,
)
from mars_server.storage.upsert import into

_EPOCH = "status-epoch"
TRIAGE = Tables("error reports", versions, "triage_version", "mars-server errors open", "0001")


def open_triage(
    url: str,
    *,
    create: bool = False,
    write: bool = True,
    made: Callable[[str], None] = lambda _: None,
) -> Engine:
    """Raises as ``open_database``."""
    return open_database(url, create=create, write=write, made=made, tables=TRIAGE)


def noted(connection: Connection, key: str) -> str | None:
    """What ``note`` stored, None for nothing."""
    return connection.scalar(select(meta.c.value).where(meta.c.key == key))


def note(connection: Connection, key: str, value: str) -> None:
    """In the place of what the key had."""
    new = into(connection, meta).values(key=key, value=value)
    held = {"value": new.excluded.value}
    connection.execute(new.on_conflict_do_update(index_elements=["key"], set_=held))


def bind(engine: Engine, product: str, channel: str) -> None:
    """Raises ``StateError`` (``other-product``) where the reports are of another product."""
    Ledger(engine).bind(product, channel)


def require(engine: Engine, product: str, channel: str) -> None:
    """As ``bind``, of a database that is only read."""
    Ledger(engine).require(product, channel)


def epoch(engine: Engine) -> int:
    """Of the last status document; 1 where there was none."""
    with engine.connect() as connection:
        return int(noted(connection, _EPOCH) or 1)


def note_epoch(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        note(connection, _EPOCH, str(number))


def positions(engine: Engine) -> dict[str, tuple[int, str]]:
    """Size and tail of each spool that was read to the end and in which nothing waits."""
    wanted = select(spools).where(spools.c.waiting == 0)
    with engine.connect() as connection:
        return {row.id: (row.size, row.tail) for row in connection.execute(wanted)}


def waiting(connection: Connection) -> int:
    """Lines of spools that wait for keys."""
    return connection.scalar(select(func.coalesce(func.sum(spools.c.waiting), 0))) or 0


def reasons(connection: Connection) -> dict[str, dict[str, int]]:
    """``{week: {reason: n}}`` of what was dropped."""
    table: dict[str, dict[str, int]] = {}
    for row in connection.execute(select(dropped).order_by(dropped.c.week, dropped.c.reason)):
        table.setdefault(row.week, {})[row.reason] = row.n
    return table


def held(connection: Connection) -> dict[str, int]:
    """How many rows there are of each kind."""
    kinds = (groups, reports, crowds, shares, tombstones)
    counted = (select(func.count()).select_from(table) for table in kinds)
    numbers = (connection.scalar(each) or 0 for each in counted)
    return {table.name: n for table, n in zip(kinds, numbers, strict=True)}


def wiped(engine: Engine) -> bool:
    """As ``mars_server.storage.ledger.wipe``."""
    return wipe(engine, tables=("reports", "shares", "crowds", "groups", "tombstones"))


# --- Weekly figures ---


def arrived(connection: Connection) -> list[tuple[str, int, str, str, int]]:
    """Week, group, release, kind (``direct``, ``crowd``) and number of all that can be read."""
    keys = reports.c.week, reports.c.group, reports.c.release
    direct = connection.execute(select(*keys, func.count()).group_by(*keys))
    joined = crowds.join(shares, crowds.c.tag == shares.c.tag)
    more = shares.c.week, crowds.c.group, crowds.c.release
    wanted = select(*more, func.count()).select_from(joined).group_by(*more)
    crowd = connection.execute(wanted.where(crowds.c.body.is_not(None)))
    found = (("direct", direct), ("crowd", crowd))
    return [(week, group, rel, kind, n) for kind, rows in found for week, group, rel, n in rows]


def first_week(connection: Connection) -> str | None:
    """Of all that came, whether or not it can be read."""
    weeks = (connection.scalar(select(func.min(table.c.week))) for table in (reports, shares))
    return min(filter(None, weeks), default=None)


def documents(connection: Connection) -> dict[str, str]:
    """What was kept of each week, in their order."""
    rows = connection.execute(select(trends).order_by(trends.c.week))
    return {row.week: row.document for row in rows}


def keep(connection: Connection, found: Mapping[str, str]) -> None:
    """What is there stays."""
    rows = [{"week": week, "document": text} for week, text in found.items()]
    if rows:
        connection.execute(into(connection, trends).on_conflict_do_nothing(), rows)
