"""A population of simulated installations that fetch by the client's own schedule.

The truth is known here (how many installations were active when), so that an estimate made from
their access logs can be laid beside it. Nothing is sent: the result is counts of requests by day
and query, which can be written as the logs that the server would have written.

What is simulated: install and removal (exponential lifetimes), updates to new releases after a
lag of each installation's own, plain and tracked levels, the optional variables, attempts that
fail before anything leaves, with the client's retries, requests that left and were not counted,
computers that were off when a fetch was due, and a publisher that steers the interval. What is not:
days of the week, seasons, and people who change their mind about consent. An answer that was
counted and got lost is not told apart: its client asks when it would have asked anyway.

Times are Unix seconds UTC, durations days where a name says so.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mars.core import schedule
from mars.ports import Chance
from mars.wire.query import encode
from mars.wire.request import target
from mars.wire.times import DAY
from mars.wire.variables import NAMES, OPTIONAL, chosen, install_age

Shares = Mapping[str, float]
"""Values and their weights; the weights need not add up to anything."""


@dataclass(frozen=True)
class Plan:
    """What to simulate. ``start`` is UTC midnight; requests of ``days`` days are recorded."""

    start: int
    days: int
    size: int = 5_000
    """Installations at the beginning."""
    arrivals_per_day: float | None = None
    """New installations; by default as many as go, so that their number stays as it is."""
    lifetime_days: float = 365.0
    """Mean of the exponential law; infinite means that nobody comes or goes."""
    tracked: float = 0.6
    """Share of installations that send the coarse metrics; the others use the plain URL."""
    crowd: int = 1_000
    """What their trust file says of how many those are; one of ``mars.wire.crowd.CROWDS``."""
    releases: Sequence[tuple[float, str]] = ((-1000.0, "0.5.2"),)
    """Day of release, counted from ``start``, and version; oldest first."""
    update_lag_days: float = 10.0
    """Mean time that an installation takes to update (exponential; each has its own)."""
    platforms: Shares = field(default_factory=lambda: {"linux": 3, "windows": 5, "macos": 2})
    optional: Mapping[str, Shares] = field(default_factory=dict)
    """Values of ``lang``, ``py``, ``cc``; each is consented to by ``optional_consent``."""
    optional_consent: float = 0.5
    product_age_days: float = 900.0
    """No installation is older than this at ``start``."""
    unsent: float = 0.0
    """Probability that an attempt fails before a byte leaves, so that the client tries again."""
    lost: float = 0.0
    """Probability that a request that left is not counted; the next one is a period away."""
    late: float = 0.0
    """Probability that the computer is off when a fetch is due, ..."""
    late_days: float = 1.5
    """... and for how long, on average (exponential)."""
    steering: Sequence[tuple[float, int]] = ()
    """Day, counted from ``start``, and the ``reportback_next`` (seconds) served from then on."""
    warm_up_days: float = 0.0
    """Days simulated before ``start`` and not recorded, for plans whose first days differ."""

    @property
    def end(self) -> int:
        return self.start + self.days * DAY


@dataclass(frozen=True)
class Installation:
    """One simulated installation; ``born`` and ``died`` are Unix times, perhaps off the record."""

    born: int
    died: float
    platform: str
    tracked: bool
    lag: float
    """Seconds from a release to this installation's update."""
    optional: Mapping[str, str]


