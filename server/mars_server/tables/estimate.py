"""Active installations from hits, with an interval, as a renewal process in equilibrium.

Each installation fetches at random intervals of known law, so a window of W days holds W/mu hits
of each on average, and ``hits * mu / W`` is an unbiased estimate of how many there are. Regular
fetching makes the count far steadier than a Poisson count: its variance is F * hits with a Fano
factor F of about a quarter (D. R. Cox, Renewal Theory, 1962, chapter 4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mars.wire.times import DAY
from mars_server.tables.floor import Published
from mars_server.tables.noise import TOLD

WEEK: Final = 7.0
"""Days in the window."""
_Z95: Final = 1.96
"""The standard normal's 97.5 % quantile."""
_EXACT_BELOW: Final = 30
"""Hits below which the exact Poisson interval is used: wider, and safe for few installations."""

_LEAST_VARIANCE: Final = 0.25
"""Of one installation's hits in a week; two neighbouring whole numbers can differ by as much."""
_LEAST_EXPECTED: Final = 0.25
"""Hits of one installation in a week; with fewer, nearly all of them keep silent for weeks and
then come together, and a day more or less decides what is counted."""

STEER_STEP: Final = 6 * 3600
"""Seconds; clients round the server's interval to this."""
STEER_LOW: Final = 3 * DAY
STEER_HIGH: Final = 30 * DAY


TURNOVER_WEEKS: Final = 5
"""Weeks until every installation has asked at least once (33 days is the longest interval) and so
knows of a change."""


@dataclass(frozen=True)
class Interval:
    """The law of the time between two fetches: uniform from ``low`` to ``high`` days."""

    low: float
    high: float

    @property
    def mean(self) -> float:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> float:
        return (self.high - self.low) ** 2 / 12


@dataclass(frozen=True)
class Law:
    """An interval that installations were asked to keep, and the share of a week for which the
    documents served in it asked for that."""

    interval: Interval
    share: float


DEFAULT: Final = Interval(3.0, 10.0)
"""U(3, 10) days, which clients draw where the server asks for nothing else."""


def steered(reportback_next: int) -> Interval:
    """The law under a document's ``reportback_next`` (seconds; 0 is the default law).

    Clients clamp it to 3–30 days, round it to 6 hours and add U(0, 3 days).
    """
    if reportback_next == 0:
        return DEFAULT
    clamped = min(max(reportback_next, STEER_LOW), STEER_HIGH)
    base = (clamped + STEER_STEP // 2) // STEER_STEP * STEER_STEP / DAY
    return Interval(base, base + 3.0)


def fano(interval: Interval) -> float:
    """Variance over mean of the hits of many installations in a week.

    Exact where the window is shorter than the shortest interval (at most one hit each), else the
    renewal asymptotics, never below what two neighbouring whole numbers can differ by.
    """
    mean, s2 = interval.mean, interval.variance
    if interval.low >= WEEK:
        return 1 - WEEK / mean
    variance = s2 * WEEK / mean**3 + 1 / 6 + s2**2 / (2 * mean**4)
    return max(variance, _LEAST_VARIANCE) * mean / WEEK


def bounds(
    least: int, most: int, interval: Interval = DEFAULT, deviation: float = 0.0
) -> tuple[float, float]:
    """The unrounded 95 % interval when the hits of a week lie between ``least`` and ``most``.

    ``deviation`` is the standard deviation of noise that was added to the hits.
    """
    return _bounds(least, most, interval.mean / WEEK, fano(interval), deviation)


def bunched(
    least: int, most: int, expected: float, deviation: float = 0.0
) -> tuple[float, float] | None:
    """The same where one installation makes ``expected`` hits in the week, whatever its law; None
    where these are too few to divide by."""
    if expected < _LEAST_EXPECTED:
        return None
    return _bounds(least, most, 1 / expected, _LEAST_VARIANCE / expected, deviation)


def _bounds(
    least: int, most: int, factor: float, spread: float, deviation: float
) -> tuple[float, float]:
    if deviation:
        low = max(0.0, least - TOLD * math.sqrt(least + deviation**2))
        return factor * low, factor * (most + TOLD * math.sqrt(most + deviation**2))
    low = _poisson_low(least) if least < _EXACT_BELOW else least - _Z95 * math.sqrt(spread * least)
    high = _poisson_high(most) if most < _EXACT_BELOW else most + _Z95 * math.sqrt(spread * most)
    return factor * low, factor * high


@dataclass(frozen=True)
class Estimate:
    """Active installations, rounded to two significant digits; the interval rounded outward."""

    installations: int
    low: int
    high: int


def estimate(
    hits: Published,
    served: Sequence[Law] = (Law(DEFAULT, 1.0),),
    earlier: Iterable[Interval] = (),
    expected: float | None = None,
    deviation: float = 0.0,
) -> Estimate | None:
    """From one week's published hits, in which documents with these laws were ``served``; None
    without data. Lateness of installations is unknown, so all three numbers are a lower bound.

    Each hit has the mean of the interval that it opens as its weight; hits are taken as spread
    evenly over the week, so that the published total is enough. The interval covers every true
    count that the floor stands for, under each law by itself, also the ``earlier`` ones that some
    installations may still have kept, and by the hits ``expected`` of one installation, where the
    times of all changes are known (``mars_server.tables.fetch_intervals``).
    """
    if hits.missing:
        return None
    laws = dict.fromkeys([*(law.interval for law in served), *earlier])
    ranges = [bounds(hits.least, hits.most, law, deviation) for law in laws]
    if expected is not None:
        ranges += filter(None, [bunched(hits.least, hits.most, expected, deviation)])
    weight = sum(law.share * law.interval.mean for law in served) / WEEK
    return Estimate(
        installations=significant(weight * (hits.least + hits.most) / 2),
        low=significant(min(low for low, _ in ranges), math.floor),
        high=significant(max(high for _, high in ranges), math.ceil),
    )


def significant(value: float, rounding: Callable[[float], int] = round, digits: int = 2) -> int:
    """``value`` (at least 0) to ``digits`` significant digits in the direction of ``rounding``."""
    if value < 10**digits:
        return int(rounding(value))
    # By digits, not by log10, which rounds 999.9999999999999 up to three.
    unit = int(10 ** (len(str(int(value))) - digits))
    return int(rounding(value / unit)) * unit


def _poisson_low(hits: int) -> float:
    """The exact 95 % lower limit of a Poisson mean (F. Garwood, Biometrika 28, 1936)."""
    if hits == 0:
        return 0.0
    return _bisect(lambda mean: 1 - _poisson_cdf(hits - 1, mean) < 0.025, 0.0, float(hits))


def _poisson_high(hits: int) -> float:
    """The exact 95 % upper limit of a Poisson mean."""
    return _bisect(
        lambda mean: _poisson_cdf(hits, mean) > 0.025, hits, hits + 4 * (hits + 4) ** 0.5
    )


def _poisson_cdf(hits: int, mean: float) -> float:
    term = total = math.exp(-mean)
    for k in range(1, hits + 1):
        term *= mean / k
        total += term
    return total


def _bisect(below: Callable[[float], bool], low: float, high: float) -> float:
    """Where ``below`` turns from true to false between ``low`` and ``high``."""
    for _ in range(60):
        middle = (low + high) / 2
        if below(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2
