"""What is deleted, and when: on request, after its time, beyond the quota. Nothing of it stays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import Connection, Table, bindparam, delete, exists, func, or_, select, update

from mars.wire.reports.direct import prefix_of
from mars_server.storage.triage.schema import (
    crowds,
    dropped,
    groups,
    openings,
    reports,
    shares,
    spools,
    tombstones,
)
from mars_server.storage.upsert import add, into

KEPT = "resolved"
"""The state of a group that stays, as a hash, when nothing is left in it."""


def remove(connection: Connection, guids: Collection[str]) -> int:
    """Deletes direct reports; how many there were."""
    if not guids:
        return 0
    gone = delete(reports).where(reports.c.guid == bindparam("it"))
    n = sum(connection.execute(gone, {"it": guid}).rowcount for guid in guids)
    sweep(connection)
    return n


def bury(connection: Connection, prefixes: Mapping[bytes, bool], day: str) -> None:
    """Notes that these are deleted; True where there was a report."""
    for prefix, was_here in prefixes.items():
        new = into(connection, tombstones).values(prefix=prefix, day=day, told=was_here)
        held = {"told": or_(tombstones.c.told, new.excluded.told)}
        connection.execute(new.on_conflict_do_update(index_elements=["prefix"], set_=held))


def buried(connection: Connection, guids: Collection[str]) -> frozenset[str]:
    """Those whose deletion came before; from then on the broadcast says so."""
    deleted = frozenset(connection.scalars(select(tombstones.c.prefix))) if guids else frozenset()
    prefixes = {prefix_of(guid) or b"": guid for guid in guids} if deleted else {}
    held = deleted & prefixes.keys()
    met = update(tombstones).where(tombstones.c.prefix == bindparam("it")).values(told=True)
    for prefix in held:
        connection.execute(met, {"it": prefix})
    return frozenset(prefixes[prefix] for prefix in held)


def sweep(connection: Connection) -> None:
    """Of groups in which nothing is left: they go, or their titles do where a person resolved
    them, so that what is fixed stays fixed."""
    empty = ~exists(select(1).where(reports.c.group == groups.c.id)) & ~exists(
        select(1).where(crowds.c.group == groups.c.id)
    )
    connection.execute(delete(groups).where(empty, groups.c.state != KEPT))
    left = select(groups.c.id, groups.c.title).where(empty, ~groups.c.title.startswith("#"))
    for row in connection.execute(left).all():
        hidden = update(groups).where(groups.c.id == row.id).values(title=hashed(row.title))
        connection.execute(hidden)


def hashed(title: str) -> str:
    """What stands for the title of a group in which nothing is left."""
    return f"#{blake2b(title.encode(), digest_size=16).hexdigest()}"


class Limits(NamedTuple):
    """First days that stay (ISO), and the least ISO week."""

    kept: str
    """Of reports, shares and tombstones."""
    spools: str
    week: str
    """Of hashes of lines that were opened."""


class Gone(NamedTuple):
    """How many went."""

    reports: int
    shares: int
    tombstones: int


def expire(connection: Connection, limits: Limits) -> Gone:
    """Deletes what is over its time: direct reports after the last change, their group's by a
    person included; shares, read or not, after they came."""
    changed = select(groups.c.id).where(groups.c.changed >= limits.kept)
    old = reports.c.received < limits.kept
    out = Gone(
        connection.execute(delete(reports).where(old, reports.c.group.not_in(changed))).rowcount,
        connection.execute(delete(shares).where(shares.c.received < limits.kept)).rowcount,
        connection.execute(delete(tombstones).where(tombstones.c.day < limits.kept)).rowcount,
    )
    connection.execute(delete(openings).where(openings.c.week < limits.week))
    connection.execute(delete(spools).where(spools.c.opened < limits.spools))
    _drop_crowds(connection)
    return out


def _drop_crowds(connection: Connection) -> None:
    some = exists(select(1).where(shares.c.tag == crowds.c.tag))
    connection.execute(delete(crowds).where(~some))
    sweep(connection)


class Quota(NamedTuple):
    """The most that is kept."""

    reports: int
    shares: int
    tombstones: int


def shrink(connection: Connection, quota: Quota) -> Gone:
    """Deletes what is beyond ``quota``, the oldest first: reports whose group nobody has answered,
    shares of crowds that nobody can read, tombstones, those of reports that never came before all
    others."""
    unread = (groups.c.state == "open") & (groups.c.summary == "") & (groups.c.memo == "")
    oldest = select(reports.c.guid).where(reports.c.group.in_(select(groups.c.id).where(unread)))
    oldest = oldest.order_by(reports.c.received, reports.c.guid)
    over = _over(connection, reports, quota.reports)
    first = oldest.limit(over).scalar_subquery()
    n = connection.execute(delete(reports).where(reports.c.guid.in_(first))).rowcount if over else 0
    out = Gone(n, _shrink_shares(connection, quota), _shrink_tombstones(connection, quota))
    _drop_crowds(connection)
    return out


def note_quota(connection: Connection, gone: Gone, week: str) -> None:
    """Counts what went for the quota among what was dropped."""
    if n := sum(gone):
        add(connection, dropped, {(week, "quota"): n})


def _shrink_shares(connection: Connection, quota: Quota) -> int:
    over = _over(connection, shares, quota.shares)
    if not over:
        return 0
    readable = select(crowds.c.tag).where(crowds.c.body.is_not(None))
    oldest = select(shares.c.tag, shares.c.x).where(shares.c.tag.not_in(readable))
    oldest = oldest.order_by(shares.c.received, shares.c.x).limit(over)
    gone = delete(shares).where(shares.c.tag == bindparam("t"), shares.c.x == bindparam("n"))
    rows = connection.execute(oldest).all()
    return sum(connection.execute(gone, {"t": row.tag, "n": row.x}).rowcount for row in rows)


def _shrink_tombstones(connection: Connection, quota: Quota) -> int:
    over = _over(connection, tombstones, quota.tombstones)
    if not over:
        return 0
    oldest = select(tombstones.c.prefix).order_by(tombstones.c.told, tombstones.c.day)
    first = oldest.limit(over).scalar_subquery()
    return connection.execute(delete(tombstones).where(tombstones.c.prefix.in_(first))).rowcount


def _over(connection: Connection, table: Table, most: int) -> int:
    held = connection.scalar(select(func.count()).select_from(table))
    return max(0, (held or 0) - most)
