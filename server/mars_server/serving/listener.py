"""Where connections come in: one listening socket, one epoll for all that is on the short cut.

asyncio's transports, and aiohttp's handler with its parser, task and timer, cost several times as
much as the answer. Most clients send one small request of the golden shape and nothing else; they
never get that far (docs/adr/0013).
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

from aiohttp import web

from mars_server.serving import proxyline
from mars_server.serving.aiohttp_connection import AiohttpConnection
from mars_server.serving.fast_request import Posted, refusal, taken
from mars_server.serving.service import Held, Service, unsent

_ACCEPT_AT_ONCE = 32
"""Connections taken in one turn of the event loop. Half of ``limits.FILES_KEPT_FREE``: those that
make room for them are closed one turn later."""
_READ = 4096
"""Bytes read at once; a request of the golden shape is shorter."""
_EVENTS_AT_ONCE = 256
"""Sockets looked at in one turn."""
PAUSE = 1.0
"""Seconds without accepting when the system has no descriptor or memory left."""
_RAISE = "if this lasts, allow more descriptors (LimitNOFILE) or memory (MemoryMax)"
_NOTHING = memoryview(b"")
_TAKEN, _LAST_TAKEN = taken(close=False), taken(close=True)
_TOO_LATE, _NO_ROOM = 408, 503
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Listens on ``sock`` from ``open`` to ``close``; used from one event loop alone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        service: Service,
        manager: web.Server,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._service = service
        self._manager = manager
        self._proxied = sock.family == socket.AF_UNIX
        self._epoll = select.epoll()
        self._held: dict[int, FastConnection] = {}
        self._moving: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        if not self._proxied:  # accepted sockets inherit it
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.add_reader(self._epoll.fileno(), self._turn)
        self._epoll.register(self._sock, select.EPOLLIN)

    def _listen(self, events: int = select.EPOLLIN) -> None:
        """Never registers anew: where the system has no memory left, that could fail for good."""
        if self._sock.fileno() >= 0:
            self._epoll.modify(self._sock, events)

    async def close(self) -> None:
        """Takes no more connections; those that are open go on."""
        self._epoll.unregister(self._sock)  # other processes may hold it open
        self._sock.close()
        await asyncio.gather(*self._moving)

    async def end(self) -> None:
        """After ``close`` and when no connection is left."""
        await asyncio.gather(*self._moving)
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _turn(self) -> None:
        listener, waiting = self._sock.fileno(), False
        for descriptor, _events in self._epoll.poll(0, _EVENTS_AT_ONCE):
            if descriptor == listener:
                waiting = True
            elif (connection := self._held.get(descriptor)) is not None:
                self._guarded(connection, connection.ready)
        # Last, and all before the first is read: otherwise one that is answered and comes back
        # at once would be served again and again while ends of answers wait to be written down.
        if waiting:
            for connection in list(self._accepted()):
                self._guarded(connection, connection.read)

    def _guarded(self, connection: FastConnection, step: Callable[[], None]) -> None:
        """A fault in one connection ends that one, and is told, without what was sent."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            self._loop.call_exception_handler({"message": "", "exception": error})
            connection.end(complete=False)

    def _accepted(self) -> Iterator[FastConnection]:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, _address = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    told = f"no new connection can be taken for now: {error.strerror}; {_RAISE}"
                    self._loop.call_exception_handler({"message": "", "told": told})
                    self._listen(0)
                    self._loop.call_later(PAUSE, self._listen)
                return  # else one that was gone before we took it
            sock.setblocking(False)
            connection = FastConnection(sock, self, self._service, self._proxied)
            self._held[connection.descriptor] = connection
            self._service.opened(connection)
            yield connection

    # -- what a connection asks for

    def watch(self, connection: FastConnection, events: int) -> None:
        """Calls ``ready`` when the socket has these epoll events; 0: no more."""
        if events == connection.watched:
            return
        if not connection.watched:
            self._epoll.register(connection.descriptor, events)
        elif events:
            self._epoll.modify(connection.descriptor, events)
        else:
            self._epoll.unregister(connection.descriptor)
        connection.watched = events

    def forget(self, connection: FastConnection) -> None:
        """The socket is about to be closed, or is another's."""
        if self._held.get(connection.descriptor) is connection:
            del self._held[connection.descriptor]
        if connection.watched:
            # A program that is just being started may hold the descriptor for a moment longer.
            with suppress(OSError):
                self._epoll.unregister(connection.descriptor)
            connection.watched = 0

    def hand_over(self, connection: FastConnection, data: bytes) -> None:
        """From here on aiohttp has the socket, and ``data`` as its first bytes."""
        self.forget(connection)
        adopted = AiohttpConnection(
            self._manager, self._loop, self._service, data, connection._circuit, connection.since
        )
        self._service.replace(connection, adopted)
        task = self._loop.create_task(self._move(connection.sock, adopted))
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _move(self, sock: socket.socket, adopted: AiohttpConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: adopted, sock)
        except OSError:
            self._service.closed(adopted)
            sock.close()


