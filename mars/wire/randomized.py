"""k-ary randomised response: a report says a random value now and then, so that none is proof.

P. Kairouz, S. Oh, P. Viswanath, "Extremal mechanisms for local differential privacy" (2016). Each
report is drawn anew: an answer that is remembered would be an identifier. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence


def truth(epsilon: float, values: int) -> float:
    """The chance that the true one of ``values`` is said: e^ε / (e^ε + k - 1); 1 where ε is 0."""
    return math.exp(epsilon) / (math.exp(epsilon) + values - 1) if epsilon else 1.0


def other(epsilon: float, values: int) -> float:
    """The chance of each single other value: 1 / (e^ε + k - 1); 0 where ε is 0."""
    return 1 / (math.exp(epsilon) + values - 1) if epsilon else 0.0


def answered(
    value: str, values: Sequence[str], epsilon: float, uniform: Callable[[float, float], float]
) -> str:
    """What a report says where ``value``, one of ``values``, is true. ``uniform(low, high)`` is the
    source of chance."""
    if not epsilon or uniform(0.0, 1.0) < truth(epsilon, len(values)):
        return value
    others = [each for each in values if each != value]
    return others[min(int(uniform(0.0, len(others))), len(others) - 1)]


def in_words(epsilon: float, values: int) -> str:
    """For a person: how often a random answer, drawn from all values, is sent instead."""
    share = values * other(epsilon, values)
    if not share:
        return "The true value is sent."
    if share >= 0.95:
        sure = int(share * 100)  # never told as all of them
        return f"In {sure}% of reports a random answer is sent instead of the true one."
    times = 1 / share
    if abs(times - round(times)) < 0.05:
        many = {1: "every time", 2: "one time in two", 3: "one time in three"}
        said = many.get(round(times), f"one time in {round(times)}")
    else:
        said = f"in {share:.0%} of reports"
    return f"{said[0].upper()}{said[1:]} a random answer is sent instead of the true one."
