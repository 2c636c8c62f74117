"""The fetch on a real Tor network: three hops, circuits of its own, and each way it can fail."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mars.errors import TransportError
from mars.factory import fetcher
from mars.ports import Request
from mars.wire import socks5
from mars.wire.request import HTTPRequest, request_bytes
from testbed.tornet import Control, Onion, TorNetwork
from testbed.tornet.network import free_ports

pytestmark = pytest.mark.tor
BODY = b'{"news": "through three hops"}'


class Service:
    """An onion service and what it was asked."""

    def __init__(self, net: TorNetwork) -> None:
        self.requests: list[bytes] = []
        self.half = False
        """Whether the answer stops in the middle of the body and the connection stays open."""
        self.halfway = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.onion: Onion = net.add_onion(80, self.address)
        self.url = f"{self.onion.url}/motd/motd.json"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while not request.endswith(b"\r\n\r\n") and (more := sock.recv(4096)):
                request += more
            self.requests.append(request)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
            if self.half:
                sock.sendall(head + BODY[:5])
                self.halfway.set()
                sock.recv(1)
            else:
                sock.sendall(head + BODY)


@pytest.fixture(scope="module")
def service(tornet: TorNetwork) -> Iterator[Service]:
    made = Service(tornet)
    yield made
    made.listener.close()


def get(socks: str, url: str, deadline: float = 60.0) -> bytes:
    return fetcher(socks).fetch(Request(HTTPRequest.get(url), deadline=deadline)).body


def refusal(socks: str, url: str, deadline: float = 60.0) -> str:
    with pytest.raises(TransportError) as caught:
        get(socks, url, deadline)
    return caught.value.reason


def circuit_of_next_stream(control: Control, host: str) -> str:
    while True:
        words = control.event().split()
        if words[0] == "STREAM" and words[2] == "SENTCONNECT" and words[4].startswith(host):
            return words[3]


def test_the_golden_bytes_arrive_through_three_hops(tornet: TorNetwork, service: Service) -> None:
    assert get(tornet.socks, service.url) == BODY
    assert service.requests[-1] == request_bytes(service.onion.host)


def test_e15_two_fetches_take_two_circuits(tornet: TorNetwork, service: Service) -> None:
    """Shown by the client's own tor: it names the circuit of each stream."""
    same = fetcher(tornet.socks)
    with tornet.client.control() as control:
        control.ask("SETEVENTS STREAM")
        circuits = []
        for _ in range(3):
            same.fetch(Request(HTTPRequest.get(service.url)))
            circuits.append(circuit_of_next_stream(control, service.onion.host))
    assert len(set(circuits)) == 3


def test_e15_also_where_the_port_prefers_no_authentication(
    tornet: TorNetwork, service: Service
) -> None:
    """Such a port takes "no authentication" from whoever offers it, and joins all streams."""
    port = free_ports(1)[0]
    flags = f"SocksPort 127.0.0.1:{port} PreferSOCKSNoAuth"
    with tornet.add_client("noauth", [flags]).control() as control:
        control.ask("SETEVENTS STREAM")
        joined, separate = [], []
        for user in (b"first", b"second"):
            _offer_both(port, user, service.onion.host)
            joined.append(circuit_of_next_stream(control, service.onion.host))
        for _ in range(2):
            get(f"127.0.0.1:{port}", service.url)
            separate.append(circuit_of_next_stream(control, service.onion.host))
    assert joined[0] == joined[1], "the usual SOCKS libraries would have been isolated after all"
    assert len({*separate, joined[0]}) == 3


def _offer_both(port: int, user: bytes, host: str) -> None:
    """As PySocks does, and curl: both methods, and what the proxy picks is used."""
    with socket.create_connection(("127.0.0.1", port), 60) as sock:
        sock.sendall(b"\x05\x02\x00\x02")
        if sock.recv(2) == b"\x05\x02":
            sock.sendall(socks5.login(user, user))
            sock.recv(2)
        sock.sendall(socks5.connect(host, 80))
        assert sock.recv(10)[1] == 0


