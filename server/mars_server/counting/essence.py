"""What of a log may be hashed and remembered: never where a request came from. Pure.

A hash over raw lines could be tested for one address after another, and a log of one line would
give its visitor away in seconds. So of each line there stay only its length and its time; where it
has no time of day, which leaves logs hard to tell apart, also the MOTD's request, which holds
nothing that the client's preview does not show. What else a client sends (address, user, user
agent, referrer) has no part in any hash. These hashes live in memory; what the database gets of
them is in ``mars_server.counting.marks``.
"""

from __future__ import annotations

import re

_CLOCK = rb"[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?![0-9])"
_TIME = re.compile(
    rb"[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:"
    + _CLOCK  # [21/Nov/2026:10:11:12 +0000]
    + rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]"
    + _CLOCK  # 2026-11-21T10:11:12
    + rb'|"[0-9a-z_@]+":\s*"?[0-9]{9,10}\.[0-9]+'  # {"ts":1795219200.5}
    + rb'|"(?:ts|msec|time|@?timestamp)":\s*"?[0-9]{9,10}(?![0-9.])'  # {"ts":1795219200}
)
"""The times that log formats write, each so that no part of an address can look like one."""
_WHOLE = re.compile(rb"(?<![0-9.])[0-9]{9,10}\Z")
_TARGET = re.compile(
    rb'\] "[A-Z]+ (/motd/motd\.json[^" ]*)'  # combined: the first quoted field after the time
    rb'|"(?:request|request_uri|uri)":\s*"(?:[A-Z]+ )?(/motd/motd\.json[^" ]*)'
)
"""The request's own target; a referrer may name the same path. Quotes within a client's words are
escaped by every server, so that none can look like the field before it."""
_MIDNIGHT = b"00:00:00"
_DAY_SECONDS = 86_400


def essence(data: bytes) -> bytes:
    """What may be hashed of ``data``, whole lines."""
    return b"\n".join(map(_kept, data.split(b"\n")))


def _kept(line: bytes) -> bytes:
    time = _time(line)
    return b"%d %b %b" % (len(line), time, b"" if _of_day(time) else _target(line))


def _target(line: bytes) -> bytes:
    found = _TARGET.search(line)
    return b"" if found is None else found[1] or found[2]


def _time(line: bytes) -> bytes:
    found = _TIME.search(line)
    return b"" if found is None else found[0]


def _of_day(time: bytes) -> bool:
    whole = _WHOLE.search(time)
    if whole is not None:
        return int(whole[0]) % _DAY_SECONDS != 0
    return time != b"" and not time.endswith(_MIDNIGHT)


def has_time(data: bytes) -> bool:
    """Whether any line holds a time of day other than midnight."""
    return any(_of_day(_time(line)) for line in data.split(b"\n"))
