"""Combined log format, as nginx, Apache and our own server write it. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

QUERY_LIMIT = 255
"""Bytes. Our longest query has some 50; a longer one was not made by a client of ours."""

DAY = rb"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}"
QUERY = rb"[A-Za-z0-9._=&-]{0,%d}+" % QUERY_LIMIT
PROTOCOL = rb"HTTP/(?:1\.[01]|2\.0|3\.0)"

_BEFORE = rb'\n[^"\[\n]*+\['
"""From the LF before a line to its first ``[``; no ``"`` stands in between, so that no user name
or host name can hold the request. The literal first byte lets the engine jump by memchr."""
_REST = rb':.{14}\] "GET /motd/motd\.json'
"""The time of day (14 bytes, never looked at), and the one path that counts."""
_TAIL = rb" " + PROTOCOL + rb'" 200 '
_HIT = re.compile(_BEFORE + rb"(" + DAY + rb")" + _REST + rb"((?:\?" + QUERY + rb")?+)" + _TAIL)
_ANY_DAY = re.compile(_BEFORE + rb"(" + DAY + rb")" + _REST)


class Found(NamedTuple):
    """The hits of a block, in one form or the other."""

    day: bytes = b""
    hits: list[bytes] = []  # noqa: RUF012 - never changed
    """Hits of ``day`` (``dd/Mon/yyyy``): the query with its ``?``, or empty. A hit of another day
    stands whole among them, from its day to the end of its query."""
    pairs: list[tuple[bytes, bytes]] = []  # noqa: RUF012
    """Hits as day and query."""


EDGE = 16 * 1024
"""Bytes at the end of a block where the last day is looked for."""


class Combined:
    """See ``Format``.

    Logs are in the order of time, so nearly all hits of a block share one day. With that day
    written into the pattern a hit costs one short bytes object instead of a tuple of two, which
    saves a third of the time; hits of other days are found by the same pattern, whole.
    """

    name = "combined"

    _REACH = 512
    """Bytes after the first ``[`` that decide: 27 + 22 + 256 + 15, rounded up."""

    def find(self, block: bytes) -> Found:
        lines = b"\n" + block[: block.rfind(b"\n") + 1]
        first = _ANY_DAY.search(lines)
        if first is None:
            return Found()
        last = _ANY_DAY.search(lines, lines.find(b"\n", max(0, len(lines) - EDGE)))
        day = first[1]
        if last is None or last[1] != day:
            return Found(pairs=_HIT.findall(lines))
        return Found(day, _hits_on(day).findall(lines))

    def shorten(self, start: bytes) -> bytes:
        bracket = start.find(b"[")
        quote = start.find(b'"', 0, bracket if bracket >= 0 else len(start))
        if quote >= 0:
            return b'"'  # no hit any more
        return b"" if bracket < 0 else start[bracket : bracket + self._REACH]


@lru_cache(maxsize=64)
def _hits_on(day: bytes) -> re.Pattern[bytes]:
    return re.compile(
        _BEFORE
        + rb"(?:"
        + re.escape(day)
        + _REST
        + rb")?+("  # possessive: where the day fits, only the first way is left
        + rb"(?<=json)(?:\?"
        + QUERY
        + rb")?+|"
        + DAY
        + _REST
        + rb"(?:\?"
        + QUERY
        + rb")?+)"
        + _TAIL
    )
