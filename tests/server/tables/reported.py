"""How often the truth lies in the intervals of declared statistics, in simulated populations.

How many weeks a drawn report waits before it goes comes from the client's own draws
(``mars.channels.draws``), with the news and the rule of one request a day beside them, on machines
that always run, in office hours, and two hours an evening. A population then flips its coins, waits
as these machines do, and is estimated from exact sums (which are never published) and as published.
``make bench ARGS=shares`` runs the whole grid, the tests a short slice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mars.channels.draws import LATEST, Draws, Wanted, look, spent
from mars.testing.memory import SeededChance
from mars.wire import randomized
from mars.wire.times import DAY, WEEK, week_start
from mars_server.tables.floor import floor
from mars_server.tables.noise import Noise
from mars_server.tables.shares import Sampling

MONDAY = 1_780_272_000
"""2026-06-01T00:00:00Z."""
HOUR = 3600
SUMMED = (1, 4, 13)
WARM_UP = LATEST // WEEK + 1
RATES = (0.25,) * 8
"""Of the entries that a machine reports: as many as a registry may declare."""
POOL = 60
"""Machines of each kind whose waits are known."""
SEEN = 20
"""Weeks of each."""

Sessions = Iterator[tuple[int, int]]
Machine = Callable[[SeededChance, int], Sessions]
"""When it runs within so many weeks: Unix times."""


def always(_: SeededChance, weeks: int) -> Sessions:
    yield MONDAY, MONDAY + weeks * WEEK


def office(chance: SeededChance, weeks: int) -> Sessions:
    """Monday to Friday, with one day in ten off."""
    for day in range(MONDAY, MONDAY + weeks * WEEK, DAY):
        if (day - MONDAY) // DAY % 7 < 5 and chance.uniform(0, 1) < 0.9:
            yield day + 8 * HOUR + int(chance.uniform(0, HOUR)), day + 17 * HOUR


def evenings(chance: SeededChance, weeks: int) -> Sessions:
    """Two hours each, four evenings in five."""
    for day in range(MONDAY, MONDAY + weeks * WEEK, DAY):
        if chance.uniform(0, 1) < 0.8:
            begin = day + 18 * HOUR + int(chance.uniform(0, 2 * HOUR))
            yield begin, begin + 2 * HOUR


MACHINES: Mapping[str, Machine] = {"always": always, "office": office, "evenings": evenings}
MIXED, ALWAYS = "mixed", "always"
FLEETS: Mapping[str, tuple[str, ...]] = {
    MIXED: tuple(MACHINES),
    ALWAYS: ("always",),
}


@cache
def waits(machine: str, pool: int = POOL) -> tuple[int, ...]:
    """In which week after its own each report of such machines went, of those that were drawn early
    enough to be seen arriving."""
    found: list[int] = []
    for seed in range(pool):
        chance = SeededChance(seed)
        wants = {f"any/e{n}": Wanted(rate, 0) for n, rate in enumerate(RATES)}
        for now, week in _sent(MACHINES[machine](chance, SEEN), wants, chance):
            if week < MONDAY + (SEEN - WARM_UP) * WEEK:
                found.append((week_start(now) - week) // WEEK)
    return tuple(found)


def regular(late: Sequence[int]) -> float:
    """The sum of squared shares, as ``shares.OWN_WEEK`` has it."""
    return sum((late.count(each) / len(late)) ** 2 for each in set(late))


def held_with_noise(size: int, epsilon: float, trials: int) -> float:
    """How many of the published intervals of a week, of the number and of a share of 30 %, hold the
    truth: the lower of the two shares (0–1)."""
    noise, random = Noise(bytes(32), epsilon).of_reports(), np.random.default_rng(size)
    sampling = Sampling(0.25, deviation=noise.deviation)
    some, rest = round(0.3 * size), round(0.7 * size)
    numbers = parts = 0
    for trial in range(trials):
        counts = [int(random.binomial(each, 0.25)) for each in (some, rest)]
        blurred = [
            floor(count + noise.sample(str(trial), str(n)))
            for n, count in enumerate([*counts, sum(counts)])
        ]
        guess = sampling.installations(blurred[2])
        assert guess is not None
        numbers += guess.low <= size <= guess.high
        told = sampling.shares(blurred[:2], blurred[2])[0]
        parts += told is None or told.low <= 30 <= told.high
    return min(numbers, parts) / trials


def _sent(
    sessions: Sessions, wants: Mapping[str, Wanted], chance: SeededChance
) -> Iterator[tuple[int, int]]:
    """When each report went, and for which week it was drawn. The news keep their time, and no
    report goes on their day."""
    draws, used = Draws(), -1
    news = MONDAY + int(chance.uniform(0, 6 * DAY))
    for begin, end in sessions:
        now, ran = begin, None
        while now < end:
            day = now // DAY
            if news <= now and used != day:
                used, news = day, now + int(chance.uniform(3 * DAY, 10 * DAY))
            free = used != day < news // DAY
            draws, due, sleep = look(
                draws, wants, now, ran, chance, free=free, day_after=(day + 1) * DAY
            )
            if due is not None:
                draws, used = spent(draws, due), day
                yield now, due.week
            until = [now + max(sleep, 1), end, (day + 1) * DAY, *([news] if news > now else [])]
            now, ran = min(until), min(until) - now


@dataclass(frozen=True)
class Case:
    """One row of the grid. ``epsilon`` is that of a boolean."""

    fleet: str
    size: int
    rate: float
    epsilon: float = 0.0
    share: float = 0.3
    """Of the installations that have the value."""


LN3 = round(math.log(3), 4)
RATES_TRIED = ((0.1, 0.0), (0.25, 0.0), (1.0, 0.0), (0.07, LN3))
"""With their epsilon."""


@dataclass(frozen=True)
class Found:
    """Of how many sums the truth lay in the interval: of installations and of shares, from exact
    sums, and as published (of shares where one is)."""

    case: Case
    weeks: int
    sums: int
    number: float
    number_shown: float
    share: float
    share_shown: float
    ratio: float
    """Of the estimate to the truth, on average."""

    @property
    def fine(self) -> bool:
        """As promised, within three standard errors: of exact sums 92 to 98 %, but for high rates,
        whose intervals are for the least regular machines."""
        error = 3 * math.sqrt(0.95 * 0.05 / self.sums)
        shown = min(self.number_shown, self.share_shown)
        high = 1.0 if self.case.rate > 0.5 else 0.98 + error
        exact = all(0.92 - error <= each <= high for each in (self.number, self.share))
        return exact and shown >= 0.95 - error


def measure(case: Case, populations: int, weeks: int = 13, pool: int = POOL) -> Iterator[Found]:
    """For each length of period that fits into so many ``weeks``."""
    own = case.size, round(1000 * case.rate)
    seeds = ([seed, *own] for seed in range(populations))
    sums = [_summed(case, np.random.default_rng(seed), weeks, pool) for seed in seeds]
    for summed in SUMMED:
        if summed <= weeks:
            pairs = [
                (int(said[at : at + summed].sum()), int(all_[at : at + summed].sum()))
                for said, all_ in sums
                for at in range(0, weeks - summed + 1, summed)
            ]
            yield _found(case, summed, pairs)


Weekly = NDArray[np.int64]


def _summed(
    case: Case, random: np.random.Generator, weeks: int, pool: int
) -> tuple[Weekly, Weekly]:
    """Reports of each week that say the value, and all."""
    machines = FLEETS[case.fleet]
    size, before = case.size, weeks + WARM_UP
    with_value = np.arange(size) < round(size * case.share)
    random.shuffle(with_value)
    coins = random.random((size, before)) < case.rate
    late = np.concatenate(
        [
            random.choice(waits(machine, pool), (len(part), before))
            for machine, part in zip(
                machines, np.array_split(np.arange(size), len(machines)), strict=True
            )
        ]
    )
    arrives = np.arange(before) + late
    truth = randomized.truth(case.epsilon, 2)
    says = np.where(
        random.random((size, before)) < truth, with_value[:, None], ~with_value[:, None]
    )
    all_ = np.bincount(arrives[coins], minlength=before)[WARM_UP:before]
    said = np.bincount(arrives[coins & says], minlength=before)[WARM_UP:before]
    return said, all_


def _found(case: Case, weeks: int, pairs: Sequence[tuple[int, int]]) -> Found:
    sampling = Sampling(case.rate, weeks, case.epsilon)
    true = round(case.size * case.share) / case.size
    number, number_shown, share, share_shown = [], [], [], []
    for said, all_ in pairs:
        low, high = sampling.number(all_, all_)
        number.append(low <= case.size <= high)
        low, high = sampling.part(said, said, all_, all_)
        share.append(low <= true <= high)
        total = floor(all_)
        guess = sampling.installations(total)
        assert guess is not None
        number_shown.append(guess.low <= case.size <= guess.high)
        told = sampling.shares([floor(said), floor(all_ - said)], total)[0]
        share_shown.append(told is None or told.low <= 100 * true <= told.high)
    ratio = fmean(all_ for _, all_ in pairs) / (case.rate * weeks * case.size)
    parts = [fmean(each) for each in (number, number_shown, share, share_shown)]
    return Found(case, weeks, len(pairs), parts[0], parts[1], parts[2], parts[3], ratio)
