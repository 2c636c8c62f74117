"""Which generation of which log is this? Decided by content, never by a file's name. Pure.

A *source* is one generation of one log: the bytes between two rotations, uncompressed. What is
known of it: hashes of its beginning at growing lengths (the *ladder*), how many bytes of it are
counted (the *position*, always after an LF), and the hash of the bytes before that position (the
*tail*). Each hash is over the *essence* of whole lines, in which no address has a part. So a log is
found again after rename, copytruncate and compression, and a copy that ends early is found too.

Three kinds of log:

* Our own begins with a comment line that holds a random id; the id decides alone, and no hash
  of it is kept.
* Lines with seconds make equal content impossible in practice; content decides alone.
* Where lines hold no time of day (*timeless*), two generations can hold equal bytes. The inode
  breaks the tie: while the file with a source's inode still holds its bytes, or an archive of it
  is there, no other file is that source. A log that begins as one with a time of day does is not
  timeless: it is that log, or a copy of it that was cut within the lines of midnight.

A power cut takes a part of a log that was counted, or leaves NULs there, and the server writes on.
Such a log is *changed*: it has a source's inode, begins as it does and goes on otherwise. It is a
source of its own, and nothing of it counts before the old one's position, so that no line counts
twice. Another file that does so is another log while the source's own file is there, such as one of
a server that writes the same lines at its start; else it is *doubtful*, and nothing of it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b
from itertools import takewhile

from mars.errors import StateError
from mars.wire.query import MOTD_PATH
from mars.wire.times import DAY
from mars_server.daylog.format import Gap, declared, gap, own_id, spool_of

# --- What of a log may be hashed and remembered: never where a request came from ---

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
_PATH = re.escape(MOTD_PATH).encode()
_TARGET = re.compile(
    rb'\] "[A-Z]+ (%b[^" ]*)'  # combined: the first quoted field after the time
    rb'|"(?:request|request_uri|uri)":\s*"(?:[A-Z]+ )?(%b[^" ]*)' % (_PATH, _PATH)
)
"""The request's own target; a referrer may name the same path. Quotes within a client's words are
escaped by every server, so that none can look like the field before it."""
_MIDNIGHT = b"00:00:00"


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
        return int(whole[0]) % DAY != 0
    return time != b"" and not time.endswith(_MIDNIGHT)


def has_time(data: bytes) -> bool:
    """Whether any line holds a time of day other than midnight."""
    return any(_of_day(_time(line)) for line in data.split(b"\n"))


SCALES = (*(size for k in range(10, 16) for size in (2**k, 3 * 2 ** (k - 1))), 2**16)
"""Bytes: 1,024, 1,536, 2,048, 3,072 … 65,536. Each step is several lines, so that not even who has
the key of the hashes can guess one line after another."""
_LINES = 20
"""Up to so many of the first lines, as far as they end within the first of ``SCALES``, each have a
hash: two short logs may begin with the same line."""
HEAD = SCALES[-1]
LEAST = 64
"""Bytes of whole lines below which a log has no identity yet and waits; no hit is shorter."""
WINDOW = 64 * 1024
"""Bytes before the position that the tail is the hash of."""

_LF = ord("\n")


def digest(data: bytes) -> str:
    """16 bytes of BLAKE2b over the essence of ``data``, in hex."""
    return blake2b(essence(data), digest_size=16, person=b"mars-log-source").hexdigest()


def ladder(head: bytes) -> tuple[str, ...]:
    """The hash up to the end of each of the first ``_LINES``, then of the whole lines within each
    of ``SCALES`` that ``head`` reaches; ``head`` is some whole lines or ``HEAD`` bytes."""
    ends = [at + 1 for at, byte in enumerate(head[: SCALES[0]]) if byte == _LF][:_LINES]
    ends += [head.rfind(b"\n", 0, size) + 1 for size in SCALES if size <= len(head)]
    return tuple(digest(head[:end])[:16] for end in ends)


BLANK = digest(b"")[:16]
"""The rung that no whole line reaches: it says nothing."""


def tail(data: bytes) -> str:
    """The hash of up to ``WINDOW`` bytes before a position; empty where no line ends there."""
    if not data.endswith(b"\n"):
        return ""
    # A full window may begin within a line, of which only whole ones are looked at.
    return digest(data[data.find(b"\n") + 1 :] if len(data) >= WINDOW else data)


OWN = "own"
"""In the place of the tail of our own access log: a line ends there, and no more."""
SEALED = "sealed:"
"""Begins the tail of a spool."""


def sealed_tail(data: bytes) -> str:
    """``tail`` of a spool, over its bytes as they are: all its lines are alike but for what is
    sealed in them, so that their essence tells nothing."""
    if not data.endswith(b"\n"):
        return ""
    return SEALED + blake2b(data, digest_size=16, person=b"mars-spool-tail").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What the first lines of a log tell of it. No byte of them is kept."""

    own: str | None = None
    ladder: tuple[str, ...] = ()
    timeless: bool = False
    gap: Gap | None = None
    releases: frozenset[str] = frozenset()
    """Those that the log declares (``declared``)."""
    day: date | None = None
    """Of a spool of ours; None for any other log."""


