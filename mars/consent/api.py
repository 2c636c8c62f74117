"""``mars.consent`` of an application: the user's dated decision, from a consent screen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from mars import consent
from mars.consent import Choice, Purpose
from mars.consent.checks import require_declared, require_kept, require_offered
from mars.wire.times import LAST, format_time

if TYPE_CHECKING:
    from mars.core.installation import Installation
    from mars.core.thread import Problems


class Chosen(TypedDict, total=False):
    """What ``grant`` takes by name beside a country; ``Mars.preview`` takes the same."""

    stats: bool | None
    events: bool | None
    errors: bool | None
    reports: str | None
    direct: bool | None
    purposes: Collection[str] | None
    entries: Collection[str] | None


class Consent:
    """Reads and writes the decision. What fails is in ``status()``, as with ``Mars`` itself."""

    def __init__(
        self, installation: Installation, wake: Callable[[], None], problems: Problems
    ) -> None:
        self._installation = installation
        self._attempt = problems.attempt
        self._wake = wake

    def grant(
        self,
        level: str,
        variables: Collection[str] | None = None,
        *,
        country: str | None = None,
        **chosen: Unpack[Chosen],
    ) -> bool:
        """Records what the user just decided, with today's date. Whether it could be kept.

        ``level`` is ``off``, ``plain`` or ``tracked``; ``variables`` those that may be sent, by
        default ``v``, ``os`` and ``ia``; of a mapping of switches those that are on. Names that are
        not declared are dropped. What is not given stays as it was decided before, at first off.
        ``country`` is a code of ISO 3166-1 in any case, ``""`` forgets it; any other is refused
        (``country-unknown``), and nothing kept. ``purposes`` are those beyond the level, of a
        mapping too; a yes to one that nothing here serves is dropped (``not-offered``), and what
        the level decides of is refused (``purpose-of-level``), as is a switch that is no bool.
        ``entries`` are declared statistics (``project/key``) and domains of failures (``domain/*``)
        by name, or a switch for each; with ``stats=True`` or ``events=True`` alone all of these
        that are declared now. Those that are not named stay as they were;
        what is declared later is off until the user is asked again, and a yes to what nothing here
        declares is dropped (``undeclared``).
        ``reports`` says what becomes of error reports: ``never``, ``ask`` (each is shown and
        released by hand) or ``always``; ``errors=True`` alone means ``ask``, or what was chosen
        before. ``off`` takes back ``direct`` too.
        """
        choice = Choice(level, variables, country=country, **chosen)
        self._attempt("variables", lambda: require_declared(variables), None)

        def decide() -> bool:
            self._installation.choose(choice)
            self._wake()
            return True

        done = self._attempt("grant", decide, False)
        if done:
            offered, kept = self._installation.offered, self.decision
            self._attempt("purposes", lambda: require_offered(offered, choice, kept), None)
            self._attempt("entries", lambda: require_kept(choice, kept), None)
        return done

    def revoke(self) -> bool:
        """Forgets the country and records that nothing is sent any more. Whether it was kept."""
        return self.grant(consent.OFF, (), direct=False, country="")

    @property
    def level(self) -> str:
        """What automatic traffic may say now: ``off``, ``plain`` or ``tracked``."""
        return self._attempt("state", lambda: self._voice().level, consent.OFF)

    @property
    def decision(self) -> consent.Decision | None:
        """What the user decided; None while nobody has decided, or where that cannot be read."""
        return self._attempt("state", lambda: self._installation.load().decision, None)

    @property
    def country(self) -> str:
        """The country that the user named, such as ``IS``; ``""`` where none is."""
        return self._attempt("state", lambda: self._installation.load().country, None) or ""

    @property
    def to_ask(self) -> tuple[str, ...]:
        """Variables declared since the user was asked; off until the user is asked again."""
        return consent.new_variables(self.decision)

    def explain(self) -> list[dict[str, Any]]:
        """Every layer, what it allows, and which one decided."""
        return self._attempt("state", lambda: explain(self._voice()), [])

    def _voice(self) -> consent.Effective:
        return self._installation.voice(self._installation.load())


def switches(allowed: Callable[[Purpose], bool]) -> dict[str, bool]:
    """``stats``, ``events`` and ``errors``, the members that every JSON of ours has for them."""
    return {name: allowed(purpose) for name, purpose in consent.SWITCHES.items()}


def since(
    purposes: Iterable[Purpose],
    voice: consent.Effective | None,
    decision: consent.Decision | None,
) -> dict[str, str | None]:
    """Each purpose, and since when (ISO 8601) something may be sent for it; None where not.

    Without ``voice`` since when it was agreed to, whatever lowers it now.
    """
    agreed = decision.purposes if decision else {}
    return {
        one.name: format_time(min(agreed.get(one.name, 0), LAST))
        if voice is None or voice.allows(one)
        else None
        for one in purposes
    }


def explain(voice: consent.Effective) -> list[dict[str, Any]]:
    """Every layer for a person or a program, in the order in which they were heard."""
    return [
        {
            "layer": layer.name,
            "level": layer.level,
            "says": layer.says,
            "variables": None if layer.variables is None else sorted(layer.variables),
            **switches(layer.allows),
            "reports": layer.reports,
            "refused": sorted(layer.refused),
            "direct": layer.direct,
            "decided": layer is voice.by,
        }
        for layer in voice.layers
    ]
