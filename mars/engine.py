"""One application's client without a thread: state, one look at the schedule, one fetch.

Everything that is decided is decided in pure modules; this one only joins them to the ports.
Errors of the outside world end in an ``Outcome``, never in the host application.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mars import consent, schedule
from mars import outcome as outcomes
from mars import state as states
from mars.errors import ConsentError, MarsError, StateError, not_golden
from mars.outcome import Departure, Outcome
from mars.pinned import read_root
from mars.plan import App, Plan, plan, voices
from mars.ports import Request
from mars.records import (
    FETCHER_LOCK,
    JOURNAL_FILE,
    LOCK,
    LOCK_WAIT,
    STATE_FILE,
    Ports,
    Records,
)
from mars.remembered import plain, read_document, to_keep, trust_state
from mars.state import State
from mars.switches import granted
from mars.trial import require_judge
from mars.wire.times import LAST, format_time

if TYPE_CHECKING:
    from mars.reading import Reading
    from mars.trust import Accepted
    from mars.wire.keys import TrustRoot
    from mars.wire.request import HTTPRequest
    from mars.wire.targeting import Shown

__all__ = ["FETCHER_LOCK", "JOURNAL_FILE", "LOCK", "LOCK_WAIT", "STATE_FILE", "Engine", "Ports"]

UNCHANGED = frozenset({"expired", "keys-expired"})
"""Refusals of a genuine document that lies there too long: no reason to come more often."""


class Engine(Records):
    """The client of one product and channel. Not thread-safe; the store's lock guards the files."""

    def __init__(self, app: App, trust: bytes, ports: Ports) -> None:
        super().__init__(app, ports)
        self._trust = trust
        self._root: TrustRoot | None = None
        self.halted: Callable[[], bool] = lambda: False
        """Whether the application has stopped its client; then no request leaves any more."""
        self.refused: MarsError | None = None
        """Why the last fetch of this process brought nothing; None if it did."""

    def app(self, state: State) -> App:
        """The application, with the times that are known to have passed."""
        issued = state.trust.get("issued")
        return replace(self._given, issued=issued if type(issued) is int else 0)

    # --- what may be sent -------------------------------------------------------------------

    def choose(self, *chosen: Any, **named: Any) -> None:
        """Keeps what the user chose (``granted``); the first fetch is planned from this moment on.

        Raises ``StateError``, and as ``granted`` for what cannot be chosen.
        """
        now = self.ports.clock.now()
        self.decide(lambda state: granted(state, now, *chosen, **named))
        self.damage = None
        with contextlib.suppress(StateError):  # the decision stands; the next look plans it else
            self.update(lambda state: state if state.schedule else self._look(state, None)[0])

    def voice(
        self, state: State, *, asked: str | None = None, check: bool = False
    ) -> consent.Effective:
        """What may be sent now, and who decided."""
        now = self.ports.clock.now()
        return voices(self.app(state), state, self.ports.host, now, asked=asked, check=check)

    def plan(self, state: State, voice: consent.Effective, url: str | None = None) -> Plan:
        """The next request. Raises ``ConsentError``, ``ConfigError`` or ``TransportError``."""
        now = self.ports.clock.now()
        return plan(self.app(state), state, self.ports.host, now, voice, url)

    # --- the schedule -----------------------------------------------------------------------

    def step(self, ran: int | None) -> int:
        """One look at the schedule, and the fetch if it is due. Returns seconds to sleep.

        ``ran`` is the running time in seconds since the last look, None at a session's first.
        The next time is on disk before anything is sent; where it cannot be stored, or the journal
        not be read (``StateError``), nothing is.
        """
        self.journal()  # what cannot be recorded is not begun
        look = self.transact(lambda state: self._look(state, ran))
        if not look.fetch:
            return look.sleep
        with contextlib.suppress(ConsentError):  # withdrawn since the look: nothing leaves
            self.fetch(scheduled=True)
        return 0

    def _look(self, state: State, ran: int | None) -> tuple[State, schedule.Look]:
        clock, chance = self.ports.clock, self.ports.chance
        now = clock.now()
        resting = state.schedule or schedule.begin(now, chance)
        if self.voice(state).level == consent.OFF:
            return state, schedule.Look(resting, fetch=False, sleep=schedule.LONGEST_SLEEP)
        app = self.app(state)
        look = schedule.look(resting, now, ran, chance, floor=max(app.built, app.issued))
        after = schedule.attempt(look.schedule, now, chance) if look.fetch else look.schedule
        return replace(state, schedule=after), look

    def rest(self, ran: int | None) -> None:
        """At the end of a session: keeps what is left of an overdue fetch's wait."""

        def change(state: State) -> State:
            if state.schedule is None:
                return state
            return replace(state, schedule=schedule.rested(state.schedule, ran))

        self.update(change)

    def check(self) -> Outcome | None:
        """The user's "check now": plain, once an hour; None where it may not be now.

        Raises as ``fetch``.
        """
        if self.check_refusal(self.load()):
            return None
        now = self.ports.clock.now()
        self.update(lambda current: replace(current, checked=now))
        return self.fetch(check=True)

    def check_refusal(self, state: State) -> MarsError | None:
        """Why no check may be asked for now: nothing may be sent, no server is known, or the last
        one was within the hour (``too-early``). None where one may."""
        try:
            self.plan(state, self.voice(state, check=True))
        except MarsError as error:
            return error
        if schedule.may_check(state.checked, self.ports.clock.now()):
            return None
        then = format_time(min((state.checked or 0) + schedule.CHECK_EVERY, LAST))
        return ConsentError("too-early", f"A check was just made; wait with the next until {then}.")

    # --- one fetch --------------------------------------------------------------------------

    def fetch(
        self,
        *,
        asked: str | None = None,
        check: bool = False,
        url: str | None = None,
        scheduled: bool = False,
    ) -> Outcome:
        """One fetch now, by explicit level, as the user's check, or as consent stands.

        Only a ``scheduled`` one moves the schedule. Raises ``ConsentError`` before anything is
        sent, and ``StateError`` where the outcome could not be kept; all else is in the
        ``Outcome``.
        """
        state, given = self.load(), url
        voice = self.voice(state, asked=asked, check=check)
        ready = self.plan(state, voice, url)
        self.journal()
        state = self.transact(lambda now: (now, now))  # what cannot be kept is not asked for

        def let_go(request: HTTPRequest, route: str) -> dict[str, Any]:
            self._require_consent(ready, state, asked=asked, check=check, url=given)
            if request not in (ready.request, ready.direct):
                raise not_golden()
            entry = outcomes.begun(ready, request, route, self.ports.clock.now())
            self.record(entry)  # what cannot be recorded is not sent
            return entry

        departure = Departure(outcomes.unsent(ready, self.ports.clock.now()), let_go)
        outcome, learnt = self._exchange(ready, state, departure)
        now, chance = self.ports.clock.now(), self.ports.chance

        def change(current: State) -> State:
            after = states.learn(current, learnt, outcome.reason, now)
            return states.settle(after, learnt, now, chance) if scheduled else after

        begun = departure.entry if departure.gone else None
        self._complete(begun, outcomes.ended(departure.entry, outcome))
        self.update(change)
        return outcome

    def _require_consent(
        self, ready: Plan, before: State, *, asked: str | None, check: bool, url: str | None
    ) -> None:
        """Asked again when all is connected: the way through Tor takes its time. Every value that
        would go must be one that would be said now, too.

        Raises ``ConsentError`` (``withdrawn``).
        """
        current = self.load()
        voice = self.voice(current, asked=asked, check=check)
        decided = current.decision
        revoked = (
            decided != before.decision and decided is not None and decided.level == consent.OFF
        )
        lowered = consent.LEVELS.index(voice.level) < consent.LEVELS.index(ready.level)
        direct = ready.direct is not None and not voice.direct
        if (
            self.halted()
            or revoked
            or lowered
            or direct
            or not ready.values.items() <= self.plan(current, voice, url).values.items()
        ):
            raise ConsentError(
                "withdrawn", "Consent was withdrawn, or the client stopped, before anything went."
            )

    def _exchange(
        self, ready: Plan, state: State, departure: Departure
    ) -> tuple[Outcome, states.Learnt]:
        status: int | None = None
        try:
            require_judge(self.root, state, self.ports.openpgp, self.ports.host)
            answer = self.ports.fetcher(ready).fetch(Request(ready.request, leaving=departure))
            status = answer.status
            if not departure.gone:  # a file, or an application's own adapter that does not ask
                departure(ready.request, answer.route)
            accepted = self._verify(answer.body, state)
        except Exception as raised:
            error = outcomes.told(raised)
            self.refused = error
            if isinstance(error, StateError) and not departure.gone:
                raise  # nothing was sent, because it could not be recorded
            kept = to_keep(error)
            learnt = states.Learnt(
                trust=None if kept is None else plain(kept), reached=error.reason in UNCHANGED
            )
            said = outcomes.sentence(error)
            return Outcome.of(departure.entry, status, error.reason, said), learnt
        self.refused = None
        motd = accepted.motd
        learnt = states.Learnt(
            trust=plain(accepted.state),
            document=accepted.payload.decode("utf-8"),
            newer=accepted.news,
            reached=True,
            server=motd.reportback_server,
            interval=motd.reportback_next,
            built_in=self._given.url,
        )
        return Outcome.of(departure.entry, status, motd=motd, news=accepted.news), learnt

    def _verify(self, body: bytes, state: State) -> Accepted:
        from mars.trust import verify

        now = self.ports.clock.now()
        return verify(body, self.root(), trust_state(state), now, self.ports.openpgp())

    def root(self) -> TrustRoot:
        """What the application pins. Raises ``ConfigError``; read when first needed."""
        if self._root is None:
            self._root = read_root(self._trust, self._given.product)
        return self._root

    # --- what was read -------------------------------------------------------------------

    def claim(self) -> tuple[Shown, ...]:
        """Messages that nobody was shown yet; they are remembered as shown by this call.

        Of several processes only one gets a message. Raises ``StateError``.
        """
        from mars.reading import unseen

        def change(state: State) -> tuple[State, tuple[Shown, ...]]:
            reading = self.reading(state)
            found = unseen(reading.messages, state.seen) if reading else ()
            return states.saw(state, {message.id: message.revision for message in found}), found

        return self.transact(change)

    def give_back(self, messages: Iterable[Shown]) -> None:
        """Forgets that these were shown: nobody was, after all. Raises ``StateError``."""
        ids = {message.id for message in messages}
        if ids:
            self.update(
                lambda state: replace(
                    state, seen={k: v for k, v in state.seen.items() if k not in ids}
                )
            )

    def mark_seen(self, messages: Iterable[Shown]) -> None:
        """Remembers that these were shown. Raises ``StateError``."""
        shown = {message.id: message.revision for message in messages}
        if shown:
            self.update(lambda state: states.saw(state, shown))

    def reading(self, state: State) -> Reading | None:
        """The last accepted document as this installation may see it; None if there is none."""
        motd = read_document(state)
        if motd is None:
            return None
        from mars import reading

        now = self.ports.clock.now()
        stale = trust_state(state).stale_since(max(now, self._given.built))
        return reading.read(motd, self._given, self.ports.host, now, stale)