def beginning(head: bytes) -> Beginning:
    """Of a log that begins with ``head``: some whole lines or ``HEAD`` bytes, no NULs before."""
    spool = spool_of(head)
    return Beginning(
        own=own_id(head),
        ladder=ladder(head),
        timeless=not has_time(head),
        gap=gap(head),
        releases=declared(head),
        day=spool.day if spool else None,
    )


@dataclass(frozen=True)
class Source:
    """What the database knows of one generation."""

    id: int
    """0 where it is not stored yet."""
    own: str | None
    ladder: tuple[str, ...]
    position: int
    tail: str
    inode: str | None
    timeless: bool = True
    """Whether nothing was seen yet by which its lines hold a time of day."""
    format: str | None = None
    lines: int = 0
    unread: int = 0
    """Of its lines, about how many fit no format."""
    boot: str | None = None
    """The mark of the start of the computer since which it was last looked at."""
    first_day: str | None = None
    last_day: str | None = None
    """ISO days of its hits."""
    counted: int = 0
    """Unix time."""
    stays: str | None = None
    """``unread`` or ``changed``: what was told when it was counted."""
    waiting: int = 0
    """Lines of a spool that are sealed to keys which were not given."""
    keys: frozenset[str] = frozenset()
    """Ids (hex) of the keys with which it was opened as far as ``position``."""
    day: str | None = None
    """Of a spool."""
    catalogue: str | None = None
    """Of a spool: the hash of the registry by which lines were dropped that another may count."""


@dataclass(frozen=True)
class Face:
    """What can be seen of a log that lies before us."""

    own: str | None
    ladder: tuple[str, ...]
    timeless: bool
    length: int
    """Bytes up to and with the last LF, uncompressed."""
    tail_at: Callable[[int], str]
    """The tail at a position not beyond ``length``."""
    inode: str | None = None
    """Device and inode of a plain file; None for everything else."""
    start: int = 0
    """Bytes of NULs at its beginning."""
    cut_short: bool = False
    """A compressed file that ends in the middle."""
    blank: str = BLANK
    """``BLANK`` as it stands in ``ladder``."""


@dataclass(frozen=True)
class Verdict:
    """``source`` (None: a new one) and from where to count; ``start`` None: nothing to count."""

    source: Source | None
    start: int | None
    timeless: bool = True
    waits: bool = False
    """It may be a copy of a known log that ends early, or another that begins alike."""
    taken: bool = False
    """It begins as a timeless log that is gone, and is taken for a copy of it."""
    blind: bool = False
    """It is a timeless log that is known: where it lost lines and equal ones were written in their
    place, nothing shows it."""
    doubtful: bool = False
    """It begins as a log that is gone: what is left of it, or a log of its own."""
    changed: bool = False
    """What was counted of it is not there any more: nothing before ``start`` may count, which may
    lie within a line or beyond the end."""


def _related(face_ladder: Sequence[str], sources: Collection[Source]) -> list[Source]:
    """The sources without an id that begin as the log does, as far as both are known."""
    return [one for one in sources if one.own is None and same_start(face_ladder, one.ladder)]


def akin(ladder: Sequence[str], blank: str, sources: Collection[Source]) -> list[Source]:
    """``_related``, and those that share a line or more with the log before they differ."""
    foreign = (one for one in sources if one.own is None)
    return [
        one
        for one in foreign
        if same_start(ladder, one.ladder) or _shared(ladder, one.ladder, blank)
    ]


