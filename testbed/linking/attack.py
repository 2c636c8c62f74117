"""Which request follows which?

Of each request and each later one within reach the attacker weighs the density of the interval
between them and what both say (``evidence``). Then the weights of all pairs are made consistent:
each request has at most one successor and one predecessor (Sinkhorn's scaling of the matrix, with
a slack for those who come and go). The successor named is the likeliest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from testbed.linking.evidence import Evidence, Some
from testbed.linking.law import Law
from testbed.linking.traffic import SILENT, Floats, Ints, Matrix, Traffic

ROUNDS = 60
"""Of the scaling; more change no figure."""
SURE = 0.95
"""Posterior probability from which a link counts as surely known."""
BLOCK = 512
"""Requests at a time."""


@dataclass(frozen=True)
class Links:
    """For each request asked about: the successor named, its probability, and the truth."""

    guess: Ints
    probability: Floats
    truth: Ints

    @property
    def right(self) -> float:
        """Share of next requests that are linked right; NaN where there is none."""
        return _share((self.guess == self.truth)[self.truth != SILENT])

    @property
    def number(self) -> int:
        """Of next requests."""
        return int((self.truth != SILENT).sum())

    @property
    def sure(self) -> float:
        """Share of next requests that are surely linked, and rightly; NaN where there is none."""
        sure = (self.probability > SURE) & (self.guess == self.truth)
        return _share(sure[self.truth != SILENT])

    def chains(self, traffic: Traffic) -> float:
        """Share of the installations in being all the time whose links are all right;
        NaN where nobody is."""
        has_next = self.truth != SILENT
        wrong = np.bincount(
            traffic.owner[has_next & (self.guess != self.truth)],
            minlength=len(traffic.installations),
        )
        there = np.bincount(traffic.owner, minlength=len(wrong)) > 0
        plan = traffic.plan
        stays = [one.born <= plan.start and one.died >= plan.end for one in traffic.installations]
        return _share((wrong == 0)[there & np.array(stays)])


def _share(found: NDArray[np.bool_]) -> float:
    return float(found.mean()) if found.size else math.nan


def odds(evidence: Evidence, rows: Some) -> tuple[Matrix, slice]:
    """Of each pair against chance: ``rows`` by all columns within reach of any of them."""
    law, traffic = evidence.law, evidence.traffic
    at = traffic.times[rows]
    first = int(np.searchsorted(traffic.times, at.min() + law.reach[0], "left"))
    last = int(np.searchsorted(traffic.times, at.max() + law.reach[1], "right"))
    columns = slice(first, last)
    found = law.dense(traffic.times[columns][None, :] - at[:, None])
    found *= np.float32((1 - law.ended) / traffic.rate)
    return found * evidence.ratios(rows, columns), columns


def matrix(evidence: Evidence) -> csr_array:
    """The odds of all pairs."""
    size = len(evidence.traffic)
    data, where, counts = [], [], [np.zeros(1, dtype=np.int64)]
    for begin in range(0, size, BLOCK):
        block, columns = odds(evidence, slice(begin, min(begin + BLOCK, size)))
        row, column = np.nonzero(block)
        data.append(block[row, column])
        where.append((column + columns.start).astype(np.int32))
        counts.append(np.bincount(row, minlength=len(block)))
    ends = np.cumsum(np.concatenate(counts))
    return csr_array((np.concatenate(data), np.concatenate(where), ends), shape=(size, size))


def posterior(law: Law, traffic: Traffic, pairs: csr_array) -> csr_array:
    """Probabilities of all pairs, from their odds."""
    left = law.ended + law.longer(traffic.plan.days - traffic.times)
    expected = traffic.plan.size / law.mean
    came = law.longer(traffic.times) * expected / traffic.rate + law.ended
    column = np.ones(len(traffic), dtype=np.float32)
    back = pairs.T.tocsr()
    for _ in range(ROUNDS):
        row = (1 / (pairs @ column + left)).astype(np.float32)
        column = (1 / (back @ row + came)).astype(np.float32)
    return weighted(
        pairs, pairs.data * np.repeat(row, np.diff(pairs.indptr)) * column[pairs.indices]
    )


def weighted(pairs: csr_array, data: Matrix) -> csr_array:
    """The same pairs with other weights."""
    return csr_array((data, pairs.indices, pairs.indptr), shape=pairs.shape)


def named(probabilities: csr_array, truth: Ints) -> Links:
    """The likeliest successor of each."""
    size = len(truth)
    guess, probability = np.full(size, SILENT, dtype=np.int64), np.zeros(size)
    for one in np.flatnonzero(np.diff(probabilities.indptr)):
        begin, end = probabilities.indptr[one], probabilities.indptr[one + 1]
        best = begin + int(np.argmax(probabilities.data[begin:end]))
        guess[one], probability[one] = probabilities.indices[best], probabilities.data[best]
    return Links(guess, probability, truth)


def joint(evidence: Evidence) -> Links:
    """Names the successor of every request, all of them together."""
    pairs = matrix(evidence)
    return named(posterior(evidence.law, evidence.traffic, pairs), evidence.traffic.following)


def alone(evidence: Evidence, asked: Ints) -> Links:
    """Names the successor of some requests, each by itself: where there are too many for all."""
    found = [_likeliest(evidence, one) for one in asked]
    guess = np.array([one for one, _ in found], dtype=np.int64)
    probability = np.array([probability for _, probability in found])
    return Links(guess, probability, evidence.traffic.following[asked])


def _likeliest(evidence: Evidence, one: int) -> tuple[int, float]:
    block, columns = odds(evidence, slice(one, one + 1))
    if not block.size:
        return SILENT, 0.0
    best = int(np.argmax(block[0]))
    return best + columns.start, float(block[0, best] / (block[0].sum() + evidence.law.ended))
