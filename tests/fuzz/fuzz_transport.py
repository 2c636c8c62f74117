"""Coverage-guided fuzzing of what a server or a proxy may answer, by atheris (libFuzzer).

Takes libFuzzer's options, such as ``-max_total_time=60``; ``make fuzz`` runs it. The answer lies
ready in one end of a socket pair, so the fetch reads it without any network. The first octet
chooses between the SOCKS handshake, the HTTP answer and the URL's grammar.
"""

from __future__ import annotations

import contextlib
import socket
import sys

import atheris

with atheris.instrument_imports(include=["mars.adapters", "mars.wire", "http.client"]):
    from mars.adapters import http, socks
    from mars.adapters.deadline import Deadline
    from mars.adapters.system import SystemChance, SystemClock
    from mars.errors import TransportError
    from mars.ports import Request
    from mars.wire.request import HTTPRequest
    from mars.wire.url import Location, parse_url

URL = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/motd/motd.json"
CLOCK, CHANCE = SystemClock(), SystemChance()
PATIENCE = 5.0
"""Seconds; everything is there from the start, so nothing may take them."""


@contextlib.contextmanager
def answering(data: bytes):  # type: ignore[no-untyped-def]
    """A connected socket with ``data`` to be read from it, then its end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield ours


def handshake(data: bytes) -> None:
    with answering(data) as sock, Deadline(PATIENCE, CLOCK) as deadline:
        with contextlib.suppress(TransportError), socks.closed_on_error(sock):
            socks._authenticate(sock, CHANCE)
            socks._ask_for(sock, "news.example", 80)
        assert not deadline.expired


def answer(data: bytes) -> None:
    def connect(location: Location, deadline: Deadline) -> socket.socket:
        deadline.watch(sock)
        return socket.socket(fileno=sock.detach())

    with answering(data) as sock:
        request = Request(HTTPRequest.get(URL), PATIENCE)
        try:
            response = http.fetch_by(request, parse_url(URL), connect, CLOCK, "fuzz")
        except TransportError as error:
            assert error.reason != "timeout", data
        else:
            assert response.status == 200
            assert len(response.body) <= request.limit


def grammar(data: bytes) -> None:
    with contextlib.suppress(TransportError):
        location = parse_url(data.decode("utf-8", "surrogateescape"))
        assert parse_url(location.url) == location
        assert location.url.isascii()
        assert location.url.isprintable()


READERS = (handshake, answer, grammar)


def one(data: bytes) -> None:
    if data:
        READERS[data[0] % len(READERS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
