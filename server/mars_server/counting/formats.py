"""The log formats: which bytes of a line make it a hit. Pure.

A *hit* is a complete line of one successful GET of the MOTD. Everything else, whatever a client
put into it, only adds to the number of lines; so the rules are strict and never guess.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple, Protocol

from mars.wire.query import MOTD_PATH
from mars_server.counting.blocks import without_nuls


class Found(NamedTuple):
    """The hits of a block as ``Format.find`` gives them, still to be read (``Format.read``)."""

    day: bytes = b""
    hits: list[bytes] = []  # noqa: RUF012 - never changed
    """Of ``day`` (``dd/Mon/yyyy``); one of another day stands whole among them."""
    pairs: list[tuple[bytes, bytes]] = []  # noqa: RUF012
    """Day and the rest."""


class Format(Protocol):
    """One way to write an access log."""

    def find(self, lines: bytes) -> Found:
        """All hits among ``lines``, a framed block (``mars_server.counting.blocks.Lines``), and
        perhaps more: ``read`` decides, once for all that are equal."""
        ...

    def read(self, day: bytes, hit: bytes) -> tuple[bytes, bytes] | None:
        """Day and query (with its ``?``, or empty) of what ``find`` found; None for no hit."""
        ...

    def fits(self, line: bytes) -> bool:
        """Whether ``line`` is written in this format, whatever was asked for in it; one that seems
        to be an answer of the MOTD, and is no hit, is not."""
        ...

    def shorten(self, start: bytes) -> bytes:
        """Fewer bytes that decide as ``start``, the start of a line, does, whatever follows."""
        ...


COMBINED = "combined"
JSON = "json"
AUTO = "auto"

NAMES = (AUTO, COMBINED, JSON)

_KNOWN = re.compile(
    rb'^(?:(?P<json>[^"{\n]*+\{[ \t]*+"(?=.*(?:\}[ \t\r]*$|\Z)))'
    rb'|[^"\[\n]*\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:)',
    re.MULTILINE,
)
"""The beginning of a line in either format, as far as its first quote or day; a line of JSON ends
with its brace, or is cut."""


def detect(head: bytes) -> str:
    """The format of a log that begins with ``head``, by the first line of either kind.

    The first, not most of them: what a log is may not change while it grows.
    """
    first = _KNOWN.search(without_nuls(b"\n" + head))
    return JSON if first is not None and first["json"] else COMBINED


def is_known(head: bytes) -> bool:
    """Whether a log that begins with ``head`` has a line in any format that is known."""
    return _KNOWN.search(without_nuls(b"\n" + head)) is not None


# --- Combined log format, as nginx, Apache and our own server write it ---
#
# Matching goes in two steps, since nearly all lines of a log ask for the same few things. The first
# runs over every line: from the LF before it to the first ``[`` (no ``"`` in between, so that no
# user's or host's name can hold the request), the day, the time of day unseen, the one path that
# counts, and then *whatever stands before the next quote*, if that quote is followed by status 200.
# The second step reads only the distinct results, strictly.
#
# Whatever may run over the end of a line, since a class of "no quote" is much the fastest. That
# changes nothing: what it runs over holds no complete hit (the quote that ends it is the first one
# of its line, and a hit's first quote is followed by ``GET``), and a result with an LF in it is no
# hit.

_QUERY_LIMIT = 255
"""Bytes. Our longest query has some 50; a longer one was not made by a client of ours."""

PATH = re.escape(MOTD_PATH).encode()
DATE = rb"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}"
QUERY = rb"[A-Za-z0-9._=&-]{0,%d}" % _QUERY_LIMIT
PROTOCOL = rb"HTTP/(?:1\.[01]|2\.0|3\.0)"

_START = rb'\n[^"\[\n]*+\['
"""The literal first byte lets the engine jump from line to line by memchr."""
_HEAD, _TAIL = PATH[:-2], PATH[-2:]
"""The path in two: its end is found with what follows it."""
_GET = rb':.{14}\] "GET ' + _HEAD
_ANY_DAY = rb"[0-9].{10}"
_REST = _TAIL + rb'[^"]{0,280}+'
"""The end of the path, the query, the protocol: 2 + 256 + 9 bytes, rounded up."""
_OK = rb'" 200 '

_MIXED = re.compile(_START + b"(" + _ANY_DAY + b")" + _GET + b"(" + _REST + b")" + _OK)
_READ = re.compile(
    rb"(?:(" + DATE + rb")" + _GET + rb")?" + _TAIL + rb"((?:\?" + QUERY + rb")?) " + PROTOCOL
)
_DAY = re.compile(DATE)
ASKED = rb"(?:https?://[^/\" ]*+)?" + PATH + rb"(?:\?" + QUERY + rb")?(?: HTTP/[0-9.]+)?"
"""The MOTD's request without its method, written in this way or another."""
_NEARLY = re.compile(
    rb'(?<!\\)"GET ' + ASKED + rb'"(?! (?:[1345][0-9]{2}|20[1-9]|2[1-9][0-9]) )'
    rb'.*[" \t]200(?:[" \t\r]|\Z)',
    re.DOTALL,
)
"""A request for the MOTD, and 200 somewhere behind it, unless another status is in its place."""
_SHAPE = re.compile(_START + DATE + rb':.{14}\] "', re.DOTALL)

_EDGE = 16 * 1024
"""Bytes at the end of a block where the last day is looked for."""


class Combined:
    """See ``Format``.

    Logs are in the order of time, so nearly all hits of a block share one day. With that day
    written into the pattern a hit costs one short bytes object instead of a tuple of two.
    """

    _REACH = 512
    """Bytes after the first ``[`` that decide: 27 + 22 + 256 + 15, rounded up."""

    def find(self, lines: bytes) -> Found:
        first = _MIXED.search(lines)
        if first is None:
            return Found()
        last = _MIXED.search(lines, lines.find(b"\n", max(0, len(lines) - _EDGE)))
        if last is None or last[1] != first[1]:
            return Found(pairs=_MIXED.findall(lines))
        return Found(first[1], _mostly_on(first[1]).findall(lines))

    def read(self, day: bytes, hit: bytes) -> tuple[bytes, bytes] | None:
        match = _READ.fullmatch(hit)
        if match is None:
            return None
        day = match[1] or day
        return (day, match[2]) if _DAY.fullmatch(day) else None

    def fits(self, line: bytes) -> bool:
        framed = b"\n" + line
        return self._is_hit(framed) or bool(_SHAPE.match(framed) and not _NEARLY.search(line))

    def _is_hit(self, line: bytes) -> bool:
        match = _MIXED.match(line)
        return match is not None and self.read(match[1], match[2]) is not None

    def shorten(self, start: bytes) -> bytes:
        bracket = start.find(b"[")
        quote = start.find(b'"', 0, bracket if bracket >= 0 else len(start))
        if quote >= 0:
            return b'"'  # no hit any more
        return b"" if bracket < 0 else start[bracket : bracket + self._REACH]


@lru_cache(maxsize=64)
def _mostly_on(day: bytes) -> re.Pattern[bytes]:
    """Finds the rest of each hit of ``day``, and the whole of each hit of another day."""
    this = re.escape(day)
    return re.compile(
        _START
        + (rb"(?:" + this + _GET + rb"|(?!" + this + rb":)(?=[0-9]))")
        + (rb"(" + _REST + rb"|" + _ANY_DAY + _GET + _REST + rb")")
        + _OK
    )
