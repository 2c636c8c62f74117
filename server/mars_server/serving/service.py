"""What the connections of one process share: the document, the rules, the log, the counters."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Protocol

from mars.ports import Clock
from mars.wire.query import AllowList
from mars_server.serving.accesslog import AccessLog
from mars_server.serving.answer import Shape, golden, render
from mars_server.serving.counters import Counters
from mars_server.serving.document import Document
from mars_server.serving.hosts import Hosts
from mars_server.serving.limits import Limits
from mars_server.serving.logline import NOT_COMPLETED, OK
from mars_server.serving.proxyline import CircuitCap

EVICTION_LOOK = 64
"""Connections, longest inactive first, among which an idle one is sought to make room."""
CACHED = 4096
"""Host values and queries whose judgement is kept in memory."""


class Held(Protocol):
    """A connection, as its service sees it."""

    @property
    def busy(self) -> bool:
        """Whether a request of it is being answered."""
        ...

    def drop(self) -> None:
        """Ends it at once."""
        ...

    def check(self, now: float) -> None:
        """Settles or ends an answer that the peer has taken, or not taken in time."""
        ...


class Service:
    """One per process; used from its event loop alone."""

    def __init__(
        self,
        document: Document,
        allow: AllowList,
        hosts: Hosts,
        log: AccessLog,
        clock: Clock,
        limits: Limits,
        counters: Counters,
    ) -> None:
        self._allow = allow
        self.hosts = hosts
        self._log = log
        self.clock = clock
        self.limits = limits
        self.counters = counters
        self._circuits = CircuitCap(limits.hits_per_circuit)
        self._canonical: dict[str, str] = {}
        self._admitted: dict[str, bool] = {}
        self._open: OrderedDict[Held, None] = OrderedDict()
        self.unsettled: dict[Held, float] = {}
        """Connections whose answer the peer may not have taken yet, and since when (monotonic)."""
        self.show(document)

    def show(self, document: Document) -> None:
        """From now on everybody gets this document."""
        self.document = document
        self._keep = render(document.body, close=False)
        self._close = render(document.body, close=True)

    def allow_hosts(self, hosts: Hosts) -> None:
        if hosts != self.hosts:
            self.hosts = hosts
            self._admitted.clear()

    def shape(self, data: bytes) -> Shape | None:
        """``data`` as a request of the golden shape for one of our hosts."""
        shape = golden(data)
        return shape if shape is not None and self._admits(shape.host) else None

    def bytes_for(self, close: bool) -> bytes:
        return self._close if close else self._keep

    def _admits(self, host: str) -> bool:
        known = self._admitted.get(host)
        if known is None:
            known = self.hosts.admits(host)
            if len(self._admitted) >= CACHED:
                self._admitted.clear()
            self._admitted[host] = known
        return known

    def canonical(self, query: str) -> str:
        """The query as the log writes it. Only judgements of clean queries are remembered."""
        known = self._canonical.get(query)
        if known is None:
            known = self._allow.canonical(query)
            if known == f"?{query}" and len(self._canonical) < CACHED:
                self._canonical[query] = known
        return known

    def counts(self, circuit: int | None) -> bool:
        """Whether one more answer on this circuit is counted; without a circuit it is."""
        return circuit is None or self._circuits.admit(circuit, self.clock.monotonic())

    def record(self, query: str, size: int, complete: bool, counted: bool) -> None:
        """One MOTD answer for the log: ``query`` canonical, ``size`` the body's bytes."""
        if complete and counted:
            self.counters.add("answers")
            self._log.add(query, OK, size)
        else:
            self.counters.add("capped" if complete else "incomplete")
            self._log.add(query, NOT_COMPLETED, 0)

    def opened(self, connection: Held) -> None:
        """Counts a new connection; at the cap the one that has been idle longest has to go."""
        self._open[connection] = None
        if len(self._open) <= self.limits.connections:
            return
        self.counters.add("evicted")
        free = [held for held in islice(self._open, EVICTION_LOOK) if not held.busy]
        idle = (held for held in free if held not in self.unsettled)
        oldest = next(idle, free[0] if free else connection)
        del self._open[oldest]
        oldest.drop()

    def active(self, connection: Held) -> None:
        """The connection has sent a complete request."""
        if connection in self._open:
            self._open.move_to_end(connection)

    def closed(self, connection: Held) -> None:
        self._open.pop(connection, None)
        self.unsettled.pop(connection, None)

    def check(self) -> None:
        """Once a second or more often: settles what needs no event of the peer."""
        now = self.clock.monotonic()
        for connection in list(self.unsettled):
            connection.check(now)

    @property
    def connections(self) -> list[Held]:
        return list(self._open)
