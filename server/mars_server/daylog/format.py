"""The format of our own day logs around their lines: what they say of themselves. Pure.

A closed log begins with a line that holds its random id, by which it is known. Then may follow how
many answers it lacks, and the releases that its lines name and product.toml may not. A part, which
is still written, begins with a line that says so: its lines come again in the closed log, so nobody
may count them, whatever their file is called. Readers and the doctor take these lines from here, as
the writer does.

There are two kinds: the access log, and the spool of the intake, whose lines are sealed reports and
whose first line says the day, since none of them does.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime

from mars.wire.sealed import SIZES
from mars.wire.times import DAY

_HEADER = b"# mars access log v1 id="
"""Begins the first line of a closed log; 32 hex digits end it."""
_SPOOL_HEADER = b"# mars spool v1 id=%b day=%b\n"
_SPOOL = re.compile(rb"# mars spool v1 id=([0-9a-f]{32}) day=([0-9]{4}-[0-9]{2}-[0-9]{2})\n")
"""The first line of a closed spool."""
_ID = re.compile(rb"(?:%b([0-9a-f]{32})\n|%b)" % (re.escape(_HEADER), _SPOOL.pattern))
UNFINISHED = b"# mars unfinished access log v1\n"
UNFINISHED_SPOOL = b"# mars unfinished spool v1\n"
"""The first line of a part that holds any."""
_LOST = b"# mars lost=%d day=%b\n"
_GAP = re.compile(
    rb"%b# mars lost=(?P<lost>[0-9]{1,18}) day=(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})\n" % _ID.pattern
)
RELEASE = re.compile(rb"^# mars release=([0-9]{1,4}(?:\.[0-9]{1,4}){1,2})\n", re.MULTILINE)
"""The line that declares a release; all of them stand at the log's head."""
COMMENT = re.compile(
    rb"(?:%b[0-9a-f]{32}|# mars lost=\d{1,18} day=\d{4}-\d\d-\d\d)\n|%b|%b"
    % (re.escape(_HEADER), re.escape(UNFINISHED), RELEASE.pattern.removeprefix(b"^"))
)
"""Every line of an access log of ours that is no answer."""
SPOOL_COMMENT = re.compile(
    rb"%b|# mars lost=\d{1,18} day=\d{4}-\d\d-\d\d\n|%b"
    % (_SPOOL.pattern, re.escape(UNFINISHED_SPOOL))
)
"""Every line of a spool of ours that is no report."""


@dataclass(frozen=True)
class Kind:
    """What tells one kind of day log from the other; its lines are no matter of the machinery."""

    prefix: str
    """Of its files' names."""
    first: Callable[[str, str], bytes]
    """The first line of a closed one, of its id and ISO day."""
    unfinished: bytes
    lengths: Collection[int]
    """Bytes that a line may have with its LF; what has others is left out when one is closed."""
    repeats: bool
    """Whether most lines come again and again, so that those that differ may be kept in memory."""
    short: str
    name: str
    entries: str
    """What a line is, as people are told."""
    unwritten: str
    """What happens while it cannot be written."""
    kept: str
    """The same while its folder is gone, and its part still open."""


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


@dataclass(frozen=True)
class Spool:
    """What a closed spool says of itself."""

    id: str
    day: date
    """Of its lines; UTC."""


def spool_of(head: bytes) -> Spool | None:
    """What a spool of ours says that begins with ``head``; None for any other file."""
    match = _SPOOL.match(_said(head))
    if match is None:
        return None
    try:
        return Spool(match[1].decode(), date.fromisoformat(match[2].decode()))
    except ValueError:
        return None


def spool_line(token: str, day: str) -> bytes:
    """The first line of a closed spool; ``token`` is 32 hex digits, ``day`` an ISO day."""
    return _SPOOL_HEADER % (token.encode("ascii"), day.encode("ascii"))


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
    return (match[1] or match[2]).decode() if match else None


def is_unfinished(head: bytes) -> bool:
    """Whether what begins with ``head`` was a part. One of before ``UNFINISHED`` was written is
    known where it begins with a release: in a closed log the id stands before that."""
    said = _said(head)
    return said.startswith((UNFINISHED, UNFINISHED_SPOOL)) or RELEASE.match(said) is not None


def _said(head: bytes) -> bytes:
    """Without the byte order mark and the CRs that an editor leaves in a copy."""
    return head.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")


def gap(head: bytes) -> Gap | None:
    """What a log of ours says of answers that it does not hold."""
    match = _GAP.match(_said(head))
    return Gap(match["day"].decode(), int(match["lost"])) if match else None


ACCESS = Kind(
    prefix="access",
    first=lambda token, _: id_line(token),
    unfinished=UNFINISHED,
    lengths=range(1, 4097),  # ours have less than 200
    repeats=True,
    short="log",
    name="access log",
    entries="answer(s)",
    unwritten="answers are served but not counted",
    kept="answers are counted if it comes back before the server ends",
)
SPOOL = Kind(
    prefix="spool",
    first=spool_line,
    unfinished=UNFINISHED_SPOOL,
    lengths=frozenset(4 * -(-size // 3) + 1 for size in SIZES),
    repeats=False,
    short="spool",
    name="spool",
    entries="report(s)",
    unwritten="reports are refused",
    kept="reports are kept if it comes back before the server ends",
)


def declared(head: bytes) -> frozenset[str]:
    """Releases by which our server knew more than product.toml lists."""
    found = RELEASE.findall(_said(head)) if own_id(head) else ()
    return frozenset(name.decode() for name in found)
