"""One request over one fresh circuit and connection. The one home of requests, imported when used.

requests and urllib3 do TLS and read the answer; the connection below them is ours. There is no
session, so no cookie, redirect, netrc, environment proxy, retry or decoding exists that would
have to be switched off, and the request leaves only if it is, byte for byte, the one of
``Request.message``.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mars.adapters.deadline import Deadline
from mars.adapters.files import read_regular
from mars.adapters.socks import Proxy, dial
from mars.errors import TransportError
from mars.ports import Chance, Clock, Request, Response
from mars.wire.url import Location, parse_url

if TYPE_CHECKING:
    from mars.adapters.exchange import Answer

HEADER_LIMIT = 8 * 1024
"""Bytes of all header fields, nginx's own limit; http.client stops at 100 fields of 64 KiB."""

Dial = Callable[[Location, Deadline], socket.socket]


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
    try:
        places = socket.getaddrinfo(location.host, location.port, type=socket.SOCK_STREAM)
    except OSError:
        places = []
    for family, kind, protocol, _, address in places:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.remaining())
            sock.connect(address)
            deadline.watch(sock)
        except OSError:
            sock.close()
        except TransportError:
            sock.close()
            raise
        else:
            return sock
    raise TransportError(
        "host-unreachable", "The server cannot be reached; check that you are online."
    )


class FileFetcher:
    """``mars.ports.Fetcher`` on a regular file of this machine, by a ``file:`` URL: for tests, and
    for news that is carried on a disk. Opens no socket."""

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError``: ``url-invalid``, ``file-unreadable``, ``too-large``."""
        try:
            data = read_regular(_path(request.message.url), request.limit + 1)
        except OSError:
            raise TransportError(
                "file-unreadable", "The file cannot be read; check its path and rights."
            ) from None
        if len(data) > request.limit:
            raise TransportError(
                "too-large",
                f"The file is larger than {request.limit} bytes, so it is no news; check its path.",
            )
        return Response(200, data, "file")


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or "\0" in url:
        raise TransportError(
            "url-invalid", "This is not a file URL; write it like file:///folder/motd.json."
        )
    return Path(url2pathname(parts.path))


def fetch_by(
    request: Request, location: Location, connect: Dial, clock: Clock, route: str
) -> Response:
    """The exchange itself, over whatever ``connect`` dials. Raises ``TransportError``."""
    # Late, so that an application which never fetches never pays for requests.
    from mars.adapters import exchange

    with Deadline(request.deadline, clock) as deadline:
        try:
            with exchange.send(
                request.message,
                deadline.remaining(),
                lambda: connect(location, deadline),
                lambda: _leave(request, route),
            ) as answer:
                _check_head(answer, request)
                body = _read(answer, request.limit)
        except (OSError, http.client.HTTPException, ValueError, *exchange.ERRORS) as error:
            raise deadline.error() if deadline.expired else exchange.explain(error) from None
        except TransportError:
            if deadline.expired:
                raise deadline.error() from None
            raise
        deadline.remaining()
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
            f"The server answered with HTTP status {answer.status}; check the address or wait "
            "for the next attempt.",
        )
    for name, value in fields:
        lower = name.lower()
        if lower == "content-encoding":
            raise TransportError(
                "encoded",
                "The server compressed its answer against the request; check the address, and tell "
                "whoever runs the server.",
            )
        if lower == "content-length" and not (value.isascii() and value.isdigit()):
            raise http.client.HTTPException("no length")


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
