"""A steering document that is held back: the one mark that whoever serves can set.

Root has signed a new one, say of another server. The operator hands it to most and keeps it from
some, and again whenever these come. Who comes to the old server later is one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mars.ports import Chance
from testbed.linking.attack import joint
from testbed.linking.evidence import Evidence, Some
from testbed.linking.traffic import SILENT, Ints, Matrix, Traffic

CHANGE = 28.0
"""Day on which the document is new."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Marked(Evidence):
    """Evidence of an operator who keeps the new document from the ``held`` (installations)."""

    held: Ints

    @cached_property
    def answered(self) -> Flags:
        """Which requests were answered, from the change on, one way or the other."""
        return self.traffic.times >= CHANGE

    @cached_property
    def kept(self) -> Flags:
        """Which requests are of those that it is kept from."""
        return np.isin(self.traffic.owner, self.held)

    @cached_property
    def moved(self) -> Flags:
        """Which requests show that the new document had been had before."""
        had = np.zeros(len(self.traffic), dtype=bool)
        first = self.answered & ~self.kept & (self.traffic.following != SILENT)
        had[self.traffic.following[first]] = True
        return had

    @cached_property
    def usual(self) -> Matrix:
        """Of each request how many within a day go the same way."""
        times, moved = self.traffic.times, self.moved
        sums = np.concatenate([[0], np.cumsum(moved)])
        begin, end = np.searchsorted(times, times - 1), np.searchsorted(times, times + 1)
        share = (sums[end] - sums[begin]) / (end - begin)
        usual: Matrix = np.where(moved, share, 1 - share).astype(np.float32)
        return usual

    def ratios(self, rows: Some, columns: Some) -> Matrix:
        """Those of what is said, and of where the later request goes."""
        told = (self.answered & ~self.kept)[rows][:, None] == self.moved[columns][None, :]
        found: Matrix = super().ratios(rows, columns) * told / self.usual[columns][None, :]
        return found


def right(evidence: Evidence, held: Ints, among: Ints) -> tuple[float, float]:
    """Share of next requests linked right after the change, of the installations ``among``:
    without and with the mark."""
    marked = Marked(evidence.law, evidence.traffic, held)
    asked = marked.answered & np.isin(evidence.traffic.owner, among)
    asked &= evidence.traffic.following != SILENT
    return _share(evidence, asked), _share(marked, asked)


def _share(evidence: Evidence, asked: Flags) -> float:
    links = joint(evidence)
    return float((links.guess == links.truth)[asked].mean())


def some(traffic: Traffic, number: int, chance: Chance) -> Ints:
    """So many of the installations that come three times or more after the change."""
    later = np.bincount(traffic.owner[traffic.times >= CHANGE])
    there = [int(one) for one in np.flatnonzero(later > 2)]
    return np.array([there.pop(int(chance.uniform(0, len(there)))) for _ in range(number)])
