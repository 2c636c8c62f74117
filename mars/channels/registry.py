"""The registry: what may ever be sent, fetched by all who agreed to any of it, changed or not.

It counts only where its hash stands in root's steering document: whoever could give one client a
registry of its own could follow it by what it then sends.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from mars.channels.beside import Beside
from mars.channels.motd import Motd
from mars.consent import EVENTS, REPORTS, STATISTICS, Purpose
from mars.core.channel import Ending, NextRequest, View
from mars.core.state import App, State
from mars.errors import ConfigError, StateError, TransportError, WireError
from mars.ports import OpenPGP
from mars.wire.query import REGISTRY_PATH

if TYPE_CHECKING:
    from mars.wire.catalogue import Catalogue


class Registry(Beside):
    """``mars.core.channel.Channel``. ``shipped`` is what the application ships, ``fetched`` reads
    what was last accepted."""

    name = "registry"
    purposes: tuple[Purpose, ...] = (STATISTICS, EVENTS, REPORTS)
    path = REGISTRY_PATH

    def __init__(
        self,
        motd: Motd,
        app: App,
        shipped: bytes | None,
        fetched: Callable[[], bytes | None],
    ) -> None:
        super().__init__(motd)
        self._app = app
        self._shipped = shipped
        self._fetched = fetched

    # --- what is declared -------------------------------------------------------------------

    def current(self, state: State) -> Catalogue | None:
        """By what may be sent now: the one that the steering document in force names. None where
        it is not here, so that what is withdrawn is not sent from the moment of that document on.
        """
        fetched = None
        with suppress(StateError):  # what cannot be read is not here
            fetched = self._fetched()
        if not (fetched or self._shipped):
            return None  # without a look at any key
        named = self._named(state)
        return self._decoded(self._matching(named, fetched) or self._matching(named, self._shipped))

    def shown(self, state: State) -> Catalogue | None:
        """What can be shown, for local use too: the current one, else the shipped one.

        Raises ``ConfigError`` (``registry-invalid``) where that is none of this product's.
        """
        current = self.current(state)
        if current is not None or self._shipped is None:
            return current
        try:
            _catalogue(self._shipped)
        except WireError as error:
            raise ConfigError(
                "registry-invalid",
                f"The registry that the application ships cannot be read ({error.message}); take "
                "the one that mars-motd registry writes.",
            ) from None
        shipped = self._decoded(self._shipped)
        if shipped is None:
            raise ConfigError(
                "registry-invalid",
                "The registry that the application ships is none of this product and channel; "
                "take the one that mars-motd registry writes.",
            )
        return shipped

    def _named(self, state: State) -> str:
        """The hash that counts; empty where none is known."""
        steering = self._motd.steering(state)
        return steering.registry if steering else ""

    def _matching(self, named: str, data: bytes | None) -> bytes | None:
        return data if named and data and _digest(data) == named else None

    def _decoded(self, data: bytes | None) -> Catalogue | None:
        """None of what is none, or another product's or channel's."""
        try:
            found = None if data is None else _catalogue(data)
        except WireError:
            return None
        app = self._app
        ours = found is not None and (
            app.product in ("", found.product) and app.channel in ("", found.channel)
        )
        return found if ours else None

    def can_judge(self, view: View) -> bool:
        return bool(self._named(view.state))

    # --- what -------------------------------------------------------------------------------

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        from mars.wire.catalogue import MAX_REGISTRY  # late: it loads OpenSSL

        return self.asked_for(view, url, MAX_REGISTRY)

    # --- what an answer means ---------------------------------------------------------------

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:  # noqa: ARG002
        """By its hash alone, which root has signed."""
        if not self._named(view.state):
            raise TransportError(
                "cannot-judge",
                "No signed document names a registry, so none is asked for; wait for the news.",
            )

    def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:  # noqa: ARG002
        """Raises ``WireError`` (``registry-unknown``) of all but the one that root names."""
        found = self._decoded(self._matching(self._named(view.state), body))
        if found is None:
            raise WireError(
                "registry-unknown", "This is not the registry that root's signed document names."
            )
        return Ending(found, said={"entries": len(found.entries)}, kept=body)


def _digest(data: bytes) -> str:
    from mars.wire.catalogue import digest

    return digest(data)


@lru_cache(maxsize=4)  # it is asked for at every look
def _catalogue(data: bytes) -> Catalogue:
    """Raises ``WireError``."""
    from mars.wire.catalogue import Catalogue

    return Catalogue.decode(data)