def _shared(one: Sequence[str], other: Sequence[str], blank: str) -> int:
    """How many rungs agree before the first that does not; those of equal content are one."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return len({rung for rung, _ in alike} - {blank})


def identify(
    face: Face,
    sources: Collection[Source],
    held: Collection[int] = (),
    is_there: Callable[[Source], bool] = lambda _: False,
) -> Verdict:
    """Finds ``face`` among ``sources``.

    ``held`` are the ids of sources that other logs of this run are: those whose inode or archive
    still holds their bytes, and those already found. ``is_there`` says whether the file with a
    source's inode still holds its bytes; a copy elsewhere, packed or plain, is not enough.

    Raises ``StateError`` (``log-changed``) where bytes of our own log changed that were counted.
    """
    if face.length < LEAST:
        return Verdict(None, None)
    if face.own is not None:
        return _by_id(face, sources)
    for one in sources:
        if _is_file(face, one) and 0 < face.start < one.position <= face.length:
            return _torn(face, one)
    known = akin(face.ladder, face.blank, sources)
    if face.timeless and all(one.timeless for one in known):
        return _by_inode(face, known, held)
    same_file = [one for one in sources if _is_file(face, one) and one not in known]
    return replace(_by_lines(face, known + same_file, is_there), timeless=False)


def _torn(face: Face, source: Source) -> Verdict:
    """NULs took the beginning of a counted file, or stood there before it was counted."""
    timeless = face.timeless and source.timeless
    if _continues(face, source):
        return Verdict(source, source.position, timeless)
    return Verdict(None, source.position, timeless, changed=True)


def _by_lines(face: Face, known: list[Source], is_there: Callable[[Source], bool]) -> Verdict:
    # It may be a copy, that ends early, of a longer log, or of what a changed one was before.
    copy = any(one.position > face.length for one in _related(face.ladder, known))
    maybe = [one for one in known if _is_file(face, one)] if copy else known
    if whole := [one for one in maybe if _continues(face, one)]:
        best = max(whole, key=lambda one: one.position)
        return Verdict(best, best.position)
    if changed := [one for one in maybe if _was(face, one)]:
        return Verdict(None, changed[0].position, changed=True)
    if copy:
        return Verdict(None, None, waits=True)
    if any(_may_be(face, one) and not is_there(one) for one in known):
        return Verdict(None, None, doubtful=True)
    return Verdict(None, 0)


def _was(face: Face, source: Source) -> bool:
    """Whether the log is what is left of ``source``: the same file, and one line of it at least."""
    return _is_file(face, source) and _shared(face.ladder, source.ladder, face.blank) > 0


def _may_be(face: Face, source: Source) -> bool:
    """Whether half of what is known of ``source`` agrees, and at least two lines."""
    agree = _shared(face.ladder, source.ladder, face.blank)
    return agree > 1 and 2 * agree >= len({*source.ladder} - {face.blank})


def _is_file(face: Face, source: Source) -> bool:
    return source.inode is not None and source.inode == face.inode


_OTHER_SPOOL = (
    "Another spool with the same id was counted, or this one was changed after it had been; "
    "nothing of it was counted. If this one is right, put another id into its first line (32 hex "
    "digits): each report counts once."
)


def _by_id(face: Face, sources: Collection[Source]) -> Verdict:
    source = next((one for one in sources if one.own == face.own), None)
    if source is None:
        return Verdict(None, 0)
    if face.length < source.position and (source.day is None or face.cut_short):
        return Verdict(source, None)
    if not _continues(face, source):
        if source.day is not None:
            raise StateError("log-changed", _OTHER_SPOOL)
        raise StateError(
            "log-changed",
            "A log of our own server was changed after it had been counted; nothing of it was "
            "counted again. Restore it, or recount its days.",
        )
    return Verdict(source, source.position)


def _by_inode(face: Face, known: list[Source], held: Collection[int]) -> Verdict:
    for source in known:
        if _is_file(face, source) and _continues(face, source):
            return Verdict(source, source.position, blind=True)
        if _was(face, source):
            return Verdict(None, source.position, changed=True)
    known = _related(face.ladder, known)
    whole = [one for one in known if _continues(face, one)]
    whole.sort(key=lambda one: one.position, reverse=True)
    free = [one for one in whole if one.id not in held]
    if free:
        return Verdict(free[0], free[0].position, taken=face.inode is not None, blind=True)
    if face.cut_short and any(one.position > face.length for one in known):
        return Verdict(None, None, waits=True)
    return Verdict(None, 0)


def same_start(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two ladders agree as far as both reach."""
    both = min(len(one), len(other))
    return both > 0 and one[both - 1] == other[both - 1]


def holds(face: Face, sources: Collection[Source]) -> list[Source]:
    """The sources that ``face`` is by its inode, with their bytes still in place."""
    same = [one for one in sources if one.inode is not None and one.inode == face.inode]
    return [one for one in _related(face.ladder, same) if _continues(face, one)]


def _continues(face: Face, source: Source) -> bool:
    if face.length < source.position:
        return False
    found = face.tail_at(source.position)
    # Of spools that were counted when no tail of them was kept it is not known.
    return found == source.tail or (source.tail == OWN and found != "")
