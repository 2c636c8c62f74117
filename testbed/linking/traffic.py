"""What a server sees of a simulated population, and the truth that it does not see.

The population, its schedule and its values are ``testbed.population``'s; what a request says is a
rule that is handed in. Times are days since the plan's start (floats, to the second).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mars.ports import Chance
from mars.wire.times import DAY
from mars.wire.variables import NAMES
from testbed.population import Installation, Plan, World

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Matrix = NDArray[np.float32]
Rule = Callable[[Mapping[str, str], Collection[str], float], Mapping[str, str]]
"""What one request says, of the values found, the consented names and a uniform draw."""
Asked = tuple[int, int, Mapping[str, str]]
"""Unix time of one request, its owner and what it says."""
SILENT = -1
"""The code of a variable that a request does not say, and the index of a request that is not."""


@dataclass(frozen=True)
class Traffic:
    """The requests of one level, by time of arrival."""

    plan: Plan
    rule: Rule
    times: Floats
    said: Mapping[str, Ints]
    """For each variable the code of its value in each request, or ``SILENT``."""
    values: Mapping[str, Sequence[str]]
    """For each variable the values that its codes mean."""
    installations: Sequence[Installation]
    """The truth: who there was, ..."""
    owner: Ints
    """... whose each request is (index), ..."""
    following: Ints
    """... and the next request of the same installation, or ``SILENT``."""

    def __len__(self) -> int:
        return len(self.times)

    @property
    def rate(self) -> float:
        """Requests a day."""
        return len(self) / self.plan.days

    @classmethod
    def of(
        cls,
        plan: Plan,
        rule: Rule,
        installations: Sequence[Installation],
        requests: Iterable[Asked],
    ) -> Traffic:
        """The ``requests`` of these installations, in any order."""
        numbers: dict[str, dict[str, int]] = {name: {} for name in NAMES}
        rows = np.array([_row(one, numbers) for one in requests], dtype=np.int64)
        rows = rows.reshape(-1, 2 + len(NAMES))
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        said = {name: np.ascontiguousarray(rows[:, 2 + at]) for at, name in enumerate(NAMES)}
        values = {name: list(number) for name, number in numbers.items()}
        owner = np.ascontiguousarray(rows[:, 1])
        times = (rows[:, 0] - plan.start) / DAY
        return cls(plan, rule, times, said, values, installations, owner, _following(owner))


def record(plan: Plan, rule: Rule, chance: Chance) -> Traffic:
    """Lets the population of ``plan`` fetch, and writes down what arrives."""
    world = World(plan, chance)
    installations = list(world.installations())
    return Traffic.of(plan, rule, installations, _requests(world, installations, rule, chance))


def _requests(
    world: World, installations: Sequence[Installation], rule: Rule, chance: Chance
) -> Iterable[Asked]:
    for owner, one in enumerate(installations):
        for when in world.requests(one):
            found = world.found(one, when)
            yield when, owner, rule(found, found.keys(), chance.uniform(0.0, 1.0))


def _row(asked: Asked, numbers: Mapping[str, dict[str, int]]) -> list[int]:
    """Time, owner, and a code for each variable; a new value gets a new number."""
    when, owner, said = asked
    codes = [
        numbers[name].setdefault(said[name], len(numbers[name])) if name in said else SILENT
        for name in NAMES
    ]
    return [when, owner, *codes]


def _following(owner: Ints) -> Ints:
    """For each request the index of its owner's next one."""
    following = np.full(len(owner), SILENT, dtype=np.int64)
    by_owner = np.argsort(owner, kind="stable")
    same = owner[by_owner[:-1]] == owner[by_owner[1:]]
    following[by_owner[:-1][same]] = by_owner[1:][same]
    return following
