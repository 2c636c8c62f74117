"""The format of our own day log around its lines: what it says of itself in comments. Pure.

A closed log begins with a line that holds its random id, by which it is known. Then may follow how
many answers it lacks, and the releases that its lines name and product.toml may not. A part, which
is still written, begins with a line that says so: its lines come again in the closed log, so nobody
may count them, whatever their file is called. Readers and the doctor take these lines from here, as
the writer does.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from datetime import UTC, datetime

from mars.wire.times import DAY

_HEADER = b"# mars access log v1 id="
"""Begins the first line of a closed log; 32 hex digits end it."""
_ID = re.compile(re.escape(_HEADER) + rb"([0-9a-f]{32})\n")
UNFINISHED = b"# mars unfinished access log v1\n"
"""The first line of a part that holds any."""
_LOST = b"# mars lost=%d day=%b\n"
_GAP = re.compile(_ID.pattern + rb"# mars lost=([0-9]{1,18}) day=([0-9]{4}-[0-9]{2}-[0-9]{2})\n")
RELEASE = re.compile(rb"^# mars release=([0-9]{1,4}(?:\.[0-9]{1,4}){1,2})\n", re.MULTILINE)
"""The line that declares a release; all of them stand at the log's head."""
COMMENT = re.compile(
    rb"(?:%b[0-9a-f]{32}|# mars lost=\d{1,18} day=\d{4}-\d\d-\d\d)\n|%b|%b"
    % (re.escape(_HEADER), re.escape(UNFINISHED), RELEASE.pattern.removeprefix(b"^"))
)
"""Every line of a log of ours that is no answer."""


@dataclass(frozen=True)
class Gap:
    """``lost`` answers of one ISO day have no line, since the disk refused it."""

    day: str
    lost: int


def day_of(now: int) -> int:
    """Days since 1970-01-01, UTC, of a Unix time in seconds."""
    return now // DAY


def iso_day(day: int) -> str:
    """``2026-11-21`` of days since 1970-01-01."""
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def id_line(token: str) -> bytes:
    """The first line of a closed log; ``token`` is 32 hex digits."""
    return _HEADER + token.encode("ascii") + b"\n"


def lost_line(lost: int, day: str) -> bytes:
    """Tells how many answers of the ISO day the log does not hold; nothing where it is none."""
    return _LOST % (lost, day.encode("ascii")) if lost else b""


def release_line(release: str) -> bytes:
    """Declares a release. It sorts before the lines of answers."""
    return f"# mars release={release}\n".encode("ascii")


def own_id(head: bytes) -> str | None:
    """The id of a log of ours that begins with ``head``; None for any other log."""
    match = _ID.match(_said(head))
    return match[1].decode() if match else None


def is_unfinished(head: bytes) -> bool:
    """Whether what begins with ``head`` was a part. One of before ``UNFINISHED`` was written is
    known where it begins with a release: in a closed log the id stands before that."""
    said = _said(head)
    return said.startswith(UNFINISHED) or RELEASE.match(said) is not None


def _said(head: bytes) -> bytes:
    """Without the byte order mark and the CRs that an editor leaves in a copy."""
    return head.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")


def gap(head: bytes) -> Gap | None:
    """What a log of ours says of answers that it does not hold."""
    match = _GAP.match(_said(head))
    return Gap(match[3].decode(), int(match[2])) if match else None


def declared(head: bytes) -> frozenset[str]:
    """Releases by which our server knew more than product.toml lists."""
    found = RELEASE.findall(_said(head)) if own_id(head) else ()
    return frozenset(name.decode() for name in found)
