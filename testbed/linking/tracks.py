"""An attacker with a memory: what a whole track said, before and after, tells each pair apart.

A pair alone says what its two requests say. Here each request believes, of every hidden attribute,
what its likely predecessors believed (and, from the other side, its successors), and pairs are
weighed anew by these beliefs, round by round: belief propagation along uncertain tracks. Started
from the true tracks it shows whether knowing more would keep itself alive; where it falls back to
the same share of right links, pairs alone were nearly all that there is to be had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from testbed.linking.attack import BLOCK, Links, matrix, named, posterior, weighted
from testbed.linking.evidence import Evidence
from testbed.linking.law import FIXED
from testbed.linking.traffic import SILENT, Ints, Matrix, Traffic


@dataclass(frozen=True)
class Trait:
    """One hidden attribute: the probability of each of its states before anything is said, and
    how much likelier each request makes them."""

    prior: Matrix
    said: Matrix


def remembered(evidence: Evidence, rounds: int, *, from_truth: bool = False) -> list[Links]:
    """What is named after each round; the first is that of pairs alone."""
    law, traffic = evidence.law, evidence.traffic
    pairs, traits = matrix(evidence), list(_traits(evidence))
    said = [trait.said for trait in traits]
    silent = weighted(pairs, pairs.data / np.maximum(_content(pairs, traits, said, said), 1e-9))
    found: list[Links] = []
    for number in range(rounds):
        links = posterior(law, traffic, pairs)
        found.append(named(links, traffic.following))
        links = _truth(traffic) if from_truth and number == 0 else links
        before = _believed(links.T.tocsr(), traits, _blocks(evidence))
        after = _believed(links, traits, _blocks(evidence)[::-1])
        pairs = weighted(silent, silent.data * _content(pairs, traits, before, after))
    return found


def _traits(evidence: Evidence) -> Iterator[Trait]:
    weight = evidence.law.crowd.weight
    yield Trait(weight / weight.sum(), evidence.fits[evidence.kind])
    for name in FIXED:
        if values := evidence.traffic.values[name]:
            shares = evidence.law.shares(name, values).astype(np.float32)
            yield Trait(shares / shares.sum(), _said(evidence.traffic.said[name], shares))


def _said(codes: Ints, shares: Matrix) -> Matrix:
    rows = np.ones((len(codes), len(shares)), dtype=np.float32)
    told = np.flatnonzero(codes != SILENT)
    rows[told] = 0
    rows[told, codes[told]] = 1 / shares[codes[told]]
    return rows


def _blocks(evidence: Evidence) -> list[Ints]:
    """The requests in pieces of time within which none can follow another."""
    piece = (evidence.traffic.times / evidence.law.reach[0]).astype(np.int64)
    ends = np.flatnonzero(np.diff(piece)) + 1
    return np.split(np.arange(len(piece)), ends)


def _believed(sources: csr_array, traits: Sequence[Trait], blocks: Sequence[Ints]) -> list[Matrix]:
    """What each request believes of each trait: what it says, and what its ``sources`` believe."""
    beliefs = [trait.said.copy() for trait in traits]
    for block in blocks:
        links = sources[block[0] : block[-1] + 1]
        nobody = np.maximum(1 - np.asarray(links.sum(axis=1)), 0).astype(np.float32)[:, None]
        for trait, belief in zip(traits, beliefs, strict=True):
            belief[block] *= links @ belief + nobody
            belief[block] /= np.maximum(belief[block] @ trait.prior, 1e-12)[:, None]
    return beliefs


def _content(
    pairs: csr_array, traits: Sequence[Trait], before: Sequence[Matrix], after: Sequence[Matrix]
) -> Matrix:
    """Likelihood ratio of each pair by what its two sides believe."""
    ratios = np.ones(pairs.nnz, dtype=np.float32)
    counts = np.diff(pairs.indptr)
    for begin in range(0, len(counts), BLOCK):
        low, high = pairs.indptr[begin], pairs.indptr[min(begin + BLOCK, len(counts))]
        if low < high:
            rows, columns = slice(begin, begin + BLOCK), pairs.indices[low:high]
            window = slice(columns.min(), columns.max() + 1)
            where = np.repeat(np.arange(len(counts[rows])), counts[rows]), columns - window.start
            for trait, one, other in zip(traits, before, after, strict=True):
                ratios[low:high] *= ((one[rows] * trait.prior) @ other[window].T)[where]
    return ratios


def _truth(traffic: Traffic) -> csr_array:
    rows = np.flatnonzero(traffic.following != SILENT)
    size = (len(traffic),) * 2
    return csr_array((np.ones(len(rows), np.float32), (rows, traffic.following[rows])), shape=size)
