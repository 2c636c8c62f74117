"""How often the truth lies in the interval, over a grid of simulated populations.

Each population fetches by the client's own schedule (``testbed.population``); ten weeks of
it are estimated from the exact hits without rounding (which is never published), and as they are
published: from floored hits, rounded outward. ``make bench ARGS=coverage`` runs the whole grid,
the tests a short slice of it. The standard error of a coverage is taken between populations, since
the weeks of one hang together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import fmean, stdev

from mars.testing.memory import SeededChance
from mars.wire.times import DAY
from mars_server.common.calendar import week_of
from mars_server.tables.estimate import DEFAULT, bounds, bunched, estimate
from mars_server.tables.fetch_intervals import Period, hits_per_installation, laws
from mars_server.tables.floor import floor
from testbed.population import Plan, simulate

MONDAY = 1_780_272_000
"""2026-06-01T00:00:00Z."""
WEEKS = 10
BEFORE = 40.0
"""Days simulated before the first week, where requests need them to settle."""
STILL = Plan(MONDAY, 7 * WEEKS, lifetime_days=math.inf)


@dataclass(frozen=True)
class Case:
    """One row of the grid. ``holds``: the assumptions of the estimate hold."""

    name: str
    plan: Plan
    holds: bool
    launch: bool = False
    """Only the first week of a project is looked at; all installations come within it."""

    def of_size(self, size: int) -> Plan:
        if self.launch:
            return replace(self.plan, size=0, arrivals_per_day=size / 7, days=7)
        return replace(self.plan, size=size)


def _steered(*changes: tuple[float, int]) -> Plan:
    return replace(STILL, steering=changes)


CASES = (
    Case("nobody comes or goes", STILL, True),
    Case("installations live for a year", replace(STILL, lifetime_days=365), True),
    Case("installations live for 30 days", replace(STILL, lifetime_days=30), True),
    Case(
        "asked for 3 days, 120 days before",
        replace(_steered((-120, 3 * DAY)), warm_up_days=121),
        True,
    ),
    Case(
        "asked for 7 days in week 3, for the default again in week 7",
        _steered((14, 7 * DAY), (42, 0)),
        True,
    ),
    Case(
        "asked for 8, then 9¼, then 10½ days in weeks 3, 4 and 5",
        _steered((16.5, 8 * DAY), (23.5, 37 * DAY // 4), (30.5, 42 * DAY // 4)),
        True,
    ),
    Case(
        "20 % of attempts fail before anything left",
        replace(STILL, unsent=0.2, warm_up_days=BEFORE),
        False,
    ),
    Case(
        "5 % of requests left and are not counted",
        replace(STILL, lost=0.05, warm_up_days=BEFORE),
        False,
    ),
    Case(
        "60 % of requests are late, by 1.5 days on average",
        replace(STILL, late=0.6, warm_up_days=BEFORE),
        False,
    ),
    Case("the first week of a project", STILL, False, launch=True),
)


@dataclass(frozen=True)
class Trial:
    """One population: the shares of its weeks whose truth lies in the unrounded and in the
    published interval, and the mean ratio of unrounded estimate to truth."""

    exact: float
    shown: float
    ratio: float


def trial(plan: Plan, seed: int) -> Trial:
    """Simulates ``plan`` and looks at each of its weeks as the publisher would."""
    population = simulate(replace(plan, tracked=0.0), SeededChance(seed))
    days = list(population.days().values())
    periods = [Period(plan.start - 400 * DAY, 0)]
    periods += [Period(plan.start + round(day * DAY), asked) for day, asked in plan.steering]
    exact, shown, ratios = [], [], []
    for n in range(plan.days // 7):
        begin = plan.start + n * 7 * DAY
        truth = population.active(begin, begin + 7 * DAY)
        hits = sum(days[7 * n : 7 * n + 7])
        week = week_of(datetime.fromtimestamp(begin, UTC).date())
        low, high, middle = unrounded(hits, periods, week)
        exact.append(low <= truth <= high)
        ratios.append(middle / truth)
        served, earlier = laws(periods, week, None, DEFAULT)
        guess = estimate(floor(hits), served, earlier, hits_per_installation(periods, week))
        assert guess is not None
        shown.append(guess.low <= truth <= guess.high)
    return Trial(fmean(exact), fmean(shown), fmean(ratios))


def unrounded(hits: int, periods: Sequence[Period], week: str) -> tuple[float, float, float]:
    """The interval of exact hits under what is known of the documents, and its middle."""
    expected = hits_per_installation(periods, week)
    found = None if expected is None else bunched(hits, hits, expected)
    if expected is not None and found is not None:
        return *found, hits / expected
    law = laws(periods, week, None, DEFAULT)[0][-1].interval
    return *bounds(hits, hits, law), hits * law.mean / 7


@dataclass(frozen=True)
class Coverage:
    """What many trials of one case and size gave; shares from 0 to 1."""

    case: Case
    size: int
    trials: Sequence[Trial]

    def of(self, what: Callable[[Trial], float]) -> tuple[float, float]:
        """Mean and standard error."""
        values = [what(each) for each in self.trials]
        return fmean(values), stdev(values) / math.sqrt(len(values))

    @property
    def fine(self) -> bool:
        """As promised, where the assumptions hold, within two standard errors."""
        exact, error = self.of(lambda each: each.exact)
        shown, shown_error = self.of(lambda each: each.shown)
        near = 0.93 - 2 * error <= exact <= 0.98 + 2 * error
        return not self.case.holds or (near and shown >= 0.95 - 2 * shown_error)


def measure(case: Case, size: int, populations: int) -> Coverage:
    plan = case.of_size(size)
    return Coverage(case, size, [trial(plan, seed) for seed in range(populations)])


def row(found: Coverage) -> str:
    """One line of the table."""
    exact, shown = (
        f"{100 * mean:.1f} ± {100 * error:.1f} %"
        for mean, error in (found.of(lambda each: each.exact), found.of(lambda each: each.shown))
    )
    ratio, error = found.of(lambda each: each.ratio)
    return (
        f"| {found.case.name} | {found.size:,} | {len(found.trials)} | {exact} | {shown} | "
        f"{ratio:.3f} ± {error:.3f} |"
    )
