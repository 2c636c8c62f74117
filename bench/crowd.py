"""How many installations share what a request says, by the number of installations.

The marginals are assumed: 12 releases with 55 % on the newest, 3 systems, install ages of a
product that grows evenly for 3 years, 40 languages (Zipf 1.3), 5 Pythons, 120 countries (Zipf 1.1),
all independent. The figures stand in docs/threat-model.md.
"""

from __future__ import annotations

import sys
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate

from mars.testing.memory import SeededChance
from mars.wire.crowd import CROWDS
from mars.wire.times import DAY
from mars.wire.variables import NAMES, chosen, install_age

SIZES = (300, 3_000, 30_000, 300_000)
FEW = 10
AGE_DAYS = 3 * 365

Draw = Callable[[SeededChance], str]
Say = Callable[[dict[str, str], SeededChance], dict[str, str]]


def zipf(count: int, power: float) -> Draw:
    return weighted([1 / (rank + 1) ** power for rank in range(count)])


def weighted(weights: Sequence[float]) -> Draw:
    sums = list(accumulate(weights))
    return lambda chance: str(bisect(sums, chance.uniform(0, sums[-1])))


def age(chance: SeededChance) -> str:
    return install_age(0, int(chance.uniform(0, AGE_DAYS) * DAY)) or "none"


DRAWS: dict[str, Draw] = {
    "v": weighted([55, *[45 * 0.6**rank * 0.4 for rank in range(11)]]),
    "os": weighted([5, 3, 2]),
    "ia": age,
    "lang": zipf(40, 1.3),
    "py": weighted([4, 3, 2, 1, 1]),
    "cc": zipf(120, 1.1),
}


def by_rule(crowd: int) -> Say:
    """What the client chooses of everything, as all consent to all."""

    def say(found: dict[str, str], chance: SeededChance) -> dict[str, str]:
        return chosen(found, NAMES, chance.uniform(0.0, 1.0), crowd)

    return say


WHAT: dict[str, Say] = {
    **{f"crowd {crowd}": by_rule(crowd) for crowd in CROWDS},
    "all six (never sent)": lambda found, _: found,
}


def shares(size: int, say: Say) -> tuple[float, float]:
    """Share of installations whose request fewer than ten, and no other, would send as well."""
    chance = SeededChance(size)
    cells: Counter[tuple[tuple[str, str], ...]] = Counter()
    for _ in range(size):
        found = {name: draw(chance) for name, draw in DRAWS.items()}
        cells[tuple(say(found, chance).items())] += 1
    few = sum(count for count in cells.values() if count < FEW)
    alone = sum(count for count in cells.values() if count == 1)
    return few / size, alone / size


def main() -> int:
    print("Share of installations in a crowd of fewer than ten / alone, by what a request says:")
    print(f"{'':30}" + "".join(f"{size:>14,}" for size in SIZES))
    for name, say in WHAT.items():
        cells = (shares(size, say) for size in SIZES)
        row = "".join(f"{f'{few:.1%} / {alone:.1%}':>16}" for few, alone in cells)
        print(f"{name:28}{row}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
