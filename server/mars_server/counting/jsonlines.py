"""JSON access logs, one object a line: Caddy's, and nginx's with ``escape=json``. Pure.

The same rules as for combined lines. Before the object may stand what whoever collects a server's
output puts there (a time, a host, a BOM), if it holds no quote. The members below are known, so
nothing has to be configured:

===========  ====================================================================================
day          the first of ``time_local``, ``time_iso8601``, ``time``, ``timestamp``,
             ``@timestamp``, ``ts``, ``msec`` that is a day from 2000 on: as written, or seconds
             since 1970, read as UTC
request      ``request``: ``GET /motd/motd.json HTTP/1.1``, or Caddy's object with ``method``,
             ``uri``, ``proto``; or ``request_method``, ``request_uri``, ``server_protocol``
status       ``status``, a whole number or its digits
===========  ====================================================================================

Members under ``request`` that a client fills (``headers``) are never looked at. A line that is no
JSON, or whose known members have other types, is no hit; nor is one of ``LINE_BOUND`` bytes or
more, however the pieces fall in which it was read.
"""

from __future__ import annotations

import re
from datetime import date

import msgspec

from mars.wire.times import DAY
from mars_server.common.calendar import MONTHS, iso_day
from mars_server.counting.blocks import LINE_BOUND
from mars_server.counting.formats import ASKED, DATE, PATH, PROTOCOL, QUERY, Found

_REQUEST = re.compile(b"GET %b((?:\\?%b)?+) %b" % (PATH, QUERY, PROTOCOL))
_NEARLY = re.compile(rb'"(?![^"]*[Rr]efer)[^"]*":\s*"(?:GET )?' + ASKED + b'"')
_OTHER_METHOD = re.compile(rb'"[a-z_]*(?:method|verb)":\s*"(?!GET")', re.IGNORECASE)
_COMMON = re.compile(DATE.decode() + r":.{14}", re.ASCII | re.DOTALL)
_ISO = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])-([0-9]{2})(?:[T ].*)?", re.ASCII | re.DOTALL)
_EPOCH = re.compile(r"[0-9]{1,12}(?:\.[0-9]+)?", re.ASCII)

_FIRST_DAY = date(1970, 1, 1).toordinal()
_FIRST_YEAR = "2000"
"""What is dated before was dated by another thing than a clock: a duration, a counter."""


class _Request(msgspec.Struct):
    method: str = ""
    uri: str = ""
    proto: str = ""


class _Entry(msgspec.Struct):
    status: int | str | None = None
    request: _Request | str | None = None
    request_method: str | None = None
    request_uri: str = ""
    server_protocol: str = ""
    time_local: object = None
    time_iso8601: object = None
    time: object = None
    timestamp: object = None
    at_timestamp: object = msgspec.field(name="@timestamp", default=None)
    ts: object = None
    msec: object = None


_decode = msgspec.json.Decoder(_Entry).decode


class JsonLines:
    """See ``Format``."""

    def find(self, lines: bytes) -> Found:
        each = lines.split(b"\n")
        return Found(pairs=[hit for line in each if _may_hit(line) and (hit := _hit(line))])

    def fits(self, line: bytes) -> bool:
        entry = _read(line)
        if entry is None or entry.status is None or _day(entry) is None:
            return False
        if entry.request is None and entry.request_method is None:
            return False
        seems = str(entry.status) == "200" and _NEARLY.search(line)
        return not seems or bool(_OTHER_METHOD.search(line)) or _hit(line) is not None

    def read(self, day: bytes, hit: bytes) -> tuple[bytes, bytes] | None:
        return day, hit

    def shorten(self, start: bytes) -> bytes:
        return start[:1] and b'"'  # no JSON, whatever follows: longer lines are no hits


def _may_hit(line: bytes) -> bool:
    return len(line) < LINE_BOUND and (b"motd.json" in line or b"\\u" in line)


def _hit(line: bytes) -> tuple[bytes, bytes] | None:
    entry = _read(line)
    if entry is None or str(entry.status) != "200":
        return None
    match = _REQUEST.fullmatch(_request(entry).encode("utf-8", "replace"))
    day = _day(entry) if match else None
    return (day, match[1]) if match and day else None


def _read(line: bytes) -> _Entry | None:
    before, brace, rest = line.partition(b"{")
    if b'"' in before:
        return None
    try:
        return _decode(brace + rest)
    except UnicodeDecodeError:
        # nginx writes a header's bytes as they come; only ASCII members matter here.
        return _read(line.decode("latin-1").encode())
    except (msgspec.DecodeError, RecursionError):
        return None


def _request(entry: _Entry) -> str:
    request = entry.request
    if isinstance(request, str):
        return request
    if request is not None:
        return f"{request.method} {request.uri} {request.proto}"
    return f"{entry.request_method} {entry.request_uri} {entry.server_protocol}"


def _day(entry: _Entry) -> bytes | None:
    stamps = (
        entry.time_local,
        entry.time_iso8601,
        entry.time,
        entry.timestamp,
        entry.at_timestamp,
        entry.ts,
        entry.msec,
    )
    return next((day for one in stamps if (day := _plausible(one))), None)


def _plausible(stamp: object) -> bytes | None:
    if isinstance(stamp, str) and not _EPOCH.fullmatch(stamp):
        day = _written(stamp)
    else:
        day = _from_epoch(stamp) if isinstance(stamp, int | float | str) else None
    iso = iso_day(day) if day else None
    return day if iso and iso >= _FIRST_YEAR else None


def _written(stamp: str) -> bytes | None:
    if _COMMON.fullmatch(stamp):
        return stamp[:11].encode()
    if iso := _ISO.fullmatch(stamp):
        return f"{iso[3]}/{MONTHS[int(iso[2]) - 1]}/{iso[1]}".encode()
    return None


def _from_epoch(stamp: float | str) -> bytes | None:
    try:
        day = date.fromordinal(_FIRST_DAY + int(float(stamp) // DAY))
    except (ValueError, OverflowError):
        return None
    return f"{day.day:02d}/{MONTHS[day.month - 1]}/{day.year:04d}".encode()
