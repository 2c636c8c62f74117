"""Who is there: plug-ins that few or many have, and what they say.

The registry's rates add up to as much as one may declare. How many plug-ins an installation has,
and which, goes by their rank (Zipf); each says one of a few values that its user never changes,
which links best.
"""

from __future__ import annotations

from dataclasses import dataclass

from mars.channels.draws import Wanted
from mars.ports import Chance
from mars.testing.memory import START, SeededChance
from mars.wire.randomized import answered
from mars.wire.times import WEEK, week_start
from testbed.reports.client import NEWS, REGISTRY, Client, Sent
from testbed.reports.habits import ASLEEP, HABITS, spans

BEGIN = week_start(START) + WEEK
PLUGINS = 30
ALL_RATES = 2.0
"""Reports a week that the entries of a registry may add up to."""
POPULAR = 2.5
"""The n-th plug-in is as common as n to the minus this: the first is nearly everybody's, of a
thousand installations one or two have the last."""
VALUES = tuple("abcd")
COMMON = (8, 4, 2, 1)
"""How often each is true."""
WEEKS = 52


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    size: int = 1_000
    """Installations."""
    habit: str = ""
    """How all computers run; each in its own way where it is empty."""
    asleep: float = ASLEEP
    """Fortnights a year."""
    apart: bool = True
    """Whether one request a day goes at most."""
    epsilon: float = 0.0
    weeks: int = WEEKS


@dataclass(frozen=True)
class Person:
    """One installation, and what left it."""

    plugins: tuple[int, ...]
    sent: tuple[Sent, ...]
    said: tuple[str, ...]
    """Of each request what it says; nothing of a fetch."""


def people(plan: Plan, seed: int) -> list[Person]:
    """All of them, the same for the same seed."""
    return [_person(plan, SeededChance(seed * 1_000_003 + at)) for at in range(plan.size)]


def entry(plugin: int) -> str:
    return f"plugin{plugin:02}/kind"


def _person(plan: Plan, chance: SeededChance) -> Person:
    plugins = _plugins(chance)
    habit = plan.habit or chance.choice(HABITS)
    awake = spans(habit, BEGIN, plan.weeks, chance, plan.asleep)
    wants = {entry(one): Wanted(ALL_RATES / PLUGINS, 0) for one in plugins}
    sent = tuple(Client(wants, BEGIN, chance, plan.apart).run(awake))
    return person(plugins, sent, plan.epsilon, chance)


def person(
    plugins: tuple[int, ...], sent: tuple[Sent, ...], epsilon: float, chance: SeededChance
) -> Person:
    """One whose reports say what is true of it, blurred by ``epsilon`` if that is not 0."""
    true = {entry(one): chance.choices(VALUES, COMMON)[0] for one in plugins}
    return Person(plugins, sent, tuple(_said(one, true, epsilon, chance) for one in sent))


def _plugins(chance: SeededChance) -> tuple[int, ...]:
    ranks = range(1, PLUGINS + 1)
    wanted = chance.choices(ranks, [1 / many for many in ranks])[0]
    found: set[int] = set()
    weights = [rank**-POPULAR for rank in ranks]
    while len(found) < wanted:
        found.add(chance.choices(ranks, weights)[0])
    return tuple(sorted(found))


def _said(one: Sent, true: dict[str, str], epsilon: float, chance: Chance) -> str:
    if one.what in (NEWS, REGISTRY):
        return ""
    return answered(true[one.what], VALUES, epsilon, chance.uniform)
