"""Times on the wire: ``2026-11-21T00:00:00Z``; inside the program whole Unix seconds, UTC.

Weeks are those of ISO 8601, Monday to Sunday in UTC, written ``2026-W12``; week 1 holds 4 January.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

from mars.errors import WireError

DAY = 86_400
"""Seconds."""
WEEK = 7 * DAY
LAST = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that can be written with four digits of year."""

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})", re.ASCII)
_START = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str) -> int:
    """Unix seconds of ``YYYY-MM-DDTHH:MM:SSZ`` (RFC 3339, this one form only), 1970 to 9999.

    Raises ``WireError`` (``bad-time``) for any other form and for days that do not exist.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _bad() from None
    if _FORM.fullmatch(text) is None or moment < _START:
        raise _bad()
    return (moment - _START) // timedelta(seconds=1)


def format_time(seconds: int) -> str:
    """The wire form of ``seconds`` (0 to ``LAST``). Raises ``WireError`` (``bad-time``)."""
    if not 0 <= seconds <= LAST:
        raise _bad()
    return f"{_START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def day_of(seconds: int) -> date:
    """The UTC day of Unix ``seconds``."""
    return (_START + timedelta(seconds=seconds)).date()


def number_of(day: date) -> int:
    """Days from 1970-01-01 to ``day``: what ``seconds // DAY`` is on it."""
    return (day - _START.date()).days


def week_of(seconds: int) -> str:
    """The week of Unix ``seconds``."""
    return week_of_day(day_of(seconds))


def week_of_day(day: date) -> str:
    """The week that ``day`` lies in. Its year is the ISO year, not the calendar's."""
    year, week, _ = day.isocalendar()
    return f"{year:04d}-W{week:02d}"


def monday(week: str) -> date:
    """The first day of ``week``. Raises ``WireError`` (``week-invalid``)."""
    match = _WEEK.fullmatch(week)
    if match is not None:
        with suppress(ValueError):
            return date.fromisocalendar(int(match[1]), int(match[2]), 1)
    raise WireError("week-invalid", "A week is written like 2026-W12.")


def is_week(text: str) -> bool:
    """Whether ``text`` is the name of a week that exists."""
    try:
        monday(text)
    except WireError:
        return False
    return True


def week_start(seconds: int) -> int:
    """The Monday 00:00:00 UTC at or before Unix ``seconds``."""
    monday = 4 * DAY  # 1970-01-05
    return (seconds - monday) // WEEK * WEEK + monday


def _bad() -> WireError:
    return WireError("bad-time", "A time is not of the form 2026-11-21T00:00:00Z, 1970 to 9999.")
