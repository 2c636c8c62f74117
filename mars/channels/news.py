"""The client of an application that shows the news."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mars import consent
from mars.channels.memory import Memory
from mars.channels.motd import Motd, crowd_of, source
from mars.channels.reading import Reading, offered, unseen, written
from mars.consent import Effective
from mars.consent.api import since, switches
from mars.core import schedule
from mars.core.channel import Channel, NextRequest
from mars.core.installation import Installation
from mars.core.journal import Outcome
from mars.core.records import Ports
from mars.core.state import App, State
from mars.errors import ConsentError, MarsError
from mars.wire.times import LAST, format_time
from mars.wire.variables import rule

if TYPE_CHECKING:
    from mars.wire.release import Release
    from mars.wire.targeting import Shown


class NewsClient(Installation):
    """An installation with the MOTD for its first channel, and what is asked of that one."""

    def __init__(
        self, app: App, trust: bytes, ports: Ports, further: Iterable[Channel] = ()
    ) -> None:
        self.channel = Motd(trust, app.product)
        super().__init__(app, ports, (self.channel, *further))
        self.pick = ports.chance.uniform(0.0, 1.0)
        """Which variables the first request says, until it is kept (``Memory.pick``)."""

    def _before(self, stored: State | None) -> State:
        """Of another history than this release's nothing is shown from its start on. The pick is
        kept with whatever is stored first: what is shown before is what will be sent."""
        state = super()._before(stored)
        state = self.of(self.channel, "start", lambda _: self.channel.started(state), state)
        known = Memory.of(state).pick is not None
        return state if known else state.keeping("motd", {"pick": self.pick})

    def plan(self, state: State, voice: Effective, url: str | None = None) -> NextRequest:
        """The next request. Raises ``ConsentError``, ``ConfigError`` or ``TransportError``."""
        return self.planned(self.channel, state, voice, url)

    def says(self) -> str:
        """What tracked requests say how often now, in one sentence."""
        return rule(crowd_of(self.app, self.ports.clock.now()))

    def fetch(self, **how: Any) -> Outcome:
        """One fetch of the news now; arguments and errors as of ``Installation.send``."""
        return self.send(self.channel, **{**how, "url": how.get("url") or ""})

    def check(self) -> Outcome | None:
        """The user's "check now": plain, once an hour; None where it may not be now.

        Raises as ``fetch``.
        """

        def begun(state: State) -> tuple[State, bool]:
            if self.check_refusal(state):
                return state, False
            checked = replace(Memory.of(state), checked=self.ports.clock.now())
            return checked.into(state), True

        return self.fetch(check=True) if self.update(begun) else None

    def check_refusal(self, state: State) -> MarsError | None:
        """Why no check may be asked for now: nothing may be sent, no server is known, or the last
        one was within the hour (``too-early``). None where one may."""
        try:
            self.plan(state, self.voice(state, check=True))
        except MarsError as error:
            return error
        checked = Memory.of(state).checked
        if checked is None or not 0 <= self.ports.clock.now() - checked < schedule.CHECK_EVERY:
            return None
        then = format_time(min(checked + schedule.CHECK_EVERY, LAST))
        return ConsentError("too-early", f"A check was just made; wait with the next until {then}.")

    def status(self) -> dict[str, Any]:
        """What ``mars status --json`` prints. Times are ISO 8601, None where there is none.

        ``check`` says why no check may be asked for, None where one may. Where the state cannot be
        read it is that of nobody, with what is wrong as ``problem``; so is a journal that cannot be
        read, since without one nothing is sent.
        """
        state, problem = State(), None
        try:
            state = self.load()
            self.journal()
        except MarsError as error:
            problem = error
        problem, refusal = problem or self.damage, self.check_refusal(state)
        told: dict[str, Any] = {"update": "unknown", "newest_version": ""}
        with contextlib.suppress(MarsError):  # what it lacks is told when it is next needed
            reading, release = self.reading(state), self.release(state)
            told = reading.plain() if reading else told
            told = {**told, "release": release.release if release else None}
        voice, decision, known = self.voice(state), state.decision, Memory.of(state)
        server, last, due = source(self.view(state, voice)), known.last, known.schedule
        waits = due is not None and server and voice.level != consent.OFF
        return {
            "product": state.app.get("product"),
            "version": state.app.get("version"),
            "level": voice.level,
            "decided_by": voice.by.name,
            "decided": None if decision is None else written(decision.decided),
            "variables": sorted(voice.variables),
            "says": self.says(),
            **switches(voice.allows),
            "direct": voice.direct,
            "country": state.country,
            "purposes": since(self.offered, voice, decision),
            "unserved": since(consent.unserved(self.offered, decision), None, decision),
            "to_ask": list(consent.new_variables(decision)),
            "next": written(due.due) if due and waits else None,
            "overdue_wait": due.wait if due else None,
            "failures": due.failures if due else 0,
            "last": last and {"time": written(last.get("time")), "reason": last.get("reason")},
            "server": server or None,
            **{name: told.get(name) for name in _TOLD},
            "installed": written(state.installed),
            "check": refusal and refusal.plain(),
            "problem": problem and problem.plain(),
        }

    def reading(self, state: State) -> Reading | None:
        """The last accepted document as this installation may see it; None if there is none."""
        known = Memory.of(state)
        motd = known.motd()
        if motd is None:
            return None
        now = self.ports.clock.now()
        stale = known.trust_state().stale_since(max(now, self.app.built))
        links = self.channel.links(state)
        return Reading.of(motd, self.app, self.ports.host, now, stale, links)

    def release(self, state: State) -> Release | None:
        """The last release document, unless it is older than what is installed."""
        known = Memory.of(state)
        return offered(known.trust_state().release, self.app.version) if known.trust else None

    def claim(self) -> tuple[Shown, ...]:
        """Messages that nobody was shown yet; they are remembered as shown by this call.

        Of several processes only one gets a message. Raises ``StateError``.
        """

        def change(state: State) -> tuple[State, tuple[Shown, ...]]:
            reading, known = self.reading(state), Memory.of(state)
            found = unseen(reading.messages, known.shown) if reading else ()
            return known.saw(_revisions(found)).into(state) if found else state, found

        return self.update(change)

    def give_back(self, messages: Iterable[Shown]) -> None:
        """Forgets that these were shown: nobody was, after all. Raises ``StateError``."""
        ids = {message.id for message in messages}

        def change(state: State) -> tuple[State, None]:
            known = Memory.of(state)
            shown = {name: revision for name, revision in known.shown.items() if name not in ids}
            return known.showing(shown).into(state), None

        if ids:
            self.update(change)

    def mark_seen(self, messages: Iterable[Shown]) -> None:
        """Remembers that these were shown. Raises ``StateError``."""
        shown = _revisions(messages)
        if shown:
            self.update(lambda state: (Memory.of(state).saw(shown).into(state), None))


_TOLD = ("serial", "issued", "expires", "stale_since", "update", "newest_version", "release")
"""What a status has of a ``Reading``, and of the release document."""


def _revisions(messages: Iterable[Shown]) -> dict[str, int]:
    return {message.id: message.revision for message in messages}
