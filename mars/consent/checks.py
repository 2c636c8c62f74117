"""What of a choice could not be kept, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from mars.consent import SWITCHES, Choice, Decision
from mars.consent.entries import purpose_of, switched
from mars.consent.purposes import PLAIN, Purpose
from mars.errors import ConfigError, ConsentError
from mars.wire.variables import NAMES, country_value


def require_declared(variables: Collection[str] | None) -> None:
    _require_none(name for name, on in switched(variables).items() if on and name not in NAMES)


def require_kept(choice: Choice, made: Decision | None) -> None:
    """Raises ``ConfigError`` (``undeclared``) of a yes to an entry that is not kept in what was
    ``made``, though its purpose is, or nothing else was asked for."""
    if made is None:
        return
    wanted = [name for name, on in switched(choice.entries).items() if on]
    if choice.level:
        wanted = [name for name in wanted if purpose_of(name).name in made.purposes]
    _require_none(name for name in wanted if name not in made.entries)


def _require_none(undeclared: Iterable[str]) -> None:
    if names := ", ".join(map(repr, undeclared)):
        raise ConfigError("undeclared", f"Not declared, so never sent: {names}.")


def unserved(offered: Iterable[Purpose], decision: Decision | None) -> tuple[Purpose, ...]:
    """What the user agreed to and nothing here serves, so that it cannot be shown here.

    What is known of none of them but its name is taken to need as little as a purpose may.
    """
    served, known = {one.name for one in offered}, {one.name: one for one in SWITCHES.values()}
    agreed = decision.purposes if decision else {}
    return tuple(known.get(n, Purpose(n, n, PLAIN)) for n in agreed if n not in served)


def require_offered(offered: Iterable[Purpose], choice: Choice, made: Decision | None) -> None:
    """Raises ``ConfigError`` (``not-offered``) of a yes that is not kept in what was ``made``."""
    known = {one.name for one in (*offered, *unserved(offered, made))}
    missing = [name for name, on in choice.wanted().items() if on and name not in known]
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
