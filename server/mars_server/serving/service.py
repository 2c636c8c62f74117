"""What the connections of one process share: the document, the rules, the log, the account."""

from __future__ import annotations

import fcntl
import socket
import sys
import termios
from collections import OrderedDict
from itertools import islice
from typing import NamedTuple

from mars.ports import Clock
from mars.wire.query import AllowList
from mars_server.common.config import Limits
from mars_server.daylog.writer import DayLog
from mars_server.serving.bind import Hosts
from mars_server.serving.fast_request import (
    Posted,
    Shape,
    golden,
    head_of_post,
    posted,
    render,
)
from mars_server.serving.logline import NOT_COMPLETED, OK
from mars_server.serving.motd_source import ServedMotd
from mars_server.serving.prometheus import Counters
from mars_server.serving.proxyline import CircuitCap

_EVICTION_LOOK = 64
"""Connections, longest inactive first, among which an idle one is sought to make room."""
_SETTLE_AFTER = 0.02
"""Seconds an answer waits for an event of the peer before the kernel is asked."""
_MOST_WAITING = 100
"""Answers on one connection that the kernel still holds some of. A peer that asks faster than it
reads would otherwise let us remember more and more of them; no client of ours does."""
_CACHED = 4096
"""Requests whose judgement is kept in memory; a product's clients make a few hundred."""


class _Hit(NamedTuple):
    """A MOTD answer that is on its way: the canonical query, the body's bytes, whether the cap
    per circuit lets it be counted."""

    query: str
    size: int
    counted: bool


class Held:
    """A connection, and what became of its answers: taken whole by the peer, or not.

    Whether the peer took all of an answer is known when it asks for the next or closes in order,
    and the kernel has nothing left to send. Several answers are on their way only where requests
    came together (pipelining); they are settled together. A subclass sets what is declared here.
    """

    _service: Service
    _circuit: int | None
    """Of Tor, where it is known."""
    _hits: tuple[_Hit, ...]
    since: float
    """Since when (monotonic) the peer owes us a request, unless we owe it an answer."""
    _closing: bool
    """Whether the peer was told that nothing more comes."""

    @property
    def busy(self) -> bool:
        """Whether a request of it is being answered."""
        return False

    @property
    def idle(self) -> bool:
        """Whether it owes us a request, and we owe it nothing."""
        return not self.busy and self not in self._service.unsettled

    @property
    def _socket(self) -> socket.socket | None:
        """None where it is closed."""
        raise NotImplementedError

    def _left(self) -> int:
        """Bytes that the peer has not taken: ours and the kernel's."""
        raise NotImplementedError

    def end(self, complete: bool) -> None:
        """Settles and closes."""
        raise NotImplementedError

    def drop(self) -> None:
        """Ends it at once."""
        self.end(complete=not self._left())

    def expire(self, now: float) -> None:
        """Ends it where it owes us a request for too long."""
        if self.idle and now - self.since >= self._service.limits.idle:
            self.end(complete=True)

    def check(self, now: float) -> None:
        """Settles or ends an answer that the peer has taken, or not taken in time."""
        since = self._service.unsettled.get(self, now)
        sock = self._socket
        if now - since < _SETTLE_AFTER or sock is None:
            return
        failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed or now - since >= self._service.limits.write:
            self.end(complete=False)
        elif not self._left():
            self.settle(complete=True)
            if self._closing:
                self.end(complete=True)

    def expect(self, query: str, size: int) -> None:
        """An answer is on its way; whether it arrives is settled later."""
        if len(self._hits) >= _MOST_WAITING:
            self.settle(complete=False)
        self._hits += (_Hit(query, size, self._service.counts(self._circuit)),)
        self._service.answered(self)

    def settle(self, complete: bool) -> None:
        """The answers on their way have been taken whole (or never will be)."""
        if not self._hits:
            return
        hits, self._hits = self._hits, ()
        self._service.unsettled.pop(self, None)
        for hit in hits:
            self._service.record(hit.query, hit.size, complete, hit.counted)


def unsent(descriptor: int) -> int:
    """Bytes that the peer has not taken from the kernel (SIOCOUTQ, tcp(7), unix(7)); 1 if that
    cannot be told any more."""
    count = bytearray(4)
    try:
        fcntl.ioctl(descriptor, termios.TIOCOUTQ, count)
    except OSError:
        return 1
    return int.from_bytes(count, sys.byteorder)


