"""A server behind an onion service of the private network: reached as clients reach it, and with a
recorder between tor and it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import socks

from mars import factory
from mars.errors import TransportError
from mars.ports import Request
from mars.wire.query import MOTD_PATH
from mars.wire.request import HTTPRequest
from mars_server.onion.control import connected, ensure
from mars_server.onion.folder import hostname
from mars_server.onion.settings import OnionSettings
from mars_server.serving import proxyline
from testbed.tornet import TorNetwork
from tests.server.serving import kit
from tests.waiting import PATIENCE, until


def control(network: TorNetwork) -> str:
    """Where the tor that carries the services is steered."""
    return f"unix:{network.service.control_socket}"


@dataclass(frozen=True)
class Reached:
    """The service, from a client's side of the network."""

    network: TorNetwork
    host: str

    @property
    def url(self) -> str:
        """Of the news."""
        return f"http://{self.host}{MOTD_PATH}"

    def fetch(self, query: str = "", path: str = MOTD_PATH) -> bytes:
        """A fetch by the client's own code, repeated until the service is reachable: a descriptor
        takes some two seconds to be published."""
        url = f"http://{self.host}{path}" + (f"?{query}" if query else "")
        end = time.monotonic() + PATIENCE
        while True:
            try:
                request = Request(HTTPRequest.get(url), deadline=20.0)
                return factory.fetcher(self.network.socks).fetch(request).body
            except TransportError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def stream(self, name: str) -> socket.socket:
        """One stream; those with the same ``name`` share a circuit."""
        host, port = self.network.socks.split(":")
        found: socket.socket = socks.create_connection(
            (self.host, 80), 30, None, socks.SOCKS5, host, int(port), True, name, name
        )
        return found

    def ask(self, request: bytes, name: str) -> bytes:
        """The raw answer, on a stream of its own."""
        with self.stream(name) as stream:
            stream.sendall(request)
            return kit.read_all(stream)

    def post(self, body: bytes, name: str) -> bytes:
        """The raw answer to a body that is sent as reports are."""
        return self.ask(kit.post(body, self.host), name)


@dataclass(frozen=True)
class Arrival:
    """One request at the server's socket."""

    circuit: int | None
    """As tor numbers it."""
    raw: bytes

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


class Front:
    """Between tor and the server: hands on every byte, and keeps those of the requests."""

    fault: Callable[[bytes, bytes], bool] | None = None
    """Told of what came of a request and of its answer before that is handed on; where it says so,
    the connection breaks instead, on both sides."""

    def __init__(self, path: Path, server: Path) -> None:
        self.arrivals: list[Arrival] = []
        self._server = server
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def posts(self) -> list[Arrival]:
        return [one for one in self.arrivals if one.raw.startswith(b"POST ")]

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._hand_on, args=(sock,), daemon=True).start()

    def _hand_on(self, sock: socket.socket) -> None:
        with sock, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self._server))
            data = b""
            while not _is_whole(data) and (more := sock.recv(65_536)):
                data += more
                if self.fault and self.fault(data, b""):
                    return
                server.sendall(more)
            circuit, raw = proxyline.strip(data) or (None, data)
            self.arrivals.append(Arrival(circuit, raw))
            while more := server.recv(65_536):
                if self.fault and self.fault(data, more):
                    return
                sock.sendall(more)


def _is_whole(data: bytes) -> bool:
    """Of a request as this client writes it, whatever comes before it."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = head.partition(b"\r\nContent-Length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or b"0")


@contextmanager
def fronted(network: TorNetwork, folder: Path, name: str) -> Iterator[tuple[Reached, Front]]:
    """An onion service ``name`` with a recorder behind it, for a server in ``folder`` that may be
    started and stopped meanwhile (``kit.served``). A socket's path is short, so ``folder`` is."""
    onion, path = str(network.folder / name), folder / "front"
    front = Front(path, folder / kit.SOCKET)
    with connected(control(network)) as tor:
        before = tor.services()
    try:
        with network.publications() as published:
            ensure(OnionSettings(onion, f"unix:{path}"), control(network))
            until(lambda: hostname(onion))
            host = hostname(onion) or ""
            published(host)
        yield Reached(network, host), front
    finally:
        front.listener.close()
        with connected(control(network)) as tor:
            tor.configure(before)
