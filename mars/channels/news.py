"""The client of an application that shows the news."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mars import consent
from mars.channels.answers import AnswersChannel
from mars.channels.counted import Counted
from mars.channels.memory import Memory
from mars.channels.motd import Motd, beside, check_url, crowd_of, source
from mars.channels.queue import Queue
from mars.channels.reading import Reading, offered, unseen, written
from mars.channels.registry import Registry
from mars.channels.reports import ReportsChannel
from mars.channels.statistics import (
    Collect,
    Known,
    StatisticsChannel,
    agreed_only,
    nothing,
    registry_unknown,
)
from mars.consent import Choice, Decision, Effective
from mars.consent.api import since, switches
from mars.consent.checks import unserved
from mars.core import schedule
from mars.core.channel import Channel, Ending, NextRequest, View
from mars.core.installation import Installation
from mars.core.journal import Outcome
from mars.core.records import Ports, file_of
from mars.core.state import App, State
from mars.errors import ConfigError, ConsentError, MarsError, StateError
from mars.wire.query import INTAKE_PATH
from mars.wire.registry import Question, questions
from mars.wire.times import LAST, day_of, format_time, week_of
from mars.wire.variables import rule

if TYPE_CHECKING:
    from mars.wire.catalogue import Catalogue
    from mars.wire.release import Release
    from mars.wire.targeting import Shown


class NewsClient(Installation):
    """An installation with the MOTD for its first channel, and what is asked of that one."""

    def __init__(
        self,
        app: App,
        trust: bytes,
        ports: Ports,
        further: Iterable[Channel] = (),
        *,
        registry: bytes | None = None,
        collect: Collect = nothing,
    ) -> None:
        """``registry`` is what the application ships. Without one, now or when it last ran, nothing
        that it declares could be shown, so that nobody can agree to it."""
        self.channel = Motd(trust, app.product)
        self.further = tuple(further)
        """Channels of the application's own."""
        fetched = partial(ports.store.read, file_of(Registry.name))
        self.registry = Registry(self.channel, app, registry, fetched)
        self.counted = Counted(self, self.shown_registry, self.declared)
        app = replace(app, declares=app.declares or registry is not None)
        self.statistics = StatisticsChannel(
            self.known,
            collect,
            self.counted.value,
            lambda error: self.failed.__setitem__("draws", error),
        )
        self.queue = Queue(ports.store)
        self.reports = ReportsChannel(self.known, self.queue)
        self.answers = AnswersChannel(
            self.channel,
            partial(ports.store.read, file_of(AnswersChannel.name)),
            self.current_registry,
        )
        own = (self.registry, self.statistics, self.answers) if app.declares else ()
        own = (*own, self.reports) if app.declares else ()
        super().__init__(app, ports, (self.channel, *own, *self.further))
        self.pick = ports.chance.uniform(0.0, 1.0)
        """Which variables the first request says, until it is kept (``Memory.pick``)."""
        self.settled: Callable[[], object] = lambda: None
        """Called when the user has decided something here, whatever became of it."""
        self.looking: Callable[[], object] = lambda: None
        """Called before each look."""
        self.listed: Mapping[str, Question] = {}
        """What was last listed for the user to choose from."""

    def _before(self, stored: State | None) -> State:
        """Of another history than this release's nothing is shown from its start on. The pick is
        kept with whatever is stored first: what is shown before is what will be sent."""
        state = super()._before(stored)
        state = self.of(self.channel, "start", lambda _: self.channel.started(state), state)
        known = Memory.of(state).pick is not None
        return state if known else state.keeping("motd", {"pick": self.pick})

    def _exchange(self, channel: Channel, *how: Any) -> Ending:
        """A server that has no answers to reports is its operator's matter: it stands in the
        journal, and is no problem that the user is told of."""
        ending = super()._exchange(channel, *how)
        if channel is self.answers and ending.reason == "http-status":
            self.failed[f"fetch {channel.name}"] = None
        return ending

    def choose(self, choice: Choice) -> None:
        """As ``Installation.choose``. What was counted of failures, and what would be told of it,
        goes with the yes to them."""
        before = None
        with contextlib.suppress(MarsError):
            before = self.load().decision
        try:
            super().choose(choice)
        except StateError:  # it holds here all the same
            self.settle(before)
            raise
        self.settle(before)
        with contextlib.suppress(StateError):  # the decision stands; the next look drops it else
            self.update(lambda state: (agreed_only(state), None))

    def settle(self, before: Decision | None) -> None:
        """After a decision that follows ``before``: only what may be is counted and kept."""
        try:
            self.counted.settle(before)
            self.update(self.reports.settled)
        finally:
            self.settled()

    def step(self, ran: int | None) -> int:
        """As ``Installation.step``, once what is counted here is kept."""
        self.looking()
        return super().step(ran)

    def current_registry(self, state: State) -> Catalogue | None:
        """By what may be sent now (``Registry.current``)."""
        return self.registry.current(state)

    def shown_registry(self, state: State) -> Catalogue | None:
        """What can be shown (``Registry.shown``). Raises ``ConfigError``."""
        return self.registry.shown(state)

    def asking(self, state: State) -> Mapping[str, Question]:
        """As it was last listed: a registry that comes while a screen stands is not agreed to."""
        return {name: self.listed.get(name, one) for name, one in self.declared(state).items()}

    def declared(self, state: State) -> dict[str, Question]:
        """What is collected today, as far as it can be shown here, and what it asks."""
        if self.registry not in self.channels:
            return {}
        try:
            found, error = self.shown_registry(state), None
        except MarsError as raised:
            found, error = None, raised
        self.failed["registry"] = error
        if found is None:
            return {}
        today = day_of(self.ports.clock.now())
        domains = {one.wildcard: one.question for one in found.domains if one.is_live(today)}
        return questions(one for one in found.metrics if one.is_live(today)) | domains

    def full(self, name: str) -> str:
        """``project/key``; of the application's own project the key alone will do."""
        return name if "/" in name else f"{self.app.product}/{name}"

    def require_entries(self, state: State, names: Iterable[str]) -> None:
        """Raises ``ConfigError`` (``undeclared``) of names that are neither declared nor agreed to,
        or where no registry is known."""
        agreed = state.decision.entries if state.decision else {}
        unknown = [name for name in names if name not in agreed]
        found = self.shown_registry(state) if unknown else None
        unknown = [name for name in unknown if not (found and name in found.questions)]
        if unknown:
            raise undeclared(unknown, is_known=found is not None)

    def known(self, view: View) -> Known:
        """What sending statistics takes. Raises ``MarsError`` where the registry in force is not
        known."""
        catalogue = self.current_registry(view.state)
        steering = self.channel.steering(view.state)
        if catalogue is None or steering is None:
            raise registry_unknown()
        place = ""
        with contextlib.suppress(MarsError):  # who plans a report says so
            place = beside(check_url(source(view)), INTAKE_PATH).url
        return Known(catalogue, steering.intake.get(week_of(view.now), ""), place)

    def plan(self, state: State, voice: Effective, url: str | None = None) -> NextRequest:
        """The next request. Raises ``ConsentError``, ``ConfigError`` or ``TransportError``."""
        return self.planned(self.channel, state, voice, url)

    def source(self, state: State, voice: Effective) -> str:
        """Where the next request goes; empty where no server is known."""
        return source(self.view(self.channel, state, voice))

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
            self.require_journal()
        except MarsError as error:
            problem = error
        with contextlib.suppress(MarsError):
            self.counted.read()
        problem = problem or self.damage or self.counted.damage
        refusal = self.check_refusal(state)
        told: dict[str, Any] = {"update": "unknown", "newest_version": ""}
        with contextlib.suppress(MarsError):  # what it lacks is told when it is next needed
            reading, release = self.reading(state), self.release(state)
            told = reading.plain() if reading else told
            told = {**told, "release": release.release if release else None}
        voice, decision, known = self.voice(state), state.decision, Memory.of(state)
        server, last, due = self.source(state, voice), known.last, known.schedule
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
            "reports": voice.reports,
            "direct": voice.direct,
            "country": state.country,
            "purposes": since(self.offered, voice, decision),
            "unserved": since(unserved(self.offered, decision), None, decision),
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


NO_REGISTRY = "no registry is known yet; name the application's with --registry."


def undeclared(names: Iterable[str], *, is_known: bool) -> ConfigError:
    """``is_known`` says whether any registry is."""
    said = ", ".join(map(repr, names))
    if is_known:
        told = "see mars stats list, and mars failures show for DOMAIN/*"
        return ConfigError("undeclared", f"Not declared: {said}; {told}.")
    return ConfigError(
        "undeclared", f"Not declared, as far as is known here: {said}; {NO_REGISTRY}"
    )


_TOLD = ("serial", "issued", "expires", "stale_since", "update", "newest_version", "release")
"""What a status has of a ``Reading``, and of the release document."""


def _revisions(messages: Iterable[Shown]) -> dict[str, int]:
    return {message.id: message.revision for message in messages}
