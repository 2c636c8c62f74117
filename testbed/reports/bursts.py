"""What one person does at once, and who tries to link it: several faults of one day, a queue after
weeks offline, ten deletions.

Of one such request the attacker names another one that is the same person's, among all that came,
which look alike (one release, one signature). It knows the day of each request and the law by which
clients act: which days lie how far apart, learned from others that were simulated. It weighs that,
how many came on a day (of one person one a day does), and how many about that time. It need not be
the best there is; rules that are worse show what it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mars.channels.draws import Wanted
from mars.core.schedule import HOUR
from mars.ports import Chance
from mars.testing.memory import SeededChance
from mars.wire.times import DAY, WEEK
from testbed.reports.attack import Floats, learned
from testbed.reports.habits import FORTNIGHT, Span
from testbed.reports.people import BEGIN, entry
from testbed.reports.record import Ints
from testbed.reports.reporter import CLIENT, Act, Reporter, Rules, deletion_of

STATISTICS = {entry(at): Wanted(0.25, 0) for at in range(4)}
"""What each of them reports as well."""
LONGEST = 9 * WEEK
RING = 182
"""Days of a world, which end where they begin, so that no edge tells anything."""
HALF = RING // 2
MONTH = 30 * DAY
CLOSE = 6 * HOUR
LESSONS = 4_000
DELETIONS = 10
FAULTS = 3
"""Of one day: no more become reports in a week."""

Days = tuple[int, ...]
"""On which one report went, with all its tries."""
Burst = tuple[Days, ...]
"""What one person did at once; days of the simulation."""


@dataclass(frozen=True)
class Doing:
    """What somebody does, and how the computer runs."""

    acts: tuple[Act, ...]
    spans: tuple[Span, ...]
    answered: bool = True


def faults_of_a_day(at: int) -> Doing:
    """Three faults in one hour."""
    acts = tuple(Act(at + one * HOUR // FAULTS, f"fault {one}") for one in range(FAULTS))
    return Doing(acts, (Span(BEGIN, BEGIN + LONGEST),))


def refused(at: int) -> Doing:
    """The same, and an intake that answers none as it should."""
    return replace(faults_of_a_day(at), answered=False)


def five_faults(at: int) -> Doing:
    """Of two weeks, three of one and two of the other, released within minutes."""
    acts = tuple(Act(at + one * 60, f"fault {one}") for one in range(5))
    return Doing(acts, (Span(BEGIN, BEGIN + LONGEST),))


def offline(at: int) -> Doing:
    """The same, and an hour later a laptop is closed for a fortnight."""
    closed = at + HOUR
    awake = (Span(BEGIN, closed), Span(closed + FORTNIGHT, BEGIN + LONGEST, starts=False))
    return replace(five_faults(at), spans=awake)


def stepping(at: int) -> Doing:
    """A clock that shows another month for two hours a day, five days on end."""
    acts, spans = faults_of_a_day(at).acts, [Span(BEGIN, at + HOUR)]
    for day in range(5):
        now = at + HOUR + day * DAY
        wrong = (now + MONTH, now + MONTH + 2 * HOUR)
        spans += [Span(*wrong, False, MONTH), Span(now + 2 * HOUR, now + DAY, False)]
    return Doing(acts, (*spans, Span(spans[-1].end, BEGIN + LONGEST, False)))


def deletions(at: int) -> Doing:
    """Ten deletions are asked for at once."""
    acts = tuple(Act(at, f"fault {one}", deletion=True) for one in range(DELETIONS))
    return Doing(acts, (Span(BEGIN, BEGIN + LONGEST),))


Habit = Callable[[int], Doing]


def burst(doing: Habit, rules: Rules, chance: Chance) -> Burst:
    """Of one person, at some time of a week."""
    done = doing(BEGIN + WEEK + int(chance.uniform(0, WEEK)))
    client = Reporter(
        STATISTICS, BEGIN, chance, acts=done.acts, rules=rules, answered=done.answered
    )
    names = {deletion_of(act.name) if act.deletion else act.name: list[int]() for act in done.acts}
    for sent in client.run(done.spans):
        if sent.what in names:
            names[sent.what].append((sent.when - BEGIN) // DAY)
        if client.is_done:
            break
    return tuple(tuple(days) for days in names.values() if days)


def bursts(doing: Habit, number: int, rules: Rules = CLIENT, seed: int = 0) -> list[Burst]:
    """Of so many people; the same for the same seed."""
    made = (burst(doing, rules, SeededChance(seed * 1_000_003 + at)) for at in range(number))
    return list(made)


def close(rules: Rules, number: int) -> tuple[float, float]:
    """Of the requests of the fortnight after one offline (``offline``), the share that is followed
    by another of that computer within six hours; and that of as many at times even over it."""
    found, even = [], []
    for seed in range(number):
        at, chance = BEGIN + WEEK, SeededChance(seed)
        done, back = offline(at), at + HOUR + FORTNIGHT
        client = Reporter(STATISTICS, BEGIN, chance, acts=done.acts, rules=rules)
        times = [one.when for one in client.run(done.spans)]
        times = [one for one in times if back <= one < back + FORTNIGHT]
        found.append(_followed(times))
        drawn = [int(chance.uniform(back, back + FORTNIGHT)) for _ in times]
        even.append(_followed(sorted(drawn)))
    return float(np.mean(found)), float(np.mean(even))


def _followed(times: Sequence[int]) -> float:
    near = [later - one <= CLOSE for one, later in pairwise(times)]
    return sum(near) / max(len(times), 1)


# --- who links them -----------------------------------------------------------------------------


class Links(NamedTuple):
    """Of requests that one person made with others."""

    right: float
    """The share to which another one of that person is named."""
    chance: float
    """The same for who names any that came near enough."""
    error: float
    """Standard error of ``right``, by person."""


@dataclass(frozen=True)
class World:
    """One person's burst among requests of others."""

    rows: Ints
    """Of each event, which is one try, whose request it is."""
    days: Ints
    own: int
    """The first so many requests are the person's."""

    @classmethod
    def of(cls, own: Burst, others: Sequence[Burst], chance: np.random.Generator) -> World:
        """Each burst at any time."""
        every = [own, *others]
        shifts = chance.integers(RING, size=len(every)).tolist()
        requests = [(days, shift) for one, shift in zip(every, shifts, strict=True) for days in one]
        events = [(row, day + shift) for row, (days, shift) in enumerate(requests) for day in days]
        rows, days = np.array(events).T
        return cls(rows, days % RING, len(own))

    def signs(self, law: Floats) -> Floats:
        """For each of the person's requests and each request: three numbers."""
        ours = self.days[self.rows < self.own]
        lags = np.abs(ours[:, None] - self.days[None, :])
        far = law[np.minimum(lags, RING - lags)]
        starts = np.flatnonzero(np.diff(self.rows, prepend=-1))
        mine = np.flatnonzero(np.diff(self.rows[self.rows < self.own], prepend=-1))
        near = np.add.reduceat(np.add.reduceat(far, mine, 0), starts, 1)
        on_a_day = np.bincount(self.days, minlength=RING)
        day = np.log(on_a_day[self.days[starts]])
        between = self._between(self.days[starts], on_a_day)
        return np.stack([near, np.broadcast_to(day, near.shape), between], 2)

    def _between(self, first: Ints, on_a_day: Ints) -> Floats:
        """How many came in the two weeks about the middle of two requests, as a logarithm."""
        gap = (first[None, :] - first[: self.own, None] + HALF) % RING - HALF
        middle = (first[: self.own, None] + gap // 2) % RING
        window = sum(np.roll(on_a_day, lag) for lag in range(-7, 8))
        return np.asarray(np.log(np.maximum(window, 1))[middle])


@dataclass(frozen=True)
class Linker:
    """Who knows how such bursts look, and what each sign is worth."""

    law: Floats
    weights: Floats
    reach: int
    """Days between two requests of one person, at most, but for one in a hundred."""

    @classmethod
    def taught(cls, known: Sequence[Burst], others: int, *, alike: bool, seed: int = 7) -> Linker:
        """By bursts of which it knows whose they are, among ``others`` in thirty days."""
        chance = np.random.default_rng(seed)
        law, reach = _law(known)
        lessons: list[Floats] = []
        each = max(1, LESSONS // len(known))
        for one in known:
            world = _among(one, known, others, alike, chance)
            signs = world.signs(law)
            for _ in range(each if world.own > 1 else 0):
                mine, same = chance.choice(world.own, 2, replace=False)
                other = chance.integers(world.own, signs.shape[1])
                lessons.append(signs[mine, same] - signs[mine, other])
        return cls(law, learned(np.array(lessons)), reach)

    def links(self, people: Sequence[Burst], others: int, *, alike: bool, seed: int = 8) -> Links:
        """How well it links each of these, among ``others`` in thirty days."""
        chance = np.random.default_rng(seed)
        found = []
        for one in people:
            world = _among(one, people, others, alike, chance)
            if world.own > 1:
                found.append(self._linked(world))
        right, guess = np.array(found).T
        return Links(right.mean(), guess.mean(), right.std() / np.sqrt(len(right)))

    def _linked(self, world: World) -> tuple[float, float]:
        signs = world.signs(self.law)
        score = signs @ self.weights
        itself = np.arange(world.own)
        score[itself, itself] = -np.inf
        best = score >= score.max(1, keepdims=True) - 1e-9
        first = world.days[np.flatnonzero(np.diff(world.rows, prepend=-1))]
        lags = np.abs(first[: world.own, None] - first[None, :])
        near = np.minimum(lags, RING - lags) <= self.reach
        near[itself, itself] = False
        return _own(best, world.own), _own(near, world.own)


def _own(named: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], own: int) -> float:
    """The share of what is named that is the person's own."""
    return float(np.mean(named[:, :own].sum(1) / np.maximum(named.sum(1), 1)))


def _law(known: Sequence[Burst]) -> tuple[Floats, int]:
    """By days between two requests, how much likelier they are of one burst than of none (as a
    logarithm), and how many days one burst takes."""
    counts = np.zeros(HALF + 1)
    for one in known:
        for at, first in enumerate(one):
            for second in one[at + 1 :]:
                for lag in (abs(a - b) for a in first for b in second):
                    counts[min(lag, HALF)] += 1
    even = np.full(HALF + 1, 2 / RING)
    even[[0, -1]] = 1 / RING
    reach = int(np.searchsorted(np.cumsum(counts), 0.99 * counts.sum()))
    return np.log((counts + 0.5) / (counts.sum() + 1) / even), reach


def _among(
    one: Burst, known: Sequence[Burst], others: int, alike: bool, chance: np.random.Generator
) -> World:
    """Among requests of others: single ones, or bursts as well where they are ``alike``."""
    left, found = others * RING // 30, list[Burst]()
    while left > 0:
        other = known[int(chance.integers(len(known)))]
        if other is not one:
            part = other if alike else (other[int(chance.integers(len(other)))],)
            found.append(part[:left])
            left -= len(part)
    return World.of(one, found, chance)
