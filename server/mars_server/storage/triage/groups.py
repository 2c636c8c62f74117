"""Groups of faults: by which a report is found, and what a person says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, update

from mars.errors import StateError
from mars.wire.reports.fault import Fault
from mars_server.storage.triage.deleting import hashed, sweep
from mars_server.storage.triage.schema import crowds, groups, reports, shares, tombstones

_TOLD = ("state", "release", "summary", "how", "fix", "memo")


@dataclass(frozen=True)
class Group:
    """What a person said of the faults with one ``title``."""

    id: int
    title: str
    state: str
    release: str
    summary: str
    how: str
    fix: str
    memo: str
    changed: str


class Member(NamedTuple):
    """Equal faults of one release in a group, and how many of each kind."""

    group: int
    release: str
    fault: Fault
    direct: int = 0
    crowd: int = 0


class Report(NamedTuple):
    """A direct report."""

    guid: str
    group: int
    release: str
    fault: Fault
    platform: str
    message: str
    received: str


class Titles:
    """Finds the group of a fault, and makes it where there is none."""

    def __init__(self, connection: Connection, title: Callable[[Fault], str]) -> None:
        self._connection = connection
        self._title = title
        self._known: dict[str, int] = {}
        self._rows: dict[Fault, tuple[int, str]] = {}

    def row(self, fault: Fault) -> tuple[int, str]:
        """The number of its group, and its body as it is stored."""
        found = self._rows.get(fault)
        if found is None:
            found = self._rows[fault] = (self._group(fault), fault.body.decode())
        return found

    def _group(self, fault: Fault) -> int:
        title = self._title(fault)
        found = self._known.get(title)
        if found is None:
            found = self._known[title] = self._found(title) or self._made(title)
        return found

    def _found(self, title: str) -> int | None:
        column = groups.c.title
        row = self._connection.execute(
            select(groups.c.id, column).where(column.in_((title, hashed(title))))
        ).first()
        if row is None:
            return None
        if row.title != title:  # one in which nothing was left
            named = update(groups).where(groups.c.id == row.id).values(title=title)
            self._connection.execute(named)
        return int(row.id)

    def _made(self, title: str) -> int:
        new = insert(groups).values(title=title, changed="").returning(groups.c.id)
        return int(self._connection.execute(new).scalar_one())


def each(connection: Connection) -> list[Group]:
    """All groups, in the order in which they came up."""
    rows = connection.execute(select(groups).order_by(groups.c.id)).mappings()
    return [Group(**row) for row in rows]


def one(connection: Connection, number: int) -> Group:
    """Raises ``StateError`` (``group-unknown``)."""
    row = connection.execute(select(groups).where(groups.c.id == number)).mappings().first()
    if row is None:
        raise StateError("group-unknown", f"There is no group {number}; see errors list.")
    return Group(**row)


def change(connection: Connection, number: int, day: str, said: Mapping[str, str]) -> None:
    """Stores what a person says; keys are columns of ``groups``. Raises as ``one``."""
    if unknown := said.keys() - set(_TOLD):
        raise ValueError(unknown)
    one(connection, number)
    connection.execute(update(groups).where(groups.c.id == number).values(**said, changed=day))


def members(connection: Connection, number: int | None = None) -> list[Member]:
    """Of one group or of all."""
    found = (*_direct(connection, number), *_crowd(connection, number))
    return sorted(found, key=lambda it: (it.group, it.release, it.fault.body))


def _direct(connection: Connection, number: int | None) -> Iterator[Member]:
    keys = (reports.c.group, reports.c.release, reports.c.body)
    wanted = select(*keys, func.count().label("n")).group_by(*keys)
    rows = connection.execute(wanted if number is None else wanted.where(keys[0] == number))
    return (Member(*_of(row), direct=row.n) for row in rows)


def _crowd(connection: Connection, number: int | None) -> Iterator[Member]:
    keys = (crowds.c.group, crowds.c.release, crowds.c.body)
    joined = crowds.join(shares, crowds.c.tag == shares.c.tag)
    wanted = select(*keys, func.count().label("n")).select_from(joined).group_by(*keys)
    wanted = wanted.where(crowds.c.body.is_not(None))
    rows = connection.execute(wanted if number is None else wanted.where(keys[0] == number))
    return (Member(*_of(row), crowd=row.n) for row in rows)


def _of(row: Any) -> tuple[int, str, Fault]:
    return row.group, row.release, Fault.decode(row.body.encode())


def direct(connection: Connection, number: int | None = None) -> Iterator[Report]:
    """Of one group or of all, the newest first."""
    names = [reports.c[name] for name in ("guid", "group", "release", "body")]
    wanted = select(*names, reports.c.platform, reports.c.message, reports.c.received)
    wanted = wanted.order_by(reports.c.received.desc(), reports.c.guid)
    for row in connection.execute(wanted if number is None else wanted.where(names[1] == number)):
        yield Report(row.guid, *_of(row), row.platform, row.message, row.received)


def group_of(connection: Connection, guid: str) -> int | None:
    """The number of that of a direct report, None where there is no such report."""
    return connection.scalar(select(reports.c.group).where(reports.c.guid == guid))


def told_deleted(connection: Connection) -> list[bytes]:
    """First bytes of the GUIDs of reports that are deleted, the latest first."""
    wanted = select(tombstones.c.prefix).where(tombstones.c.told)
    return list(connection.scalars(wanted.order_by(tombstones.c.day.desc(), tombstones.c.prefix)))


class Unread(NamedTuple):
    """What nobody can read yet: faults, and shares of them."""

    faults: int
    shares: int


def unread(connection: Connection) -> Unread:
    """How much of it there is."""
    joined = crowds.join(shares, crowds.c.tag == shares.c.tag)
    found = func.count(func.distinct(crowds.c.tag)), func.count()
    wanted = select(*found).select_from(joined).where(crowds.c.body.is_(None))
    return Unread(*connection.execute(wanted).one())


def regroup(connection: Connection, title: Callable[[Fault], str]) -> None:
    """Puts all that can be read into its groups anew, by other lists. A new group takes over what a
    person said of the group that all of it comes from."""
    before = {each.id: each for each in each(connection)}
    titles = Titles(connection, title)
    came: dict[int, set[int]] = {}
    for member in members(connection):
        new, body = titles.row(member.fault)
        came.setdefault(new, set()).add(member.group)
        for table in (reports, crowds):
            here = (table.c.group == member.group, table.c.release == member.release)
            those = update(table).where(*here, table.c.body == body)
            connection.execute(those.values(group=new))
    for new, old in came.items():
        if new not in before and len(old) == 1:
            said = before[old.pop()]
            change(connection, new, said.changed, {name: getattr(said, name) for name in _TOLD})
    sweep(connection)
