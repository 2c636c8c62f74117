"""What two requests say of each other.

Two requests of one installation say values that fit together; how much likelier that makes them
than two requests of two strangers is computed here, everything that was not said summed out:
whether and to what the user consented, when the program was installed, how slowly it is updated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mars.wire.variables import AGES, NAMES
from testbed.linking.law import FIXED, SLIP, Law, Particles
from testbed.linking.traffic import SILENT, Ints, Matrix, Traffic

Some = slice | Ints
"""Which requests."""


@dataclass(frozen=True)
class Evidence:
    """Likelihood ratios in one record."""

    law: Law
    traffic: Traffic

    def ratios(self, rows: Some, columns: Some) -> Matrix:
        """Of all pairs of an earlier request (``rows``) and a later one (``columns``): of one
        installation, against two strangers."""
        found = self.moving(rows, columns)
        found *= self.law.naming[np.ix_(self.pattern[rows], self.pattern[columns])]
        for name, table in self._fixed.items():
            said = self.traffic.said[name]
            found *= table[np.ix_(said[rows], said[columns])]
        return found

    @cached_property
    def pattern(self) -> Ints:
        """The number of each request's set of names."""
        numbers = np.zeros(2 ** len(NAMES), dtype=np.int64)
        for number, names in enumerate(self.law.names):
            numbers[sum(1 << NAMES.index(name) for name in names)] = number
        said = np.stack([self.traffic.said[name] != SILENT for name in NAMES], 1)
        found: Ints = numbers[said @ (1 << np.arange(len(NAMES)))]
        return found

    @cached_property
    def _fixed(self) -> Mapping[str, Matrix]:
        """By variable that is said at all, for each two codes; ``SILENT`` comes last."""
        tables = {}
        for name in FIXED:
            if values := self.traffic.values[name]:
                table = np.ones((len(values) + 1,) * 2, dtype=np.float32)
                table[:-1, :-1] = np.diag(1 / self.law.shares(name, values))
                tables[name] = table
        return tables

    # --- version and age --------------------------------------------------------------------

    def moving(self, rows: Some, columns: Some) -> Matrix:
        """What version and age alone say of each pair."""
        first, to_first = np.unique(self.kind[rows], return_inverse=True)
        second, to_second = np.unique(self.kind[columns], return_inverse=True)
        pairs = (self.fits[first] * self.prior[first]) @ self.fits[second].T
        return pairs.astype(np.float32, copy=False)[np.ix_(to_first, to_second)]

    @cached_property
    def kind(self) -> Ints:
        """Of each request the number of its day, version and age in ``kinds``."""
        return self._sorted[1]

    @cached_property
    def kinds(self) -> Ints:
        """Every day, code of version and code of age that occur together."""
        return self._sorted[0]

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        said = self.traffic.said
        rows = np.stack([self.traffic.times.astype(np.int64), said["v"], said["ia"]], 1)
        kinds, number = np.unique(rows, axis=0, return_inverse=True)
        return kinds, number.ravel()

    @cached_property
    def prior(self) -> Matrix:
        """Of each kind's day the probability of each particle of the crowd."""
        crowd = self.law.crowd
        rows = {day: crowd.alive(day) * crowd.weight for day in np.unique(self.kinds[:, 0])}
        return np.array([rows[day] / rows[day].sum() for day in self.kinds[:, 0]], np.float32)

    @cached_property
    def fits(self) -> Matrix:
        """Of each kind and particle how much likelier it says this than anyone does."""
        return self._said / self.common[:, None]

    @cached_property
    def _said(self) -> Matrix:
        return self.saying(self.law.crowd)

    @cached_property
    def common(self) -> Matrix:
        """How often anyone says what each kind says."""
        shares: Matrix = (self._said * self.prior).sum(1)
        return shares

    def saying(self, particles: Particles) -> Matrix:
        """How likely each of ``particles`` says what each kind says, given which names it says."""
        rows = np.ones((len(self.kinds), len(particles.born)), dtype=np.float32)
        days, start = np.unique(self.kinds[:, 0], return_index=True)
        for day, begin, end in zip(days, start, [*start[1:], len(rows)], strict=True):
            versions, ages = particles.versions(day), self._said_ages(particles, day)
            for row in range(begin, end):
                _, version, age = self.kinds[row]
                rows[row] = self._fitting("v", version, versions) * particles.alive(day)
                rows[row] *= self._fitting("ia", age, ages)
        return rows

    def _fitting(self, name: str, code: int, told: NDArray[np.str_]) -> Matrix:
        if code == SILENT:
            return np.ones(len(told), dtype=np.float32)
        return np.where(told == self.traffic.values[name][code], 1, SLIP).astype(np.float32)

    def _said_ages(self, particles: Particles, day: int) -> NDArray[np.str_]:
        said = np.array([self.law.ages.get(age, "") for age in AGES])
        return said[np.searchsorted(AGES, particles.ages(day))]
