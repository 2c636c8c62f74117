"""Removes logs that are counted and published, and forgets what identified them.

A log goes when all of this holds: this database knows it; it is counted to its last line; every
week that it has hits of is closed (published, or left out), so that its lines could only be dropped
if they came again; its last hit is older than the days to keep, and so is its last change; its
lines are in a format that was read; and all names of its file (hard links) are given. Anything else
stays, with the reason: what was never counted, whatever it is, belongs to somebody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from mars.errors import MarsError, StateError
from mars.wire.query import AllowList
from mars.wire.times import DAY
from mars_server.common.calendar import iso_week
from mars_server.counting.foreign.identity import LEAST, Source, Verdict
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import Probe, probe
from mars_server.counting.formats import is_known
from mars_server.counting.store_port import Ledger, Sizes
from mars_server.counting.streams import STDIN, Stream, is_url, open_raw
from mars_server.counting.tally import is_unread
from mars_server.counting.tasks import perform
from mars_server.daylog.format import day_of, iso_day, spool_of

_YEAR = 366 * DAY
"""Seconds."""
_NANOSECONDS = 1_000_000_000
"""In a second."""

_Mark = tuple[int, int, int, int]
"""Device, inode, size in bytes and time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Policy:
    """The weeks with hits that are not closed yet, and the last day (ISO) that is old enough to go.

    Asked for the open weeks and not for the published ones: a stray line of a wrong clock makes a
    log reach over years in which it holds nothing.
    """

    open: frozenset[str]
    until: str

    def spares(self, known: Source) -> str | None:
        """Why the log must stay, or None."""
        first, last = known.first_day or known.last_day, known.last_day
        if first is None or last is None:
            counted = _day_of(known.counted)
            return None if counted <= self.until else "too young"
        # Whatever it is dated, no line is younger than its counting; a day more for time zones.
        last = min(last, _day_of(known.counted + DAY))
        first = min(first, last)
        if last > self.until:
            return "too young"
        open_weeks = sorted(week for week in self.open if iso_week(first) <= week <= iso_week(last))
        return f"week {open_weeks[0]} is not published" if open_weeks else None

    def awaits(self, known: Source) -> bool:
        """Whether a week to come holds a hit of it, which a copy would add once more.

        Of a clock that is wrong by more than a year no week is waited for.
        """
        last = known.last_day
        if last is None or last > _day_of(known.counted + _YEAR):
            return False
        return iso_week(last) in self.open


@dataclass(frozen=True)
class Fate:
    """One log: its reason to stay, or None when it is to go."""

    path: str
    reason: str | None
    source: int | None = None
    """The id that it is known by; None where it is not."""
    short: bool = False
    """It holds no hit, and too little to know it again."""
    mark: _Mark | None = None
    """Of the file that was judged."""
    left: bool = False
    """It was to go, and could not be removed."""

    @property
    def unknown(self) -> bool:
        """Whether it may hold what was never counted, or be a part of any log."""
        return self.source is None and not self.short


def _day_of(seconds: int) -> str:
    """The UTC day of a Unix time."""
    return iso_day(day_of(seconds))


def policy(open_weeks: Iterable[str], now: int, keep_days: int) -> Policy:
    return Policy(frozenset(open_weeks), _day_of(now - (keep_days + 1) * DAY))


def judge(paths: Iterable[str], ledger: Ledger, rule: Policy) -> Iterator[Fate]:
    """Decides each log's fate, one after another, for reading an archive may take minutes; changes
    nothing. The names of one file share its fate."""
    files: dict[_Mark, list[Probe]] = {}
    for path in paths:
        one = _look(path)
        if isinstance(one, Fate):
            yield one
        else:
            files.setdefault(one[1], []).append(one[0])
    register = Register(ledger, Sizes().span)
    register.expect([names[0] for names in files.values()])
    for mark, names in files.items():
        fate = _fate(names[0], mark, register, rule)
        if fate.reason is None and len(names) < _links(fate.path):
            fate = replace(fate, reason="its file has another name (a hard link); name that too")
        yield from (replace(fate, path=name.path) for name in names)


def _links(path: str) -> int:
    """How many names the file has; 0 where it is gone."""
    with suppress(OSError):
        return Path(path).lstat().st_nlink
    return 0


def remove(fate: Fate) -> Fate:
    """Removes the log that was judged if it is to go; never another that has its name by now."""
    if fate.reason is not None:
        return fate
    try:
        if _mark(fate.path) != fate.mark:
            return replace(fate, reason="changed or rotated while it was looked at")
        Path(fate.path).unlink()
    except FileNotFoundError:
        return replace(fate, reason="renamed or removed while it was looked at")
    except OSError:
        return replace(fate, left=True)
    return fate


