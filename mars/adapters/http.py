"""One request over one fresh circuit and connection. The one home of requests, imported when used.

requests and urllib3 do TLS and read the answer; the connection below them is ours. There is no
session, so no cookie, redirect, netrc, environment proxy, retry or decoding exists that would
have to be switched off, and the request leaves only if it is, byte for byte, the one of
``Request.message``.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mars.adapters.deadline import Deadline, late
from mars.adapters.socks import Proxy, dial
from mars.errors import TransportError, not_golden
from mars.ports import Chance, Clock, Request, Response
from mars.wire.request import HTTPRequest
from mars.wire.url import Location, parse_url

HEADER_LIMIT = 8 * 1024
"""Bytes of all header fields, nginx's own limit; http.client stops at 100 fields of 64 KiB."""

Dial = Callable[[Location, Deadline], socket.socket]
Answer = urllib3.BaseHTTPResponse
_FAULTS = (OSError, http.client.HTTPException, ValueError, urllib3.exceptions.HTTPError)
"""What those below us raise of a broken connection or a bad answer; what requests raises is an
``OSError``."""
_BROKEN_OFF = (ConnectionError, http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)


class TorFetcher:
    """``mars.ports.Fetcher`` through Tor's SocksPort, never any other way."""

    def __init__(self, proxy: Proxy, clock: Clock, chance: Chance) -> None:
        self._proxy = proxy
        self._clock = clock
        self._chance = chance

    def fetch(self, request: Request) -> Response:
        location = parse_url(request.message.url)
        return fetch_by(request, location, self._dial, self._clock, f"tor {self._proxy}")

    def _dial(self, location: Location, deadline: Deadline) -> socket.socket:
        return dial(self._proxy, location.host, location.port, self._chance, deadline)


class DirectFetcher:
    """The plain document over HTTPS without Tor, for a user who has explicitly allowed it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError`` (``direct-refused``) for onion, http, any query string and
        any body."""
        location = parse_url(request.message.url)
        if not location.may_go_directly or request.message.body is not None:
            raise TransportError(
                "direct-refused",
                "Without Tor only the plain message over https is fetched; start Tor.",
            )
        return fetch_by(request, location, _dial_directly, self._clock, "direct")


def _dial_directly(location: Location, deadline: Deadline) -> socket.socket:
    with contextlib.suppress(OSError):
        places = socket.getaddrinfo(location.host, location.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in places:
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                sock = stack.enter_context(socket.socket(family, kind, protocol))
                sock.settimeout(deadline.remaining())
                sock.connect(address)
                deadline.watch(sock)
                stack.pop_all()
                return sock
    raise TransportError(
        "host-unreachable", "The server cannot be reached; check that you are online."
    )


def fetch_by(
    request: Request, location: Location, connect: Dial, clock: Clock, route: str
) -> Response:
    """The exchange itself, over whatever ``connect`` dials. Raises ``TransportError``."""
    with Deadline(request.deadline, clock) as deadline:
        connected = partial(connect, location, deadline)
        leaving = partial(_leave, request, route)
        with _sent(request.message, deadline.remaining(), connected, leaving) as answer:
            _check_head(answer, request)
            body = _read(answer, request.limit)
    return Response(answer.status, body, route)


def _leave(request: Request, route: str) -> None:
    if request.leaving is not None:
        request.leaving(request.message, route)


def _check_head(answer: Answer, request: Request) -> None:
    fields = list(answer.headers.items())
    if sum(len(name) + len(value) + 4 for name, value in fields) > HEADER_LIMIT:
        raise http.client.HTTPException("header fields without end")
    if 300 <= answer.status < 400 and request.expect is not None:
        raise TransportError(
            "redirect",
            "The server points elsewhere, and redirects are never followed; check the address, or "
            "ask the application's developers for the present one.",
        )
    if request.expect is not None and answer.status not in request.expect:
        raise TransportError(
            "http-status",
            f"The server answered {_asked(request)} with HTTP status {answer.status}; check the "
            "address or wait for the next attempt.",
        )
    for name, value in fields:
        lower = name.lower()
        if lower == "content-encoding":
            raise TransportError(
                "encoded",
                "The server compressed its answer against the request; check the address, and tell "
                "whoever runs the server.",
            )
        # int() refuses thousands of digits; then http.client takes a torn answer for a whole one.
        if lower == "content-length" and not re.fullmatch("[0-9]{1,19}", value):
            raise http.client.HTTPException("no length")


def _asked(request: Request) -> str:
    """Method and path, without what was said in the query."""
    path = parse_url(request.message.url).target.partition("?")[0]
    return f"{request.message.method} {path}"


def _read(answer: Answer, limit: int) -> bytes:
    parts: list[bytes] = []
    left = limit + 1
    while left and (data := answer.read(left, decode_content=False)):
        parts.append(data)
        left -= len(data)
    if not left:
        raise TransportError(
            "too-large",
            f"The answer is larger than {limit} bytes, so it is no news and was not read further; "
            "check the address.",
        )
    return b"".join(parts)


_exchanging = threading.local()


def _is_foreign(record: logging.LogRecord) -> bool:  # noqa: ARG001 - logging's signature
    return not getattr(_exchanging, "now", False)


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.response"):
    # The host application's log is no place for what was fetched: our own journal is.
    logging.getLogger(_name).addFilter(_is_foreign)


class _StrictResponse(http.client.HTTPResponse):
    """Refuses header fields that http.client's lenient mail parser would have passed over."""

    def begin(self) -> None:
        super().begin()
        if self.msg.defects:
            raise http.client.HTTPException("defective header")


class OneWayAdapter(HTTPAdapter):
    """Every pool it can make dials by ``connect``, so no other kind of connection exists."""

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        golden: bytes,
        leaving: Callable[[], None],
    ) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._pools = _pools(connect, golden, leaving)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        if type(pool) not in self._pools.values():
            raise TransportError(
                "not-isolated",
                "The request would not have gone through Tor, so it was not sent; report this "
                "mistake of ours.",
            )
        return pool


