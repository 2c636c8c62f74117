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

from mars_server.serving.aiohttp_connection import Connection
from mars_server.serving.fast_connection import RawConnection
from mars_server.serving.service import Service

ACCEPT_AT_ONCE = 32
"""Connections taken in one turn of the event loop. Half of ``limits.FILES_KEPT_FREE``: those that
make room for them are closed one turn later."""
EVENTS_AT_ONCE = 256
"""Sockets looked at in one turn."""
PAUSE = 1.0
"""Seconds without accepting when the system has no descriptor or memory left."""
_RAISE = "if this lasts, allow more descriptors (LimitNOFILE) or memory (MemoryMax)"
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Adopt = Callable[[bytes, int | None, float], Connection]
"""Makes aiohttp's connection: its first bytes, the Tor circuit, since when it has been idle."""


class Front:
    """Listens on ``sock`` from ``open`` to ``close``; used from one event loop alone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        service: Service,
        adopt: Adopt,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._service = service
        self._adopt = adopt
        self._proxied = sock.family == socket.AF_UNIX
        self._epoll = select.epoll()
        self._raw: dict[int, RawConnection] = {}
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
        for descriptor, _events in self._epoll.poll(0, EVENTS_AT_ONCE):
            if descriptor == listener:
                waiting = True
            elif (connection := self._raw.get(descriptor)) is not None:
                self._guarded(connection, connection.ready)
        # Last, and all before the first is read: otherwise one that is answered and comes back
        # at once would be served again and again while ends of answers wait to be written down.
        if waiting:
            for connection in list(self._accepted()):
                self._guarded(connection, connection.read)

    def _guarded(self, connection: RawConnection, step: Callable[[], None]) -> None:
        """A fault in one connection ends that one, and is told, without what was sent."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            self._loop.call_exception_handler({"message": "", "exception": error})
            connection.close(complete=False)

    def _accepted(self) -> Iterator[RawConnection]:
        for _ in range(ACCEPT_AT_ONCE):
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
            connection = RawConnection(sock, self, self._service, self._proxied)
            self._raw[connection.descriptor] = connection
            self._service.opened(connection)
            yield connection

    # -- what a raw connection asks for

    def watch(self, connection: RawConnection, events: int) -> None:
        if events == connection.watched:
            return
        if not connection.watched:
            self._epoll.register(connection.descriptor, events)
        elif events:
            self._epoll.modify(connection.descriptor, events)
        else:
            self._epoll.unregister(connection.descriptor)
        connection.watched = events

    def forget(self, connection: RawConnection) -> None:
        if self._raw.get(connection.descriptor) is connection:
            del self._raw[connection.descriptor]
        if connection.watched:
            # A program that is just being started may hold the descriptor for a moment longer.
            with suppress(OSError):
                self._epoll.unregister(connection.descriptor)
            connection.watched = 0

    def hand_over(self, connection: RawConnection, data: bytes) -> None:
        self.forget(connection)
        adopted = self._adopt(data, connection.circuit, connection.since)
        self._service.replace(connection, adopted)
        task = self._loop.create_task(self._move(connection.sock, adopted))
        self._moving.add(task)
        task.add_done_callback(self._moving.discard)

    async def _move(self, sock: socket.socket, adopted: Connection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: adopted, sock)
        except OSError:
            self._service.closed(adopted)
            sock.close()
