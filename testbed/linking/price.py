"""What it costs the figures that a request says less: errors of weekly shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mars.wire.times import DAY
from testbed.linking.law import Particles
from testbed.linking.traffic import SILENT, Traffic

NEWEST, LINUX, NEW = SHARES = ("newest release", "Linux", "up to a month old")
YOUNG = ("1", "10")
_NAMES = {NEWEST: "v", LINUX: "os", NEW: "ia"}


@dataclass(frozen=True)
class Week:
    """One week of one record."""

    traffic: Traffic
    number: int

    @property
    def noon(self) -> int:
        """The day in its middle."""
        return 7 * self.number + 3

    @property
    def newest(self) -> str:
        """The newest release by then."""
        return [name for day, name in self.traffic.plan.releases if day <= self.noon][-1]

    def share(self, of: str) -> float:
        """As the hits of the week tell; NaN where none says it."""
        traffic, name = self.traffic, _NAMES[of]
        begin, end = np.searchsorted(traffic.times, [7.0 * self.number, 7.0 * self.number + 7])
        codes = traffic.said[name][begin:end]
        told = codes[codes != SILENT]
        counted = {NEWEST: (self.newest,), LINUX: ("linux",), NEW: YOUNG}[of]
        wanted = [code for code, value in enumerate(traffic.values[name]) if value in counted]
        return float(np.isin(told, wanted).mean()) if len(told) else math.nan

    def truth(self, of: str) -> float:
        """Of the installations in being in the middle of the week."""
        traffic = self.traffic
        when = traffic.plan.start + self.noon * DAY + DAY // 2
        there = [one for one in traffic.installations if one.born <= when < one.died]
        people = Particles.of(traffic.plan, there)
        if of == NEWEST:
            return float((people.versions(self.noon) == self.newest).mean())
        if of == LINUX:
            return float(np.mean([one.platform == "linux" for one in there]))
        return float(np.isin(people.ages(self.noon), YOUNG).mean())


def errors(records: Sequence[Traffic]) -> Mapping[str, float]:
    """Root mean square error of each weekly share, in points."""
    weeks = [Week(one, number) for one in records for number in range(one.plan.days // 7)]
    return {
        of: 100 * _root_mean_square([week.share(of) - week.truth(of) for week in weeks])
        for of in SHARES
    }


def _root_mean_square(values: Sequence[float]) -> float:
    return math.sqrt(np.nanmean(np.square(values)))


def weeks_to_pool(error: float, wanted: float) -> int:
    """How many weeks of ``error`` together have an error of ``wanted``."""
    return max(1, round((error / wanted) ** 2))
