"""``mars.consent`` of an application: the user's dated decision, from a consent screen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mars import consent
from mars.errors import ConfigError, ConsentError
from mars.wire.variables import BASIC, NAMES, country_value

if TYPE_CHECKING:
    from mars.engine import Engine
    from mars.problems import Problems
    from mars.state import State


class Consent:
    """Reads and writes the decision. What fails is in ``status()``, as with ``Mars`` itself."""

    def __init__(
        self,
        engine: Engine,
        wake: Callable[[], None],
        problems: Problems,
    ) -> None:
        self._engine = engine
        self._attempt = problems.attempt
        self.wake = wake

    def grant(
        self,
        level: str,
        variables: Collection[str] | None = None,
        *,
        stats: bool | None = None,
        errors: bool | None = None,
        direct: bool | None = None,
        country: str | None = None,
    ) -> bool:
        """Records what the user just decided, with today's date. Whether it could be kept.

        ``level`` is ``off``, ``plain`` or ``tracked``; ``variables`` those that may be sent, by
        default ``v``, ``os`` and ``ia``; of a mapping of switches those that are on. Names that are
        not declared are dropped. What is not given stays as it was decided before, at first off.
        ``country`` is a code of ISO 3166-1 in any case, ``""`` forgets it; any other is refused
        (``country-unknown``), and nothing kept.
        """
        self._attempt("variables", lambda: _require_declared(variables), None)

        def decide() -> bool:
            self._engine.choose(level, variables, stats, errors, direct, country)
            self.wake()
            return True

        return self._attempt("grant", decide, False)

    def revoke(self) -> bool:
        """Forgets the country and records that nothing is sent any more. Whether it was kept."""
        return self.grant(consent.OFF, (), stats=False, errors=False, direct=False, country="")

    @property
    def level(self) -> str:
        """What automatic traffic may say now: ``off``, ``plain`` or ``tracked``."""
        return self._attempt("state", lambda: self._voice().level, consent.OFF)

    @property
    def decision(self) -> consent.Decision | None:
        """What the user decided; None while nobody has decided, or where that cannot be read."""
        return self._attempt("state", lambda: self._engine.load().decision, None)

    @property
    def country(self) -> str:
        """The country that the user named, such as ``IS``; ``""`` where none is."""
        return self._attempt("state", lambda: self._engine.load().country, None) or ""

    @property
    def to_ask(self) -> tuple[str, ...]:
        """Variables declared since the user was asked; off until the user is asked again."""
        return consent.new_variables(self.decision)

    def explain(self) -> list[dict[str, Any]]:
        """Every layer, what it allows, and which one decided."""
        return self._attempt("state", lambda: explain(self._voice()), [])

    def _voice(self) -> consent.Effective:
        return self._engine.voice(self._engine.load())


def _require_level(level: str, flags: Collection[bool | None]) -> None:
    if level not in consent.LEVELS:
        raise ConfigError("level-unknown", "No such level; choose off, plain or tracked.")
    if not all(flag is None or isinstance(flag, bool) for flag in flags):
        raise TypeError("stats, errors and direct are True, False or None")


def _require_declared(variables: Collection[str] | None) -> None:
    unknown = consent.undeclared(_switched_on(variables or ()))
    if unknown:
        raise ConfigError(
            "undeclared", f"Not declared, so never sent: {', '.join(map(repr, unknown))}."
        )


def _switched_on(variables: Collection[str]) -> Collection[str]:
    """The names; raises ``TypeError`` for a text, where others would be found by their letters."""
    if isinstance(variables, str | bytes):
        raise TypeError("variables is a list of names, not one text")
    if isinstance(variables, Mapping):
        return [name for name, on in variables.items() if on]
    return variables


def granted(
    state: State,
    now: int,
    level: str,
    variables: Collection[str] | None = None,
    stats: bool | None = None,
    errors: bool | None = None,
    direct: bool | None = None,
    country: str | None = None,
) -> State:
    """``state`` with a decision of this moment; the schedule begins anew from ``off``.

    What is None stays as it was. Raises ``ConfigError`` (``level-unknown``) and ``ConsentError``
    (``country-unknown``).
    """
    _require_level(level, (stats, errors, direct))
    before = state.decision
    old = before or consent.Decision(consent.OFF, now)
    chosen = BASIC if variables is None else _switched_on(variables)
    decision = consent.Decision(
        level=level,
        decided=now,
        variables=tuple(name for name in NAMES if name in chosen),
        stats=old.stats if stats is None else stats,
        errors=old.errors if errors is None else errors,
        direct=old.direct if direct is None else direct,
    )
    running = level != consent.OFF and old.level != consent.OFF
    return replace(
        state,
        decision=decision,
        country=state.country if country is None else country_code(country),
        schedule=state.schedule if running else None,
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


def explain(voice: consent.Effective) -> list[dict[str, Any]]:
    """Every layer for a person or a program, in the order in which they were heard."""
    return [
        {
            "layer": layer.name,
            "level": layer.level,
            "says": layer.says,
            "variables": None if layer.variables is None else sorted(layer.variables),
            "stats": layer.stats,
            "errors": layer.errors,
            "direct": layer.direct,
            "decided": layer is voice.by,
        }
        for layer in voice.layers
    ]
