"""The log formats: which bytes of a line make it a hit. Pure.

A *hit* is a complete line of one successful GET of the MOTD. Everything else, whatever a client
put into it, only adds to the number of lines; so the patterns are strict and never guess.
"""

from __future__ import annotations

import re
from typing import Protocol

QUERY_LIMIT = 255
"""Bytes. Our longest query has some 50; a longer one was not made by a client of ours."""

_DAY = rb"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}"
_QUERY = rb"[A-Za-z0-9._=&-]{0,%d}+" % QUERY_LIMIT
_REQUEST = rb"GET /motd/motd\.json(?:\?(" + _QUERY + rb"))? HTTP/(?:1\.[01]|2\.0|3\.0)"


class Format(Protocol):
    """One way to write an access log."""

    @property
    def name(self) -> str: ...

    def find(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """The hits among the complete lines of ``block``: (``dd/Mon/yyyy``, query)."""
        ...

    def shorten(self, start: bytes) -> bytes:
        """Fewer bytes that decide as ``start``, the start of a line, does, whatever follows."""
        ...


class Combined:
    """Combined log format, as written by nginx, Apache and our own server.

    No ``"`` stands before the first ``[``, so a quote in a remote user's name cannot move the
    request; the bracket holds ``dd/Mon/yyyy:`` and 14 more bytes.
    """

    name = "combined"

    # A literal first byte lets the regex engine jump from line to line by memchr.
    _HIT = re.compile(rb'\n[^"\[\n]*+\[(' + _DAY + rb'):[^\n]{14}\] "' + _REQUEST + rb'" 200 ')
    _REACH = 512
    """Bytes after the first ``[`` that decide: 27 + 22 + 256 + 15, rounded up."""

    def find(self, block: bytes) -> list[tuple[bytes, bytes]]:
        lines = b"\n" + block[: block.rfind(b"\n") + 1]
        found: list[tuple[bytes, bytes]] = self._HIT.findall(lines)
        return found

    def shorten(self, start: bytes) -> bytes:
        bracket = start.find(b"[")
        quote = start.find(b'"', 0, bracket if bracket >= 0 else len(start))
        if quote >= 0:
            return b'"'  # no hit any more
        return b"" if bracket < 0 else start[bracket : bracket + self._REACH]


COMBINED = Combined()
FORMATS: dict[str, Format] = {COMBINED.name: COMBINED}
