"""One line of the access log: the day, the fixed path, allow-listed values, status, body size.

Combined log format with ``-`` where an address, a name, a referrer or a User-Agent would stand,
so that every log tool can read it. No byte of a line comes from a client: values are picked from
the product's allow-list. And one line of the spool: what was posted, and nothing else.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from datetime import UTC, datetime
from functools import lru_cache

from mars.wire.query import MOTD_PATH
from mars.wire.times import DAY
from mars_server.common.calendar import MONTHS

OK = 200
_CACHED = 10_000
"""Lines kept ready in memory; a product makes a few hundred."""
NOT_COMPLETED = 499
"""nginx's code for a client that went away; here also for an answer that a cap excludes."""


LINE = re.compile(
    rb"- - - \[\d\d/[A-Z][a-z]{2}/\d{4}:00:00:00 \+0000\] "
    rb'"GET %b(?:\?([A-Za-z0-9.=&]{1,200}))? HTTP/1\.1" '
    rb'(?:200 \d{1,6}|499 0) "-" "-"\n' % re.escape(MOTD_PATH).encode()
)
"""Every line that ``log_line`` can write, and the query in it."""


@lru_cache(maxsize=_CACHED)
def log_line(day: int, canonical_query: str, status: int, size: int) -> bytes:
    """``day`` (since 1970) is written as ``21/Nov/2026:00:00:00 +0000``, in English whatever the
    locale; ``canonical_query`` is what ``AllowList.canonical`` wrote; ``size`` counts body bytes.
    """
    date = datetime.fromtimestamp(day * DAY, UTC).date()
    stamp = f"{date.day:02d}/{MONTHS[date.month - 1]}/{date.year:04d}:00:00:00 +0000"
    request = f'"GET {MOTD_PATH}{canonical_query} HTTP/1.1"'
    return f'- - - [{stamp}] {request} {status} {size} "-" "-"\n'.encode("ascii")


def sealed_line(_day: int, body: bytes) -> bytes:
    """One report for the spool, as it was posted: standard base64, padded."""
    return b2a_base64(body)