def forgettable(
    fates: Collection[Fate], known: Collection[Source], rule: Policy, *, missing: bool
) -> set[int]:
    """The sources of the logs that are gone, but for those of which a copy stays; and with
    ``missing`` also of those that would go, but of which no log is there any more.

    Whoever forgets a log that is still there counts it anew, as lines that came too late.
    """
    gone = {fate.source for fate in fates if fate.source is not None}
    if missing:
        gone |= {one.id for one in known if rule.spares(one) is None}
    stay = {fate.source for fate in fates if fate.reason or fate.left}
    return gone - stay - {one.id for one in known if rule.awaits(one)}


def _look(path: str) -> tuple[Probe, _Mark] | Fate:
    """A local log at first sight."""
    if path == STDIN or is_url(path):
        return Fate(path, "not a local file")
    if Path(path).is_symlink():
        return Fate(path, "a link; name the log itself")
    try:
        mark = _mark(path)  # first, so that it is not newer than what is read
        if _is_spool(path):
            return Fate(path, "a spool of reports: mars-server retain removes it")
        return probe(path), mark
    except (MarsError, OSError) as error:
        return _unread(path, error)


def _is_spool(path: str) -> bool:
    with open_raw(path) as raw, closing(Stream(raw, path)) as stream:
        return spool_of(stream.head()) is not None


def _unread(path: str, error: MarsError | OSError) -> Fate:
    if isinstance(error, OSError):
        return Fate(path, error.strerror or "no access")
    return Fate(path, error.message, short=error.reason == _SHORT)


def _mark(path: str) -> _Mark:
    """Raises ``OSError``."""
    status = Path(path).lstat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _fate(log: Probe, mark: _Mark, register: Register, rule: Policy) -> Fate:
    path = log.path
    try:
        age, ended = _counted(log, register)
    except (MarsError, OSError) as error:
        return _unread(path, error)
    if age is None:
        return Fate(path, "never counted")
    fate = Fate(path, None, age.id, mark=mark)
    if not ended:
        return replace(fate, reason="not counted to its end")
    if _day_of(mark[-1] // _NANOSECONDS) > rule.until:
        return replace(fate, reason="changed lately")
    if age.stays == "changed":
        told = "changed after it had been counted, and lines before that place may be missing"
        return replace(fate, reason=f"{told}: remove it by hand")
    if age.stays or is_unread(age.lines, age.unread):
        told = f"about {age.unread} of its {age.lines} lines fit no known format and were not read"
        return replace(fate, reason=told)
    if age.last_day is None and log.own is None and not _is_log(path):
        return replace(fate, reason="no line of it is one of an access log: remove it by hand")
    return replace(fate, reason=rule.spares(age))


def _is_log(path: str) -> bool:
    """Whether it begins with lines that a server wrote, of which none is a hit."""
    with open_raw(path) as raw, closing(Stream(raw, path)) as stream:
        return is_known(stream.head())


_SHORT = "log-short"


def _counted(found: Probe, register: Register) -> tuple[Source | None, bool]:
    """As whom a log was counted, and whether nothing of it is left to count."""
    if found.length is None:
        verdict, ended = _archive(found, register)
    else:
        _require_identity(found.length)
        verdict, tasks = register.plan(found)
        ended = not tasks and found.length == found.size
    if verdict.changed:
        raise StateError("log-changed", "changed after it had been counted, so count it once more")
    if verdict.doubtful:
        told = "it may be what is left of another log, or one of its own: see count --new"
        raise StateError("log-doubtful", told)
    return verdict.source, ended


def _require_identity(length: int) -> None:
    if length < LEAST:
        raise StateError(_SHORT, "too short to be known, so it was never counted")


def _archive(found: Probe, register: Register) -> tuple[Verdict, bool]:
    done = perform(register.stream(found), _NOBODY)
    done.require()
    ended = not done.cut_short and _last_byte(found.path) in (b"", b"\n")
    _require_identity(done.pieces[-1].end if done.pieces else 0)
    source = register.archived(found)
    if source is not None:  # held by this very file, so that no log is recognised as it any more
        return Verdict(source, None), ended
    verdict, left = register.settle(done)
    return verdict, ended and not left


def _last_byte(path: str) -> bytes:
    """Of what an archive holds; lines are counted up to the last LF alone."""
    last = b""
    with open_raw(path) as raw, closing(Stream(raw, path)) as stream:
        for chunk in stream.chunks():
            last = chunk[-1:] or last
    return last


_NOBODY = AllowList({})
"""Values do not matter where only bytes are compared."""
