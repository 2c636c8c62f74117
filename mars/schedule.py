"""When the next fetch is due.

The draws come first: the same functions drive the client and the population simulator, so that
the estimate of active installs is tried against the true schedule. Delays are whole seconds.
"""

from __future__ import annotations

import math

from mars.ports import Chance

HOUR = 3_600
DAY = 86_400
"""Seconds."""

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

    ``reportback_next`` is what the last accepted document asks for, in seconds: 0 means the
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
