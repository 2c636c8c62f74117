"""``Mars.failures`` of an application: the streams of its domains, what is kept of them, and what
its user sees of that."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from mars.channels import declared
from mars.channels.domains import domains
from mars.consent import EVENTS
from mars.errors import ConfigError, MarsError
from mars.failures.counts import Counts, total
from mars.failures.kept import Kept
from mars.failures.stream import Stream
from mars.wire.events import OTHER, Domain
from mars.wire.registry import is_name

if TYPE_CHECKING:
    from mars.channels.news import NewsClient
    from mars.core.thread import Problems

EVERY = 60
"""Seconds of running time between two writings of what was counted, but for the user's sake."""
MOST_UNDECLARED = 16
"""Names without a declaration that have a stream of their own."""
MOST_OTHER = 0.2
"""Share of a domain's failures above which its causes do not say what fails."""


class Streams:
    """Of one client. Nothing raises but what the developer got wrong where ``raises``, in tests."""

    def __init__(self, client: NewsClient, problems: Problems, *, raises: bool = False) -> None:
        self._client = client
        self._attempt = problems.attempt
        self._raises = raises
        self._streams: dict[str, Stream] = {}
        self._busy = threading.RLock()
        self._kept: float | None = None
        """When all was last written down (running time)."""
        client.settled = self.settled
        client.looking = self.keep
        _alive.add(self)

    def of(self, domain: str) -> Stream:
        """The stream of a domain, always the same one; of what is no name one for all."""
        # Without a lock, which who writes may hold for a while. What ``domain`` overrides is not
        # called.
        plain = str.__str__(domain) if issubclass(type(domain), str) else ""
        name = plain if is_name(plain) else ""
        return self._streams.get(name) or self._made(name)

    def _made(self, name: str) -> Stream:
        found = self._attempt("failures", lambda: self._declared(name), None)
        unknown = [one for one, stream in [*self._streams.items()] if one in stream.faults]
        if found is None and len(unknown) >= MOST_UNDECLARED:
            name = ""
        ports = self._client.ports
        stream = Stream(name or "undeclared", found, ports.clock, ports.chance, raises=self._raises)
        if found is None:
            what = repr(name) if name else "What mars.failures was called with"
            said = f"{what} is no domain that is declared, so nothing of it counts; declare it."
            error = ConfigError("undeclared", said)
            if self._raises:
                raise error
            stream.faults[name] = error
        self._attempt("failures", lambda: self._begin({name: stream}), None)
        return self._streams.setdefault(name, stream)

    def _declared(self, name: str) -> Domain | None:
        catalogue = self._client.shown_registry(self._client.load())
        return catalogue.domain(name) if catalogue else None

    def _begin(self, streams: dict[str, Stream]) -> None:
        """Has each count, or not, as it may now. Where that cannot be told none does."""
        client, counted, kept = self._client, dict[str, Domain](), dict[str, Kept]()
        try:
            counted = client.counted.domains(client.load())
            kept = {**client.counted.read()} if counted else kept
        finally:
            for name, stream in streams.items():
                if name not in kept:  # also what a no has just removed
                    stream.forget()
                if name in counted:
                    stream.declare(counted[name])
                    stream.known(kept[name].counts if name in kept else Counts())

    def settled(self) -> None:
        """After a decision of the user, in this process: it holds at once."""
        with self._busy:
            self._kept = None
            self._attempt("failures", lambda: self._begin({**self._streams}), None)

    # --- what is kept -----------------------------------------------------------------------

    def keep(self, *, at_once: bool = False) -> None:
        """Writes down what was counted, at most once a minute but ``at_once``; what may not be
        counted any more is forgotten."""
        now = self._client.ports.clock.monotonic()
        with self._busy:
            if at_once or self._kept is None or now - self._kept >= EVERY:
                self._kept = now
                self._attempt("failures kept", self._keep, None)

    def _keep(self) -> None:
        counted, streams = self._client.counted, {**self._streams}
        if not (counted.is_kept() or counted.domains(self._client.load())):
            for stream in streams.values():
                stream.forget()
            return
        gained = {name: stream.gained() for name, stream in streams.items()}
        try:
            kept = counted.add(gained)
        except BaseException:
            for name, stream in streams.items():
                stream.regain(gained[name])
            raise
        for name, stream in streams.items():
            if name in kept:
                stream.known(kept[name].counts)
            else:
                stream.forget()

    # --- for the user -----------------------------------------------------------------------

    def seen(self) -> list[dict[str, Any]]:
        """As ``mars.channels.domains.domains``."""
        none: list[dict[str, Any]] = []
        return self._attempt("failures", self._seen, none)

    def _seen(self) -> list[dict[str, Any]]:
        self.keep(at_once=True)
        client = self._client
        view = client.view(client.statistics, client.load())
        catalogue = client.shown_registry(view.state)
        kept = client.counted.read()
        found = domains(view, catalogue, client.statistics, kept, client.journal())
        if catalogue:
            asked = {one.wildcard: one.question for one in catalogue.domains}
            client.listed = {**client.listed, **asked}
        return found

    def status(self) -> dict[str, Any]:
        """Of ``Mars.status()``: mode, what is not asked yet, and what is wrong with calls."""
        none: dict[str, Any] = {"mode": declared.OFF, "to_ask": []}
        faults = [fault for one in [*self._streams.values()] for fault in one.faults.values()]
        if self._raises:  # of an application's tests
            faults += self._attempt("failures", self._unnamed, [])
        return {
            **self._attempt("failures", self._standing, none),
            "problems": [fault.plain() for fault in faults],
            "lost": sum(one.lost for one in [*self._streams.values()]),
        }

    def _unnamed(self) -> list[MarsError]:
        """Domains of which too many failures have no cause of their own."""
        found = []
        for name, kept in self._client.counted.read().items():
            failed = total(kept.counts, kept.counts.days).failed
            unnamed, every = failed.get(OTHER, 0), sum(failed.values())
            if unnamed > MOST_OTHER * every:
                said = f"{unnamed} of {every} failures of {name} are {OTHER}; declare their causes."
                found.append(MarsError("too-much-other", said))
        return found

    def _standing(self) -> dict[str, Any]:
        return declared.standing(self._client, self._client.load(), EVENTS)

    def forked(self) -> None:
        """In the child of a fork nobody is busy."""
        self._busy = threading.RLock()


_alive: weakref.WeakSet[Streams] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_alive):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