class FastConnection(Held):
    """A bare socket, until its peer sends anything unusual. A complete GET of the golden shape is
    answered here, and a report, whose body Tor brings in pieces; every other byte sequence, partial
    reads included, hands the whole connection over to aiohttp. The peer sees no difference.

    ``sock`` is non-blocking. ``proxied``: a PROXY line may stand before the first request.
    """

    def __init__(
        self, sock: socket.socket, listener: Listener, service: Service, proxied: bool
    ) -> None:
        self.sock = sock
        self.descriptor = sock.fileno()
        self.since = service.clock.monotonic()
        self.watched = 0
        self._listener = listener
        self._service = service
        self._head: bytes | None = b"" if proxied else None
        self._circuit = None
        self._hits = ()
        self._rest = memoryview(b"")
        self._report = b""
        """A report that is not whole yet, with its head; ``since`` then is when it began."""
        self._closing = False

    @property
    def busy(self) -> bool:
        return bool(self._report)

    def expire(self, now: float) -> None:
        limits = self._service.limits
        if self._report and now - self.since >= limits.request:
            self._service.counters.add("refused")
            self._respond(refusal(_TOO_LATE, close=True), close=True)
        else:
            super().expire(now)

    def ready(self) -> None:
        """The socket has something for us, or takes more of an answer that was too long for it."""
        if self._rest:
            self._send(self._rest, self._closing)
        else:
            self.read()

    def read(self) -> None:
        try:
            data = self.sock.recv(_READ)
        except BlockingIOError:
            self._listener.watch(self, select.EPOLLIN)
        except OSError:
            self.end(complete=False)
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
                if self._hits and not self._left():
                    self.settle(complete=True)
                self._answer(data)
                return
        self._listener.watch(self, select.EPOLLIN)

    def _after_proxy_line(self, data: bytes) -> bytes:
        found = proxyline.strip(data)
        if found is None:
            self._head = data
            return b""
        self._head = None
        self._circuit, data = found
        return data

    def _answer(self, data: bytes) -> None:
        service, data = self._service, self._report + data
        report = service.posting(data)
        if report is not None and not self._hits and len(data) <= report.head + report.size:
            self._take(data, report)
            return
        asked = service.judge(data)
        if asked is None:
            self.settle(complete=False)  # who asks again without reading has taken nothing
            self._listener.hand_over(self, data)
            return
        close = asked.close or service.ending
        self.expect(asked.query, len(service.document.body))
        self.since = service.unsettled[self]
        self._send(service.bytes_for(close), close)

    def _take(self, data: bytes, report: Posted) -> None:
        service = self._service
        if len(data) < report.head + report.size:
            if not self._report:
                self.since = service.clock.monotonic()
            self._report = data
            self._listener.watch(self, select.EPOLLIN)
            return
        close = report.close or service.ending
        if service.take(self, data[report.head :]):
            answer = _LAST_TAKEN if close else _TAKEN
        else:
            answer = refusal(_NO_ROOM, close)
        self._respond(answer, close)

    def _respond(self, answer: bytes, close: bool) -> None:
        """Of an answer that is not accounted for."""
        self._report = b""
        self.since = self._service.clock.monotonic()
        self._send(answer, close)

    def _send(self, answer: bytes | memoryview, close: bool) -> None:
        """Sends what the socket takes now; the rest when it is ready for more."""
        self._closing = close
        try:
            sent = self.sock.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.end(complete=False)
            return
        self._rest = memoryview(answer)[sent:] if sent < len(answer) else _NOTHING
        if self._rest:
            self._listener.watch(self, select.EPOLLOUT)
        elif not close or self._finish():
            self._listener.watch(self, select.EPOLLIN)

    def _finish(self) -> bool:
        """Tells the peer that nothing more comes; its own end then tells us that it has all."""
        self._closing = True
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.end(complete=False)
            return False
        return True

    def _ended(self) -> None:
        """The peer has closed its half, or all: it will ask for nothing more."""
        if not self._hits or not self._left():
            self.end(complete=True)
        elif self._closing or self._finish():
            self._listener.watch(self, 0)  # ``check`` looks after it

    @property
    def _socket(self) -> socket.socket:
        return self.sock

    def _left(self) -> int:
        return len(self._rest) or unsent(self.descriptor)

    def end(self, complete: bool) -> None:
        """``complete``: whether the peer took the answer on its way, if there is one."""
        self.settle(complete)
        self._service.closed(self)
        self._listener.forget(self)
        self.sock.close()
