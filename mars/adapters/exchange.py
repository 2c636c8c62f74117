"""requests and urllib3, reduced to one exchange on a socket that we dial. See ``http.py``."""

from __future__ import annotations

import contextlib
import http.client
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mars.errors import TransportError, not_golden
from mars.wire.request import HTTPRequest

_exchanging = threading.local()


def _is_foreign(record: logging.LogRecord) -> bool:  # noqa: ARG001 - logging's signature
    return not getattr(_exchanging, "now", False)


for _name in ("urllib3.connection", "urllib3.connectionpool", "urllib3.response"):
    # The host application's log is no place for what was fetched: our own journal is.
    logging.getLogger(_name).addFilter(_is_foreign)

Answer = urllib3.BaseHTTPResponse
ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError)
_BROKEN_OFF = (ConnectionError, http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)


class _StrictResponse(http.client.HTTPResponse):
    """Refuses header fields that http.client's lenient mail parser would have passed over."""

    def begin(self) -> None:
        super().begin()
        if self.msg.defects:
            raise http.client.HTTPException("defective header")


def _nothing() -> None:
    """Nobody wants to know."""


class OneWayAdapter(HTTPAdapter):
    """Every pool it can make dials by ``connect``, so no other kind of connection exists."""

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        golden: bytes,
        leaving: Callable[[], None] = _nothing,
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
def send(
    message: HTTPRequest,
    timeout: float,
    connect: Callable[[], socket.socket],
    leaving: Callable[[], None] = _nothing,
) -> Iterator[Answer]:
    """Sends one request and gives the answer to read, nothing decoded; it is closed at the end.

    ``timeout`` is in seconds and counts anew for each receive. ``leaving`` is called just before
    the first byte, after TCP, SOCKS and TLS; nothing goes where it raises. Raises what these two
    raise (``MarsError``), and whatever requests raises: one of ``ERRORS``.
    """
    adapter = OneWayAdapter(connect, message.golden, leaving)
    response = None
    _exchanging.now = True
    try:
        response = adapter.send(prepare(message), stream=True, timeout=timeout, proxies={})
        yield response.raw
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


def explain(error: BaseException) -> TransportError:
    """The reason behind what requests, urllib3 or http.client raised."""
    found = list(_causes(error))
    if any(isinstance(item, requests.exceptions.SSLError) for item in found):
        return TransportError(
            "tls", "The server's certificate is not valid for its name; do not go on."
        )
    if any(isinstance(item, requests.Timeout | TimeoutError) for item in found):
        return TransportError(
            "timeout", "No complete answer came in time; the next attempt comes by itself."
        )
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