def test_e05_an_onion_that_never_existed(tornet: TorNetwork) -> None:
    nobody = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
    assert refusal(tornet.socks, f"http://{nobody}/") == "onion-not-found"


def test_e05_an_onion_with_a_typing_error(tornet: TorNetwork, service: Service) -> None:
    wrong = ("b" if service.onion.host[0] == "a" else "a") + service.onion.host[1:]
    assert refusal(tornet.socks, f"http://{wrong}/") == "onion-invalid"


def test_e05_a_port_that_the_onion_does_not_offer(tornet: TorNetwork, service: Service) -> None:
    assert refusal(tornet.socks, f"http://{service.onion.host}:81/") in ("refused", "tor-failed")


@pytest.fixture(scope="module")
def extended(tornet: TorNetwork) -> str:
    """A SocksPort with ExtendedErrors, as a tor of our own has it; soon out of patience."""
    port = free_ports(1)[0]
    tornet.add_client("ext", [f"SocksPort 127.0.0.1:{port} ExtendedErrors", "SocksTimeout 4"])
    return f"127.0.0.1:{port}"


def test_e05_an_onion_that_wants_a_key(tornet: TorNetwork, service: Service, extended: str) -> None:
    key = "A" * 51 + "Q"  # a curve25519 key of zeros but for one bit, in base32
    options = f"Flags=V3Auth ClientAuthV3={key} Port=80,{service.address}"
    with published(tornet, options) as host:
        with pytest.raises(TransportError) as caught:
            patiently(lambda: get(extended, f"http://{host}/"))
        assert caught.value.reason == "onion-auth"
        assert refusal(tornet.socks, f"http://{host}/", deadline=20) in UNREACHABLE


def test_e05_an_onion_that_went_offline(
    tornet: TorNetwork, service: Service, extended: str
) -> None:
    """Its descriptor is still known; its introduction points answer no more."""
    with published(tornet, f"Port=80,{service.address}") as host:
        assert patiently(lambda: get(extended, f"http://{host}/")) == BODY
    assert refusal(extended, f"http://{host}/") == "onion-unreachable"


UNREACHABLE = ("onion-unreachable", "onion-not-found", "tor-failed")


@contextmanager
def published(tornet: TorNetwork, options: str) -> Iterator[str]:
    """An onion service that ends with the block."""
    with tornet.service.control() as control:
        control.ask("SETEVENTS HS_DESC")
        reply = control.ask(f"ADD_ONION NEW:ED25519-V3 {options}")
        (address,) = (line[10:] for line in reply if line.startswith("ServiceID="))
        while not control.event().startswith(f"HS_DESC UPLOADED {address}"):
            pass
        yield f"{address}.onion"


def patiently(attempt: Callable[[], bytes]) -> bytes:
    """Tried again while the descriptor is on its way to the directories that are asked."""
    for _ in range(20):
        try:
            return attempt()
        except TransportError as error:
            if error.reason != "onion-not-found":
                raise
            time.sleep(0.5)
    return attempt()


def test_e11_a_server_that_stops_in_the_body_meets_the_deadline(
    tornet: TorNetwork, service: Service
) -> None:
    service.half = True
    try:
        assert refusal(tornet.socks, service.url, deadline=4.0) == "timeout"
    finally:
        service.half = False


def test_e05_tor_dies_in_the_middle_of_a_fetch(tornet: TorNetwork, service: Service) -> None:
    victim = tornet.add_client("victim")
    service.half = True
    service.halfway.clear()

    def kill() -> None:
        assert service.halfway.wait(30)
        victim.stop()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        assert refusal(f"127.0.0.1:{victim.socks_port}", service.url) == "incomplete"
    finally:
        service.half = False
        killer.join()
    assert refusal(f"127.0.0.1:{victim.socks_port}", service.url) == "tor-unavailable"
