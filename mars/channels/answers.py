"""The answers to error reports, ``status.json``: fetched by everyone whose reports are not off,
with an open report or without, and matched here. Nobody ever asks for a report."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from mars.channels.beside import Beside
from mars.channels.memory import Memory
from mars.channels.motd import Motd
from mars.consent import REPORTS, Purpose
from mars.core.channel import Ending, Kept, NextRequest, View
from mars.core.state import State
from mars.errors import MarsError, StateError
from mars.ports import Chance, OpenPGP
from mars.wire.query import STATUS_PATH

if TYPE_CHECKING:
    from mars.trust.answers import Answers
    from mars.wire.catalogue import Catalogue
    from mars.wire.reports.status import Status


class AnswersChannel(Beside):
    """``mars.core.channel.Channel``. ``fetched`` reads what was last accepted,
    ``registry`` gives the one in force."""

    name = "status"
    purposes: tuple[Purpose, ...] = (REPORTS,)
    path = STATUS_PATH

    def __init__(
        self,
        motd: Motd,
        fetched: Callable[[], bytes | None],
        registry: Callable[[State], Catalogue | None],
    ) -> None:
        super().__init__(motd)
        self._fetched = fetched
        self._registry = registry

    def current(self, state: State) -> Status | None:
        """What is known of reports: the last that was accepted, expired or not, as long as its keys
        hold; None where nothing is."""
        data = None
        with suppress(StateError):  # what cannot be read is not here
            data = self._fetched()
        known = self.memory(state)
        if not (data and known.digest):
            return None
        status = _decoded(data, known.digest)
        epoch = Memory.of(state).trust_state().epoch  # 0 while no news were judged
        return status if status and epoch in (0, status.epoch) else None

    def can_judge(self, view: View) -> bool:
        """Without what the application pins nothing can be; and where the registry says that no
        release takes error reports, there are no answers to ask for."""
        try:
            self._motd.root()
            registry = self._registry(view.state)
        except MarsError:
            return False
        return registry is None or bool(registry.reports)

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        from mars.wire.reports.status import MAX_DOCUMENT  # late: it loads libsodium

        return self.asked_for(view, url, MAX_DOCUMENT)

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:  # noqa: ARG002
        """Raises ``ConfigError`` where what the application pins cannot be read."""
        self._motd.root()

    def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:  # noqa: ARG002
        """Raises ``MarsError`` as ``mars.trust.answers.accept_status``."""
        found = self.accepted(body, view)
        return Ending(found, said={"serial": found.status.serial}, kept=body)

    def accepted(self, body: bytes, view: View) -> Answers:
        """As ``take``."""
        from mars.trust.answers import accept_status

        known, trust = self.memory(view.state), Memory.of(view.state).trust_state()
        seen = (known.serial or 0, known.digest or "")
        return accept_status(body, self._motd.root(), trust, view.now, *seen)

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        kept = super().learn(view, ending, chance, scheduled=scheduled)
        found = ending.taken
        if ending.error is not None or found is None:
            return kept
        known = self.memory(view.state.keeping(self.name, kept))
        return replace(known, serial=found.status.serial, digest=found.digest).plain()


@lru_cache(maxsize=2)  # it is asked for at every look
def _decoded(data: bytes, digest: str) -> Status | None:
    """None of what is not the document that was accepted."""
    import hashlib  # late, as all of these: it loads OpenSSL

    from mars.wire import envelope
    from mars.wire.reports.status import MAX_DOCUMENT, MAX_STATUS, Status

    try:
        payload = envelope.decode(data, MAX_DOCUMENT, MAX_STATUS).payload
        found = Status.decode(payload)
    except MarsError:
        return None
    return found if hashlib.sha256(payload).hexdigest() == digest else None
