"""State and journal of one installation, as its store keeps them.

What cannot be read is left as it is and raises ``StateError``; only what is not there is a first
run. What can be read and not understood begins anew, is told (``damage``), and a copy is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from mars.consent import Decision
from mars.core import journal
from mars.core import state as states
from mars.core.channel import Channel, NextRequest, require_sound, serves_any
from mars.core.state import App, State
from mars.errors import ConsentError, MarsError, StateError
from mars.ports import Chance, Clock, Fetcher, OpenPGP, Platform, Store

T = TypeVar("T")

STATE_FILE = "state.json"
JOURNAL_FILE = "journal.jsonl"
FAILURES_FILE = "failures.json"
"""What is counted of failures (``mars.failures.kept``)."""
REPORT_FILES = "report-"
"""Begins the name of each file with an error report (``mars.channels.queue``)."""
FETCHER_LOCK = "fetcher"
"""Held by the one process that fetches for this user, product and channel."""
DAMAGED = ".damaged"
"""Ends the name of a copy of what could not be understood, before it is replaced."""
LOCK = "state"
LOCK_WAIT = 5.0
"""Seconds. The lock is held only while a small file is read and replaced."""


@dataclass(frozen=True)
class Ports:
    """The outside world. Replace any of it in a test."""

    store: Store
    host: Platform
    clock: Clock
    chance: Chance
    fetcher: Callable[[NextRequest], Fetcher]
    """Opens the way for one request; called for every fetch anew."""
    openpgp: Callable[[], OpenPGP]
    is_own_fetcher: bool = False
    """Whether the way is the application's own, of which nobody knows whether it asks."""


def file_of(channel: str) -> str:
    """The name of its file (``Ending.kept``)."""
    return f"{channel}.json"


def ask(channel: Channel, do: Callable[[Channel], T]) -> T:
    """What ``do`` makes of ``channel``. Raises ``MarsError`` only, which names a mistaken one."""
    try:
        return do(channel)
    except (Exception, SystemExit) as raised:  # noqa: BLE001 - a foreign channel's
        raise journal.told(raised, channel.name) from None


