"""Whether a signed document has arrived: from its date, the law of intervals and published weeks.

Requests of an installation are a renewal process in equilibrium (``mars_server.tables.estimate``).
So the time from any moment to its next request has a known law, whatever was before, and of those
who run day and night a known share has asked some days after a document was signed. How many *did*
follows from the hits of the weeks since, compared with those of the weeks before: whoever is off,
or gone, is missing in them. Nothing here depends on today's date.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from mars.wire.times import DAY
from mars_server.common.calendar import following, week_of
from mars_server.tables.estimate import DEFAULT, Interval
from mars_server.tables.fetch_intervals import begin_of
from mars_server.tables.signed_documents import Served
from mars_server.tables.week import Week

BEFORE: Final = 4
"""Weeks before a document that say how many asked then."""
SINCE: Final = 2
"""Whole weeks after it that are looked at; later ones tell of other things too."""
_ALL: Final = 100
"""Percent."""


@dataclass(frozen=True)
class Arrival:
    """What is known of one document, at the end of ``until``, the last published week."""

    document: Served
    law: Interval
    """Which installations followed when it was signed."""
    until: str
    had_time: int | None
    """Percent of the installations that always run; None where it was signed after ``until``."""
    low: int | None = None
    """Percent of those that asked regularly in the weeks before, which did since, at least; None
    where the weeks do not tell it."""
    high: int | None = None

    @property
    def signed(self) -> date:
        return datetime.fromtimestamp(self.document.serial, UTC).date()

    def asked_by(self, share: float) -> date:
        """The day on which this share (0–1) of those that always run have asked."""
        days = next(n for n in range(math.ceil(self.law.high) + 1) if asked(self.law, n) >= share)
        return self.signed + timedelta(days=days)


def asked(law: Interval, days: float) -> float:
    """The share of installations that ask within ``days`` of any moment: the equilibrium law of the
    time to the next request (D. R. Cox, Renewal Theory, 1962, section 5.1)."""
    first, late = min(max(days, 0.0), law.low), min(max(days, law.low), law.high) - law.low
    width = law.high - law.low
    return (first + late - late**2 / (2 * width)) / law.mean


def arrivals(documents: Sequence[Served], weeks: Sequence[Week], most: int = 1) -> list[Arrival]:
    """Of the newest ``most`` documents, newest first; of none where nothing is published."""
    newest = sorted(documents, key=lambda each: each.serial, reverse=True)[:most]
    return [_arrival(each, weeks) for each in newest] if weeks else []


def _arrival(document: Served, weeks: Sequence[Week]) -> Arrival:
    until, signed = weeks[-1].week, document.serial
    own = week_of(datetime.fromtimestamp(signed, UTC).date())
    before = [week for week in weeks if week.week < own]
    law = before[-1].interval if before else DEFAULT
    days = (begin_of(following(until)) - signed) / DAY
    if days <= 0:
        return Arrival(document, law, until, None)
    had_time = math.floor(_ALL * asked(law, days))
    usual = [week for week in before[-BEFORE:] if _is_sure(week)]
    since = _since(signed, own, weeks)
    if not usual or not since or not all(map(_is_sure, since)):
        return Arrival(document, law, until, had_time)
    (low, high), (fewest, largest) = _ends(since), _ends(usual)
    whole = asked(law, 7.0 * len(since))
    all_days = asked(law, (begin_of(following(since[-1].week)) - signed) / DAY)
    at_least = min(_ALL, math.floor(_ALL * whole * low / largest))
    at_most = min(_ALL, math.ceil(_ALL * all_days * high / fewest))
    return Arrival(document, law, until, had_time, at_least, at_most)


def _since(signed: int, own: str, weeks: Sequence[Week]) -> list[Week]:
    """The first whole weeks after it, ``SINCE`` at most; none where the first is not published."""
    known = {week.week: week for week in weeks}
    name, found = own, list[Week]()
    if begin_of(own) < signed:
        name = following(own)
    while name in known and len(found) < SINCE:
        found.append(known[name])
        name = following(name)
    return found


def _is_sure(week: Week) -> bool:
    """Whether its hits tell how many asked, from below and from above."""
    return week.estimate is not None and week.estimate.low > 0 and not week.flags


def _ends(weeks: Sequence[Week]) -> tuple[float, float]:
    """The mean of the lower ends of their estimates, and of the upper ones."""
    known = [week.estimate for week in weeks if week.estimate is not None]
    return sum(each.low for each in known) / len(known), sum(each.high for each in known) / len(
        known
    )