class Service:
    """One per process; used from its event loop alone."""

    def __init__(
        self,
        document: ServedMotd,
        hosts: Hosts,
        log: DayLog,
        clock: Clock,
        limits: Limits,
        counters: Counters,
        spool: DayLog | None = None,
    ) -> None:
        """``spool``: where posted reports are kept; without one none is taken."""
        self.hosts = hosts
        self._log = log
        self.clock = clock
        self.limits = limits
        self.counters = counters
        self._circuits = CircuitCap(limits.hits_per_circuit)
        self._judged: dict[bytes, Shape] = {}
        self._posted: dict[bytes, Posted] = {}
        self._spool = spool
        self._open: OrderedDict[Held, None] = OrderedDict()
        self.unsettled: dict[Held, float] = {}
        """Connections whose answer the peer may not have taken yet, and since when (monotonic)."""
        self.ending = False
        """Whether the process is about to end: then every answer says that it is the last."""
        self._newest: set[str] = set()
        """Releases that product.toml did not list when a document called them the newest. They stay
        known while we run: those who have one go on asking when there is a newer."""
        self.show(document)

    def show(self, document: ServedMotd) -> None:
        """From now on everybody gets this document, and its product's values are known."""
        self.document = document
        if document.unlisted:
            self._newest.add(document.unlisted)
        self._allow = AllowList.of(document.product).also(self._newest)
        self._log.declare(self._newest.difference(document.product.releases))
        self._judged.clear()
        self._keep = render(document.body, close=False)
        self._close = render(document.body, close=True)

    def allow_hosts(self, hosts: Hosts) -> None:
        if hosts != self.hosts:
            self.hosts = hosts
            self._judged.clear()
            self._posted.clear()

    def judge(self, data: bytes) -> Shape | None:
        """``data`` if it is a request of the golden shape for one of our hosts, its query as the
        log writes it.

        Only judgements of queries that clients send are remembered.
        """
        asked = self._judged.get(data)
        if asked is None:
            shape = golden(data)
            if shape is None or not self.hosts.admits(shape.host):
                return None
            asked = shape._replace(query=self.canonical(shape.query))
            clean = not shape.query or asked.query == f"?{shape.query}"
            if clean:
                if len(self._judged) >= _CACHED:
                    self._judged.clear()
                self._judged[data] = asked
        return asked

    @property
    def takes_reports(self) -> bool:
        """Whether there is an intake."""
        return self._spool is not None

    def posting(self, data: bytes) -> Posted | None:
        """The head with which ``data`` begins, if it is that of a report, of the golden shape, for
        one of our hosts; its body may not be whole yet."""
        head = head_of_post(data) if self._spool else b""
        found = self._posted.get(head)
        if found is None and head:
            found = posted(head)
            if found is None or not self.hosts.admits(found.host):
                return None
            if len(self._posted) >= _CACHED:
                self._posted.clear()
            self._posted[head] = found
        return found

    def take(self, connection: Held, body: bytes) -> bool:
        """Keeps a posted report as it is, never looked into, unless its circuit has brought enough;
        False where the disk refuses it."""
        if connection in self._open:
            self._open.move_to_end(connection)
        if not self.counts(connection._circuit):
            self.counters.add("reports_capped")
            return True
        kept = self._spool is not None and self._spool.add(body)
        self.counters.add("reports_taken" if kept else "reports_lost")
        return kept

    def bytes_for(self, close: bool) -> bytes:
        return self._close if close else self._keep

    def canonical(self, query: str) -> str:
        """The query as the log writes it."""
        return self._allow.canonical(query)

    def counts(self, circuit: int | None) -> bool:
        """Whether one more answer or report on this circuit counts; without a circuit it does."""
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
        """Counts a new connection; at the cap another one has to go."""
        self._open[connection] = None
        if len(self._open) <= self.limits.connections:
            return
        self.counters.add("evicted")
        oldest = self._to_go()
        del self._open[oldest]
        oldest.drop()

    def _to_go(self) -> Held:
        """Of those without activity for longest the first that is idle; where they all wait for
        their peer to take an answer, the one that has waited longest. Never the newest: behind
        tor an honest peer takes its answer at once.
        """
        look = list(islice(self._open, min(_EVICTION_LOOK, len(self._open) - 1)))
        return next((held for held in look if held.idle), look[0])

    def replace(self, connection: Held, other: Held) -> None:
        """From here on ``other`` stands for the same socket."""
        self.closed(connection)
        self._open[other] = None

    def answered(self, connection: Held) -> None:
        """An answer of the connection is on its way to the peer."""
        self.unsettled[connection] = self.clock.monotonic()
        if connection in self._open:
            self._open.move_to_end(connection)

    def closed(self, connection: Held) -> None:
        self._open.pop(connection, None)
        self.unsettled.pop(connection, None)

    def check(self) -> None:
        """Many times a second: settles what needs no event of the peer."""
        now = self.clock.monotonic()
        for connection in list(self.unsettled):
            connection.check(now)

    def expire(self) -> None:
        """About once a second: ends connections that send nothing."""
        now = self.clock.monotonic()
        for connection in list(self._open):
            connection.expire(now)

    @property
    def connections(self) -> list[Held]:
        return list(self._open)
