"""When computers run: all the time, in office hours, two hours every evening; some sleep for a
fortnight now and then. Times are Unix seconds; hours are those of a zone of each one's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mars.core.schedule import HOUR
from mars.ports import Chance
from mars.wire.times import DAY, WEEK

ALWAYS, OFFICE, EVENINGS = HABITS = ("always on", "office hours", "evenings")
FORTNIGHT = 2 * WEEK
ASLEEP = 2
"""Fortnights a year, on average, of those who sleep."""
YEAR = 52 * WEEK
ZONES = range(-8, 10)
"""Hours east of Greenwich."""
OPENS, CLOSES, WORKDAYS = 9, 17, 5
BEGINS, LASTS = 20, 2
"""Of an evening, in hours."""
ODD = HOUR // 2
"""Seconds by which each day begins and ends sooner or later, at most."""


@dataclass(frozen=True)
class Span:
    """A time in which the computer runs."""

    begin: int
    end: int
    starts: bool = True
    """Whether the application starts then; else it was asleep with the computer, or stays asleep
    at the end."""
    ahead: int = 0
    """Seconds by which its clock, that ``begin`` and ``end`` are of, shows too much."""


def spans(habit: str, start: int, weeks: int, chance: Chance, asleep: float = 0) -> list[Span]:
    """All of one computer in ``weeks`` from ``start``, a Monday; ``asleep`` fortnights a year."""
    running = list(_awake(habit, start, weeks, chance))
    end = start + weeks * WEEK
    for _ in range(_whole(asleep * weeks * WEEK / YEAR, chance)):
        gone = int(chance.uniform(start, max(start, end - FORTNIGHT)))
        running = [part for one in running for part in _without(one, gone, gone + FORTNIGHT)]
    return running


def _awake(habit: str, start: int, weeks: int, chance: Chance) -> Iterator[Span]:
    if habit == ALWAYS:
        yield Span(start, start + weeks * WEEK)
        return
    zone = chance.choice(ZONES) * HOUR
    begin, end = (OPENS, CLOSES) if habit == OFFICE else (BEGINS, BEGINS + LASTS)
    for day in range(weeks * 7):
        if habit == EVENINGS or day % 7 < WORKDAYS:
            midnight = start + day * DAY - zone
            odd = [int(chance.uniform(-ODD, ODD)) for _ in range(2)]
            yield Span(midnight + begin * HOUR + odd[0], midnight + end * HOUR + odd[1])


def _whole(mean: float, chance: Chance) -> int:
    """A whole number with this mean."""
    return int(mean) + (chance.uniform(0.0, 1.0) < mean % 1)


def _without(one: Span, gone: int, back: int) -> Sequence[Span]:
    """What of a span is not between two times; after it the application goes on."""
    if one.end <= gone or back <= one.begin:
        return [one]
    before = Span(one.begin, gone, one.starts)
    after = Span(back, one.end, one.starts and gone <= one.begin)
    return [part for part in (before, after) if part.begin < part.end]
