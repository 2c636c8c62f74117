"""When the next fetch is due.

The draws come first: the same functions drive the client and the population simulator, so that
the estimate of active installs is tried against the true schedule. Delays are whole seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mars.ports import Chance
from mars.wire.times import DAY

HOUR = 3_600

SHORTEST = 3 * DAY
LONGEST = 10 * DAY
"""The default interval between two fetches is uniform between these."""

STEERED_LONGEST = 30 * DAY
STEERED_STEP = 6 * HOUR
"""What the publisher asks for is clamped and rounded to this step: a finer value would be a tag."""
STEERED_SPREAD = 3 * DAY


def first_delay(chance: Chance) -> int:
    """Seconds from consent to the first fetch, by the equilibrium law of the default interval.

    A length-biased interval, then a uniform point in it: installs then fetch as if they had
    always done so, and the estimate of active installs needs no correction for new ones.
    """
    shortest, longest = SHORTEST / DAY, LONGEST / DAY
    interval = math.sqrt(chance.uniform(shortest**2, longest**2))
    return int(chance.uniform(0.0, 1.0) * interval * DAY)


def next_interval(chance: Chance, reportback_next: int = 0) -> int:
    """Seconds from one fetch to the next.

    ``reportback_next`` is what root's steering document asks for, in seconds: 0 means the
    default of 3 to 10 days; anything else is clamped to 3 to 30 days, rounded to 6 hours, and up
    to 3 days of the client's own chance are added.
    """
    if reportback_next == 0:
        return int(chance.uniform(SHORTEST, LONGEST))
    return steered(reportback_next) + int(chance.uniform(0, STEERED_SPREAD))


def steered(reportback_next: int) -> int:
    """``reportback_next`` (seconds, not 0) as clients obey it: clamped, then rounded to 6 h."""
    clamped = min(max(reportback_next, SHORTEST), STEERED_LONGEST)
    return (clamped + STEERED_STEP // 2) // STEERED_STEP * STEERED_STEP


VERSION = 1
"""Of the stored schedule."""

FARTHEST = STEERED_LONGEST + STEERED_SPREAD
"""No honest draw lies farther ahead (33 days); a stored time beyond it comes from a wrong clock."""
LATE_SPREAD = 4 * HOUR
"""An overdue fetch waits up to this much running time, so that no start can be seen, ..."""
LATE_LEAST = 5 * 60
"""... and at least this much: the session that finds it overdue has just started (ADR 0014). So
does what would be due within this much of a start."""
ON_TIME = 120
"""Seconds after the due time within which a running process was awake for it."""
LONGEST_SLEEP = HOUR
"""A wake-up at least this often compares the wall clock; never more often while idle."""
FIRST_KEEP, OVERDUE_SLEEP = 60, 10 * 60
"""While a fetch is overdue its wait is kept after one minute, then after twice as long each time
up to ten, so that a killed session still counts."""
PAUSE = 60
"""After each exchange, whatever wants to be next: no channel sends without end."""
RETRIES = ((HOUR, 6 * HOUR), (6 * HOUR, DAY))
"""After the first and the second try in a row that failed before a byte of the request left; after
the third, and after any other failure, the next period."""
CHECK_EVERY = HOUR
"""The user may ask for a check once in this time; a clock that stepped back does not lock it."""


@dataclass(frozen=True)
class Schedule:
    """What is kept between sessions. ``due`` is wall-clock Unix time."""

    due: int
    wait: int | None = None
    """Seconds of running time that an overdue fetch still waits; None while none is overdue."""
    failures: int = 0
    """Tries of this period in a row of which nothing left."""
    period: int = 0
    """The ``reportback_next`` that ``due`` was drawn with."""


def begin(now: int, chance: Chance) -> Schedule:
    """From the date of consent, or from a state that could not be read."""
    return Schedule(due=now + first_delay(chance))


def moved(schedule: Schedule, midnight: int, chance: Chance) -> Schedule:
    """To a time uniform over the day that begins at ``midnight``: this one is another request's."""
    return replace(schedule, due=midnight + int(chance.uniform(0, DAY - 1)), wait=None)


