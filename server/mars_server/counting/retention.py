"""Removes logs that are counted and published, and forgets what identified them.

A log goes when all of this holds: it is counted to its last line; every week that it has hits of
is closed (published, or left out), so that its lines could only be dropped if they came again; its
last hit is older than the days to keep, and so is its last change. Anything else stays, with the
reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from mars.errors import MarsError
from mars.wire.query import AllowList
from mars_server.counting.advance import Ledger
from mars_server.counting.calendar import iso_week
from mars_server.counting.probe import Probe, probe
from mars_server.counting.register import Register
from mars_server.counting.sizes import Sizes
from mars_server.counting.streams import STDIN, is_url
from mars_server.counting.work import perform

DAY = 86_400
"""Seconds."""
_FIRST_DAY = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Known:
    """What the database knows of a source's age."""

    id: int
    first_day: str | None
    last_day: str | None
    counted: int
    """Unix time."""


@dataclass(frozen=True)
class Policy:
    """The weeks with hits that are not closed yet, and the last day (ISO) that is old enough to go.

    Asked for the open weeks and not for the published ones: a stray line of a wrong clock makes a
    log reach over years in which it holds nothing.
    """

    open: frozenset[str]
    until: str

    def spares(self, known: Known) -> str | None:
        """Why the log must stay, or None."""
        first, last = known.first_day or known.last_day, known.last_day
        if first is None or last is None:
            counted = day_of(known.counted)
            return None if counted <= self.until else "too young"
        # Whatever it is dated, no line is younger than its counting; a day more for time zones.
        last = min(last, day_of(known.counted + DAY))
        first = min(first, last)
        if last > self.until:
            return "too young"
        open_weeks = sorted(week for week in self.open if iso_week(first) <= week <= iso_week(last))
        return f"week {open_weeks[0]} is not published" if open_weeks else None


@dataclass(frozen=True)
class Fate:
    """One log: its reason to stay, or None when it is to go."""

    path: str
    reason: str | None
    source: int | None = None
    """The id that it is known by; None where it is not."""


def day_of(seconds: int) -> str:
    """The UTC day of a Unix time."""
    return date.fromordinal(_FIRST_DAY + seconds // DAY).isoformat()


def policy(open_weeks: Iterable[str], now: int, keep_days: int) -> Policy:
    until = date.fromordinal(_FIRST_DAY + now // DAY) - timedelta(keep_days + 1)
    return Policy(frozenset(open_weeks), until.isoformat())


def judge(paths: Iterable[str], ledger: Ledger, known: Iterable[Known], rule: Policy) -> list[Fate]:
    """Decides each log's fate; changes nothing."""
    ages = {one.id: one for one in known}
    return [_fate(path, Register(ledger, Sizes().span), ages, rule) for path in paths]


def _fate(path: str, register: Register, ages: dict[int, Known], rule: Policy) -> Fate:
    if path == STDIN or is_url(path):
        return Fate(path, "not a local file")
    if Path(path).is_symlink():
        return Fate(path, "a link; name the log itself")
    try:
        source, all_counted = _source(probe(path), register)
        changed = day_of(int(Path(path).stat().st_mtime))
    except MarsError as error:
        return Fate(path, error.message)
    except OSError as error:
        return Fate(path, error.strerror or "no access")
    if source is None or source not in ages:
        return Fate(path, "never counted")
    if not all_counted:
        return Fate(path, "not counted to its end", source)
    if changed > rule.until:
        return Fate(path, "changed lately", source)
    return Fate(path, rule.spares(ages[source]), source)


def forgettable(
    fates: Collection[Fate], known: Iterable[Known], rule: Policy, *, missing: bool
) -> set[int]:
    """The sources of the logs that are gone, but for those of which a copy stays; and with
    ``missing`` also of those that would go, but of which no log is there any more.

    Whoever forgets a log that is still there counts it anew, as lines that came too late.
    """
    gone = {fate.source for fate in fates if fate.reason is None and fate.source is not None}
    if missing:
        gone |= {one.id for one in known if rule.spares(one) is None}
    return gone - {fate.source for fate in fates if fate.reason or Path(fate.path).exists()}


def _source(found: Probe, register: Register) -> tuple[int | None, bool]:
    """The source that a log is, and whether it is counted to its last byte."""
    if found.length is not None:
        verdict, tasks = register.plan(found)
        ended = not tasks and found.length == found.size
        return (verdict.source.id if verdict.source else None), ended
    task = register.stream(found)
    done = perform(task, _NOBODY)
    if done.problem is not None:
        raise MarsError(*done.problem)
    if not done.pieces:
        return None, False
    verdict, left = register.settle(done)
    return (verdict.source.id if verdict.source else None), not left and not done.cut_short


_NOBODY = AllowList(frozenset(), frozenset(), frozenset())
"""Values do not matter where only bytes are compared."""
