"""How many installations send a statistic, and which share of them says what, with intervals.

Each installation reports an entry with a declared chance in each week, so its reports are a sample
of known rate. Everything here takes floored counts, and covers every true count that they stand
for; nothing takes an exact one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mars.wire import randomized
from mars_server.tables.estimate import Estimate, significant
from mars_server.tables.floor import STEP, Published
from mars_server.tables.noise import TOLD
from mars_server.tables.statistics_week import Share
from mars_server.tables.week import Week

Z95: Final = 1.959964
"""The standard normal's 97.5 % quantile."""
_TAIL: Final = 0.025
EXACT_BELOW: Final = 30
"""Reports below which the exact binomial limits are used."""
OWN_WEEK: Final = 1 / 3
"""How regular the reports of one installation are in one week, at the least: the sum of the squared
shares of its draws that go in their own week, the next, and so on, for computers are off and a day
may be used. Simulated with the client's own draws it is 0.4 in office hours, 0.85 where machines
always run (docs/method.md). 1 would say that all go in their own week, and intervals of high rates
would be too narrow."""
LATE_DAYS: Final = 0.9
"""By which a fetch of the news is late on average, where computers are often off: so that those who
fetch are not taken for fewer than they are."""

ALL: Final = 100
"""Percent."""

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Sampling:
    """How the reports of one entry come about."""

    rate: float
    """The chance of a report in a week, for each installation."""
    weeks: int = 1
    """That are summed."""
    epsilon: float = 0.0
    values: int = 2
    """Between which a randomised answer chooses."""
    deviation: float = 0.0
    """The standard deviation of the noise in each number, in reports."""

    @property
    def drawn(self) -> float:
        """The rate of independent draws whose sum varies as the reports of one installation do:
        only those that wait over the ends of the period make them less regular, and over the ends
        of a long one about one draw of full uncertainty does."""
        return self.rate * (1 - 1 / self.weeks + OWN_WEEK / self.weeks**2)

    def number(self, least: int, most: int) -> Bounds:
        """The unrounded 95 % interval of the installations that made ``least`` to ``most``
        reports."""
        low, high = self._reports(least, _fewest, -1), self._reports(most, _most, 1)
        return low / (self.rate * self.weeks), high / (self.rate * self.weeks)

    def _reports(self, count: int, exact: Callable[[int, float], int], sign: int) -> float:
        if self.deviation:
            spread = TOLD * math.sqrt(count * (1 - self.drawn) + self.deviation**2)
            return max(0.0, count + sign * spread)
        if count < EXACT_BELOW:
            return exact(count, self.drawn) * self.drawn
        return count + sign * Z95 * math.sqrt(count * (1 - self.drawn))

    def installations(self, total: Published, told: Sequence[float] = ()) -> Estimate | None:
        """From the reports of a period; None without data. ``told`` are its weeks with any report
        (none: all), each as the share of it in which the entry was collected. Whether the others
        had none or lost them is not known, nor which reports of a part of a week found another
        day, so the interval holds all of that; without a whole week there is none."""
        whole = sum(part == 1 for part in told) if told else self.weeks
        if total.missing or not whole:
            return None
        share = (sum(told) or self.weeks) / self.weeks
        low, high = self.number(total.least, total.most)
        middle = (total.least + total.most) / 2 / (self.rate * self.weeks)
        return Estimate(
            significant(middle / share),
            significant(low, math.floor),
            significant(high * self.weeks / whole, math.ceil),
        )

    def part(self, least: int, most: int, fewest: int, largest: int) -> Bounds:
        """The unrounded 95 % interval of the share that has a value, where ``least`` to ``most`` of
        ``fewest`` to ``largest`` reports say it."""
        noise = TOLD * self.deviation
        z = Z95 if self.epsilon else Z95 * math.sqrt(1 - self.drawn)
        floor, whole = max(0.0, least - noise), max(0.0, fewest - noise)
        low = wilson(floor, largest + noise, z)[0]
        high = wilson(min(most + noise, whole), whole, z)[1]
        return self._true(low), self._true(high)

    def _true(self, said: float) -> float:
        """The share of those whose true value it is, of the share of reports that say it."""
        true = randomized.truth(self.epsilon, self.values)
        other = randomized.other(self.epsilon, self.values)
        return min(1.0, max(0.0, (said - other) / (true - other)))

    def shares(self, counts: Sequence[Published], total: Published) -> list[Share | None]:
        """In whole percent, the intervals rounded outward; None where the total is hidden or there
        is none. Together ``counts`` are the total; each stands for its middle, so that their shares
        make about a hundred, and their sum for no more or less than the total can be."""
        whole = sum(each.middle for each in counts)
        base = min(max(whole, total.least), total.most)
        return [self._share(each, total, float(base)) for each in counts]

    def _share(self, count: Published, total: Published, base: float) -> Share | None:
        if not total.least or count.missing:
            return None
        low, high = self.part(count.least, count.most, total.least, total.most)
        lowest, highest = math.floor(100 * low), math.ceil(100 * high)
        middle = self._true(float(count.middle) / base)
        percent = min(max(math.floor(100 * middle + 0.5), lowest), highest)
        return Share(None if count.hidden else percent, lowest, highest)


def wilson(count: float, whole: float, z: float) -> Bounds:
    """The score interval of a proportion (E. B. Wilson, 1927); of nothing it is everything."""
    if whole <= 0:
        return 0.0, 1.0
    share, square = count / whole, z * z / whole
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(max(0.0, share * (1 - share) / whole + square / whole / 4))
    return max(0.0, middle - half), min(1.0, middle + half)


def consenting(guess: Estimate | None, news: Sequence[Week | None]) -> int | None:
    """Very likely at least so many percent of the installations that fetched the news in these
    weeks send the entry of which ``guess`` tells: from more than ``ALL`` on one of the two is
    false. None where the news of a week are not published, have no data or carry a flag: lost ones
    would make them too few."""
    highest = [
        week.estimate.high * (1 + LATE_DAYS / week.interval.mean)
        for week in news
        if week is not None and week.estimate is not None and not week.flags
    ]
    if guess is None or not news or len(highest) < len(news) or not sum(highest):
        return None
    return math.floor(ALL * guess.low * len(highest) / sum(highest))


def among_all(least: int, share: Share) -> tuple[int, int]:
    """The same share among all who fetch the news, in whole percent, where at least ``least``
    percent of them send the entry: the others may all have the value, or none of them."""
    low = least * share.low // 100
    return low, 100 - least * (100 - share.high) // 100


def _fewest(reports: int, rate: float) -> int:
    """The fewest draws of which as many ``reports`` are no exception (at least 2.5 %), exactly."""
    if reports == 0:
        return 0
    return _first(reports, lambda draws: 1 - _at_most(reports - 1, draws, rate) >= _TAIL)


def _most(reports: int, rate: float) -> int:
    """The most draws of which as few are none."""
    return _first(reports + 1, lambda draws: _at_most(reports, draws, rate) < _TAIL) - 1


def _first(least: int, holds: Callable[[int], bool]) -> int:
    """The smallest number from ``least`` on for which it holds, as for all larger ones."""
    low, high = least - 1, least + STEP
    while not holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _at_most(reports: int, draws: int, rate: float) -> float:
    """P(X <= reports) of the binomial law with ``draws`` of chance ``rate`` (below 1)."""
    term = total = math.exp(draws * math.log1p(-rate))
    for k in range(1, min(reports, draws) + 1):
        term *= (draws - k + 1) / k * rate / (1 - rate)
        total += term
    return total
