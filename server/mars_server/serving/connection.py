"""One connection: aiohttp's request handler, with a short cut before it and an account after it.

The short cut answers a complete GET of the golden shape; every other byte sequence goes to
aiohttp's parser, and from then on the whole connection does. The account says for each answer
whether the peer took all of it: that is known when the next request comes, when the peer closes
in order, or when the kernel has nothing left to send.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import termios
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from mars_server.serving import proxyline
from mars_server.serving.responses import uniform
from mars_server.serving.service import Service

HIT = "mars-hit"
"""Key in a request: the canonical query of a MOTD answer that is to be logged."""
_SETTLE_AFTER = 0.02
"""Seconds an answer waits for an event of the peer before the kernel is asked."""


class Connection(RequestHandler):
    """Use as protocol factory: ``lambda: Connection(server, service, proxied, **limits)``."""

    __slots__ = (
        "_circuit",
        "_closing",
        "_counted",
        "_finished",
        "_head",
        "_hit",
        "_parsed",
        "_peer",
        "_service",
    )

    def __init__(
        self, manager: web.Server, service: Service, proxied: bool, **settings: Any
    ) -> None:
        """``proxied``: a PROXY line may stand before the first request (unix socket only)."""
        super().__init__(manager, **settings)
        self._service = service
        self._circuit: int | None = None
        self._head: bytes | None = b"" if proxied else None
        self._parsed = False
        self._finished = 0
        self._hit: tuple[str, int] | None = None
        self._counted = True
        self._closing = False
        self._peer: asyncio.Future[None] | None = None

    # -- events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._service.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            data = self._after_proxy_line(self._head + data)
            if self._head is not None:
                return
        if data and self._hit is not None and not self._closing:
            self._settle(complete=True)
        if not self._parsed and not self._shortcut(data):
            self._parsed = True
        if self._parsed:
            super().data_received(data)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        if self._hit is not None:
            if self._left():
                self._end_after_answer()
                return True
            self._settle(complete=True)
        elif self.busy:
            # aiohttp would close before it answers a peer that closes its half after asking.
            self._close = True
            return True
        super().eof_received()
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._hit is not None:
            self._settle(complete=False)
        self._service.closed(self)
        self._wake()
        super().connection_lost(exc)

    def _after_proxy_line(self, data: bytes) -> bytes:
        whole = proxyline.complete(data)
        if whole is None:
            self._head = data
            return b""
        self._head = None
        if whole:
            self._circuit, data = proxyline.strip(data)
        return data

    # -- the short cut

    def _shortcut(self, data: bytes) -> bool:
        """Answers ``data`` if it has the golden shape and aiohttp waits for a first byte."""
        waiter = self._waiter
        if waiter is None or waiter.done() or self._close or self._force_close:
            return not data
        shape = self._service.shape(data)
        transport = self.transport
        if shape is None or transport is None:
            return not data
        service = self._service
        transport.write(service.bytes_for(shape.close))
        self._expect(service.canonical(shape.query), len(service.document.body))
        if shape.close:
            self._close = True
            self._finish_writing(transport)
        else:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        return True

    # -- the account

    def _expect(self, query: str, size: int) -> None:
        """An answer is on its way; whether it arrives is settled later."""
        service = self._service
        self._hit = (query, size)
        self._counted = service.counts(self._circuit)
        service.unsettled[self] = service.clock.monotonic()
        service.active(self)

    def _settle(self, complete: bool) -> None:
        if self._hit is None:
            return
        query, size = self._hit
        self._hit = None
        self._service.unsettled.pop(self, None)
        self._service.record(query, size, complete, self._counted)
        self._wake()

    def _finish_writing(self, transport: asyncio.Transport) -> None:
        """Tells the peer that nothing more comes; its own end then tells us that it has all."""
        self._closing = True
        if transport.can_write_eof():
            transport.write_eof()

    def _end_after_answer(self) -> None:
        """The peer will ask for nothing more: closed once it has taken what is on its way."""
        self._close = True
        if self.transport is not None:
            self._finish_writing(self.transport)

    def _left(self) -> int:
        """Bytes that the peer has not taken: ours, and the kernel's (SIOCOUTQ, tcp(7), unix(7))."""
        transport = self.transport
        if transport is None:
            return 1
        waiting = transport.get_write_buffer_size()
        if waiting:
            return waiting
        count = array.array("i", [0])
        try:
            fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, count)
        except OSError:
            return 1
        return count[0]

    def check(self, now: float) -> None:
        since = self._service.unsettled.get(self, now)
        transport = self.transport
        if now - since < _SETTLE_AFTER or transport is None:
            return
        failed = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed or now - since >= self._service.limits.write:
            self._settle(complete=False)
            transport.abort()
        elif not self._left():
            self._settle(complete=True)
            if self._closing:
                transport.close()

    def drop(self) -> None:
        if self._hit is not None:
            self._settle(complete=not self._left())
        transport = self.transport
        self.force_close()  # what the kernel has already still goes to the peer
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()

    @property
    def busy(self) -> bool:
        """Whether aiohttp has a request in hand, and not only the rest of its body."""
        return self._request_count > self._finished

    def _wake(self) -> None:
        if self._peer is not None and not self._peer.done():
            self._peer.set_result(None)

    # -- the long way

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            async with asyncio.timeout(self._service.limits.write):
                resp, reset = await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.drop()
            reset = True
        hit = request.get(HIT)
        if hit is not None:
            await self._account(hit, resp, reset)
        self._finished += 1
        return resp, reset

    async def _account(self, query: str, resp: web.StreamResponse, reset: bool) -> None:
        transport = self.transport
        self._expect(query, resp.content_length or 0)
        if reset or transport is None:
            self._settle(complete=False)
        elif not resp.keep_alive or self._close:
            self._finish_writing(transport)
            if self._hit is not None:
                self._peer = self._loop.create_future()
                await self._peer

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,  # noqa: ARG002 - may quote the request
    ) -> web.StreamResponse:
        """One answer for each status, without a word of the request; nothing is logged."""
        self._service.counters.add("refused" if status < 500 else "errors")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response = uniform(status)
        response.force_close()
        return response
