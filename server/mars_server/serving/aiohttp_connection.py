"""One connection on the long way: aiohttp's request handler, with an account after it.

It gets what ``listener.FastConnection`` does not answer itself, from the first such byte on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import cast

from aiohttp import EMPTY_PAYLOAD, HttpVersion10, HttpVersion11, StreamReader, hdrs, web
from aiohttp.typedefs import Middleware
from aiohttp.web_protocol import RequestHandler

from mars.wire.query import INTAKE_PATH, KEYS_PATH, MOTD_PATH, REGISTRY_PATH, STATUS_PATH
from mars.wire.sealed import SIZES
from mars_server.serving.fast_request import FIELDS, NOT_STORED, WORDS_TYPE, words
from mars_server.serving.service import Held, Service, unsent

HIT = "mars-hit"
"""Key in a request: the canonical query of a MOTD answer that is to be logged."""

_SILENT = logging.getLogger("mars_server.silent")
"""For aiohttp, whose error log prints what clients sent."""
_SILENT.disabled = True

_HEAD_ENDS = b"\r\n\r\n"
_NO_HEAD = b"\0"
"""What no parser takes within a request's head, so that it is answered as malformed."""


class AiohttpConnection(Held, RequestHandler):
    """``first`` are bytes that the peer has sent already, over a Tor ``circuit`` if that is known;
    ``since`` is the monotonic time from which on a whole request head is awaited."""

    def __init__(
        self,
        manager: web.Server,
        loop: asyncio.AbstractEventLoop,
        service: Service,
        first: bytes,
        circuit: int | None,
        since: float,
    ) -> None:
        limits = service.limits
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=limits.idle,
            lingering_time=limits.linger,
            tcp_keepalive=False,
            logger=_SILENT,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes it
            max_line_size=limits.line,
            max_field_size=limits.line,
            max_headers=limits.headers,
            auto_decompress=False,
        )
        self._service = service
        self._circuit = circuit
        self._first = first
        self._unfed = b""
        self._body: StreamReader = EMPTY_PAYLOAD
        """Of the last request whose head has come."""
        self.since = since
        self._finished = 0
        self._head = 0
        self._hits = ()
        self._closing = False
        self._asked_all = False
        """Whether the peer has closed its half: it asks for nothing more."""
        self._peer: asyncio.Future[None] | None = None

    # -- events of the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._force_close:  # dropped before it had a transport
            transport.close()
            return
        first, self._first = self._first, b""
        self.data_received(first)

    def data_received(self, data: bytes) -> None:
        if data and not self._closing and not self._left():
            self.settle(complete=True)
        waiting, seen = self._waiter is not None, self._request_count
        self._feed(data)
        # aiohttp bounds the number of header fields and the size of each, but not their sum.
        self._head = self._head + len(data) if waiting and self._request_count == seen else 0
        if self._head > self._service.limits.head:
            self._head = 0
            super().data_received(_NO_HEAD)

    def _feed(self, data: bytes) -> None:
        """Head by head: aiohttp's parser drops what came before a fault in the same bytes. What is
        too much for its queue waits here; it then stops reading, and asks again for ``b""``."""
        data, start = self._unfed + data, 0
        while True:
            end = data.find(_HEAD_ENDS, start) + len(_HEAD_ENDS)
            end = end if end >= len(_HEAD_ENDS) else len(data)
            super().data_received(data[start:end])
            if self._messages:
                self._body = self._messages[-1][1]
            start = end
            if start == len(data) or len(self._messages) >= self._max_msg_queue_size:
                break
        self._unfed = data[start:]

    def eof_received(self) -> bool | None:  # type: ignore[override]
        if self.busy and not self._closing and not self._halfway:
            # aiohttp would close before it answers a peer that closes its half after asking.
            self._asked_all = True
            return True
        if self._hits and self._left():
            self._close = True  # as soon as the peer has taken what is on its way
            self._finish_writing()
            return True
        self.settle(complete=True)
        super().eof_received()
        return None

    def connection_lost(self, exc: BaseException | None) -> None:
        self.settle(complete=False)
        self._service.closed(self)
        super().connection_lost(exc)

    # -- the account

    def settle(self, complete: bool) -> None:
        super().settle(complete)
        if self._peer is not None and not self._peer.done():
            self._peer.set_result(None)

    def _finish_writing(self) -> None:
        """Tells the peer that nothing more comes; its own end then tells us that it has all."""
        self._closing = True
        if self.transport is not None and self.transport.can_write_eof():
            self.transport.write_eof()

    def _left(self) -> int:
        transport = self.transport
        if transport is None:
            return 1
        waiting = transport.get_write_buffer_size()
        if waiting:
            return waiting
        return unsent(transport.get_extra_info("socket").fileno())

    @property
    def _socket(self) -> socket.socket | None:
        found: socket.socket | None = None
        if self.transport is not None:
            found = self.transport.get_extra_info("socket")
        return found

    def end(self, complete: bool) -> None:
        self.settle(complete)
        transport = self.transport
        self.force_close()  # what the kernel has already still goes to the peer
        if transport is not None and not complete:
            transport.abort()

    @property
    def busy(self) -> bool:
        """Whether aiohttp has a request in hand, and not only the rest of its body."""
        return self._request_count > self._finished

    @property
    def _halfway(self) -> bool:
        """Whether the one request that is not answered has a body of which not all has come."""
        return self._request_count == self._finished + 1 and not self._body.is_eof()

    # -- the long way

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            self._service.counters.add("refused")
            # aiohttp's own may quote the request
            resp = uniform(resp.status, resp.headers.get(hdrs.ALLOW, ""))
        try:
            async with asyncio.timeout(self._service.limits.write):
                resp, reset = await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.drop()
            reset = True
        if (hit := request.get(HIT)) is not None:
            self.expect(hit, resp.content_length or 0)
        if self._asked_all and self._request_count == self._finished + 1:
            self._close = True  # aiohttp waits for no other request
        await self._account(reset, last=self._close or not resp.keep_alive)
        self._finished += 1
        self.since = self._service.clock.monotonic()
        return resp, reset

    async def _account(self, reset: bool, last: bool) -> None:
        """After the ``last`` answer waits until the peer has taken all that are to be logged."""
        if reset or self.transport is None:
            self.settle(complete=False)
        elif last and self._hits:
            self._finish_writing()
            if self._hits:
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
        return uniform(status, close=True)


