"""What a user agrees to: levels, and purposes of which each has its own date. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from mars.errors import ConfigError

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
    by_act: bool = False
    """Whether each request is one that the user asks for, so that it takes no decision of theirs.
    All other layers lower it as any."""


NEWS = Purpose("news", "News", PLAIN, telling=False)
METRICS = Purpose("metrics", "Values in the request for news")
STATISTICS = Purpose("statistics", "Statistics")
EVENTS = Purpose("events", "Error events")
REPORTS = Purpose("reports", "Error reports")
NEVER, ASK, ALWAYS = MODES = ("never", "ask", "always")
"""Of error reports, from least to most: each is shown and released by hand, or goes by itself."""
DELETIONS = Purpose("deletions", "Deletion of error reports", PLAIN, by_act=True)
"""Of reports that were sent, also after all else was taken back."""
SWITCHES = {"stats": STATISTICS, "events": EVENTS, "errors": REPORTS}
"""Purposes that have a switch of their own in commands, policy file and JSON, offered or not."""
BUILT_IN = frozenset({NEWS, METRICS, DELETIONS, *SWITCHES.values()})

BY_LEVEL = (NEWS.name, METRICS.name)
"""``plain`` is a yes to the first, ``tracked`` to both."""


def require_level(level: str) -> None:
    """Raises ``ConfigError`` (``level-unknown``)."""
    if level not in LEVELS:
        raise ConfigError("level-unknown", "No such level; choose off, plain or tracked.")


def require_mode(mode: str | None) -> None:
    """Raises ``ConfigError`` (``mode-unknown``)."""
    if mode not in (None, *MODES):
        raise ConfigError("mode-unknown", f"No such mode of reports; choose {', '.join(MODES)}.")


def mode_of(is_allowed: bool, is_always: bool) -> str:
    """One of ``MODES``."""
    return NEVER if not is_allowed else ALWAYS if is_always else ASK