@dataclass(frozen=True)
class Population:
    """What was simulated: the installations, and the requests that the server counted."""

    plan: Plan
    installations: Sequence[Installation]
    hits: Mapping[tuple[str, str], int]
    """Requests by day (``YYYY-MM-DD``) and query (``""`` for the plain URL)."""

    def active(self, begin: int, end: int) -> float:
        """The truth: installations in being between two times, on average over that span."""
        return sum(
            max(0.0, min(one.died, end) - max(one.born, begin)) for one in self.installations
        ) / (end - begin)

    def days(self) -> dict[str, int]:
        """Requests of each day, every recorded day included."""
        total: Counter[str] = Counter(
            {day_name(self.plan.start + n * DAY): 0 for n in range(self.plan.days)}
        )
        for (day, _), number in self.hits.items():
            total[day] += number
        return dict(sorted(total.items()))

    def logs(self, chance: Chance, size: int = 1843) -> Iterator[tuple[str, bytes]]:
        """Name and content of one access log a day, as the server closes them.

        ``size`` is the number of bytes of the document that each line tells.
        """
        for day in self.days():
            identity = chance.token(16).hex()
            lines = sorted(
                line
                for (hit_day, query), number in self.hits.items()
                if hit_day == day
                for line in [_line(day, query, size)] * number
            )
            text = "\n".join([f"# mars access log v1 id={identity}", *lines, ""])
            yield f"access-{day}-{identity}.log", text.encode("ascii")

    def write_logs(self, folder: Path, chance: Chance, size: int = 1843) -> list[Path]:
        """Writes the access logs into ``folder``; returns their paths, oldest first."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, content in self.logs(chance, size):
            (folder / name).write_bytes(content)
            paths.append(folder / name)
        return paths


def simulate(plan: Plan, chance: Chance) -> Population:
    """Draws the installations and lets each of them fetch by the client's schedule."""
    world = World(plan, chance)
    installations = list(world.installations())
    hits: Counter[tuple[int, str]] = Counter()
    for one in installations:
        for when in world.requests(one):
            if when >= plan.start:
                hits[when // DAY, world.query(one, when)] += 1
    named = {(day_name(day * DAY), query): number for (day, query), number in hits.items()}
    return Population(plan, installations, named)


def day_name(when: int) -> str:
    """``2026-11-21`` of a Unix time, in UTC."""
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")


def exponential(chance: Chance, mean: float) -> float:
    """A draw from the exponential law with this mean (inverse transform)."""
    if math.isinf(mean):
        return math.inf
    return -mean * math.log(1.0 - chance.uniform(0.0, 1.0) * (1.0 - 2.0**-53))


class World:
    """A plan at work: the draws of one simulation."""

    def __init__(self, plan: Plan, chance: Chance) -> None:
        self._plan = plan
        self._chance = chance
        self._begin = plan.start - round(plan.warm_up_days * DAY)
        self._released = [plan.start + day * DAY for day, _ in plan.releases]
        self._steered = [plan.start + day * DAY for day, _ in plan.steering]

    def installations(self) -> Iterator[Installation]:
        """Those in being at the beginning, then those who come."""
        plan, chance = self._plan, self._chance
        mean = plan.lifetime_days * DAY
        oldest = plan.product_age_days * DAY
        for _ in range(plan.size):
            age = exponential(chance, mean)
            if age > oldest:
                age = chance.uniform(0.0, oldest)
            yield self._installation(self._begin - round(age), self._begin)
        gap = mean / plan.size if plan.arrivals_per_day is None else DAY / plan.arrivals_per_day
        arrival = float(self._begin)
        while (arrival := arrival + exponential(chance, gap)) < plan.end:
            yield self._installation(round(arrival), round(arrival))

    def _installation(self, born: int, now: int) -> Installation:
        """``now`` is when it is looked at first; the exponential law forgets what was before."""
        plan, chance = self._plan, self._chance
        optional = {
            name: self._draw(plan.optional[name])
            for name in OPTIONAL
            if name in plan.optional and self._happens(plan.optional_consent)
        }
        return Installation(
            born=born,
            died=now + exponential(chance, plan.lifetime_days * DAY),
            platform=self._draw(plan.platforms),
            tracked=self._happens(plan.tracked),
            lag=exponential(chance, plan.update_lag_days * DAY),
            optional=optional,
        )

    def requests(self, one: Installation) -> Iterator[int]:
        """When the server counts a request of this installation, from the beginning on."""
        if self._plan.unsent or self._plan.lost:
            return self.troubled(one)
        return self.untroubled(one)

    def untroubled(self, one: Installation) -> Iterator[int]:
        """The schedule without failures, by the client's own draws: most of a simulation's time
        is spent here."""
        chance = self._chance
        due = schedule.begin(max(one.born, self._begin), chance).due
        last = min(one.died, self._plan.end)
        period = 0
        while (when := self._awake(due)) < last:
            yield when
            due = when + schedule.next_interval(chance, period)
            if self._steered and (asked := self._steering(when)) != period:
                due, period = when + schedule.next_interval(chance, asked), asked

    def troubled(self, one: Installation) -> Iterator[int]:
        """The whole schedule: attempts fail before anything leaves, or are not counted."""
        plan, chance = self._plan, self._chance
        state = schedule.begin(max(one.born, self._begin), chance)
        last = min(one.died, plan.end)
        while (when := self._awake(state.due)) < last:
            state = schedule.attempt(state, when, chance)
            if self._happens(plan.unsent):
                state = schedule.failed(state, when, chance, left=False)
            elif self._happens(plan.lost):
                state = schedule.failed(state, when, chance, left=True)
            else:
                yield when
                state = schedule.succeeded(state, when, chance, self._steering(when))

    def query(self, one: Installation, when: int) -> str:
        """The query of one request: what the client would choose of the coarse metrics."""
        if not one.tracked:
            return ""
        found = self.found(one, when)
        pick = self._chance.uniform(0.0, 1.0)
        return encode(chosen(found, NAMES, pick, self._plan.crowd))

    def found(self, one: Installation, when: int) -> dict[str, str]:
        """All that this installation consented to and could say at a time."""
        values = {"v": self.version(one, when), "os": one.platform}
        age = install_age(one.born, when)
        if age is not None:
            values["ia"] = age
        return {**values, **one.optional}

    def version(self, one: Installation, when: int) -> str:
        """The newest release at the time of installing, or the newest it has updated to since."""
        fresh = bisect.bisect_right(self._released, one.born)
        updated = bisect.bisect_right(self._released, when - one.lag)
        return self._plan.releases[max(fresh, updated, 1) - 1][1]

    def updates(self, one: Installation, begin: int, end: int) -> list[int]:
        """When it runs a newer release than before, between two times."""
        moments = (math.ceil(released + one.lag) for released in self._released)
        return [when for when in moments if begin < when < end]

    def _steering(self, when: int) -> int:
        index = bisect.bisect_right(self._steered, when)
        return self._plan.steering[index - 1][1] if index else 0

    def _awake(self, due: int) -> int:
        """The due time, or later where the computer was off."""
        if not (self._plan.late and self._happens(self._plan.late)):
            return due
        return due + round(exponential(self._chance, self._plan.late_days * DAY))

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._chance.uniform(0.0, 1.0) < probability

    def _draw(self, shares: Shares) -> str:
        point = self._chance.uniform(0.0, sum(shares.values()))
        for value, weight in shares.items():
            point -= weight
            if point <= 0:
                return value
        return value


def _line(day: str, query: str, size: int) -> str:
    """One line of an access log in combined format, without address and time of day."""
    date = datetime.fromisoformat(day).strftime("%d/%b/%Y")
    return f'- - - [{date}:00:00:00 +0000] "GET {target(query)} HTTP/1.1" 200 {size} "-" "-"'
