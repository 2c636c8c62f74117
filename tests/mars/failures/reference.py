"""What is counted of failures, as the sentences of docs/hooks.md say it, slowly.

Nothing is bounded here, everything is kept in clear, and each question is answered by looking
through all of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from mars.wire.times import DAY, WEEK, week_start

Subject = str | int | bytes | None
Told = tuple[str, str, dict[str, str], int]
"""Kind, cause, dimensions and Unix time."""

_numbers = count()


@dataclass(eq=False)
class Record:
    """A failure, from its beginning."""

    subject: Subject
    cause: str
    dimensions: dict[str, str]
    wall: int
    running: int
    key: int | None
    """The hash key of its week; each has a number."""
    has_failed: bool = False
    is_over: bool = False
    """Resolved, or of no more interest."""


@dataclass(eq=False)
class Handle:
    """What ``fail`` gives."""

    record: Record | None


@dataclass(frozen=True)
class Count:
    day: int
    cause: str
    subject: Subject
    key: int | None
    dimensions: dict[str, str]


@dataclass
class Written:
    """What is kept, or what a process gained and has not written."""

    counts: list[Count] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    succeeded: list[tuple[int, int]] = field(default_factory=list)
    last: dict[tuple[int, str], dict[str, str]] = field(default_factory=dict)
    seen: set[tuple[Subject, int]] = field(default_factory=set)
    """Subjects that count, each with the key that it is hashed with."""
    keys: list[tuple[int, int]] = field(default_factory=list)
    """Week and number, the one that is used of a week first."""


def recent(keys: list[tuple[int, int]], wall: int) -> list[tuple[int, int]]:
    return [one for one in keys if one[0] >= week_start(wall) - WEEK]


@dataclass
class Process:
    grace: int
    late: int
    watched: bool
    counting: bool = False
    records: list[Record] = field(default_factory=list)
    gained: Written = field(default_factory=Written)
    seen: set[tuple[Subject, int]] = field(default_factory=set)
    keys: list[tuple[int, int]] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def look(self, running: int) -> None:
        for one in self.records:
            if not (one.has_failed or one.is_over) and running - one.running >= self.grace:
                one.has_failed = True
                at = one.wall + self.grace
                self.told.append(("failed", one.cause, one.dimensions, at))
                if self.counting:
                    self._count(one, at // DAY)
            if running - one.running >= self.late:
                one.is_over = True

    def _count(self, one: Record, day: int) -> None:
        self.gained.counts.append(Count(day, one.cause, one.subject, one.key, one.dimensions))
        self.gained.last[day, one.cause] = one.dimensions
        if one.key is not None:
            self.seen.add((one.subject, one.key))

    def fail(
        self, cause: str, subject: Subject, dimensions: dict[str, str], wall: int, running: int
    ) -> Handle:
        if not (self.counting or self.watched):
            return Handle(None)
        self.look(running)
        key = None
        if subject is not None:
            key = self._key(wall)
            known = {number for _, number in self.keys}
            for one in self.records:
                if one.subject == subject and one.key in known and not one.is_over:
                    if not one.has_failed and one.cause != cause:
                        one.cause, one.dimensions = cause, dimensions
                    return Handle(one)
            if any((subject, number) in self.seen for number in known):
                return Handle(None)
        record = Record(subject, cause, dimensions, wall, running, key)
        self.records.append(record)
        self.look(running)
        return Handle(record)

    def _key(self, wall: int) -> int:
        self.keys = recent(self.keys, wall)
        week = week_start(wall + self.grace)
        for one, number in self.keys:
            if one == week:
                return number
        self.keys.append((week, next(_numbers)))
        return self.keys[-1][1]

    def resolve(self, handle: Handle, wall: int, running: int) -> None:
        self.look(running)
        record, handle.record = handle.record, None
        if record is None or record not in self.records or record.is_over:
            return
        record.is_over = True
        if record.has_failed:
            self.told.append(("late", record.cause, record.dimensions, wall))
            if self.counting:
                self.gained.late.append((record.wall + self.grace) // DAY)

    def succeed(self, tries: int, wall: int) -> None:
        if self.counting:
            self.gained.succeeded.append((wall // DAY, tries))

    def write(self, kept: Written, wall: int, running: int) -> None:
        """Where it counts."""
        self.look(running)
        new = set()
        for one in self.gained.counts:
            if one.key is None or (one.subject, one.key) not in kept.seen:
                kept.counts.append(one)
                new.add((one.day, one.cause))
            if one.key is not None and (one.subject, one.key) in self.seen:
                kept.seen.add((one.subject, one.key))
                week = next((of for of, number in self.keys if number == one.key), None)
                if week is not None and (week, one.key) not in kept.keys:
                    kept.keys.append((week, one.key))
        kept.last |= {of: last for of, last in self.gained.last.items() if of in new}
        kept.late += self.gained.late
        kept.succeeded += self.gained.succeeded
        self.gained = Written()
        prune(kept, wall)
        self.know(kept, wall)

    def know(self, kept: Written, wall: int) -> None:
        if not self.counting:
            self.forget()
        self.counting = True
        self.seen |= kept.seen
        own = [one for one in self.keys if one not in kept.keys]
        self.keys = recent([*kept.keys, *own], wall)

    def forget(self) -> None:
        self.counting = False
        self.records.clear()
        self.gained = Written()
        self.seen.clear()
        self.keys.clear()


def prune(kept: Written, wall: int) -> None:
    oldest = wall // DAY - 7
    kept.counts = [one for one in kept.counts if one.day >= oldest]
    kept.late = [day for day in kept.late if day >= oldest]
    kept.succeeded = [one for one in kept.succeeded if one[0] >= oldest]
    kept.keys = recent(kept.keys, wall)
    known = {number for _, number in kept.keys}
    kept.seen = {one for one in kept.seen if one[1] in known}


def told(kept: Written, wall: int, since: int) -> dict[str, Any]:
    """Causes with their counts and last dimensions, the late, the failed and the succeeded of the
    last seven complete days."""
    days = [day for day in range(wall // DAY - 7, wall // DAY) if day * DAY >= since]
    counts: dict[str, int] = {}
    last: dict[str, dict[str, str]] = {}
    for day in days:
        for one in kept.counts:
            if one.day == day:
                counts[one.cause] = counts.get(one.cause, 0) + 1
                last[one.cause] = kept.last[day, one.cause]
    return {
        "failed": counts,
        "last": last,
        "late": sum(day in days for day in kept.late),
        "succeeded": sum(tries for day, tries in kept.succeeded if day in days),
    }
