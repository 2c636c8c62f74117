"""What the attacker knows of a population: every law, and no installation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mars.testing.memory import SeededChance
from mars.wire.times import DAY
from mars.wire.variables import AGES, BASIC, LONGEST_DAYS, OPTIONAL, install_age
from testbed.linking.traffic import Floats, Matrix, Rule
from testbed.population import Installation, Plan, World

FIXED = ("os", *OPTIONAL)
"""Variables that stay with an installation; ``v`` and ``ia`` move with time."""
PARTICLES = 2_000
"""Installations that the attacker draws from the laws, to sum over install date and update lag."""
SLIP = 1e-3
"""Share of requests that the attacker lets contradict the model: days are cut at midnight here."""
BINS = 24
"""Steps a day in which the law of intervals is known."""
INTERVALS = 200_000
"""Drawn to know it."""
PICKS = 480
"""Draws that the rule is tried with, evenly over [0, 1]; a multiple of every number of slots."""
Shares = Mapping[tuple[str, ...], float]
"""How often which names are said."""


@dataclass(frozen=True)
class Law:
    """The attacker's knowledge for one plan and one rule."""

    plan: Plan
    rule: Rule

    # --- when -------------------------------------------------------------------------------

    @cached_property
    def density(self) -> Matrix:
        """Of the time from one counted request to the next, per day, in steps of 1/BINS days;
        whatever the plan says of failures and of computers that are off is in it."""
        plan = replace(self.plan, size=1, lifetime_days=math.inf, days=INTERVALS * 7)
        world = World(plan, SeededChance(2))
        times = np.fromiter(world.requests(next(world.installations())), dtype=np.int64)
        gaps = np.diff(times) * BINS // DAY
        return (np.bincount(gaps) / len(gaps) * BINS).astype(np.float32)

    @cached_property
    def reach(self) -> tuple[float, float]:
        """Shortest and longest interval, days."""
        possible = np.flatnonzero(self.density)
        return float(possible[0]) / BINS, float(possible[-1] + 1) / BINS

    def dense(self, days: Floats) -> Matrix:
        """The density at intervals of ``days``; 0 beyond reach."""
        steps = np.clip(np.floor(days * BINS), -1, len(self.density)).astype(np.int64)
        return np.concatenate([self.density, np.zeros(2, np.float32)])[steps]

    @cached_property
    def mean(self) -> float:
        """Days."""
        return float(((np.arange(len(self.density)) + 0.5) * self.density).sum() / BINS**2)

    def longer(self, days: Floats) -> Floats:
        """Probability that an interval is longer than ``days``."""
        later = (1 - np.cumsum(np.append(0.0, self.density)) / BINS).clip(0)
        found: Floats = later[np.clip(days * BINS, 0, len(later) - 1).astype(np.int64)]
        return found

    @property
    def ended(self) -> float:
        """Probability that an installation goes before its next request."""
        return self.mean / self.plan.lifetime_days

    # --- what: the choice of names ----------------------------------------------------------

    @cached_property
    def names(self) -> Sequence[tuple[str, ...]]:
        """Every set of names that a request can say."""
        return sorted({names for _, shares in self._choices for names in shares})

    @cached_property
    def naming(self) -> Matrix:
        """How much likelier two sets of names are in two requests of one installation than in two
        of strangers: which optional ones it consented to is summed out."""
        weight = np.array([weight for weight, _ in self._choices])
        said = np.array([self.said(shares) for _, shares in self._choices])
        pairs = (said * weight[:, None]).T @ said
        ratios: Matrix = (pairs / np.outer(self.anyone, self.anyone)).astype(np.float32)
        return ratios

    @cached_property
    def anyone(self) -> Floats:
        """How often any request says each set of ``names``."""
        rows = [weight * self.said(shares) for weight, shares in self._choices]
        shares: Floats = np.sum(rows, axis=0)
        return shares

    def said(self, shares: Shares) -> Floats:
        """In the order of ``names``."""
        return np.array([shares.get(names, 0.0) for names in self.names])

    @cached_property
    def _choices(self) -> Sequence[tuple[float, Shares]]:
        """For each set of consents its probability, and what it then names how often."""
        offered = [name for name in OPTIONAL if name in self.plan.optional]
        yes = self.plan.optional_consent
        rows = []
        for consents in product((True, False), repeat=len(offered)):
            agreed = [name for name, given in zip(offered, consents, strict=True) if given]
            weight = math.prod(yes if given else 1 - yes for given in consents)
            rows.append((weight, self.named(agreed)))
        return rows

    def named(self, agreed: Sequence[str]) -> Shares:
        """What an installation says that consented to these optional names."""
        consented = (*BASIC, *agreed)
        found = dict.fromkeys(consented, "1")
        shares: dict[tuple[str, ...], float] = {}
        for pick in range(PICKS):
            names = tuple(self.rule(found, consented, (pick + 0.5) / PICKS))
            shares[names] = shares.get(names, 0.0) + 1 / PICKS
        return shares

    # --- what: values -----------------------------------------------------------------------

    def shares(self, name: str, values: Sequence[str]) -> Floats:
        """Of the values of a fixed variable, among those who say it."""
        weights = self.plan.platforms if name == "os" else self.plan.optional[name]
        total = sum(weights.values())
        return np.array([weights[value] / total for value in values])

    @cached_property
    def crowd(self) -> Particles:
        """Installations like those that may be there. None of them ever goes: those who came late
        weigh more, which is the same."""
        plan = replace(self.plan, size=PARTICLES)
        drawn = Particles.of(plan, list(World(plan, SeededChance(3)).installations()))
        weight = np.exp(np.maximum(drawn.born, 0) / plan.lifetime_days)
        return replace(drawn, weight=weight.astype(np.float32))

    @cached_property
    def ages(self) -> Mapping[str, str]:
        """What the rule makes of each age."""
        said = {}
        for age in AGES:
            for pick in range(PICKS):
                one = self.rule({"ia": age}, ["ia"], (pick + 0.5) / PICKS)
                said.update({age: one["ia"]} if "ia" in one else {})
        return said


@dataclass(frozen=True)
class Particles:
    """Install dates and update lags, in days since the plan's start."""

    plan: Plan
    born: Floats
    lag: Floats
    weight: Matrix

    @classmethod
    def of(cls, plan: Plan, installations: Sequence[Installation]) -> Particles:
        born = np.array([one.born - plan.start for one in installations]) / DAY
        lag = np.array([one.lag for one in installations]) / DAY
        return cls(plan, born, lag, np.ones(len(born), dtype=np.float32))

    def alive(self, day: int) -> NDArray[np.bool_]:
        """Which are born by noon of a day."""
        return self.born <= day + 0.5

    def versions(self, day: int) -> NDArray[np.str_]:
        """What they run at noon of a day."""
        released = np.array([when for when, _ in self.plan.releases])
        fresh = np.searchsorted(released, self.born, "right")
        updated = np.searchsorted(released, day + 0.5 - self.lag, "right")
        newest = np.maximum(np.maximum(fresh, updated), 1) - 1
        names: NDArray[np.str_] = np.array([version for _, version in self.plan.releases])[newest]
        return names

    def ages(self, day: int) -> NDArray[np.str_]:
        """Their install ages as powers of ten at noon of a day; of those not yet born that of the
        first day."""
        days = np.floor(day + 0.5 - self.born).astype(np.int64)
        return _ages()[np.clip(days, 0, LONGEST_DAYS)]


@cache
def _ages() -> NDArray[np.str_]:
    """By day."""
    return np.array([install_age(0, day * DAY) for day in range(LONGEST_DAYS + 1)])
