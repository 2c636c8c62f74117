"""Days as logs write them, and as we do. Pure."""

from __future__ import annotations

from datetime import date
from functools import lru_cache

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NUMBERS = {name.encode(): number for number, name in enumerate(MONTHS, 1)}


@lru_cache(maxsize=1024)
def iso_day(day: bytes) -> str | None:
    """``2026-03-02`` for ``02/Mar/2026``; None where the calendar has no such day."""
    try:
        return date(int(day[7:]), _NUMBERS[day[3:6]], int(day[:2])).isoformat()
    except (KeyError, ValueError):
        return None


def iso_week(day: str) -> str:
    """``2026-W12`` for an ISO day (ISO 8601: weeks start on Monday, week 1 holds 4 January)."""
    year, week, _ = date.fromisoformat(day).isocalendar()
    return f"{year:04d}-W{week:02d}"
