"""What of a log may be hashed and remembered: never where a request came from. Pure.

A hash over raw lines could be tested for one address after another, and a log of one line would
give its visitor away in seconds. So of each line there stay only its length, its time and
the MOTD's request, which holds nothing that the client's preview does not show. What else a
client sends (address, user, user agent, referrer) has no part in any hash.
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
)
"""The times that log formats write, each so that no part of an address can look like one."""
_PATH = b"/motd/motd.json"
_MIDNIGHT = b"00:00:00"


def essence(data: bytes) -> bytes:
    """What may be hashed of ``data``, which may begin and end within a line."""
    return b"\n".join(map(_kept, data.split(b"\n")))


def _kept(line: bytes) -> bytes:
    at = line.find(_PATH)
    target = b"" if at < 0 else line[at:].split(b'"', 1)[0].split(b" ", 1)[0]
    return b"%d %b %b" % (len(line), _time(line), target)


def _time(line: bytes) -> bytes:
    found = _TIME.search(line)
    return b"" if found is None else found[0]


def has_time(data: bytes) -> bool:
    """Whether any line holds a time of day other than midnight."""
    times = map(_time, data.split(b"\n"))
    return any(time and not time.endswith(_MIDNIGHT) for time in times)