def _pools(
    connect: Callable[[], socket.socket], golden: bytes, leaving: Callable[[], None]
) -> dict[str, type[HTTPConnectionPool]]:
    written = bytearray()

    class Ours:
        """Dials our way, and lets the golden bytes out once all of them and no others are there."""

        response_class: Any = _StrictResponse

        def _new_conn(self) -> socket.socket:
            return connect()

        def send(self, data: Any) -> None:
            written.extend(data)

        def getresponse(self) -> Any:
            """The request is written to its end; only now is it sent, and only once."""
            if not golden or written != golden:
                raise not_golden()
            if self.sock is None:  # type: ignore[attr-defined]
                self.connect()  # type: ignore[attr-defined]
            leaving()
            with contextlib.suppress(ConnectionError):  # the answer may lie there all the same
                self.sock.sendall(golden)  # type: ignore[attr-defined]
            return super().getresponse()  # type: ignore[misc]

    class Plain(Ours, HTTPConnection):
        pass

    class Tls(Ours, HTTPSConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **{**kwargs, "ssl_context": _tls_context()})

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _tls_context() -> ssl.SSLContext:
    """As urllib3 makes it, but deaf to SSLKEYLOGFILE, by which others could read along.

    The roots are added by requests: certifi's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.hostname_checks_common_name = False
    return context


@contextlib.contextmanager
def _sent(
    message: HTTPRequest,
    timeout: float,
    connect: Callable[[], socket.socket],
    leaving: Callable[[], None],
) -> Iterator[Answer]:
    """Sends one request and gives the answer to read, nothing decoded; it is closed at the end.

    ``timeout`` is in seconds and counts anew for each receive. ``leaving`` is called just before
    the first byte, after TCP, SOCKS and TLS; nothing goes where it raises. Raises what these two
    raise (``MarsError``), and ``TransportError`` for all that goes wrong with the answer.
    """
    adapter = OneWayAdapter(connect, message.golden, leaving)
    response = None
    _exchanging.now = True
    try:
        response = adapter.send(prepare(message), stream=True, timeout=timeout, proxies={})
        yield response.raw
    except _FAULTS as error:
        raise _explained(error) from None
    finally:
        _exchanging.now = False
        if response is not None:
            response.raw.close()
        adapter.close()


def prepare(message: HTTPRequest) -> requests.PreparedRequest:
    """By the request itself, not by a session: that one would add cookies, netrc and defaults."""
    prepared = requests.Request(message.method, message.url, headers=dict(message.fields)).prepare()
    prepared.body = message.body  # past prepare_body, which describes it once more
    return prepared


def _explained(error: BaseException) -> TransportError:
    """The reason behind what requests, urllib3 or http.client raised."""
    found = list(_causes(error))
    if any(isinstance(item, requests.exceptions.SSLError) for item in found):
        return TransportError(
            "tls", "The server's certificate is not valid for its name; do not go on."
        )
    if any(isinstance(item, requests.Timeout | TimeoutError) for item in found):
        return late()
    if any(isinstance(item, _BROKEN_OFF) for item in found):
        return TransportError(
            "incomplete", "The connection broke off before the answer was complete; try again."
        )
    return TransportError("bad-answer", "The server's answer is not proper HTTP; try again later.")


def _causes(error: object) -> Iterator[object]:
    """``error`` and all that it wraps, however requests and urllib3 nest it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        waiting += [*item.args, getattr(item, "reason", None), item.__context__, item.__cause__]
