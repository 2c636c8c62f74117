"""Removes logs that are counted and published, and forgets what identified them.

A log goes when all of this holds: it is counted to its last line; every week that it has hits of
is closed (published, or left out), so that its lines could only be dropped if they came again; its
last hit is older than the days to keep, and so is its last change. Anything else stays, with the
reason.
"""

from __future__ import annotations

from collections.abc import Iterable
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
        if last > self.until:
            return "too young"
        open_weeks = sorted(week for week in self.open if iso_week(first) <= week <= iso_week(last))
        return f"week {open_weeks[0]} is not published" if open_weeks else None


@dataclass(frozen=True)
class Fate:
    """One log: its reason to stay, or None when it is to go."""

    path: str
    reason: str | None


def day_of(seconds: int) -> str:
    """The UTC day of a Unix time."""
    return date.fromordinal(_FIRST_DAY + seconds // DAY).isoformat()


def policy(open_weeks: Iterable[str], now: int, keep_days: int) -> Policy:
    until = date.fromordinal(_FIRST_DAY + now // DAY) - timedelta(keep_days + 1)
    return Policy(frozenset(open_weeks), until.isoformat())


def judge(paths: Iterable[str], ledger: Ledger, known: Iterable[Known], rule: Policy) -> list[Fate]:
    """Decides each log's fate; changes nothing."""
    ages = {one.id: one for one in known}
    return [Fate(path, _reason(path, Register(ledger, Sizes().span), ages, rule)) for path in paths]


def _reason(path: str, register: Register, ages: dict[int, Known], rule: Policy) -> str | None:
    if path == STDIN or is_url(path):
        return "not a local file"
    try:
        found = probe(path)
        source, all_counted = _source(found, register)
    except MarsError as error:
        return error.message
    if source is None or source not in ages:
        return "never counted"
    if not all_counted:
        return "not counted to its end"
    if day_of(int(Path(path).stat().st_mtime)) > rule.until:
        return "changed lately"
    return rule.spares(ages[source])


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