class Records:
    """Not thread-safe; the store's lock guards the files."""

    def __init__(self, app: App, ports: Ports, channels: Sequence[Channel]) -> None:
        """Raises ``ConfigError`` as ``require_sound``."""
        require_sound(channels)
        self.app = app
        self.ports = ports
        self.channels = tuple(channels)
        self._held: tuple[tuple[Callable[[State], State], Decision | None], ...] = ()
        """What the user chose and could not be stored yet, each with the decision it followed."""
        self.damage: StateError | None = None
        """What could not be understood of what is kept; None once the user has decided anew."""
        self.failed: dict[str, MarsError | None] = {}
        """What each channel last failed with, by what it was asked; None since it did not."""
        self._sound: bytes | None = None
        """The state's file when it was last looked at and all of it understood."""
        self._whole: bytes | None = None
        """The journal, likewise."""

    def load(self) -> State:
        """The state as it is on disk now, or a first run's. Writes nothing.

        Raises ``StateError`` (``state-unreadable``): only what is not there is a first run.
        """
        return self._before(self._decoded(self.ports.store.read(STATE_FILE)))

    def _decoded(self, data: bytes | None) -> State | None:
        """Raises ``ConfigError`` (``wrong-product``): whoever reads a state is whom it is for, and
        ``StateError`` (``state-too-large``)."""
        if data is not None:
            states.require_size(data)
            if self._is_damaged(data):
                self.damage = _damaged(data)
            else:
                self._sound = data
        state = states.decode(data)
        if state is not None:
            state.require_of(self.app)
        return state

    def _is_damaged(self, data: bytes) -> bool:
        if data == self._sound:
            return False
        found = states.decode(data) or State()
        tables = {one.name: states.table for one in self.channels}
        return (
            states.is_damaged(data)
            or states.is_misunderstood(found.members, tables)
            or any(
                self.of(channel, "is_damaged", lambda one: one.is_damaged(found), False)
                for channel in self.channels
            )
        )

    def of(self, channel: Channel, what: str, do: Callable[[Channel], T], otherwise: T) -> T:
        """What ``do`` makes of ``channel``, else ``otherwise``; told but for want of consent."""
        try:
            result, error = ask(channel, do), None
        except MarsError as raised:
            result, error = otherwise, None if isinstance(raised, ConsentError) else raised
        self.failed[f"{what} {channel.name}"] = error
        return result

    def keep(self, state: State, channel: Channel, hook: str, *args: Any, **more: Any) -> State:
        """``state`` with what ``hook`` has ``channel`` remember; ``state`` where that raises."""

        def do(one: Channel) -> State:
            return state.keeping(one.name, getattr(one, hook)(*args, **more))

        return self.of(channel, hook, do, state)

    def _before(self, stored: State | None) -> State:
        state = stored or states.first(self.ports.clock.now())
        for change, over in self._held:
            wanted = states.narrowed(state, change(state), over)
            state = self._rested(state, wanted)
        return state

    def _rested(self, before: State, state: State) -> State:
        """Without the times of channels that were not agreed to before, or are not any more: a
        first time is drawn from the moment of consent. One that fails here forgets all but the
        memory against rollback."""
        agreed = [set(one.decision.purposes) if one.decision else set() for one in (before, state)]
        for channel in self.channels:
            if not serves_any(channel, set.intersection(*agreed)):
                state = self.keep(state.keeping(channel.name, {}), channel, "stopped", state)
        return state

    def update(self, change: Callable[[State], tuple[State, T]]) -> T:
        """Reads, changes and replaces the state under its lock; writes only what changed.

        Gives back what ``change`` brings beside the state. What the application says of itself is
        kept with it. Raises ``StateError``.
        """
        held = self._held
        with self.ports.store.lock(LOCK, LOCK_WAIT):
            _, result = self._replace(change)
        if self._held is held:
            self._held = ()
        return result

    def _replace(self, change: Callable[[State], tuple[State, T]]) -> tuple[State, T]:
        data = self.ports.store.read(STATE_FILE)
        stored = self._decoded(data)
        before = self._before(stored)
        changed, result = change(before)
        after = replace(changed, app=self._profile(before))
        if stored is None or after != stored:
            if data and self._is_damaged(data):
                self.ports.store.write(f"{STATE_FILE}{DAMAGED}", data)
            self.ports.store.write(STATE_FILE, states.encode(after))
        return after, result

    def _profile(self, before: State) -> Mapping[str, Any]:
        """The application's own word stands against a command line's; whose the decision is, also
        against one that cannot say so now."""
        own = bool(before.app) and before.app.get("by_hand") is False
        if self.app.by_hand and own:
            return before.app
        said, kept = self.app.profile(), App.of(before.app)
        return said | {
            "product": self.app.product or kept.product,
            "channel": self.app.channel or kept.channel,
        }

    def decide(self, change: Callable[[State], State]) -> None:
        """Keeps what the user chose, and reads it back. What it takes back holds at once here.

        Even where it cannot be stored (``StateError``): then until it can. Raises ``ConfigError``
        (``wrong-product``) for the folder of another.
        """
        change(states.first(self.ports.clock.now()))  # what raises here is no decision
        stored = None
        with contextlib.suppress(StateError):
            stored = self._decoded(self.ports.store.read(STATE_FILE))
        self._held += ((change, stored.decision if stored else None),)
        with self.ports.store.lock(LOCK, LOCK_WAIT):
            wanted, _ = self._replace(lambda state: (self._rested(state, change(state)), None))
            found = states.decode(self.ports.store.read(STATE_FILE))
            if found is None or _chosen(found) != _chosen(wanted):
                raise StateError(
                    "state-unwritable",
                    "The decision was written and did not stay; try again, and if it goes on "
                    "name another folder.",
                )
        self._held = ()

    def set_installed(self, installed: int | None = None) -> None:
        """Today, or the day of ``installed`` (Unix time). Raises ``StateError``."""
        moment = self.ports.clock.now() if installed is None else installed
        self.decide(lambda state: replace(state, installed=states.midnight(moment)))

    def forget(self, clear: Callable[[], None]) -> None:
        """Makes this a new installation, without consent; ``clear`` removes what lies beside.

        Raises ``StateError``: ``state-damaged`` where what bears our names is not ours.
        """
        store = self.ports.store
        with store.lock(LOCK, LOCK_WAIT):
            data = store.read(STATE_FILE)
            if not (
                states.is_ours(data) if data else any("sent" in entry for entry in self.journal())
            ):
                raise StateError(
                    "state-damaged",
                    f"{STATE_FILE} there is nothing that we can read as our own, so nothing was "
                    "removed; check whose folder it is, and if it is ours, `mars reset --age` "
                    "begins that file anew, after which --all removes everything.",
                )
            clear()
            own = (STATE_FILE, JOURNAL_FILE, FAILURES_FILE, *store.names(REPORT_FILES))
            for name in (*own, *(file_of(one.name) for one in self.channels)):
                store.delete(name)

    # --- the journal ------------------------------------------------------------------------

    def journal(self) -> list[dict[str, Any]]:
        """Everything that was sent, oldest first. Raises ``StateError``."""
        return journal.decode(self._journal())

    def require_journal(self) -> None:
        """What cannot be recorded is not begun. Raises ``StateError``."""
        self._journal()

    def unreadable(self) -> int:
        """Lines of the journal that cannot be understood. Raises ``StateError``."""
        return journal.unreadable(self.ports.store.read(JOURNAL_FILE))

    def _journal(self, *, replaced: bool = False) -> bytes | None:
        """What is kept, told where not all of it can be understood; a copy stays of what is then
        to be ``replaced``."""
        data = self.ports.store.read(JOURNAL_FILE)
        if not data or data == self._whole:
            return data
        if not (lost := journal.unreadable(data)):
            self._whole = data
        else:
            self.damage = self.damage or _unreadable(lost)
            if replaced:
                self.ports.store.write(f"{JOURNAL_FILE}{DAMAGED}", data)
        return data

    def record(
        self, entry: Mapping[str, Any], leaving: Callable[[State], State] | None = None
    ) -> None:
        """Adds to the journal, after the state as what is ``leaving`` has it, unless that raises:
        under the lock that every decision is stored under, so that after one that is stored no
        departure is written down. One that was written down before may still be on its way. Raises
        ``StateError``."""
        store = self.ports.store
        with store.lock(LOCK, LOCK_WAIT):
            if leaving is not None:
                self._replace(lambda state: (leaving(state), None))
            store.write(JOURNAL_FILE, journal.add(self._journal(replaced=True), entry))

    def _complete(self, begun: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> None:
        """Says in the journal how it ended, if that can be written; news is read all the same."""
        store = self.ports.store
        with contextlib.suppress(StateError):
            if begun is None:
                self.record(entry)
                return
            with store.lock(LOCK, LOCK_WAIT):
                data = journal.complete(self._journal(replaced=True), begun, entry)
                if data is not None:
                    store.write(JOURNAL_FILE, data)

    def delete_journal(self) -> None:
        """Raises ``StateError``."""
        with self.ports.store.lock(LOCK, LOCK_WAIT):
            self.ports.store.delete(JOURNAL_FILE)

    # --- what others do here ----------------------------------------------------------------

    def is_kept(self) -> bool:
        """Whether anything is kept of this installation, readable or not."""
        try:
            return any(
                self.ports.store.read(name) is not None for name in (STATE_FILE, JOURNAL_FILE)
            )
        except StateError:
            return True

    def is_served(self) -> bool:
        """Whether a process fetches for this installation at this moment. Raises ``StateError``."""
        if self.ports.store.read(STATE_FILE) is None:
            return False  # asking for the lock would make the folder
        try:
            with self.ports.store.lock(FETCHER_LOCK):
                return False
        except StateError as error:
            return error.reason == "locked"


def _chosen(state: State) -> tuple[Decision | None, str | None, int | None]:
    """All of ``state`` that is the user's choice."""
    return state.decision, state.country, state.installed


def _damaged(data: bytes) -> StateError:
    what = "could not be understood" if data else "is empty"
    kept = f" Before it is replaced, a copy is kept as {STATE_FILE}{DAMAGED}." if data else ""
    return StateError(
        "state-damaged",
        f"{STATE_FILE} {what}, so what is missing in it begins anew; look at what may be sent, "
        f"and choose again.{kept}",
    )


def _unreadable(lines: int) -> StateError:
    return StateError(
        "state-damaged",
        f"{JOURNAL_FILE} has lines that could not be understood and are not shown ({lines}); see "
        f"{JOURNAL_FILE}{DAMAGED}, the copy that is kept before it is replaced.",
    )
