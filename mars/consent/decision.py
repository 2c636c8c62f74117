"""The user's dated decision: a yes to each purpose, or none. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from mars.errors import ConfigError, ConsentError
from mars.wire.variables import BASIC, NAMES, country_value

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
SWITCHES = {
    "stats": Purpose("statistics", "Statistics"),
    "errors": Purpose("reports", "Error reports"),
}
"""Purposes that have a switch of their own in commands, policy file and JSON, offered or not."""

_BY_LEVEL = (NEWS.name, METRICS.name)
"""``plain`` is a yes to the first, ``tracked`` to both."""


@dataclass(frozen=True)
class Decision:
    """What the user decided, when, and which variables existed when they were asked."""

    decided: int
    """Unix time."""
    purposes: Mapping[str, int] = field(default_factory=dict)
    """What they said yes to, each since when (Unix time); nothing from before it is ever sent."""
    variables: tuple[str, ...] = BASIC
    asked: tuple[str, ...] = NAMES
    direct: bool = False
    """Whether the plain document may come by direct HTTPS where there is no Tor."""

    @classmethod
    def of(
        cls, level: str, decided: int, further: Mapping[str, int] | None = None, **more: Any
    ) -> Self:
        """A yes to what ``level`` means and to ``further`` purposes; of ``off``, to nothing."""
        agreed = dict.fromkeys(_BY_LEVEL[: LEVELS.index(level)], decided)
        others = {name: at for name, at in (further or {}).items() if name not in _BY_LEVEL}
        return cls(decided, {**agreed, **others} if agreed else {}, **more)

    @property
    def level(self) -> str:
        """``off``, ``plain`` or ``tracked``."""
        return LEVELS[sum(name in self.purposes for name in _BY_LEVEL)]

    @property
    def stats(self) -> bool:
        return SWITCHES["stats"].name in self.purposes

    @property
    def errors(self) -> bool:
        return SWITCHES["errors"].name in self.purposes


def decided(
    old: Decision | None,
    now: int,
    offered: Iterable[Purpose],
    level: str,
    variables: Collection[str] | None = None,
    stats: bool | None = None,
    errors: bool | None = None,
    direct: bool | None = None,
    purposes: Collection[str] | None = None,
) -> Decision:
    """The decision of this moment after ``old``. What is None stays as it was.

    A yes to a purpose that is not ``offered`` is none. Raises ``ConfigError`` (``level-unknown``).
    """
    if level not in LEVELS:
        raise ConfigError("level-unknown", "No such level; choose off, plain or tracked.")
    if not all(flag is None or isinstance(flag, bool) for flag in (stats, errors, direct)):
        raise TypeError("stats, errors and direct are True, False or None")
    before = old or Decision(now)
    wanted = _wanted(stats, errors, purposes)
    since = {name: at for name, at in before.purposes.items() if wanted.get(name, True)}
    since |= {one.name: now for one in offered if wanted.get(one.name)}
    chosen = _switches(BASIC if variables is None else variables)
    return Decision.of(
        level,
        now,
        since,
        variables=tuple(name for name in NAMES if chosen.get(name)),
        direct=before.direct if direct is None else direct,
    )


def _wanted(
    stats: bool | None, errors: bool | None, purposes: Collection[str] | None
) -> dict[str, bool]:
    """By the purpose's name; what was not said is not in it."""
    given = {"stats": stats, "errors": errors}
    named = {SWITCHES[name].name: on for name, on in given.items() if on is not None}
    return {**named, **_switches(purposes)}


def _switches(names: Collection[str] | None) -> dict[str, bool]:
    """Each name, and whether it is on.

    Raises ``TypeError`` for a text, where others would be found by their letters.
    """
    if isinstance(names, str | bytes):
        raise TypeError("variables and purposes are lists of names, not one text")
    if isinstance(names, Mapping):
        return {name: bool(on) for name, on in names.items()}
    return dict.fromkeys(names or (), True)


def require_declared(variables: Collection[str] | None) -> None:
    unknown = [name for name, on in _switches(variables).items() if on and name not in NAMES]
    if unknown:
        raise ConfigError(
            "undeclared", f"Not declared, so never sent: {', '.join(map(repr, unknown))}."
        )


def require_offered(
    offered: Iterable[Purpose],
    stats: bool | None = None,
    errors: bool | None = None,
    purposes: Collection[str] | None = None,
) -> None:
    """Raises ``ConfigError`` (``not-offered``) of a yes that ``granted`` did not keep."""
    known = {one.name for one in offered}
    missing = [
        name for name, on in _wanted(stats, errors, purposes).items() if on and name not in known
    ]
    if missing:
        raise ConfigError(
            "not-offered",
            f"Nothing here serves {', '.join(map(repr, missing))}, so no consent to it was kept; "
            "ask again once something does.",
        )


def country_code(typed: str) -> str | None:
    """``IS`` of `` is``; None of nothing. Raises ``ConsentError`` (``country-unknown``)."""
    code = typed.strip().upper()
    if code and not (typed.isascii() and country_value(code)):
        raise ConsentError(
            "country-unknown",
            "No such country; write its code of ISO 3166-1, such as IS or DE, or leave it out.",
        )
    return code or None
