"""The way to the server, and what leaves this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars.errors import ConfigError, MarsError, TransportError
from mars.factory import fetcher
from mars.ports import Request
from mars.testing.socks import Handler, SocksServer, Visit, answering, exactly, ok, read_request
from mars.wire.request import HEADERS, HTTPRequest, request_bytes
from testbed.audit import NetworkAudit
from tests.hostile.transport import (
    ONION,
    ROOT,
    SHORT,
    SLACK,
    URL,
    address_of,
    get,
    refusal,
    wait_for_end,
)
from tests.waiting import PATIENCE

# E1, E2, E3, E4: everything that might send the request another way


@pytest.fixture
def trap() -> Iterator[SocksServer]:
    """Where hostile settings point. Nothing must ever arrive there."""
    with SocksServer(answering(ok(b"trapped"))) as server:
        yield server
        assert server.visits == []


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h"])
def test_e01_proxies_of_the_environment_have_no_effect(
    monkeypatch: pytest.MonkeyPatch, trap: SocksServer, network: NetworkAudit, scheme: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "SOCKS_PROXY"):
        monkeypatch.setenv(name, f"{scheme}://{trap.address}")
        monkeypatch.setenv(name.lower(), f"{scheme}://{trap.address}")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", ".onion,127.0.0.1")
    with SocksServer(answering(ok(b"news"))) as proxy:
        assert get(proxy).body == b"news"
        assert network.connected == {address_of(proxy)}
    assert network.resolved == []


def test_e02_netrc_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {ONION} login mallory password secret\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with SocksServer(answering(ok(b"news"))) as proxy:
        get(proxy)
    assert proxy.visits[0].request == request_bytes(ONION)


@pytest.mark.parametrize(
    ("scheme", "port", "first"), [("http", 80, b"GET "), ("https", 443, b"\x16")]
)
def test_e03_both_schemes_go_through_the_proxy(
    network: NetworkAudit, scheme: str, port: int, first: bytes
) -> None:
    def handle(sock: socket.socket, visit: Visit) -> None:
        visit.request = exactly(sock, len(first))

    with SocksServer(handle) as proxy:
        refusal(proxy, f"{scheme}://news.example/motd/motd.json")
        assert network.connected == {address_of(proxy)}
    (visit,) = proxy.visits
    assert (visit.host, visit.port, visit.request) == ("news.example", port, first)
    assert network.resolved == []


def test_e03_a_pool_that_does_not_dial_our_way_is_never_used(trap: SocksServer) -> None:
    import urllib3

    from mars.adapters import http

    class Foreign(urllib3.HTTPConnectionPool):
        """What a later requests might put in the place of ours."""

    adapter = http.OneWayAdapter(lambda: pytest.fail("dialled"), b"", lambda: None)
    adapter.poolmanager.pool_classes_by_scheme = {"http": Foreign}
    with pytest.raises(TransportError) as caught:
        message = HTTPRequest.get(f"http://{trap.address}/")
        adapter.send(http.prepare(message), timeout=3.0)
    assert caught.value.reason == "not-isolated"


@pytest.mark.parametrize("scheme", ["socks5", "socks4", "socks4a", "http", "https", "SOCKS5H", ""])
def test_e04_only_socks5h_is_a_proxy(scheme: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fetcher(f"{scheme}://127.0.0.1:9050")
    assert caught.value.reason == "socks-scheme"


def test_e04_names_are_not_resolved_here(network: NetworkAudit) -> None:
    with SocksServer(answering(ok(b""))) as proxy:
        get(proxy, "http://news.example/")
    assert (proxy.visits[0].kind, proxy.visits[0].host) == (3, "news.example")
    assert network.resolved == []


# E5: Tor fails


def test_e05_tor_is_not_running(network: NetworkAudit) -> None:
    with SocksServer(answering(b"")) as proxy:
        pass
    assert refusal(proxy) == "tor-unavailable"
    assert network.connected == {address_of(proxy)}
    assert network.resolved == []


REPLIES = [
    (0x01, "tor-failed"),
    (0x02, "refused"),
    (0x03, "network-down"),
    (0x04, "onion-not-found"),
    (0x05, "refused"),
    (0x06, "onion-unreachable"),
    (0x07, "not-socks"),
    (0x08, "not-socks"),
    (0x99, "tor-failed"),
    (0xF0, "onion-not-found"),
    (0xF1, "onion-invalid"),
    (0xF2, "onion-unreachable"),
    (0xF3, "onion-unreachable"),
    (0xF4, "onion-auth"),
    (0xF5, "onion-auth"),
    (0xF6, "onion-invalid"),
    (0xF7, "onion-unreachable"),
]


@pytest.mark.parametrize(("code", "reason"), REPLIES)
def test_e05_each_socks_reply_has_its_reason(network: NetworkAudit, code: int, reason: str) -> None:
    with SocksServer(answering(ok(b"never")), code=code) as proxy:
        assert refusal(proxy) == reason
        assert network.connected == {address_of(proxy)}
    assert len(proxy.visits) == 1
    assert network.resolved == []


def test_e05_a_typing_error_in_the_address_is_named_without_extended_errors() -> None:
    with SocksServer(answering(b""), code=0x01) as proxy:
        assert refusal(proxy, URL.replace("2gzy", "2gzz")) == "onion-invalid"


@pytest.mark.parametrize(("method", "login"), [(0xFF, 0), (2, 1), (0, 0)])
def test_e05_a_proxy_without_login_gets_nothing(method: int, login: int) -> None:
    """Without user and password all fetches would share one circuit."""
    with SocksServer(answering(ok(b"never")), method=method, login=login) as proxy:
        assert refusal(proxy) == "socks-auth"
    assert proxy.visits[0].host == ""


GREETINGS: list[Callable[[socket.socket], None]] = [
    lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    lambda sock: sock.sendall(b"514 Authentication required.\r\n"),
    lambda sock: sock.sendall(b"\x04\x5a"),
    lambda sock: None,
]


@pytest.mark.parametrize("greet", GREETINGS)
def test_e05_another_kind_of_server_is_not_socks(greet: Callable[[socket.socket], None]) -> None:
    with SocksServer(answering(b""), greet=greet) as proxy:
        assert refusal(proxy) == "not-socks"


def test_e05_a_tor_that_still_starts_up_ends_at_the_deadline(network: NetworkAudit) -> None:
    """Plain tor holds a CONNECT back until it has circuits."""

    def slow(sock: socket.socket) -> None:
        exactly(sock, 3)
        sock.sendall(b"\x05\x02")
        exactly(sock, 67)
        sock.sendall(b"\x01\x00")
        wait_for_end(sock)

    with SocksServer(answering(b""), greet=slow) as proxy:
        assert refusal(proxy, deadline=SHORT) == "timeout"
        assert network.connected == {address_of(proxy)}
    assert network.resolved == []


# E14 stands in tests/mars/adapters/test_golden.py.


@pytest.mark.parametrize(
    "changed",
    [
        {"fields": (*HEADERS, ("X-Added", "by a later version of requests"))},
        {"fields": HEADERS[1:]},
        {"url": URL + "?v=1.0"},
        {"url": URL.replace("motd.json", "other.json")},
        {"body": b"added"},
        {"method": "POST"},
        {"golden": request_bytes(ONION, "v=1.0")},
        {"golden": request_bytes(ONION) + b"more"},
        {"golden": request_bytes(ONION)[:-1]},
        {"golden": b""},
    ],
)
def test_e14_a_request_that_differs_from_the_preview_is_not_sent(changed: dict[str, Any]) -> None:
    assert_nothing_goes(replace(HTTPRequest.get(URL), **changed))


@pytest.mark.parametrize("body", [b"bodY", b"body and more", b"bo"])
def test_e14_a_report_whose_body_differs_does_not_even_begin(body: bytes) -> None:
    assert_nothing_goes(replace(HTTPRequest.post(URL, b"body"), body=body))


def assert_nothing_goes(message: HTTPRequest) -> None:
    def leaving(request: HTTPRequest, route: str) -> None:
        pytest.fail("it was said to go")

    with SocksServer(read_request) as proxy:
        with pytest.raises(TransportError) as caught:
            fetcher(proxy.address).fetch(Request(message, deadline=5.0, leaving=leaving))
        assert caught.value.reason == "not-golden"
    assert [visit.request for visit in proxy.visits if visit.request] == []


def test_e14_an_adapter_sends_its_request_once() -> None:
    from mars.adapters import http

    message = HTTPRequest.get(URL)
    with SocksServer(answering(ok(b"news")), plain=True) as server:
        adapter = http.OneWayAdapter(
            lambda: socket.create_connection(address_of(server)), message.golden, lambda: None
        )
        assert adapter.send(http.prepare(message), timeout=PATIENCE).content == b"news"
        with pytest.raises(TransportError, match="not-golden"):
            adapter.send(http.prepare(message), timeout=PATIENCE)
        adapter.close()
    assert [visit.request for visit in server.visits] == [message.golden]


def test_e14_a_report_has_golden_bytes_too() -> None:
    body = bytes(range(256)) * 300
    with SocksServer(reading(len(body), answer=b"HTTP/1.1 204 No Content\r\n\r\n")) as proxy:
        post = HTTPRequest.post(URL.replace("motd.json", "stats"), body)
        request = Request(post, expect=frozenset({204}))
        assert fetcher(proxy.address).fetch(request).status == 204
    assert proxy.visits[0].request == post.golden
    head = proxy.visits[0].request.partition(b"\r\n\r\n")[0]
    assert head == (ROOT / "tests/mars/golden/report.http").read_bytes()


def reading(size: int, answer: bytes) -> Handler:
    """A server that also reads a body of ``size`` bytes."""

    def handle(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        visit.request += exactly(sock, size - len(visit.request.partition(b"\r\n\r\n")[2]))
        sock.sendall(answer)

    return handle


# E15: nothing joins two fetches


def test_e15_every_fetch_has_its_own_login_and_connection() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        same = fetcher(proxy.address)
        for _ in range(20):
            same.fetch(Request(HTTPRequest.get(URL)))
    assert len(proxy.visits) == 20
    logins = [visit.user for visit in proxy.visits] + [visit.password for visit in proxy.visits]
    assert len(set(logins)) == 40
    assert all(len(login) == 32 for login in logins)


def test_e15_one_request_then_the_connection_is_closed() -> None:
    ended = threading.Event()

    def keep(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: keep-alive\r\n\r\nnews")
        if not sock.recv(1):
            ended.set()

    with SocksServer(keep) as proxy:
        assert get(proxy).body == b"news"
        assert ended.wait(SLACK)


def test_e15_a_failed_fetch_is_not_tried_again_by_itself() -> None:
    with SocksServer(lambda sock, visit: None) as proxy:
        with pytest.raises(MarsError):
            get(proxy)
        assert len(proxy.visits) == 1


def test_e15_the_application_s_log_hears_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """urllib3 would write the address and the metrics there, and what a server sent."""
    caplog.set_level(0)
    head = b"HTTP/1.1 200 OK\r\n"
    for answer in (ok(b"news"), head + b"bad header\r\n\r\n", head + b"half"):
        with SocksServer(answering(answer)) as proxy:
            try:
                get(proxy, f"{URL}?v=0.5.2")
            except TransportError as error:
                assert error.reason == "bad-answer"
    assert caplog.records == []
