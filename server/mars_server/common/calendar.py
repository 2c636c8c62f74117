"""Days as logs write them, and as we do. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from mars.wire import times

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {name.encode(): number for number, name in enumerate(MONTHS, 1)}


@lru_cache(maxsize=1024)
def iso_day(day: bytes) -> str | None:
    """``2026-03-02`` for ``02/Mar/2026``; None where the calendar has no such day."""
    try:
        return date(int(day[7:]), _NUMBERS[day[3:6]], int(day[:2])).isoformat()
    except (KeyError, ValueError):
        return None


@lru_cache(maxsize=4096)
def iso_week(day: str) -> str:
    """``2026-W12`` for an ISO day (ISO 8601: weeks start on Monday, week 1 holds 4 January)."""
    return week_of(date.fromisoformat(day))


# --- ISO weeks (ISO 8601): Monday to Sunday in UTC, written ``2026-W12`` ---

SETTLE_DAYS = 2
"""Whole days after a week's end before it is published; logs of its last day are in by then."""
FIRST_WEEK = "2020-W01"
"""Weeks before this come from a machine whose clock was dead; the first client is younger."""
week_of, monday, is_week = times.week_of_day, times.monday, times.is_week


def sunday(week: str) -> date:
    """The last day of ``week``."""
    return monday(week) + timedelta(days=6)


def days(week: str) -> list[str]:
    """The seven ISO dates of ``week``."""
    first = monday(week)
    return [(first + timedelta(days=n)).isoformat() for n in range(7)]


def following(week: str) -> str:
    return week_of(monday(week) + timedelta(days=7))


def span(first: str, last: str) -> Iterator[str]:
    """All weeks from ``first`` to ``last``, both included; nothing where ``last`` is earlier."""
    day, end = monday(first), monday(last)
    while day <= end:
        yield week_of(day)
        day += timedelta(days=7)


def utc_day(moment: int) -> date:
    """Of Unix seconds."""
    return datetime.fromtimestamp(moment, UTC).date()


def settled(now: int) -> str:
    """The latest week that ended at least ``SETTLE_DAYS`` before ``now`` (Unix seconds)."""
    return week_of(utc_day(now) - timedelta(days=7 + SETTLE_DAYS))


def due(week: str) -> date:
    """The first day on which ``week`` can be published."""
    return sunday(week) + timedelta(days=1 + SETTLE_DAYS)


STALE_DAYS = 7
"""Whole days that a spool's day may lie outside its key's week: clocks are wrong by less. Whoever
plays a body back later gains nothing."""


def is_stale(day: date, week: str) -> bool:
    """Whether ``day`` lies more than ``STALE_DAYS`` outside ``week``."""
    off = timedelta(days=STALE_DAYS)
    return not monday(week) - off <= day <= sunday(week) + off
