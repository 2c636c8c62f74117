"""One installation without a thread: consent, one look at the schedule, one exchange, the journal.

It knows no channel: which requests there are, when they are due and what an answer means is theirs
(``mars.core.channel``). Errors of the outside world end in an ``Outcome``, never in the host
application.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mars import consent
from mars.consent import Choice, Effective, Purpose, decided
from mars.consent.checks import country_code
from mars.consent.lowering import lowering
from mars.core import days, journal
from mars.core.channel import Channel, Ending, NextRequest, View, serves_any
from mars.core.journal import UNASKED, Departure, Outcome
from mars.core.records import Ports, Records, ask, file_of
from mars.core.schedule import LONGEST_SLEEP, PAUSE
from mars.core.state import App, State
from mars.errors import ConsentError, MarsError, StateError, not_golden
from mars.ports import Request
from mars.wire.registry import Question
from mars.wire.request import HTTPRequest

Agreed = tuple[set[str], NextRequest]
"""Of a channel's purposes those that were agreed to, and the request that was planned then."""


class Installation(Records):
    """The client of one product and channel. Not thread-safe; the store's lock guards the files."""

    def __init__(self, app: App, ports: Ports, channels: Sequence[Channel]) -> None:
        super().__init__(app, ports, channels)
        self._order = self.channels
        """Who went last comes last, so that none that is always due keeps others waiting."""
        self.halted: Callable[[], bool] = lambda: False
        """Whether the application has stopped its client; then no request leaves any more."""

    @property
    def offered(self) -> tuple[Purpose, ...]:
        """What a user can say yes to here, each once: each can be previewed."""
        return tuple(one for one in self._served if not one.by_act)

    @property
    def _served(self) -> tuple[Purpose, ...]:
        """All that a channel here serves."""
        served = (purpose for channel in self.channels for purpose in channel.purposes)
        return tuple(dict.fromkeys(served))

    # --- what may be sent -------------------------------------------------------------------

    def choose(self, choice: Choice) -> None:
        """Keeps what the user chose, as ``chosen`` has it; the first request of each channel is
        planned from this moment on.

        Raises ``StateError``, and as ``chosen`` for what cannot be chosen.
        """
        now = self.ports.clock.now()
        self.decide(lambda state: self._granted(state, now, choice))
        self.damage = None
        with contextlib.suppress(StateError):  # the decision stands; the next look plans it else
            self.update(lambda state: (self._look(state, None, planning=True)[0], None))

    def chosen(self, state: State, choice: Choice) -> State:
        """``state`` as it would be if the user now chose so.

        Raises ``ConfigError`` (``level-unknown``) and ``ConsentError`` (``country-unknown``).
        """
        return self._rested(state, self._granted(state, self.ports.clock.now(), choice))

    def asking(self, _state: State) -> Mapping[str, Question]:
        """What is declared, which a bare yes to statistics or to events means, and what a yes to
        each is one to; the core alone knows none."""
        return {}

    def _granted(self, state: State, now: int, choice: Choice) -> State:
        if choice.level is None and (state.decision is None or state.decision.level == consent.OFF):
            return state  # nothing goes, and single statistics come with the news
        asked = self.asking(state) if choice.of_entries else {}
        meant = choice.meaning(asked)
        return replace(
            state,
            decision=decided(state.decision, now, self.offered, meant, asked),
            country=state.country if choice.country is None else country_code(choice.country),
        )

    def voice(
        self,
        state: State,
        *,
        asked: str | None = None,
        check: bool = False,
        purposes: Sequence[Purpose] = (),
    ) -> Effective:
        """What may be sent now, and who decided. ``asked`` is an explicit level for one request of
        these ``purposes``, ``check`` the user's "check now"."""
        host, now = self.ports.host, self.ports.clock.now()
        layers = lowering(host, automatic=asked is None and not check)
        layers.append(self.app.ceiling)
        if asked is None:
            layers.append(consent.user_layer(state.decision, now, self.offered))
        else:
            layers.append(consent.asked_layer(asked, state.decision, purposes))
        if check:
            layers.append(consent.cap("check now", consent.PLAIN, "a check sends no metrics"))
        return consent.effective(layers, self._served)

    def view(self, channel: Channel, state: State, voice: Effective | None = None) -> View:
        """``state`` at this moment, as ``channel`` sees it."""
        voice, now = self.voice(state) if voice is None else voice, self.ports.clock.now()
        free = self._is_free(channel, state, now)
        return View(self.app, state, self.ports.host, now, voice, free, days.after(now))

    def _is_free(self, channel: Channel, state: State, now: int) -> bool:
        """Whether a request of ``channel`` may go by itself today. Where it cannot be told when the
        first channel's is due, no other may."""
        first = self.channels[0]
        if channel is first:
            return days.is_free(state, now, None)
        is_free = partial(days.is_free, state, now)
        return self.of(first, "due", lambda one: is_free(_time(one.due(state))), False)

    def planned(
        self, channel: Channel, state: State, voice: Effective, url: str | None = None
    ) -> NextRequest:
        """The next request of ``channel``, for a preview or to be sent: no more than was agreed to.

        Raises ``ConsentError``, or as the channel's ``plan``.
        """
        if not serves_any(channel, voice.purposes):
            raise consent.refusal(voice, channel.purposes[0])
        ready = ask(channel, lambda one: one.plan(self.view(one, state, voice), url))
        if not isinstance(ready.request, HTTPRequest):
            raise TypeError
        least = consent.effective([*voice.layers, *ready.lowered], channel.purposes)
        telling = any(one.telling and one.name in least.purposes for one in channel.purposes)
        if (
            consent.LEVELS.index(ready.level) > consent.LEVELS.index(least.level)
            or (ready.values and not telling)
            or (ready.direct is not None and not least.direct)
        ):
            said = f"{channel.name} would say more than was agreed to, so nothing goes;"
            raise MarsError("not-agreed", f"{said} tell the application's developers.")
        return ready

    # --- the schedule -----------------------------------------------------------------------

    def step(self, ran: int | None) -> int:
        """One look at the schedule, and the request if one is due. Returns seconds to sleep.

        ``ran`` is the running time in seconds since the last look, None at a session's first.
        The next time is on disk before anything is sent; where it cannot be stored, or the journal
        not be read (``StateError``), nothing is.
        """
        self.require_journal()
        due, sleep = self.update(lambda state: self._begun(*self._look(state, ran)))
        if due is None:
            return sleep
        self._order = (*(one for one in self._order if one is not due), due)
        self.of(due, "send", partial(self.send, scheduled=True), None)
        return PAUSE

    def _look(
        self, state: State, ran: int | None, *, planning: bool = False
    ) -> tuple[State, list[Channel], int]:
        """Whose request is due, and the seconds until the next look. Without consent none is, and
        no time runs; none on a day that is not free, whatever its channel wants."""
        due, sleep = [], LONGEST_SLEEP
        state = days.settled(state, self.ports.clock.now())
        for channel in self._order:
            view = replace(self.view(channel, state), planning=planning)
            if serves_any(channel, view.voice.purposes):
                look = partial(self._looked, view, ran)
                state, wait = self.of(channel, "look", look, (state, LONGEST_SLEEP))
                wait = wait if wait or view.free else LONGEST_SLEEP
                due += [] if wait else [channel]
                sleep = min(sleep, wait)
        return state, due, sleep

    def _looked(self, view: View, ran: int | None, channel: Channel) -> tuple[State, int]:
        kept, wait = channel.look(view, ran, self.ports.chance)
        return view.state.keeping(channel.name, kept), min(max(int(wait), 0), LONGEST_SLEEP)

    def _begun(
        self, state: State, due: Sequence[Channel], sleep: int
    ) -> tuple[State, tuple[Channel | None, int]]:
        """Of all that are due one goes, the first; its next time is set."""
        for channel in due:
            view = self.view(channel, state)
            begun = self.keep(state, channel, "attempt", view, self.ports.chance)
            if begun is not state:
                return begun, (channel, 0)
        return state, (None, sleep or LONGEST_SLEEP)

    def rest(self, ran: int | None) -> None:
        """At the end of a session: keeps what is left of an overdue request's wait."""

        def change(state: State) -> tuple[State, None]:
            for channel in self.channels:
                state = self.keep(state, channel, "rested", state, ran)
            return state, None

        self.update(change)

    # --- one exchange -----------------------------------------------------------------------

    def send(
        self,
        channel: Channel,
        *,
        asked: str | None = None,
        check: bool = False,
        url: str | None = None,
        scheduled: bool = False,
    ) -> Outcome:
        """One request now, by explicit level, as the user's check, or as consent stands.

        Only a ``scheduled`` one moves the schedule, and only such a one is kept back where another
        went on its day. Raises ``ConsentError`` before anything is sent, and ``StateError`` where
        the outcome could not be kept; all else is in the ``Outcome``.
        """

        def agreed(state: State) -> Agreed:
            voice = self.voice(state, asked=asked, check=check, purposes=channel.purposes)
            purposes = {one.name for one in channel.purposes if one.name in voice.purposes}
            return purposes, self.planned(channel, state, voice, url)

        def let_go(request: HTTPRequest, entry: Mapping[str, Any]) -> None:
            if request not in (ready.request, ready.direct):
                raise not_golden()
            # What cannot be recorded is not sent.
            self.record(entry, leaving)

        def leaving(now: State) -> State:
            self._require_consent(now, first, planned, agreed)
            return now if own else today(now)

        today = partial(self._on_its_day, channel, scheduled)
        planned = self.load()
        first = _, ready = agreed(planned)
        self.require_journal()
        state = self.update(lambda now: (now, now))  # what cannot be kept is not asked for
        departure = Departure(channel.name, ready, let_go, self.ports.clock.now)
        own = self.ports.is_own_fetcher and not ready.is_file
        use = partial(self.update, lambda now: (today(now), None)) if own else None
        ending = self._exchange(channel, ready, state, departure, use)
        self._complete(departure.begun, departure.ended(ending))

        def learned(now: State) -> tuple[State, None]:
            if ending.kept is not None:
                self.ports.store.write(file_of(channel.name), ending.kept)
            view = replace(self.view(channel, now), asked=ready)
            said = (view, ending, self.ports.chance)
            return self.keep(now, channel, "learn", *said, scheduled=scheduled), None

        self.update(learned)
        return departure.outcome(ending)

    def _on_its_day(self, channel: Channel, scheduled: bool, state: State) -> State:
        """``state`` once a request leaves now. Raises ``ConsentError`` (``day-used``)."""
        now = self.ports.clock.now()
        if scheduled and not self._is_free(channel, state, now):
            raise days.day_used()
        return days.used(state, now)

    def _require_consent(
        self, current: State, first: Agreed, before: State, agreed: Callable[[State], Agreed]
    ) -> None:
        """Asked again when all is connected: the way through Tor takes its time. Every purpose that
        was agreed to then must be so now, and every value that would go one that would be said now,
        too.

        Raises ``ConsentError`` (``withdrawn``).
        """
        (purposes, ready), decided = first, current.decision
        revoked = decided and decided != before.decision and decided.level == consent.OFF
        with contextlib.suppress(ConsentError):
            still, now = agreed(current)
            lowered = consent.LEVELS.index(now.level) < consent.LEVELS.index(ready.level)
            direct = ready.direct is not None and now.direct is None
            same = purposes <= still and ready.values.items() <= now.values.items()
            if same and not (self.halted() or revoked or lowered or direct):
                return
        raise ConsentError(
            "withdrawn", "Consent was withdrawn, or the client stopped, before anything went."
        )

    def _exchange(
        self,
        channel: Channel,
        ready: NextRequest,
        state: State,
        departure: Departure,
        use: Callable[[], None] | None,
    ) -> Ending:
        """``use`` is called before a fetcher of which nobody knows whether it asks."""
        openpgp, what = self.ports.openpgp, f"fetch {channel.name}"
        try:
            channel.require_judge(self.view(channel, state), openpgp)
            fetcher = self.ports.fetcher(ready)
            if use is not None:
                use()
                departure.unasked(UNASKED)
            answer = fetcher.fetch(
                Request(ready.request, ready.deadline, ready.limit, ready.expect, departure)
            )
            departure.unasked(answer.route)
            departure.status = answer.status
            view = replace(self.view(channel, state), asked=ready)
            ending = ask(channel, lambda one: one.take(answer.body, view, openpgp))
            if not (
                isinstance(ending, Ending)
                and isinstance(ending.error, MarsError | None)
                and isinstance(ending.kept, bytes | None)
            ):
                raise TypeError
        except Exception as raised:
            ending = Ending(error=journal.told(raised, channel.name))
            if isinstance(raised, StateError) and not (departure.begun or departure.status):
                self.failed[what] = raised
                raise  # nothing was sent, because it could not be recorded
        self.failed[what] = None if ending.reason == days.DAY_USED else ending.error
        return replace(ending, left=departure.left)


def _time(due: int | None) -> int | None:
    """Raises ``TypeError`` for what is none: a channel may be anybody's."""
    if not isinstance(due, int | None):
        raise TypeError
    return due
