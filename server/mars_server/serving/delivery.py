"""What became of an answer: taken whole by the peer, or not. Both kinds of connection keep it."""

from __future__ import annotations

import fcntl
import sys
import termios
from typing import NamedTuple, Protocol

from mars_server.serving.service import Held, Service

SETTLE_AFTER = 0.02
"""Seconds an answer waits for an event of the peer before the kernel is asked."""

MOST_WAITING = 100
"""Answers on one connection that the kernel still holds some of. A peer that asks faster than it
reads would otherwise let us remember more and more of them; no client of ours does."""


class Hit(NamedTuple):
    """A MOTD answer that is on its way: the canonical query, the body's bytes, whether the cap
    per circuit lets it be counted."""

    query: str
    size: int
    counted: bool


class Holder(Held, Protocol):
    """A connection with an account."""

    _service: Service
    _circuit: int | None
    _hits: tuple[Hit, ...]

    def settle(self, complete: bool) -> None: ...


class Account:
    """A mix-in for a ``Holder``. Several answers are on their way only where requests came
    together (pipelining); they are settled together.

    Whether the peer took all of an answer is known when it asks for the next or closes in order,
    and the kernel has nothing left to send.
    """

    __slots__ = ()

    _hits: tuple[Hit, ...]

    def expect(self: Holder, query: str, size: int) -> None:
        """An answer is on its way; whether it arrives is settled later."""
        service = self._service
        if len(self._hits) >= MOST_WAITING:
            self.settle(complete=False)
        self._hits += (Hit(query, size, service.counts(self._circuit)),)
        service.answered(self)

    def settle(self: Holder, complete: bool) -> None:
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
