"""The one place that knows which adapter stands behind which port. Everything is imported late."""

from __future__ import annotations

from mars.ports import Chance, Clock


def system_clock() -> Clock:
    from mars.adapters.system import SystemClock

    return SystemClock()


def system_chance() -> Chance:
    from mars.adapters.system import SystemChance

    return SystemChance()
