"""One connection on the short cut: a bare socket, until its peer sends anything unusual.

A complete GET of the golden shape is answered here. Every other byte sequence, partial reads
included, hands the whole connection over to aiohttp. The peer sees no difference.
"""

from __future__ import annotations

import select
import socket
from typing import Protocol

from mars_server.serving import proxyline
from mars_server.serving.delivery import SETTLE_AFTER, Account, Hit, unsent
from mars_server.serving.service import Service

READ = 4096
"""Bytes read at once; a request of the golden shape is shorter."""


class Front(Protocol):
    """What a raw connection asks of the place that it came through."""

    def watch(self, connection: RawConnection, events: int) -> None:
        """Calls ``ready`` when the socket has these epoll events; 0: no more."""
        ...

    def hand_over(self, connection: RawConnection, data: bytes) -> None:
        """From here on aiohttp has the socket, and ``data`` as its first bytes."""
        ...

    def forget(self, connection: RawConnection) -> None:
        """The socket is about to be closed."""
        ...


class RawConnection(Account):
    """``sock`` is non-blocking. ``proxied``: a PROXY line may stand before the first request."""

    __slots__ = (
        "_circuit",
        "_closing",
        "_front",
        "_head",
        "_hits",
        "_rest",
        "_service",
        "descriptor",
        "since",
        "sock",
        "watched",
    )

    busy = False
    """Whether a request is in a handler's hands; here an answer follows at once."""

    def __init__(self, sock: socket.socket, front: Front, service: Service, proxied: bool) -> None:
        self.sock = sock
        self.descriptor = sock.fileno()
        self.since = service.clock.monotonic()
        """Since when the peer owes us a request."""
        self.watched = 0
        self._front = front
        self._service = service
        self._head: bytes | None = b"" if proxied else None
        self._circuit: int | None = None
        self._hits: tuple[Hit, ...] = ()
        self._rest = memoryview(b"")
        self._closing = False

    @property
    def circuit(self) -> int | None:
        return self._circuit

    def ready(self) -> None:
        """The socket has something for us, or takes more of an answer that was too long for it."""
        if self._rest:
            self._send(self._rest, self._closing)
        else:
            self.read()

    def read(self) -> None:
        try:
            data = self.sock.recv(READ)
        except BlockingIOError:
            self._front.watch(self, select.EPOLLIN)
        except OSError:
            self.close(complete=False)
        else:
            if data:
                self._received(data)
            else:
                self._ended()

    def _received(self, data: bytes) -> None:
        if not self._closing:
            if self._head is not None:
                data = self._after_proxy_line(self._head + data)
            if data:
                if self._hits and not unsent(self.descriptor):
                    self.settle(complete=True)
                self._answer(data)
                return
        self._front.watch(self, select.EPOLLIN)

    def _after_proxy_line(self, data: bytes) -> bytes:
        whole = proxyline.complete(data)
        if whole is None:
            self._head = data
            return b""
        self._head = None
        if whole:
            self._circuit, data = proxyline.strip(data)
        return data

    def _answer(self, data: bytes) -> None:
        service = self._service
        asked = service.judge(data)
        if asked is None:
            self.settle(complete=False)  # who asks again without reading has taken nothing
            self._front.hand_over(self, data)
            return
        close = asked.close or service.ending
        self.expect(asked.query, len(service.document.body))
        self.since = service.unsettled[self]
        self._send(service.bytes_for(close), close)

    def _send(self, answer: bytes | memoryview, close: bool) -> None:
        """Sends what the socket takes now; the rest when it is ready for more."""
        self._closing = close
        try:
            sent = self.sock.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close(complete=False)
            return
        self._rest = memoryview(answer)[sent:] if sent < len(answer) else _NOTHING
        if self._rest:
            self._front.watch(self, select.EPOLLOUT)
        elif not close or self._finish():
            self._front.watch(self, select.EPOLLIN)

    def _finish(self) -> bool:
        """Tells the peer that nothing more comes; its own end then tells us that it has all."""
        self._closing = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close(complete=False)
            return False
        return True

    def _ended(self) -> None:
        """The peer has closed its half, or all: it will ask for nothing more."""
        if not self._hits or not unsent(self.descriptor):
            self.close(complete=True)
        elif self._closing or self._finish():
            self._front.watch(self, 0)  # ``check`` looks after it

    def check(self, now: float) -> None:
        since = self._service.unsettled.get(self, now)
        if now - since < SETTLE_AFTER:
            return
        failed = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed or now - since >= self._service.limits.write:
            self.close(complete=False)
        elif not self._rest and not unsent(self.descriptor):
            self.settle(complete=True)
            if self._closing:
                self.close(complete=True)

    def expire(self, now: float) -> None:
        if not self._hits and now - self.since >= self._service.limits.idle:
            self.close(complete=True)

    def drop(self) -> None:
        self.close(complete=not self._rest and not unsent(self.descriptor))

    def close(self, complete: bool) -> None:
        """Ends it; ``complete``: whether the peer took the answer on its way, if there is one."""
        self.settle(complete)
        self._service.closed(self)
        self._front.forget(self)
        self.sock.close()


_NOTHING = memoryview(b"")
