"""What is counted of the failures of one domain, a day at a time, and what is kept of it. Pure.

What processes of one user gain adds up: each hands ``merged`` what it gained since it last wrote,
and learns from the result what the others counted.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Protocol, TypeVar

from mars.core.state import of_type, read, table, text, time, times
from mars.failures.subjects import HASH_BYTES, KEY_BYTES, MOST, Counted
from mars.wire.events import FAILED_SHARE, LATE_KEY, NONE, Domain, failed_share
from mars.wire.registry import BOOLS
from mars.wire.times import DAY, LAST, WEEK, day_of, number_of, week_start

TOLD = 7
"""Complete days that are told."""
MOST_DAYS = 16
"""Days that are kept: these and today, and as many again of a clock that was ahead."""
MOST_KEYS = 4
"""Of this week and the last one, and what processes drew at once, or a wrong clock had drawn."""
MOST_COUNTED = 10**9
"""Of one thing in a day. Far beyond what is told apart, so that a share of many tries is right."""


class _OfWeek(Protocol):
    @property
    def week(self) -> int: ...


K = TypeVar("K", bound=_OfWeek)


@dataclass
class Day:
    """What counts on one day (UTC)."""

    failed: dict[str, int] = field(default_factory=dict)
    """By cause."""
    last: dict[str, dict[str, str]] = field(default_factory=dict)
    """By cause: the dimensions of its last failure, in the words of a report."""
    late: int = 0
    """How many of these failures resolved late."""
    succeeded: int = 0


@dataclass(frozen=True)
class Seen:
    """Subjects that count, by their hashes under one key."""

    week: int
    """Of the days on which they count: its Monday, Unix time."""
    key: bytes
    hashes: Mapping[bytes, Counted | None]
    """None of those that were written before."""


@dataclass(frozen=True)
class Counts:
    """What is kept, or what one process gained since it last wrote."""

    days: Mapping[int, Day] = field(default_factory=dict)
    """By the day since 1970-01-01."""
    seen: tuple[Seen, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.days or self.seen)

    def plain(self) -> dict[str, Any]:
        """As JSON, for ``read``. Hashes are sorted: in their order they would tell that of the
        failures. What a clock says after the year 9999 is left out."""
        days = {_iso(n * DAY): vars(self.days[n]) for n in sorted(self.days) if n * DAY <= LAST}
        seen = [
            {"week": _iso(one.week), "key": _coded(one.key), "hashes": _coded(*one.hashes)}
            for one in self.seen
            if one.week <= LAST
        ]
        return {"days": days, "seen": seen}

    @classmethod
    def read(cls, value: object) -> Counts:
        """Of each day, and of each key, that is not understood nothing."""
        kept = read(table, value) or {}
        days = [read(_dated, one) for one in (read(table, kept.get("days")) or {}).items()]
        seen = [read(_seen, one) for one in read(of_type(list), kept.get("seen")) or []]
        found = dict(sorted(one for one in days if one is not None)[:MOST_DAYS])
        return cls(found, tuple(one for one in seen if one is not None)[:MOST_KEYS])


def total(counts: Counts, days: Iterable[int]) -> Day:
    """All that counts on ``days``, which are in order."""
    return _sum(counts.days[day] for day in days if day in counts.days)


def told(counts: Counts, domain: Domain, now: int, since: int = 0) -> dict[str, int | str]:
    """What the entries of ``domain`` say, by their keys: of the last seven complete days at ``now``
    that began at or after ``since`` (Unix times)."""
    today = now // DAY
    week = total(counts, (n for n in range(today - TOLD, today) if n * DAY >= since))
    said: dict[str, int | str] = {}
    for name in domain.names:
        said[name.name] = week.failed.get(name.name, 0)
        last = week.last.get(name.name, {})
        for dimension in name.dimensions:
            value = last.get(dimension.name, NONE)
            known = dimension.values or BOOLS
            said[f"{name.name}.{dimension.name}"] = value if value in known else NONE
    failed = sum(week.failed.get(name.name, 0) for name in domain.names if not name.expected)
    share = failed_share(failed, failed + week.succeeded)
    return {**said, FAILED_SHARE: share, LATE_KEY: week.late}


def merged(kept: Counts, gained: Counts, now: int) -> Counts:
    """``kept`` with ``gained``, which is newer, and without what is too old at ``now`` (Unix time).
    A subject that both have counted counts as ``kept`` has it."""
    twice = Counter(_twice(kept, gained))
    more = {
        number: _without(day, {name: n for (on, name), n in twice.items() if on == number})
        for number, day in gained.days.items()
    }
    days = added(kept.days, more)
    return _recent(Counts(days, _joined(kept.seen, gained.seen)), now)


def added(days: Mapping[int, Day], more: Mapping[int, Day]) -> dict[int, Day]:
    """Both; ``more`` is newer."""
    both = {number: _sum([days.get(number, Day()), day]) for number, day in more.items()}
    return {**days, **both}


def recent(keys: Sequence[K], now: int) -> tuple[K, ...]:
    """Those of the last week at ``now`` (Unix time) and after it; of too many the nearest."""
    week = week_start(now)
    near = sorted(
        (one for one in keys if one.week >= week - WEEK), key=lambda one: abs(one.week - week)
    )
    return tuple(near[:MOST_KEYS])


def _recent(counts: Counts, now: int) -> Counts:
    today = now // DAY
    days = sorted((n for n in counts.days if n >= today - TOLD), key=lambda n: abs(n - today))
    return Counts({n: counts.days[n] for n in days[:MOST_DAYS]}, recent(counts.seen, now))


def _sum(days: Iterable[Day]) -> Day:
    """Of ``days`` in order."""
    found = Day()
    for day in days:
        for name, count in day.failed.items():
            found.failed[name] = min(found.failed.get(name, 0) + count, MOST_COUNTED)
        found.last |= day.last
        found.late = min(found.late + day.late, MOST_COUNTED)
        found.succeeded = min(found.succeeded + day.succeeded, MOST_COUNTED)
    return found


def _twice(kept: Counts, gained: Counts) -> Iterable[Counted]:
    known = {(one.week, one.key): one.hashes for one in kept.seen}
    for one in gained.seen:
        before = known.get((one.week, one.key), {})
        yield from (at for each, at in one.hashes.items() if at is not None and each in before)


def _without(day: Day, less: Mapping[str, int]) -> Day:
    left = {name: count - less.get(name, 0) for name, count in day.failed.items()}
    failed = {name: count for name, count in left.items() if count > 0}
    return replace(day, failed=failed, last={n: v for n, v in day.last.items() if n in failed})


def _joined(kept: Collection[Seen], gained: Collection[Seen]) -> tuple[Seen, ...]:
    """Those of ``kept`` first: under the first key of a week the next hashes are made."""
    both: dict[tuple[int, bytes], dict[bytes, Counted | None]] = {}
    for one in (*kept, *gained):
        both.setdefault((one.week, one.key), {}).update(one.hashes)
    newest = ((of, dict([*hashes.items()][-MOST:])) for of, hashes in both.items())
    return tuple(Seen(*of, hashes) for of, hashes in newest)


# --- plain JSON ------------------------------------------------------------------------------


def _iso(seconds: int) -> str:
    return day_of(seconds).isoformat()


def _coded(*parts: bytes) -> str:
    return base64.b64encode(b"".join(sorted(parts))).decode("ascii")


def _number(value: object) -> int:
    """The day of an ISO date."""
    return number_of(date.fromisoformat(text(value)))


def _decoded(value: object) -> bytes:
    return base64.b64decode(text(value), validate=True)  # what it raises is a ValueError


def _dated(value: tuple[str, object]) -> tuple[int, Day]:
    said = table(value[1])
    last = {name: _texts(each) for name, each in table(said["last"]).items()}
    return _number(value[0]), Day(
        times(said["failed"]), last, time(said["late"]), time(said["succeeded"])
    )


def _texts(value: object) -> dict[str, str]:
    return {name: text(one) for name, one in table(value).items()}


def _seen(value: object) -> Seen:
    said = table(value)
    key, hashes = _decoded(said["key"]), _decoded(said["hashes"])
    if len(key) != KEY_BYTES or len(hashes) % HASH_BYTES or len(hashes) > MOST * HASH_BYTES:
        raise ValueError
    each = (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))
    return Seen(week_start(_number(said["week"]) * DAY), key, dict.fromkeys(each))
