"""Is somebody whose every attribute is known among those who fetch?

The person's system, language, Python, country, install date, consents and habit of updating are
all known, and that they would be there for the whole time; only their due times are not. Each
request is likelier or less likely to be theirs than a stranger's, and the schedule says which can
belong together: a sum over all possible tracks (the forward algorithm of a renewal process).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mars.wire.variables import OPTIONAL
from testbed.linking.evidence import Evidence
from testbed.linking.law import BINS, FIXED, Particles
from testbed.linking.traffic import Floats, Traffic
from testbed.population import Installation


def residents(traffic: Traffic, most: int) -> list[Installation]:
    """Some of those who were there from the beginning to the end."""
    plan = traffic.plan
    stay = [one for one in traffic.installations if one.born <= plan.start and one.died >= plan.end]
    return stay[:most]


def advantage(
    evidence: Evidence, there: Sequence[Installation], elsewhere: Sequence[Installation]
) -> float:
    """Of those that are ``there`` the share that the attacker says are, less the same share of
    people ``elsewhere``: 0 is a guess, 1 is knowledge. Half of those asked about are there. NaN
    where nobody is asked about."""
    if not there or not elsewhere:
        return math.nan
    yes, no = likelihoods(evidence, there) > 0, likelihoods(evidence, elsewhere) > 0
    return float(yes.mean() - no.mean())


def likelihoods(evidence: Evidence, people: Sequence[Installation]) -> Floats:
    """Logarithm of how much likelier the record is with each of them than without."""
    return np.log(np.maximum(_tracks(evidence, _theirs(evidence, people)), 1e-300))


def _theirs(evidence: Evidence, people: Sequence[Installation]) -> Floats:
    """For each step of time and person the odds that what came then was theirs, summed up."""
    plan = evidence.traffic.plan
    saying = evidence.saying(Particles.of(plan, people)) / evidence.common[:, None]
    steps = (evidence.traffic.times * BINS).astype(np.int64)
    odds = [
        np.bincount(steps, _odds(evidence, one) * saying[evidence.kind, at], plan.days * BINS)
        for at, one in enumerate(people)
    ]
    return np.array(odds).T / evidence.traffic.rate


def _odds(evidence: Evidence, one: Installation) -> Floats:
    """Of each request, by the names that it says and the values that stay."""
    law, traffic = evidence.law, evidence.traffic
    named = law.said(law.named([name for name in OPTIONAL if name in one.optional])) / law.anyone
    odds = named[evidence.pattern]
    for name in FIXED:
        if values := traffic.values[name]:
            own = one.platform if name == "os" else one.optional.get(name)
            fits = np.array([value == own for value in values]) / law.shares(name, values)
            odds = odds * np.append(fits, 1.0)[traffic.said[name]]
    return odds


def _tracks(evidence: Evidence, odds: Floats) -> Floats:
    """The sum over all tracks of the product of their odds and densities of their intervals."""
    law = evidence.law
    steps = np.arange(len(odds)) / BINS
    first, last = law.longer(steps) / law.mean, law.longer(evidence.traffic.plan.days - steps)
    density = law.density[::-1].astype(np.float64)
    sums = np.zeros((len(density) + len(odds), odds.shape[1]))
    for step in range(len(odds)):
        before = sums[step + 1 : step + len(density)]
        sums[step + len(density)] = odds[step] * (first[step] + density[:-1] @ before)
    return last @ sums[len(density) :]
