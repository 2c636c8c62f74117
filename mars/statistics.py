"""``mars.statistics`` of an application: where values come from, what its user sees and chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mars import consent
from mars.channels import declared
from mars.channels.altering import Rules, coarser
from mars.channels.news import undeclared
from mars.channels.upcoming import Memory
from mars.consent import Choice
from mars.consent.checks import require_kept
from mars.core.channel import View
from mars.errors import ConfigError, ConsentError, MarsError
from mars.providers import Alter, Collector, Given, Plugin
from mars.wire.registry import questions
from mars.wire.times import WEEK

if TYPE_CHECKING:
    from mars.channels.news import NewsClient
    from mars.core.state import State
    from mars.core.thread import Problems
    from mars.wire.catalogue import Catalogue

T = TypeVar("T")

Rule = str | Sequence[int]
"""What ``coarsen`` takes: the one value that is always said, or the bounds that are left."""

_UNSENT = ("level", "url", "sent", "route")
"""Members of an entry of the journal that say nothing where nothing was to be sent."""


class Statistics:
    """What fails is in ``status()``, as with ``Mars`` itself; in tests it is raised."""

    def __init__(
        self, client: NewsClient, collector: Collector, wake: Callable[[], None], problems: Problems
    ) -> None:
        self._client = client
        self._collector = collector
        self._wake = wake
        self._attempt = problems.attempt

    # --- for the developer ------------------------------------------------------------------

    def provide(self, name: str, given: Given) -> None:
        """The value of the entry ``project/key``, or what is called for it; of the application's
        own project the key alone will do. It is called in a thread of its own, and has 2 s."""
        self._asking("provide", lambda: self._provide(self._client.full(name), given), None)

    def _provide(self, name: str, given: Given) -> None:
        catalogue = self._catalogue()
        if catalogue is not None and name not in {one.name for one in catalogue.metrics}:
            raise ConfigError("undeclared", f"{name!r} is not declared; nothing of it is sent.")
        self._collector.provide(name, given)

    def register(self, plugin: Plugin) -> None:
        """A plug-in: its ``info()`` names its entries, ``data(key)`` gives the value of one."""
        self._asking("register", lambda: self._collector.register(plugin), None)

    def alter(self, hook: Alter) -> Alter:
        """Asks ``hook(name, value)`` of each value, usable as a decorator: it gives back the value,
        a coarser declared one, or None, and then nothing is said."""
        self._collector.alter(hook)
        return hook

    # --- for the user -----------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """``off``, ``local`` (values are collected and shown) or ``on`` (and sent)."""
        return str(self._standing()["mode"])

    def _standing(self) -> dict[str, Any]:
        none: dict[str, Any] = {"mode": declared.OFF, "to_ask": []}
        client = self._client
        return self._attempt("statistics", lambda: declared.standing(client, client.load()), none)

    def show(self, on: bool = True) -> bool:
        """Whether values are collected and shown, whatever may be sent. Local: no consent."""
        return self._attempt("show", lambda: self._show(on), False)

    def _show(self, on: bool) -> bool:
        kept = self._keep(_showing(on))
        self._client.settle(self._client.load().decision)
        return kept

    def entries(self) -> list[dict[str, Any]]:
        """Each declared entry for a settings screen: ``project``, ``name``, ``label``,
        ``description``, ``reason``, whether the user ``agreed`` and it is ``on`` (or policy or
        environment hold it back), or off since it ``changed`` after a yes,
        the present ``value``, what would be ``said``, how it is ``randomized``, what was ``last``
        sent and when, a ``problem``. What is listed is what a later yes is to."""
        none: list[dict[str, Any]] = []
        return self._asking("statistics", self._entries, none)

    def _entries(self) -> list[dict[str, Any]]:
        view, faults = self._view(), self._collector.faults
        catalogue = self._catalogue(view.state)
        statistics, journal = self._client.statistics, self._client.journal()
        with self._collector.together():
            found = declared.entries(view, catalogue, statistics, journal)
        if catalogue:
            self._client.listed = {**self._client.listed, **questions(catalogue.metrics)}
        for one in found:
            fault = faults.get(one["name"])
            one["problem"] = fault and fault.plain()
        return found

    def preview(self, name: str) -> dict[str, Any] | None:
        """What a report of the entry would be now: ``text`` is what is sealed, ``shown`` the
        request. Of the one that is ``next`` these are the bytes that go unless its value, the
        release, the question or the week changes before: then it is sealed anew. Of others they are
        such as would. None where nothing could be said."""
        return self._asking("statistics", lambda: self._preview(name), None)

    def _preview(self, name: str) -> dict[str, Any] | None:
        view, catalogue, name = self._view(), self._catalogue(), self._client.full(name)
        metric = catalogue.metric(name) if catalogue else None
        if catalogue is None or metric is None:
            raise undeclared([name], is_known=catalogue is not None)
        chance = self._client.ports.chance
        return declared.preview(view, catalogue, metric, self._client.statistics, chance)

    @property
    def to_ask(self) -> tuple[str, ...]:
        """Entries declared since the user was asked, or asking something else, or more, than the
        user said yes to (``changed``); off until the user is asked again."""
        return tuple(self._standing()["to_ask"])

    def choose(self, entries: Mapping[str, bool]) -> bool:
        """The user says yes or no to each of ``entries``; all else stays as it was decided.

        Names are those of ``entries()``; of the own project the key alone will do. Whether all of
        it was kept: what is not declared is not (``undeclared``), and the rest is. Raises nothing;
        where no news are wanted either, ``status()`` says so.
        """
        return self._attempt("choose", lambda: self._choose(entries), False)

    def _choose(self, entries: Mapping[str, bool]) -> bool:
        choice = Choice(None, entries={self._client.full(name): on for name, on in entries.items()})
        self._client.choose(choice)
        self._wake()
        state = self._client.load()
        if state.decision is None or state.decision.level == consent.OFF:
            raise ConsentError(
                "level-off", "Statistics come with the news; ask for consent to these first."
            )
        self._client.require_entries(state, choice.entries or ())
        require_kept(choice, state.decision)
        return True

    def coarsen(self, name: str, rule: Rule | None) -> bool:
        """The user has less said of an entry: always one declared value, or of a bucket fewer
        bounds; None ends that. Whether it was kept; what cannot be said of it is not."""
        return self._attempt("coarsen", lambda: self._coarsen(self._client.full(name), rule), False)

    def _coarsen(self, name: str, rule: Rule | None) -> bool:
        catalogue = self._catalogue()
        metric = catalogue.metric(name) if catalogue else None
        if rule is not None and metric is None:
            raise undeclared([name], is_known=catalogue is not None)
        less = None if rule is None or metric is None else coarser(metric, rule)

        def change(memory: Memory) -> Memory:
            kept = {one: had for one, had in memory.rules.coarsen.items() if one != name}
            more = {} if less is None else {name: less}
            return replace(memory, rules=Rules(memory.rules.veto, {**kept, **more}))

        return self._keep(change)

    def status(self) -> dict[str, Any]:
        """Of ``Mars.status()``: mode, what is not asked yet, and what is wrong with providers."""
        faults = {what: error.plain() for what, error in self._faults().items()}
        return {**self._standing(), "problems": faults}

    def note(self) -> None:
        """What is wrong with providers stands in the journal, too, each at most once a week."""
        self._attempt("statistics", self._note, None)

    def _note(self) -> None:
        faults = self._faults()
        if not faults:
            return
        now, name = self._client.ports.clock.now(), self._client.statistics.name
        recent = [one for one in self._client.journal() if one["time"] > now - WEEK]
        noted = {one.get("provider") for one in recent if one.get("channel") == name}
        for what, error in faults.items():
            if what not in noted:  # whatever it says now
                said = {"reason": error.reason, "notes": [error.message]}
                about = {"channel": name, "provider": what}
                self._client.record({"time": now, **dict.fromkeys(_UNSENT, ""), **about, **said})

    def _faults(self) -> dict[str, MarsError]:
        """What is wrong with providers, and those of what nobody declares."""
        provided = self._collector.names  # without any no registry is looked at
        catalogue = self._attempt("statistics", self._catalogue, None) if provided else None
        names = {one.name for one in catalogue.metrics} if catalogue else None
        unknown = [one for one in provided if names is not None and one not in names]
        said = "{} is not declared, so nothing of it is sent; declare it or do not provide it."
        told = {one: ConfigError("undeclared", said.format(one)) for one in unknown}
        return {**told, **self._collector.faults}

    # --- inside -----------------------------------------------------------------------------

    def _keep(self, change: Callable[[Memory], Memory]) -> bool:
        def changed(state: State) -> tuple[State, bool]:
            return change(Memory.of(state)).into(state), True

        return self._attempt("statistics kept", lambda: self._client.update(changed), False)

    def _view(self) -> View:
        return self._client.view(self._client.statistics, self._client.load())

    def _catalogue(self, state: State | None = None) -> Catalogue | None:
        return self._client.shown_registry(self._client.load() if state is None else state)

    def _asking(self, what: str, do: Callable[[], T], otherwise: T) -> T:
        """Of what calls a provider, or the developer got wrong: raised in tests."""
        return do() if self._collector.raises else self._attempt(what, do, otherwise)


def _showing(on: bool) -> Callable[[Memory], Memory]:
    """Raises ``TypeError`` of what is no bool: ``"no"`` would be a yes."""
    if not isinstance(on, bool):
        raise TypeError("show takes True or False")
    return lambda memory: replace(memory, local=on)
