"""Stores what was opened of spools, each line once, and what ten shares give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection, func, insert, select, update

from mars.wire.reports.crowd import NEEDED, Share
from mars.wire.reports.direct import Deletion, Direct, prefix_of
from mars.wire.reports.fault import Fault
from mars_server.storage.triage.deleting import buried, bury, remove
from mars_server.storage.triage.groups import Titles
from mars_server.storage.triage.schema import (
    crowds,
    dropped,
    openings,
    reports,
    shares,
    spools,
)
from mars_server.storage.upsert import add, into

FEW = 500
"""Values that are looked for in one statement."""
_SIZE = 32
DELETED = "deleted"
"""The reason of a report that came after its deletion."""
_T = TypeVar("_T")


class Arrival(NamedTuple):
    """A line that was opened: ``said`` by a report of ``release``, or a reason to drop it."""

    week: str
    digest: bytes
    release: str
    said: Direct | Deletion | Share | str


@dataclass
class Stored:
    """How many lines were new, by what they are, and how many were dropped, by reason."""

    kept: Counter[str] = field(default_factory=Counter)
    """``direct``, ``crowd``, ``deletion``."""
    dropped: Counter[str] = field(default_factory=Counter)
    repeated: int = 0

    def add(self, other: Stored) -> None:
        self.kept.update(other.kept)
        self.dropped.update(other.dropped)
        self.repeated += other.repeated


def known(connection: Connection, digests: Mapping[bytes, str]) -> frozenset[bytes]:
    """Those of ``digests``, which have their weeks, that were opened before."""
    weeks: dict[str, list[bytes]] = {}
    for digest, week in digests.items():
        weeks.setdefault(week, []).append(digest)
    column = openings.c.digest
    found = (
        connection.scalars(select(column).where(openings.c.week == week, column.in_(part)))
        for week, those in weeks.items()
        for part in _parts(those)
    )
    return frozenset(one for part in found for one in part)


def store(
    connection: Connection,
    arrivals: Sequence[Arrival],
    day: str,
    title: Callable[[Fault], str],
) -> Stored:
    """Stores them, in the caller's transaction; none was ever stored. ``day``: of their spool;
    ``title`` says which group a fault belongs to."""
    out = Stored()
    if arrivals:
        rows = [{"week": each.week, "digest": each.digest} for each in arrivals]
        connection.execute(insert(openings), rows)
    out.dropped.update(each.said for each in arrivals if isinstance(each.said, str))
    _store_direct(connection, arrivals, day, Titles(connection, title), out)
    _store_shares(connection, arrivals, day, out)
    _delete(connection, arrivals, day, out)
    _note_dropped(connection, arrivals)
    return out


def _store_direct(
    connection: Connection, arrivals: Iterable[Arrival], day: str, titles: Titles, out: Stored
) -> None:
    new = {each.said.guid: each for each in arrivals if isinstance(each.said, Direct)}
    out.repeated += sum(isinstance(each.said, Direct) for each in arrivals) - len(new)
    here = _guids(connection, list(new))
    gone = buried(connection, set(new) - here)
    out.repeated += len(here)
    out.dropped[DELETED] += len(gone)
    for guid in gone:
        add(connection, dropped, {(new[guid].week, DELETED): 1})
    wanted = [each for guid, each in new.items() if guid not in here | gone]
    rows = [_report(each, day, titles) for each in wanted]
    out.kept["direct"] += len(rows)
    if rows:
        connection.execute(insert(reports), rows)


def _guids(connection: Connection, guids: Sequence[str]) -> frozenset[str]:
    column = reports.c.guid
    found = (connection.scalars(select(column).where(column.in_(part))) for part in _parts(guids))
    return frozenset(one for part in found for one in part)


def _report(arrival: Arrival, day: str, titles: Titles) -> dict[str, object]:
    direct = arrival.said
    assert isinstance(direct, Direct)
    said = direct.content
    group, body = titles.row(said.fault)
    return {
        "guid": direct.guid,
        "group": group,
        "release": arrival.release,
        "body": body,
        "platform": said.platform,
        "message": said.message,
        "week": arrival.week,
        "received": day,
    }


def _store_shares(
    connection: Connection, arrivals: Iterable[Arrival], day: str, out: Stored
) -> None:
    came = [each for each in arrivals if isinstance(each.said, Share)]
    new = {(row["tag"], row["x"]): row for row in (_share(each, day) for each in came)}
    for tag, x in _points(connection, new):
        del new[tag, x]
    out.kept["crowd"] += len(new)
    out.repeated += len(came) - len(new)
    if new:
        tags = {_crowd(each)["tag"]: _crowd(each) for each in came}
        connection.execute(into(connection, crowds).on_conflict_do_nothing(), [*tags.values()])
        connection.execute(insert(shares), [*new.values()])


def _points(
    connection: Connection, wanted: Collection[tuple[object, object]]
) -> set[tuple[str, bytes]]:
    """Those of ``wanted``, tags and abscissae, that are there."""
    column = shares.c.x
    parts = (
        connection.execute(select(shares.c.tag, column).where(column.in_(part)))
        for part in _parts([x for _, x in wanted])
    )
    return {(row.tag, row.x) for part in parts for row in part} & set(wanted)


def _crowd(arrival: Arrival) -> dict[str, object]:
    share = arrival.said
    assert isinstance(share, Share)
    return {"tag": share.tag, "release": arrival.release, "commitments": share.commitments}


def _share(arrival: Arrival, day: str) -> dict[str, object]:
    share = arrival.said
    assert isinstance(share, Share)
    numbers = {name: getattr(share, name).to_bytes(_SIZE, "little") for name in ("x", "y")}
    told = {"tag": share.tag, "nonce": share.nonce, "encrypted": share.encrypted}
    return {**told, **numbers, "week": arrival.week, "received": day}


def _delete(connection: Connection, arrivals: Iterable[Arrival], day: str, out: Stored) -> None:
    guids = [each.said.guid for each in arrivals if isinstance(each.said, Deletion)]
    out.kept["deletion"] += len(guids)
    if guids:
        here = _guids(connection, guids)
        remove(connection, here)
        prefixes = {prefix_of(guid) or b"": guid in here for guid in guids}
        bury(connection, prefixes, day)


def _note_dropped(connection: Connection, arrivals: Iterable[Arrival]) -> None:
    cells = Counter((each.week, each.said) for each in arrivals if isinstance(each.said, str))
    add(connection, dropped, cells)


def _parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (values[at : at + FEW] for at in range(0, len(values), FEW))


# --- Which spools were read ---


class Seen(NamedTuple):
    """A spool that was read to the end."""

    size: int
    tail: str
    waiting: int
    keys: frozenset[str]


def seen(connection: Connection) -> dict[str, Seen]:
    """All of them, by their ids."""
    rows = connection.execute(select(spools))
    return {
        row.id: Seen(row.size, row.tail, row.waiting, frozenset(row.keys.split())) for row in rows
    }


def note_spool(connection: Connection, spool: str, found: Seen, day: str) -> None:
    """That it was read to its end on ``day`` (ISO), in the place of what was noted before."""
    said = {
        "size": found.size,
        "tail": found.tail,
        "waiting": found.waiting,
        "keys": " ".join(sorted(found.keys)) if found.waiting else "",
        "opened": day,
    }
    new = into(connection, spools).values(id=spool, **said)
    connection.execute(new.on_conflict_do_update(index_elements=["id"], set_=said))


# --- What ten shares give ---


def ripe(connection: Connection) -> dict[str, str]:
    """Tags with as many shares as are needed that were not recovered yet, and their releases."""
    joined = crowds.join(shares, crowds.c.tag == shares.c.tag)
    wanted = select(crowds.c.tag, crowds.c.release).select_from(joined)
    wanted = wanted.where(crowds.c.body.is_(None)).group_by(crowds.c.tag, crowds.c.release)
    rows = connection.execute(wanted.having(func.count() >= NEEDED).order_by(crowds.c.tag))
    return {row.tag: row.release for row in rows}


def shares_of(connection: Connection, tag: str) -> list[Share]:
    """Of one crowd, by their abscissae."""
    joined = shares.join(crowds, crowds.c.tag == shares.c.tag)
    wanted = select(shares, crowds.c.commitments).select_from(joined)
    rows = connection.execute(wanted.where(shares.c.tag == tag).order_by(shares.c.x))
    return [
        Share(_number(row.x), _number(row.y), row.commitments, row.nonce, row.encrypted)
        for row in rows
    ]


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def reveal(
    connection: Connection, found: Mapping[str, Fault], title: Callable[[Fault], str]
) -> None:
    """Puts what was recovered by tag into its groups."""
    titles = Titles(connection, title)
    for tag, fault in found.items():
        said = dict(zip(("group", "body"), titles.row(fault), strict=True))
        connection.execute(update(crowds).where(crowds.c.tag == tag).values(said))
