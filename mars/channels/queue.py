"""Error reports on this computer: a file each, with a random name and no time but a day.

The user reads, releases and deletes them; what was sent stays as long as its deletion may be asked
for. Nothing of a report is written that the report would not say.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from mars.core.records import REPORT_FILES
from mars.core.state import DEEPEST, flag, of_type, read, table, text, time
from mars.errors import MarsError, StateError
from mars.ports import Store
from mars.wire.product import is_release
from mars.wire.strictjson import is_deep
from mars.wire.times import DAY

if TYPE_CHECKING:
    from mars.wire.reports.fault import Fault

CROWD, DIRECT = WAYS = ("crowd", "direct")
"""The two ways to send the same report; the first is meant where nothing is chosen."""
PREFIX, SUFFIX = REPORT_FILES, ".json"
"""Of the files' names."""
ID_BYTES = 8
MOST = 100
"""Files; beyond it the oldest go. Three a week make 77 in the time that they are kept."""
LIMIT = 64 * 1024
"""Bytes of one; ours have at most 35,000."""
UNSENT_KEPT = 30 * DAY
"""After its day, of a report that was not sent."""
SENT_KEPT = 180 * DAY
"""After it was sent: as long as a server may still have it that was asked to note something."""
VERSION = 1


@dataclass(frozen=True)
class Report:
    """One report. Days are UTC midnights, Unix time; None where it did not come to that."""

    id: str
    """16 hex digits, random."""
    fault: Fault
    release: str
    day: int
    """On which the fault was met."""
    guid: str
    """Of a direct report."""
    nonce: str
    """24 bytes, hex, of which GUID and key are made, or a crowd report is encrypted with."""
    platform: str
    counted: bool = False
    """Whether it counts for its week, and no other is of the same fault; what is written where a
    fault was just met waits for that."""
    way: str = CROWD
    message: str = ""
    """By the user's own hand; goes in a direct report alone."""
    share: str = ""
    """The inside of a crowd report, in base64, once it was made."""
    sent: int | None = None
    """When a byte of it left, or may have."""
    deletion: int | None = None
    """When the user asked for its deletion."""
    deleted: int | None = None
    """When a byte of that request left, or may have."""
    gone: bool = False
    """Whether the publisher said that it is deleted."""
    told: str = ""
    """What the user was last told of it."""

    @property
    def can_be_deleted(self) -> bool:
        """Whether there is something that a request would delete."""
        return self.sent is not None and self.way == DIRECT and not self.gone

    @property
    def asks_deletion(self) -> bool:
        """Whether such a request is still to go."""
        return self.deletion is not None and self.deleted is None and not self.gone

    def is_over(self, now: int) -> bool:
        """Whether it is to be dropped."""
        if self.asks_deletion:
            return False
        since, kept = (self.day, UNSENT_KEPT) if self.sent is None else (self.sent, SENT_KEPT)
        return now - since >= kept

    @property
    def inner(self) -> bytes:
        """Of ``share``."""
        return base64.b64decode(self.share)

    def encode(self) -> bytes:
        said = {**vars(self), "fault": self.fault.members}
        return f"{json.dumps({'version': VERSION, **said})}\n".encode("ascii")


def decode(data: bytes, id_: str) -> Report | None:
    """What ``Report.encode`` wrote; None of what is not that."""
    if len(data) > LIMIT or is_deep(data, DEEPEST):
        return None
    return read(_report, (data, id_))


def _report(given: tuple[bytes, str]) -> Report:
    data, id_ = given
    said = table(json.loads(data.decode("ascii")))
    if said.pop("version", None) != VERSION or said.pop("id", None) != id_:
        raise ValueError
    if said.keys() - _READERS.keys():
        raise ValueError
    found = {name: _READERS[name](value) for name, value in said.items()}
    return Report(id=id_, **found)


def _fault(value: object) -> Fault:
    from mars.wire.reports.fault import Fault  # late: it loads OpenSSL

    try:
        return Fault.read(table(value))
    except MarsError:
        raise ValueError from None


def _release(value: object) -> str:
    if not is_release(text(value)):
        raise ValueError
    return text(value)


def _way(value: object) -> str:
    if value not in WAYS:
        raise ValueError
    return text(value)


def _hex(value: object) -> str:
    bytes.fromhex(text(value))
    return text(value)


def _base64(value: object) -> str:
    try:
        base64.b64decode(text(value), validate=True)
    except binascii.Error:
        raise ValueError from None
    return text(value)


def _day(value: object) -> int | None:
    return None if value is None else time(value)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "fault": _fault,
    "release": _release,
    "day": time,
    "guid": text,
    "nonce": _hex,
    "platform": text,
    "counted": flag,
    "way": _way,
    "message": of_type(str),
    "share": _base64,
    "sent": _day,
    "deletion": _day,
    "deleted": _day,
    "gone": flag,
    "told": text,
}


@dataclass
class Queue:
    """The files of one installation. Who writes holds the state's lock.

    All raise ``StateError`` where a file cannot be read or written.
    """

    store: Store
    damaged: set[str] = field(default_factory=set)
    """Names of files that could not be understood at the last look; they are left as they are."""

    def all(self) -> dict[str, Report]:
        """Each by its id, the oldest first."""
        found, damaged = [], set[str]()
        for name in self.store.names(PREFIX):
            report = self._read(name)
            if report is None:
                damaged.add(name)
            else:
                found.append(report)
        self.damaged = damaged
        return {one.id: one for one in sorted(found, key=lambda one: (one.day, one.id))}

    def get(self, id_: str) -> Report | None:
        """None where there is none, or none that can be understood."""
        return self._read(name_of(id_))

    def _read(self, name: str) -> Report | None:
        data = self.store.read(name)
        id_ = name.removeprefix(PREFIX).removesuffix(SUFFIX)
        return None if data is None or name != name_of(id_) else decode(data, id_)

    def write(self, report: Report) -> None:
        self.store.write(name_of(report.id), report.encode())

    def delete(self, name: str) -> None:
        """The file of that name, or of the report of that id."""
        self.store.delete(name if name.startswith(PREFIX) else name_of(name))

    def settle(self, now: int) -> dict[str, Report]:
        """All, without those that are over or too many; each of a day to come, from a clock that
        was ahead, counts from today."""
        kept, today = self.all(), now - now % DAY
        free = [one for one in kept.values() if not one.asks_deletion]
        gone = [one for one in kept.values() if one.is_over(now)]
        gone += free[: max(len(kept) - MOST, 0)]
        for report in list(kept.values()):
            if report in gone:
                self.delete(kept.pop(report.id).id)
            elif max(report.day, report.sent or 0) > today:
                kept[report.id] = earlier(report, today)
                self.write(kept[report.id])
        return kept

    @property
    def damage(self) -> StateError | None:
        """What could not be understood at the last look."""
        if not self.damaged:
            return None
        names = ", ".join(sorted(self.damaged)[:3])
        return StateError(
            "report-damaged",
            f"{len(self.damaged)} error reports could not be understood and are not sent "
            f"({names}); remove each by mars report forget with the name of its file.",
        )


def name_of(id_: str) -> str:
    """Of its file."""
    return f"{PREFIX}{id_}{SUFFIX}"


def earlier(report: Report, today: int) -> Report:
    """With no day after ``today``."""
    days = {name: getattr(report, name) for name in ("day", "sent", "deletion", "deleted")}
    said = {name: None if at is None else min(at, today) for name, at in days.items()}
    return Report(**{**vars(report), **said})


def plain(report: Report) -> dict[str, Any]:
    """For whoever takes all that is kept of it along."""
    return {**asdict(report), "fault": report.fault.members}
