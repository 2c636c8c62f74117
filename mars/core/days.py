"""One request a day, of whatever channel: nobody can tell by their times that two are of one
installation. Pure. Days are those of UTC, counted from 1970-01-01.

The clock may be wrong and may step, so what counts is whether a day of this name was used.
"""

from __future__ import annotations

from dataclasses import replace

from mars.core.state import State
from mars.errors import ConsentError
from mars.wire.times import DAY

DAY_USED = "day-used"
"""The reason of a scheduled request that was kept back at the last moment, of which nothing left:
another one of this installation went that day. Its channel picks another day."""
KEPT = 8
"""Days remembered: as many as a clock that flaps may show in turn."""


def after(now: int) -> int:
    """The next midnight, Unix time."""
    return (now // DAY + 1) * DAY


def settled(state: State, now: int) -> State:
    """As it is at ``now``: the day on which a clock stepped back counts as used, since the hour
    before, on whatever day, something may have gone. None after it does."""
    stepped = state.days and state.days[-1] > now // DAY
    return used(state, now) if stepped else state


def used(state: State, now: int) -> State:
    """To be stored *before* a byte may leave: whatever happens then, nothing goes by itself on this
    day any more."""
    today = now // DAY
    if today in state.days:
        return state
    return replace(state, days=(*state.days, today)[-KEPT:])


def is_free(state: State, now: int, due: int | None) -> bool:
    """Whether a request may go by itself on the day of ``now``: none went, and the one that keeps
    its time, ``due`` at that Unix time if at all, is due on a later one."""
    is_used = now // DAY in settled(state, now).days
    return not is_used and (due is None or due >= after(now))


def day_used() -> ConsentError:
    return ConsentError(
        DAY_USED, "Another request of this installation went today, so this one waits for its day."
    )
