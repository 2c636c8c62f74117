"""What goes once, at a time that was drawn, and waits in running time where that passed while
nothing ran. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Self

from mars.core.schedule import FIRST_KEEP, LONGEST_SLEEP, OVERDUE_SLEEP, waits
from mars.ports import Chance


class Waiting:
    """The half of a dataclass that has these two."""

    due: int
    """Unix time."""
    wait: int | None
    """Seconds of running time that it still waits where its time passed; None until then."""

    def is_due(self, now: int) -> bool:
        return self.due <= now if self.wait is None else not self.wait

    def earliest(self, now: int) -> int:
        """Unix time before which it does not go."""
        return max(self.due, now) if self.wait is None else now + self.wait

    def late(self, now: int, ran: int | None, chance: Chance) -> Self:
        """With a wait where its time passed; ``ran`` as of ``schedule.look``."""
        return self._with(wait=waits(self.due, self.wait, now, ran, chance, anew=True))

    def rested(self, ran: int | None) -> Self:
        """After ``ran`` seconds of running time: with what is left of its wait."""
        return self if self.wait is None else self._with(wait=max(self.wait - (ran or 0), 0))

    def moved(self, after: int, within: int, chance: Chance) -> Self:
        """To a time uniform over ``within`` seconds from ``after`` (Unix time) on."""
        return self._with(due=after + int(chance.uniform(0, within)), wait=None)

    def _with(self, **changes: Any) -> Self:
        made: Self = replace(self, **changes)  # type: ignore[type-var]
        return made


def sleep(pending: Collection[Waiting], now: int, ran: int | None) -> int:
    """Seconds until the next look. A wait that runs is kept now and then, so that a killed session
    still counts."""
    until = [LONGEST_SLEEP, *(one.earliest(now) - now for one in pending)]
    if any(one.wait is not None for one in pending):
        until.append(min(max(FIRST_KEEP, 2 * (ran or 0)), OVERDUE_SLEEP))
    return min(until)
