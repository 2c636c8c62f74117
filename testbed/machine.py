"""One simulated computer that is switched on and off, and fetches by the client's own schedule.

It shows what a fetch tells of a start: the share of fetches in the first minutes of a session,
beside the share of running time that those minutes are. Where the first is not the larger one,
whoever sees a fetch learns nothing of a start from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mars.core import schedule
from mars.core.schedule import HOUR
from mars.ports import Chance
from mars.testing.memory import START, MemoryClock, SeededChance
from mars.wire.times import DAY

EARLY = 300
"""Seconds after a start."""

Session = Callable[[Chance], tuple[int, int]]
"""Draws the seconds that a session lasts and the seconds until the next one."""


def _always(_chance: Chance) -> tuple[int, int]:
    return 100 * 365 * DAY, 0


def _office(chance: Chance) -> tuple[int, int]:
    on = int(chance.uniform(7 * HOUR, 9 * HOUR))
    return on, DAY - on


def _short(chance: Chance) -> tuple[int, int]:
    on = int(chance.uniform(10 * 60, 2 * HOUR))
    return on, int(chance.uniform(4 * HOUR, 3 * DAY))


def _brief(chance: Chance) -> tuple[int, int]:
    return int(chance.uniform(60, 10 * 60)), int(chance.uniform(2 * HOUR, DAY))


PATTERNS: dict[str, Session] = {
    "always": _always,
    "office": _office,
    "short": _short,
    "brief": _brief,
}
"""Always on; 7 to 9 hours a day; 10 minutes to 2 hours, then off for 4 hours to 3 days; 1 to 10
minutes, then off for 2 hours to a day."""


@dataclass
class Life:
    """What one machine did. Times in seconds."""

    gaps: list[int] = field(default_factory=list)
    """Between two fetches."""
    since_start: list[int] = field(default_factory=list)
    """From the start of the session to each fetch."""
    phases: list[int] = field(default_factory=list)
    """Of each fetch within the hour."""
    running: int = 0
    early: int = 0
    """Running time, and that part of it which lies within ``EARLY`` of a start."""


def live(seed: int, days: int, pattern: str, *, killed: bool = False) -> Life:
    """``days`` days of one machine. ``killed``: no session ends in order."""
    chance = SeededChance(seed)
    clock = MemoryClock(START + int(chance.uniform(0, DAY)))
    end = clock.wall + days * DAY
    plan, life, last = schedule.begin(clock.wall, chance), Life(), None
    while clock.wall < end:
        on, off = PATTERNS[pattern](chance)
        on = min(on, end - clock.wall)
        start, ran, left = clock.wall, None, on
        life.running += on
        life.early += min(on, EARLY)
        while left > 0:
            plan, sleep = schedule.look(plan, clock.wall, ran, chance)
            if not sleep:
                plan = schedule.attempt(plan, clock.wall, chance)
                life.since_start.append(clock.wall - start)
                life.phases.append(clock.wall % HOUR)
                if last is not None:
                    life.gaps.append(clock.wall - last)
                last, sleep = clock.wall, 1
            ran = min(sleep, left)
            clock.advance(ran)
            left -= ran
        plan = plan if killed else schedule.rested(plan, ran)
        clock.suspend(off)
    return life


@dataclass(frozen=True)
class Shares:
    """Of many machines: what is seen, and what would be seen if starts did not matter."""

    seen: float
    """Share of fetches within ``EARLY`` of a start."""
    fair: float
    """Share of running time within ``EARLY`` of a start."""
    gap: float
    """Mean time between two fetches, days."""

    @classmethod
    def of(cls, lives: list[Life]) -> Shares:
        since = [seconds for life in lives for seconds in life.since_start]
        gaps = [gap for life in lives for gap in life.gaps]
        return cls(
            seen=sum(seconds < EARLY for seconds in since) / len(since),
            fair=sum(life.early for life in lives) / sum(life.running for life in lives),
            gap=sum(gaps) / len(gaps) / DAY,
        )
