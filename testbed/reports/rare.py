"""How rare is how linkable: names another report of the same installation.

All reports of a plug-in that one person has come from that person, whatever else is done; of two
people half. So the first figure is that of content alone (who names any other report that says the
same), and the second that of days as well.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from mars.channels.draws import Wanted
from mars.testing.memory import SeededChance
from mars.wire.registry import RATE
from testbed.reports import people
from testbed.reports.attack import PAIR, Attacker
from testbed.reports.client import Client
from testbed.reports.habits import ALWAYS, spans
from testbed.reports.people import BEGIN, WEEKS, Person
from testbed.reports.record import Ints, Record

USERS = (1, 2, 3, 5, 10, 30, 100)
LN3 = 1.0986
ASKED = 60
"""Reports of each world that another one is looked for to."""
TOGETHER = 40
"""Users of all worlds of one figure together, at least."""
LESSONS = 1_000


class Named(NamedTuple):
    """The shares of reports to which another one of the same installation is named."""

    content: float
    days: float


def named(users: int, epsilon: float = 0.0) -> Named:
    """Where so many have a plug-in with one entry of the usual rate, and their computers are always
    on, which links best."""
    found = [_named(users, epsilon, seed) for seed in range(max(2, TOGETHER // users))]
    return Named(*np.mean(found, 0).tolist())


def _named(users: int, epsilon: float, seed: int) -> Named:
    record, chance = world(users, epsilon, seed), np.random.default_rng(seed)
    shares = []
    for one in chance.permutation(len(record))[:ASKED].tolist():
        others = record.of_content[int(record.content[one])]
        others = others[others != one]
        if len(others):
            best = others[_best(record, one, others)]
            shares.append([_own(record, one, others), _own(record, one, best)])
    return Named(*np.mean(shares, 0).tolist())


def _own(record: Record, one: int, others: Ints) -> float:
    """The share of ``others`` that are of the same installation."""
    return float(np.mean(record.owner[others] == record.owner[one]))


def _best(record: Record, one: int, others: Ints) -> Ints:
    score = attacker().likely(record, one, others)
    return np.flatnonzero(score >= score.max() - 1e-9)


@cache
def attacker() -> Attacker:
    """Who knows one report, taught by other years of many users."""
    return Attacker.taught([world(40, 0.0, seed) for seed in (1_000, 1_001)], PAIR, LESSONS)


def world(users: int, epsilon: float, seed: int) -> Record:
    """A year of all who have the plug-in."""
    some = [_user(epsilon, SeededChance(seed * 1_000_003 + at)) for at in range(users)]
    return Record.of(some, WEEKS)


def _user(epsilon: float, chance: SeededChance) -> Person:
    wants = {people.entry(1): Wanted(RATE, 0)}
    awake = spans(ALWAYS, BEGIN, WEEKS, chance)
    return people.person((1,), tuple(Client(wants, BEGIN, chance).run(awake)), epsilon, chance)
