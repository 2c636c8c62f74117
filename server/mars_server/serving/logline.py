"""One line of the access log: the day, the fixed path, allow-listed values, status, body size.

Combined log format with ``-`` where an address, a name, a referrer or a User-Agent would stand,
so that every log tool can read it. No byte of a line comes from a client: values are picked from
the product's allow-list.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mars.wire.query import MOTD_PATH

DAY = 86_400
"""Seconds."""
OK = 200
NOT_COMPLETED = 499
"""nginx's code for a client that went away; here also for an answer that a cap excludes."""

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
HEADER = b"# mars access log v1 id="
"""First line of a closed generation, with 32 hex digits after it."""


def day_of(now: int) -> int:
    """Days since 1970-01-01, UTC, of a Unix time in seconds."""
    return now // DAY


def iso_day(day: int) -> str:
    """``2026-11-21``."""
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def stamp(day: int) -> str:
    """``21/Nov/2026:00:00:00 +0000``: the day and nothing finer, in English whatever the locale."""
    date = datetime.fromtimestamp(day * DAY, UTC).date()
    return f"{date.day:02d}/{_MONTHS[date.month - 1]}/{date.year:04d}:00:00:00 +0000"


def release_line(release: str) -> bytes:
    """Declares a release that lines name and product.toml may not (``counting.identity``). It
    sorts before them."""
    return f"# mars release={release}\n".encode("ascii")


def line(day: int, canonical_query: str, status: int, size: int) -> bytes:
    """``canonical_query`` is what ``AllowList.canonical`` wrote; ``size`` counts body bytes."""
    request = f'"GET {MOTD_PATH}{canonical_query} HTTP/1.1"'
    return f'- - - [{stamp(day)}] {request} {status} {size} "-" "-"\n'.encode("ascii")
