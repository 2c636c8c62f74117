"""How many installations send metrics, what a request then says, and which crowd could be set.

A trust file says the crowd, a person sets it; this only proposes, from published figures alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mars.wire.crowd import ALONE, CROWDS, SOME
from mars_server.tables.estimate import Estimate, Law, estimate
from mars_server.tables.periods import DOUBTS
from mars_server.tables.week import Week

HOLD_WEEKS: Final = 13
"""Unflagged weeks that a larger crowd must have held."""
ROOM: Final = 2
"""How many times over they must have held it: where updates spread slowly a version tells more, and
requests are linked too well just where a rule begins (decision 20)."""


def level_of(crowd: int) -> int:
    """The one of ``CROWDS`` that clients take ``crowd`` for."""
    return max(each for each in CROWDS if each <= crowd)


def tracked(week: Week) -> Estimate | None:
    """The installations that send metrics in ``week``. Weeks of format 1 do not tell it; it
    follows from their figures, unless requests came in bunches."""
    count = week.count("level", "tracked")
    if not week.of_old or count is None or "steered" in week.flags:
        return week.tracked
    return estimate(count, (Law(week.interval, 1.0),), deviation=week.deviation)


def proposed(weeks: Sequence[Week], crowd: int) -> int:
    """The crowd that could be set where ``crowd`` is: a larger one only if the last thirteen
    unflagged weeks of ``weeks`` (oldest first) hold it twice, and every flagged one since the first
    of them; a smaller one as soon as the latest week with data that is neither disturbed nor
    incomplete does not hold ``crowd`` once."""
    known = [(week, guess.low) for week in weeks if (guess := tracked(week)) is not None]
    sure = [low for week, low in known if not DOUBTS.intersection(week.flags)]
    if sure and sure[-1] < crowd:
        return _power(sure[-1])
    unflagged = [n for n, (week, _) in enumerate(known) if not week.flags][-HOLD_WEEKS:]
    if len(unflagged) < HOLD_WEEKS:
        return crowd
    return max(crowd, _power(min(low for _, low in known[unflagged[0] :]) // ROOM))


def _power(low: int) -> int:
    """The largest power of ten from 100 on that is not above ``low``, else 0."""
    return int(10 ** (len(str(low)) - 1)) if low >= SOME else ALONE
