"""A SOCKS5 server on loopback that records what a client sends and lets a handler answer.

It stands where Tor's SocksPort stands. A handler gets the socket after the login and the CONNECT
and may answer like any server, well or badly; ``forward`` passes everything on to a real one.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

HEADER_END = b"\r\n\r\n"


@dataclass
class Visit:
    """One connection as the proxy saw it."""

    methods: bytes = b""
    user: bytes = b""
    password: bytes = b""
    kind: int = 0
    """Type of the address asked for: 1 IPv4, 3 name, 4 IPv6 (RFC 1928)."""
    host: str = ""
    port: int = 0
    request: bytes = b""
    """What the client sent to the server, as far as the handler read it."""


Handler = Callable[[socket.socket, Visit], None]


class SocksServer(socketserver.ThreadingTCPServer):
    """Use as a context manager; ``address`` is ``127.0.0.1:PORT``.

    ``code`` other than 0 refuses every CONNECT with that reply; ``method`` is the login method it
    picks (2: user and password), ``greet`` replaces the whole conversation after the accept.
    With ``plain`` it is no proxy at all but the server itself, such as behind an onion service.
    """

    request_queue_size = 128

    def __init__(
        self,
        handler: Handler,
        code: int = 0,
        method: int = 2,
        login: int = 0,
        greet: Callable[[socket.socket], None] | None = None,
        plain: bool = False,
    ) -> None:
        self.handler, self.greet, self.plain = handler, greet, plain
        self.code, self.method, self.login = code, method, login
        self.visits: list[Visit] = []
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.server_close()  # joins the threads

    def process_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, _address: Any) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self.greet is not None:
                self.greet(request)
            elif (visit := self._handshake(request)) is not None:
                self.handler(request, visit)
            _hang_up(request)
        self._open.discard(request)

    def _handshake(self, sock: socket.socket) -> Visit | None:
        visit = Visit()
        self.visits.append(visit)
        if self.plain:
            return visit
        visit.methods = exactly(sock, exactly(sock, 2)[1])
        sock.sendall(bytes([5, self.method]))
        if self.method == 2:
            visit.user = exactly(sock, exactly(sock, 2)[1])
            visit.password = exactly(sock, exactly(sock, 1)[0])
            sock.sendall(bytes([1, self.login]))
        if self.method == 0xFF or self.login:
            return None
        visit.kind = exactly(sock, 4)[3]
        visit.host = _host(sock, visit.kind)
        visit.port = int.from_bytes(exactly(sock, 2), "big")
        sock.sendall(bytes([5, self.code, 0, 1, 0, 0, 0, 0, 0, 0]))
        return visit if self.code == 0 else None


def _host(sock: socket.socket, kind: int) -> str:
    if kind == 3:
        return exactly(sock, exactly(sock, 1)[0]).decode("ascii")
    family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
    return socket.inet_ntop(family, exactly(sock, size))


def _hang_up(sock: socket.socket) -> None:
    """Ends our side and waits for the other's end, so that no unread byte becomes a reset."""
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(1)
    while sock.recv(65536):
        pass


def exactly(sock: socket.socket, size: int) -> bytes:
    """``size`` bytes. Raises ``EOFError`` where they end early."""
    data = sock.recv(size, socket.MSG_WAITALL)
    if len(data) < size:
        raise EOFError
    return data


def read_request(sock: socket.socket, visit: Visit) -> None:
    """Reads up to the empty line that ends the header, into ``visit.request``."""
    while HEADER_END not in visit.request:
        more = sock.recv(65536)
        if not more:
            raise EOFError
        visit.request += more


def answering(answer: bytes) -> Handler:
    """A server that reads one request, answers with these bytes and closes."""

    def handle(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        sock.sendall(answer)

    return handle


def ok(body: bytes, *fields: str) -> bytes:
    """A proper 200 answer."""
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *fields]
    return "\r\n".join(head).encode("latin-1") + HEADER_END + body


def forward(address: str) -> Handler:
    """Passes both directions on to ``HOST:PORT``, whatever name was asked for."""
    host, _, port = address.rpartition(":")

    def handle(sock: socket.socket, visit: Visit) -> None:
        with socket.create_connection((host, int(port))) as server:
            back = threading.Thread(target=_pump, args=(server, sock), daemon=True)
            back.start()
            while more := sock.recv(65536):
                visit.request += more
                server.sendall(more)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join(5)

    return handle


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while more := source.recv(65536):
            sink.sendall(more)
        sink.shutdown(socket.SHUT_WR)