# --- What the long way answers: the same few fields as the short cut, and uniform errors ---


class _Plain(web.Response):
    """A response without Date and Server."""

    async def _prepare_headers(self) -> None:
        await super()._prepare_headers()
        strip_headers(self)


def strip_headers(response: web.StreamResponse) -> None:
    """Takes out what would tell of the machine; aiohttp adds both to every response."""
    response.headers.pop(hdrs.DATE, None)
    response.headers.pop(hdrs.SERVER, None)


def motd(body: bytes) -> _Plain:
    return _Plain(body=body, headers=dict(FIELDS))


def uniform(status: int, allow: str = "", close: bool = False) -> _Plain:
    """The answer to everything that is not served: the status and its standard words.

    ``allow`` are the methods that a 405 has to name (RFC 9110 15.5.6); ``close``: it is the last.
    """
    fields = {hdrs.CONTENT_TYPE: WORDS_TYPE, **dict(NOT_STORED)}
    response = _Plain(status=status, body=words(status).encode("ascii"), headers=fields)
    if allow:
        response.headers[hdrs.ALLOW] = allow
    if close:
        response.force_close()
    return response


# --- The application: a fixed table of paths, nothing found by searching a disk ---


CHECK_PATH = "/motd/check.json"
"""The same bytes for whoever watches over the server; never logged, so that no count grows."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_VERSIONS = (HttpVersion10, HttpVersion11)
_READING = ("GET", "HEAD")


def application(service: Service, routes: Iterable[web.RouteDef] = ()) -> web.Application:
    """``routes``: those of the dashboard and of the intake, each at a fixed path."""
    app = web.Application(middlewares=[_guard(service)], client_max_size=service.limits.body)
    news = partial(_signed, service, lambda: service.document.body)
    app.router.add_route("*", MOTD_PATH, news(logged=True))
    app.router.add_route("*", CHECK_PATH, news())
    app.router.add_route("*", KEYS_PATH, _signed(service, lambda: service.document.chain))
    app.router.add_route("*", REGISTRY_PATH, _signed(service, lambda: service.document.registry))
    app.router.add_route("*", STATUS_PATH, _signed(service, lambda: service.document.status))
    if service.takes_reports:
        app.router.add_route("*", INTAKE_PATH, _intake(service))
    app.add_routes(list(routes))
    app.on_response_prepare.append(_anonymous)
    return app


def _signed(service: Service, body: Callable[[], bytes], logged: bool = False) -> Handler:
    """What ``body`` gives, 404 where that is nothing; a hit only where it is ``logged``."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method not in _READING:
            return uniform(405, "GET, HEAD")
        if logged and request.method == "GET":
            _, _, query = request.raw_path.partition("?")
            request[HIT] = service.canonical(query)
        found = body()
        return motd(found) if found else uniform(404)

    return answer


def _intake(service: Service) -> Handler:
    """Takes whatever has the right size. What it is, is not looked at here or anywhere near."""

    def refuse(status: int, allow: str = "") -> web.StreamResponse:
        service.counters.add("refused")
        service.counters.add("reports_refused")
        return uniform(status, allow, close=True)

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return refuse(405, "POST")
        if request.content_length is None:
            return refuse(411)
        if request.content_length not in SIZES:
            return refuse(413)
        body = await request.read()
        if not service.take(cast("Held", request.protocol), body):
            return uniform(503)
        return _Plain(status=204, headers=dict(NOT_STORED))

    return answer


async def _anonymous(_request: web.Request, response: web.StreamResponse) -> None:
    strip_headers(response)


def _guard(service: Service) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refusal(service, request)
        if refusal is not None:
            service.counters.add("refused")
            return uniform(refusal, close=True)
        try:
            async with asyncio.timeout(service.limits.request):
                return await handler(request)
        except TimeoutError:
            service.counters.add("refused")
            return uniform(408, close=True)

    return guard


def _refusal(service: Service, request: web.Request) -> int | None:
    """The status of a request that no route gets to see, or None."""
    host = request.headers.get(hdrs.HOST)  # two are refused by aiohttp's parser
    path = request.raw_path.partition("?")[0]
    if request._message.version not in _VERSIONS:
        request._version = HttpVersion11  # else aiohttp repeats theirs in the status line
        return 400
    if host is None and request.version == HttpVersion11:
        return 400
    if not service.hosts.admits(host or ""):
        return 404
    if not path.startswith("/") or path != request.path:
        return 404
    if hdrs.CONTENT_ENCODING in request.headers:
        return 415
    if (request.content_length or 0) > service.limits.body:
        return 413
    return None
