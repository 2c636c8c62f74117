"""What noise hides from somebody who looks week after week, at every sum that holds a count.

He knows the rest of each sum, his own forged hits included, and sees the noisy numbers before they
are floored. What is published follows from these, so nobody who sees that can do better; and the
rest of a sum only shifts it. The two true counts are equally likely, and he decides by the exact
likelihood of the two-sided geometric law, which is the best test there is (J. Neyman, E. Pearson,
1933).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mars_server.tables.noise import CELLS_PER_HIT, Noise

WEEKS_A_YEAR = 52
LONGEST = 10 * WEEKS_A_YEAR
"""Weeks; nobody is promised more."""
SELDOM = 0.05
"""Who errs one time in twenty knows."""


def bound(noise: Noise, distance: int) -> float:
    """How much likelier one published number can be under one true count than under another."""
    return math.exp(noise.per_cell * distance)


def error(noise: Noise, distance: int, weeks: int) -> float:
    """The chance to err, to tell two true counts that lie ``distance`` apart in so many weeks."""
    looks = _power(_steps(noise, distance), weeks * CELLS_PER_HIT)
    middle, odd = divmod(len(looks) - 1, 2)
    wrong = float(looks[middle + 1 :].sum())
    return wrong if odd else wrong + float(looks[middle]) / 2


def weeks_until(noise: Noise, distance: int) -> int | None:
    """The first week in which he errs seldom, or None where that is later than ``LONGEST``."""
    low, high = 0, LONGEST
    if error(noise, distance, high) > SELDOM:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        late = error(noise, distance, middle) > SELDOM
        low, high = (middle, high) if late else (low, middle)
    return high


def _steps(noise: Noise, distance: int) -> NDArray[np.float64]:
    """The law of one number's log-likelihood ratio if the smaller count is true, lowest first. It
    has ``distance`` + 1 values, evenly spaced and symmetric to 0."""
    alpha = math.exp(-noise.per_cell)
    between = [(1 - alpha) * alpha**k for k in range(1, distance)]
    return np.array([1.0, *between, alpha**distance]) / (1 + alpha)


def _power(law: NDArray[np.float64], times: int) -> NDArray[np.float64]:
    """The law of a sum of so many independent draws."""
    result = np.ones(1)
    while times:
        if times % 2:
            result = np.convolve(result, law)
        law = np.convolve(law, law) if times > 1 else law
        times //= 2
    return result
