"""Which share of what was drawn arrives, however a computer runs.

The estimate divides by the declared rate, so a share below 1 makes it as much too low, and
one that depends on the habit biases shares. Counted after the first weeks, in which less waits than
later.
"""

from __future__ import annotations

from typing import NamedTuple

from mars.channels.draws import Wanted
from mars.testing.memory import SeededChance
from mars.wire.times import WEEK
from testbed.reports.client import Client, Sent
from testbed.reports.habits import ALWAYS, EVENINGS, OFFICE, spans
from testbed.reports.people import ALL_RATES, BEGIN
from testbed.reports.record import FETCHED

LEAST, MOST = 0.98, 1.02
HABITS = ((ALWAYS, 0), (ALWAYS, 2), (OFFICE, 0), (OFFICE, 2), (EVENINGS, 0), (EVENINGS, 2))
"""How computers run, and how many fortnights of a year they sleep."""
ENTRIES = 15
WARM_UP = 10
WEEKS = 62


class Arrived(NamedTuple):
    """Of all computers of one habit."""

    share: float
    """Of the reports that were drawn."""
    reports: float
    """A week and installation, of ``ALL_RATES`` that were declared."""
    news: float
    registry: float


def arrived(habit: str, asleep: float, size: int, total: float = ALL_RATES) -> Arrived:
    """Of ``size`` installations with entries whose rates add up to ``total``."""
    wants = {f"plugin{at:02}/kind": Wanted(total / ENTRIES, 0) for at in range(ENTRIES)}
    begin, made = BEGIN + WARM_UP * WEEK, 0
    sent: list[Sent] = []
    for seed in range(size):
        chance = SeededChance(seed)
        client = Client(wants, BEGIN, chance)
        sent += client.run(spans(habit, BEGIN, WEEKS, chance, asleep))
        made += sum(number for week, number in client.made.items() if week >= begin)
    counted = [one.what for one in sent if one.when >= begin]
    reports = sum(what not in FETCHED for what in counted)
    weeks = size * (WEEKS - WARM_UP)
    fetched = [counted.count(what) / weeks for what in FETCHED]
    return Arrived(reports / made, reports / weeks, *fetched)
