"""What is counted of failures, in a file beside the state: kept only where the user agreed to the
domain or has it shown, and under the lock under which decisions are stored, so that after a yes is
taken back nothing is written that came before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from mars.channels.upcoming import Memory
from mars.consent import EVENTS
from mars.consent.entries import purpose_of
from mars.core.records import FAILURES_FILE, LOCK, LOCK_WAIT
from mars.errors import StateError
from mars.failures.kept import Everything, added, decode, encode
from mars.wire.registry import ALL

if TYPE_CHECKING:
    from mars.consent import Decision
    from mars.core.installation import Installation
    from mars.core.state import State
    from mars.failures.counts import Counts
    from mars.wire.catalogue import Catalogue
    from mars.wire.events import Domain
    from mars.wire.registry import Metric, Question


class Counted:
    """Of one installation. All raise ``StateError`` where a file cannot be read or written."""

    def __init__(
        self,
        client: Installation,
        registry: Callable[[State], Catalogue | None],
        declared: Callable[[State], Mapping[str, Question]],
    ) -> None:
        """``registry`` is what can be shown, ``declared`` what of it is collected today."""
        self._client = client
        self._registry = registry
        self._declared = declared
        self.damage: StateError | None = None
        """What could not be understood of what was kept."""

    def read(self) -> Everything:
        """What is kept. Of a file that is damaged nothing is, which ``damage`` tells."""
        data = self._client.ports.store.read(FAILURES_FILE)
        try:
            return {} if data is None else decode(data)
        except StateError as error:
            self.damage = error
            return {}

    def is_kept(self) -> bool:
        """Whether anything is, damaged or not."""
        return self._client.ports.store.read(FAILURES_FILE) is not None

    def value(self, domain: Domain, metric: Metric, now: int, agreed: int | None) -> str | None:
        """``mars.channels.statistics.Counted``."""
        kept = None
        with suppress(StateError):
            kept = self.read().get(domain.name)
        return kept.value(domain, metric, now, agreed) if kept else None

    def domains(self, state: State) -> dict[str, Domain]:
        """Those of which failures are counted now: the user agreed to what they ask, or has what
        is collected shown."""
        voice, local = self._client.voice(state), Memory.of(state).local
        if not (local or any(purpose_of(name) is EVENTS for name in voice.entries)):
            return {}  # without a look at any registry
        catalogue, declared = self._registry(state), self._declared(state)
        agreed = declared if local else voice.agreed(declared)
        found = catalogue.domains if catalogue else ()
        return {one.name: one for one in found if one.wildcard in agreed}

    def add(self, gained: Mapping[str, Counts]) -> Everything:
        """Keeps what a process ``gained`` of the domains that are counted now, and nothing of
        others. All that is kept then."""

        def change(state: State) -> tuple[State, Everything]:
            before = self.read()
            after = added(before, gained, self.domains(state), self._client.ports.clock.now())
            self._write(before, after)
            return state, after

        return self._client.update(change)

    def settle(self, before: Decision | None) -> None:
        """After a decision, stored or not: nothing stays of domains that the user agreed to
        ``before`` and does not any more, nor of those that nobody wants to see."""
        self.damage = None
        if not self.is_kept():
            return
        with self._client.ports.store.lock(LOCK, LOCK_WAIT):
            state, kept = self._client.load(), self.read()
            now = _agreed(state.decision)
            gone = _agreed(before) - now
            stays = kept.keys() - gone if Memory.of(state).local else kept.keys() & now
            self._write(kept, {name: kept[name] for name in stays})

    def _write(self, before: Everything, after: Everything) -> None:
        if not after and self.is_kept():
            self._client.ports.store.delete(FAILURES_FILE)
        elif after and after != before:
            self._client.ports.store.write(FAILURES_FILE, encode(after))


def _agreed(decision: Decision | None) -> set[str]:
    """The names of the domains that were agreed to."""
    names = decision.entries if decision and EVENTS.name in decision.purposes else ()
    return {name.removesuffix(f"/{ALL}") for name in names if purpose_of(name) is EVENTS}
