"""What a user agrees to: levels, and purposes of which each has its own date. Pure."""

from __future__ import annotations

from dataclasses import dataclass

OFF, PLAIN, TRACKED = LEVELS = ("off", "plain", "tracked")
"""From least to most."""


@dataclass(frozen=True)
class Purpose:
    """One thing that a user agrees to or not."""

    name: str
    label: str
    """For a person."""
    least: str = TRACKED
    """The level that a ceiling must leave for it."""
    telling: bool = True
    """Whether what goes says anything of the user: then nothing goes before the date of the yes."""


NEWS = Purpose("news", "News", PLAIN, telling=False)
METRICS = Purpose("metrics", "Values in the request for news")
STATISTICS = Purpose("statistics", "Statistics")
EVENTS = Purpose("events", "Error events")
SWITCHES = {
    "stats": STATISTICS,
    "events": EVENTS,
    "errors": Purpose("reports", "Error reports"),
}
"""Purposes that have a switch of their own in commands, policy file and JSON, offered or not."""
BUILT_IN = frozenset({NEWS, METRICS, *SWITCHES.values()})

BY_LEVEL = (NEWS.name, METRICS.name)
"""``plain`` is a yes to the first, ``tracked`` to both."""
