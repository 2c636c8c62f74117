"""The registry: what may ever be sent, fetched by all who agreed to any of it, changed or not.

It counts only where its hash stands in root's steering document: whoever could give one client a
registry of its own could follow it by what it then sends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from mars.channels.memory import plain_schedule, read_schedule
from mars.channels.motd import Motd, beside, check_url, source
from mars.consent import EVENTS, PLAIN, STATISTICS, Purpose
from mars.core import schedule
from mars.core.channel import FILE, Ending, Kept, NextRequest, View
from mars.core.days import DAY_USED
from mars.core.schedule import Schedule
from mars.core.state import App, State, is_misunderstood, read, time
from mars.errors import ConfigError, StateError, TransportError, WireError
from mars.ports import Chance, OpenPGP
from mars.wire.query import REGISTRY_PATH
from mars.wire.request import HTTPRequest

if TYPE_CHECKING:
    from mars.wire.catalogue import Catalogue


@dataclass(frozen=True)
class Memory:
    """What is remembered beside the document itself."""

    schedule: Schedule | None = None
    began: int | None = None
    """When a scheduled request was last begun."""

    @classmethod
    def of(cls, state: State) -> Memory:
        kept = state.kept(Registry.name)
        return cls(**{name: read(reader, kept.get(name)) for name, reader in _READERS.items()})

    def plain(self) -> dict[str, Any]:
        """What ``of`` reads."""
        return {**asdict(self), "schedule": plain_schedule(self.schedule)}


class Registry:
    """``mars.core.channel.Channel``. ``shipped`` is what the application ships, ``fetched`` reads
    what was last accepted."""

    name = "registry"
    purposes: tuple[Purpose, ...] = (STATISTICS, EVENTS)

    def __init__(
        self,
        motd: Motd,
        app: App,
        shipped: bytes | None,
        fetched: Callable[[], bytes | None],
    ) -> None:
        self._motd = motd
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

    # --- when -------------------------------------------------------------------------------

    def stopped(self, state: State) -> Kept:
        return replace(Memory.of(state), schedule=None).plain()

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        known = Memory.of(view.state)
        resting = known.schedule or _begun(known, view.now, chance)
        closed = 0 if view.free else view.day_after
        looked, sleep = schedule.look(
            resting, view.now, ran, chance, floor=view.app.built, closed=closed
        )
        if not (sleep or self._named(view.state)):  # no answer could be accepted
            looked = schedule.attempt(looked, view.now, chance)
            sleep = schedule.LONGEST_SLEEP
        return replace(known, schedule=looked).plain(), sleep

    def due(self, state: State) -> int | None:
        found = Memory.of(state).schedule
        return found.due if found else None

    def attempt(self, view: View, chance: Chance) -> Kept:
        known = Memory.of(view.state)
        due = known.schedule or _begun(known, view.now, chance)
        after = schedule.attempt(due, view.now, chance)
        return replace(known, schedule=after, began=view.now).plain()

    def rested(self, state: State, ran: int | None) -> Kept:
        known = Memory.of(state)
        if known.schedule is None:
            return state.kept(self.name)
        return replace(known, schedule=schedule.rested(known.schedule, ran)).plain()

    # --- what -------------------------------------------------------------------------------

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """From where the news come; the same for everyone, without a query, through Tor alone."""
        from mars.wire.catalogue import MAX_REGISTRY  # late: it loads OpenSSL

        address = url or source(view)
        if address.startswith(FILE):
            place = address.rpartition("/")[0] + REGISTRY_PATH.removeprefix("/motd")
            request = HTTPRequest("GET", place)
        else:
            location = beside(check_url(address, by_hand=bool(url)), REGISTRY_PATH)
            request = HTTPRequest.get(location.url)
        return NextRequest(PLAIN, request, None, {}, limit=MAX_REGISTRY)

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

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        """Whatever came back, the next one is asked for a period later, as by everybody."""
        known = Memory.of(view.state)
        if not scheduled or known.schedule is None:
            return known.plain()
        if ending.reason == DAY_USED:
            after = schedule.moved(known.schedule, view.day_after, chance)
        elif ending.left:
            steering = self._motd.steering(view.state)
            asked = steering.reportback_next if steering else 0
            after = schedule.succeeded(known.schedule, view.now, chance, asked)
        else:
            after = schedule.failed(known.schedule, view.now, chance, left=False)
        return replace(known, schedule=after).plain()

    def is_damaged(self, state: State) -> bool:
        return is_misunderstood(state.kept(self.name), _READERS)


_READERS: Mapping[str, Callable[[Any], Any]] = {"schedule": read_schedule, "began": time}


def _begun(known: Memory, now: int, chance: Chance) -> Schedule:
    """From the date of consent, as the news; a yes taken back and given anew asks no sooner."""
    begun = schedule.begin(now, chance)
    if known.began is None:
        return begun
    return replace(begun, due=max(begun.due, known.began + schedule.SHORTEST))


def _digest(data: bytes) -> str:
    from mars.wire.catalogue import digest

    return digest(data)


@lru_cache(maxsize=4)  # it is asked for at every look
def _catalogue(data: bytes) -> Catalogue:
    """Raises ``WireError``."""
    from mars.wire.catalogue import Catalogue

    return Catalogue.decode(data)