def look(
    schedule: Schedule,
    now: int,
    ran: int | None,
    chance: Chance,
    *,
    floor: int = 0,
    closed: int = 0,
) -> tuple[Schedule, int]:
    """Compares the wall clock with the due time: seconds until the next look, 0 to fetch now.

    ``ran`` is the running time in seconds since the last look, None at the first look of a
    session; time asleep does not count. ``floor`` is a time known to have passed (the build date):
    a clock before it is wrong, and then nothing is done. ``closed`` is the next midnight where
    nothing may go today: what would go now moves to the day that begins then.
    """
    looked, sleep = _looked(schedule, now, ran, chance, floor)
    if sleep or not closed:
        return looked, sleep
    looked = moved(looked, closed, chance)
    return looked, min(looked.due - now, LONGEST_SLEEP)


def _looked(
    schedule: Schedule, now: int, ran: int | None, chance: Chance, floor: int
) -> tuple[Schedule, int]:
    if now < floor - DAY:
        return schedule, LONGEST_SLEEP
    schedule = rested(replace(schedule, due=min(schedule.due, now + FARTHEST)), ran)
    wait = waits(schedule.due, schedule.wait, now, ran, chance)
    if wait is None:
        left = max(schedule.due - now, 0)
        return replace(schedule, wait=None), min(left, LONGEST_SLEEP)
    keep = min(max(FIRST_KEEP, 2 * (ran or 0)), OVERDUE_SLEEP)
    return replace(schedule, wait=wait), min(wait, keep)


def waits(
    due: int, wait: int | None, now: int, ran: int | None, chance: Chance, *, anew: bool = False
) -> int | None:
    """Seconds of running time that a request waits whose time passed while nothing ran, or would
    betray that a session began; None where it goes at its time. ``wait`` is what it still waits,
    None until then, ``ran`` as of ``look``; of what is ``anew`` even the rest of a wait is no
    shorter at a start."""
    if due > now + LATE_LEAST:  # also where the clock stepped back
        return None
    if wait is None:
        passed = ran is None or now - due > ON_TIME
        return int(chance.uniform(LATE_LEAST, LATE_SPREAD)) if passed else None
    if anew and ran is None and wait < LATE_LEAST:
        # Of a machine that never runs for long what is left must be able to end.
        return int(chance.uniform(LATE_LEAST, 2 * LATE_LEAST))
    return wait


def rested(schedule: Schedule, ran: int | None) -> Schedule:
    """At the end of a session: what is left of an overdue fetch's wait."""
    if schedule.wait is None:
        return schedule
    return replace(schedule, wait=max(schedule.wait - (ran or 0), 0))


def attempt(schedule: Schedule, now: int, chance: Chance) -> Schedule:
    """To be stored *before* the attempt: whatever happens now, the next one is a period away."""
    due = now + next_interval(chance, schedule.period)
    return replace(schedule, due=due, wait=None)


def succeeded(schedule: Schedule, now: int, chance: Chance, reportback_next: int) -> Schedule:
    """After an accepted answer. The stored time stands unless the publisher steers anew."""
    kept = replace(schedule, failures=0)
    if reportback_next == schedule.period:
        return kept
    due = now + next_interval(chance, reportback_next)
    return replace(kept, due=due, period=reportback_next)


def failed(schedule: Schedule, now: int, chance: Chance, *, left: bool) -> Schedule:
    """After a failed try: where nothing left two retries, each from a wide uniform draw, then the
    next period.

    Once a byte of the request ``left``, or may have, the stored time stands, whatever came back:
    an answer withheld from one circuit would else bring that client back within hours.
    """
    if left or schedule.failures >= len(RETRIES):
        return replace(schedule, failures=0)
    low, high = RETRIES[schedule.failures]
    due = now + int(chance.uniform(low, high))
    return replace(schedule, due=due, failures=schedule.failures + 1)
