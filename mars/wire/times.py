"""Times on the wire: ``2026-11-21T00:00:00Z``; inside the program whole Unix seconds, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mars.errors import WireError

DAY = 86_400
"""Seconds."""
LAST = 253_402_300_799
"""9999-12-31T23:59:59Z, the last second that can be written with four digits of year."""

_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", re.ASCII)
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


def _bad() -> WireError:
    return WireError("bad-time", "A time is not of the form 2026-11-21T00:00:00Z, 1970 to 9999.")
