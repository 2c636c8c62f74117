"""A slow counter that is right at a glance: one line at a time, no regular expression, no sharing
with the counter it checks but the names of the variables. Tests only."""

from __future__ import annotations

import calendar
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

QUERY_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=&-"
MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
PATH = b"/motd/motd.json"


@dataclass
class Reference:
    lines: int = 0
    hits: int = 0
    cells: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    pairs: Counter[tuple[str, str, str]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Allowed:
    """The values of each variable, spelt out."""

    values: dict[str, frozenset[str]]


def count(data: bytes, allowed: Allowed, *, as_json: bool = False) -> Reference:
    total = Reference()
    for raw in data.split(b"\n")[:-1]:
        total.lines += 1
        line = after_nuls(raw)
        hit = json_hit(line) if as_json else combined_hit(line)
        if hit is None:
            continue
        day, query = hit
        total.hits += 1
        values = {name: value_of(name, query, allowed) for name in allowed.values}
        total.cells[day, "level", "tracked" if query else "plain"] += 1
        for name, value in values.items():
            total.cells[day, name, value] += 1
        total.pairs[day, values["v"], values["os"]] += 1
    return total


def after_nuls(line: bytes) -> bytes:
    """What follows the last two NULs that stand side by side, without NULs before it."""
    return line.split(b"\0\0")[-1].lstrip(b"\0")


def value_of(name: str, query: str, allowed: Allowed) -> str:
    found = []
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key == name:
            found.append(value)
    if not found:
        return "none"
    if len(found) == 1 and found[0] in allowed.values[name]:
        return found[0]
    return "other"


def combined_hit(line: bytes) -> tuple[str, str] | None:
    bracket = line.find(b"[")
    if bracket < 0 or b'"' in line[:bracket]:
        return None
    inside = line[bracket + 1 :]
    day = common_day(inside[:11])
    if day is None or inside[11:12] != b":" or inside[26:29] != b'] "':
        return None
    request, quote, after = inside[29:].partition(b'"')
    if not quote or not after.startswith(b" 200 "):
        return None
    query = request_query(request)
    return None if query is None else (day, query)


def request_query(request: bytes) -> str | None:
    parts = request.split(b" ")
    if len(parts) != 3 or parts[0] != b"GET":
        return None
    if parts[2] not in (b"HTTP/1.0", b"HTTP/1.1", b"HTTP/2.0", b"HTTP/3.0"):
        return None
    path, _, query = parts[1].partition(b"?")
    if path != PATH or len(query) > 255 or any(byte not in QUERY_CHARACTERS for byte in query):
        return None
    return query.decode("ascii")


def common_day(text: bytes) -> str | None:
    if len(text) != 11 or text[2:3] != b"/" or text[6:7] != b"/":
        return None
    day, month, year = text[:2], text[3:6], text[7:]
    digits = b"0123456789"
    if month not in MONTHS or any(byte not in digits for byte in day + year):
        return None
    return iso(int(year), MONTHS.index(month) + 1, int(day))


def iso(year: int, month: int, day: int) -> str | None:
    if year < 1 or not 1 <= month <= 12:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return f"{year:04d}-{month:02d}-{day:02d}"


def json_hit(line: bytes) -> tuple[str, str] | None:
    before = line.split(b"{")[0]
    if b'"' in before:
        return None
    try:
        entry = json.loads(line[len(before) :].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or entry.get("status") not in (200, "200"):
        return None
    request: Any = entry.get("request")
    if isinstance(request, dict):
        request = " ".join(str(request.get(name)) for name in ("method", "uri", "proto"))
    if request is None:
        names = ("request_method", "request_uri", "server_protocol")
        request = " ".join(str(entry.get(name)) for name in names)
    query = request_query(str(request).encode("utf-8", "replace"))
    day = json_day(entry)
    return None if query is None or day is None else (day, query)


def json_day(entry: dict[str, Any]) -> str | None:
    names = ("time_local", "time_iso8601", "time", "timestamp", "@timestamp", "ts", "msec")
    for name in names:
        day = stamp_day(entry.get(name))
        if day is not None and int(day[:4]) >= 2000:
            return day
    return None


def stamp_day(stamp: Any) -> str | None:
    if stamp == "":
        return None
    if isinstance(stamp, str) and len(stamp) >= 10 and stamp[4] == "-" and stamp[7] == "-":
        return iso(int(stamp[:4]), int(stamp[5:7]), int(stamp[8:10]))
    if isinstance(stamp, str) and len(stamp) == 26 and stamp[11] == ":":
        return common_day(stamp[:11].encode())
    if stamp is None or float(stamp) > 200_000_000_000:  # beyond the year 8000
        return None
    return datetime.fromtimestamp(float(stamp), UTC).date().isoformat()
