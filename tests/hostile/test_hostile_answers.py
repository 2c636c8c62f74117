"""What a server may answer, and when we stop listening."""

from __future__ import annotations

import gzip
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.errors import TransportError
from mars.factory import fetcher
from mars.ports import Request
from mars.testing.socks import Handler, SocksServer, Visit, answering, ok, read_request
from mars.wire.request import HTTPRequest, request_bytes
from testbed.audit import NetworkAudit
from tests.hostile.transport import (
    ENDLESS,
    ONION,
    OTHER_ONION,
    SHORT,
    SLACK,
    URL,
    address_of,
    get,
    refusal,
    wait_for_end,
)

# E6, E7: what a server may ask of us


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("to", ["https://news.example/", f"http://{OTHER_ONION}/", URL])
def test_e06_no_redirect_is_followed(network: NetworkAudit, status: int, to: str) -> None:
    answer = f"HTTP/1.1 {status} Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
    with SocksServer(answering(answer.encode())) as proxy:
        assert refusal(proxy) == "redirect"
        assert network.connected == {address_of(proxy)}
    assert len(proxy.visits) == 1
    assert network.resolved == []


def test_e06_the_body_of_a_redirect_is_not_read() -> None:
    """requests' own session reads (and unpacks) it to the end before it looks at the status."""

    def endless(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        sock.sendall(b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n")
        end = time.monotonic() + ENDLESS
        while time.monotonic() < end:
            sock.sendall(bytes(65536))

    with SocksServer(endless) as proxy:
        assert refusal(proxy) == "redirect"


def test_e07_nothing_that_a_server_sets_comes_back() -> None:
    fields = (
        "Set-Cookie: id=1; Path=/; Max-Age=999999",
        'ETag: "1"',
        "Last-Modified: Sat, 21 Nov 2026 00:00:00 GMT",
        'Alt-Svc: h2="news.example:443"',
        "Onion-Location: http://news.example/",
        "Strict-Transport-Security: max-age=63072000",
        "Refresh: 0; url=https://news.example/",
    )
    with SocksServer(answering(ok(b"news", *fields))) as proxy:
        same = fetcher(proxy.address)
        for _ in range(3):
            assert same.fetch(Request(HTTPRequest.get(URL))).body == b"news"
    assert {visit.request for visit in proxy.visits} == {request_bytes(ONION)}
    assert len(proxy.visits) == 3


# E8, E9: too much, or packed


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "deflate", "identity", "x", ""])
def test_e08_any_content_encoding_is_refused(coding: str) -> None:
    body = gzip.compress(b"x" * 10_000_000)
    with SocksServer(answering(ok(body, f"Content-Encoding: {coding}"))) as proxy:
        assert refusal(proxy) == "encoded"


def test_e08_a_packed_body_without_the_field_stays_packed() -> None:
    body = gzip.compress(b"news")
    with SocksServer(answering(ok(body, "Content-Type: application/gzip"))) as proxy:
        assert get(proxy).body == body


def pouring(head: bytes, again: bytes) -> Handler:
    """A server that never stops of itself."""

    def handle(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        sock.sendall(head)
        end = time.monotonic() + ENDLESS
        while time.monotonic() < end:
            sock.sendall(again)

    return handle


OK_HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "body": (OK_HEAD + b"\r\n", bytes(4096), "too-large"),
    "announced body": (OK_HEAD + b"Content-Length: 99000000000\r\n\r\n", bytes(4096), "too-large"),
    "chunks": (CHUNKED, b"1000\r\n" + bytes(4096) + b"\r\n", "too-large"),
    "chunk line": (CHUNKED, b"0" * 4096, "bad-answer"),
    "status line": (b"HTTP/1.1 200 ", b"x" * 4096, "bad-answer"),
    "header line": (OK_HEAD + b"A: ", b"x" * 4096, "bad-answer"),
    "header fields": (OK_HEAD, b"A: b\r\n" * 100, "bad-answer"),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_e09_reading_stops_at_the_caps(flood: str) -> None:
    head, again, reason = FLOODS[flood]
    with SocksServer(pouring(head, again)) as proxy:
        assert refusal(proxy) == reason


@pytest.mark.parametrize(
    "fields", [[f"X-{n}: y" for n in range(500)], ["X: " + "y" * 9000], ["X: " + "y" * 900] * 10]
)
def test_e09_a_large_header_is_refused(fields: list[str]) -> None:
    with SocksServer(answering(ok(b"news", *fields))) as proxy:
        assert refusal(proxy) == "bad-answer"


def test_e09_the_cap_is_exact() -> None:
    limit = Request(HTTPRequest.get(URL)).limit
    with SocksServer(answering(ok(bytes(limit)))) as proxy:
        assert len(get(proxy).body) == limit
    with SocksServer(answering(ok(bytes(limit + 1)))) as proxy:
        assert refusal(proxy) == "too-large"


# E10, E11: never late for a timeout that begins anew with each byte


def dripping(head: bytes, pause: float = 0.05) -> Handler:
    def handle(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        sock.sendall(head)
        end = time.monotonic() + ENDLESS
        while time.monotonic() < end:
            sock.sendall(b"x")
            time.sleep(pause)

    return handle


SLOW: dict[str, Handler] = {
    "100 Continue": pouring(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "status line": dripping(b"HTTP/1.1 200 "),
    "header": dripping(OK_HEAD + b"A: "),
    "body": dripping(OK_HEAD + b"\r\n"),
    "announced body": dripping(OK_HEAD + b"Content-Length: 5000\r\n\r\n"),
    "chunk": dripping(CHUNKED + b"1000\r\n"),
    "silence": lambda sock, visit: wait_for_end(sock),
}


@pytest.mark.parametrize("way", SLOW)
def test_e10_e11_the_total_deadline_closes_the_socket(way: str) -> None:
    gone = threading.Event()

    def handle(sock: socket.socket, visit: Visit) -> None:
        try:
            SLOW[way](sock, visit)
        except OSError:
            gone.set()
            raise

    began = time.monotonic()
    with SocksServer(handle) as proxy:
        assert refusal(proxy, deadline=SHORT) == "timeout"
        assert SHORT - 0.1 < time.monotonic() - began < SHORT + SLACK
        assert way == "silence" or gone.wait(SLACK), "the connection was left open"


def test_e10_the_deadline_of_every_fetch_is_three_minutes() -> None:
    assert Request(HTTPRequest.get(URL)).deadline == 180.0


@pytest.mark.parametrize("sent", [b"", b"\x05", b"\x05\x02", b"\x05\x02\x01\x00\x05\x00"])
def test_e11_the_proxy_itself_may_drip_or_stall(sent: bytes) -> None:
    def drip(sock: socket.socket) -> None:
        for byte in sent:
            sock.sendall(bytes([byte]))
            time.sleep(0.05)
        wait_for_end(sock)

    began = time.monotonic()
    with SocksServer(answering(b""), greet=drip) as proxy:
        assert refusal(proxy, deadline=SHORT) in ("timeout", "not-socks", "tor-silent")
        assert time.monotonic() - began < SHORT + SLACK


# E12, E13: wrong answers


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oops", "204 No Content", "206 Partial"])
def test_e12_only_200_is_an_answer(status: str) -> None:
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"
    with SocksServer(answering(answer.encode())) as proxy:
        assert refusal(proxy) == "http-status"


def test_e12_retry_after_is_ignored() -> None:
    answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
    with SocksServer(answering(answer)) as proxy:
        assert refusal(proxy) == "http-status"
        time.sleep(1.2)
        assert len(proxy.visits) == 1


@pytest.mark.parametrize("kind", ["text/html", "image/png", "nonsense", ""])
def test_e12_the_content_type_decides_nothing(kind: str) -> None:
    with SocksServer(answering(ok(b"news", f"Content-Type: {kind}"))) as proxy:
        assert get(proxy).body == b"news"


MALFORMED = {
    "short body": (OK_HEAD + b"Content-Length: 100\r\n\r\nshort", "incomplete"),
    "short chunk": (CHUNKED + b"64\r\nshort", "incomplete"),
    "no last chunk": (CHUNKED + b"5\r\nshort\r\n", "incomplete"),
    "bad chunk size": (CHUNKED + b"zz\r\nshort\r\n", "incomplete"),
    "negative length": (OK_HEAD + b"Content-Length: -5\r\n\r\nhello", "bad-answer"),
    "length with sign": (OK_HEAD + b"Content-Length: +5\r\n\r\nhello", "bad-answer"),
    "length past int()": (OK_HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx", "bad-answer"),
    "two lengths": (OK_HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "bad-answer"),
    "http/0.9": (b"hello", "bad-answer"),
    "http/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "bad-answer"),
    "status 99": (b"HTTP/1.1 99 No\r\n\r\n", "bad-answer"),
    "status abc": (b"HTTP/1.1 abc No\r\n\r\n", "bad-answer"),
    "nothing": (b"", "incomplete"),
    "half a header": (OK_HEAD + b"Content-Le", "bad-answer"),
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_e13_a_malformed_answer_is_refused(fault: str) -> None:
    answer, reason = MALFORMED[fault]
    with SocksServer(answering(answer)) as proxy:
        assert refusal(proxy) == reason


def test_e13_a_connection_that_is_reset_is_incomplete() -> None:
    def reset(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        sock.sendall(OK_HEAD + b"Content-Length: 100\r\n\r\nshort")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        sock.close()

    with SocksServer(reset) as proxy:
        assert refusal(proxy) == "incomplete"


# Whatever comes: an answer or a reason, nothing else

PIECES = st.sampled_from(
    [
        b"HTTP/1.1 ",
        b"200 OK",
        b"100 Continue",
        b"302 Found",
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"Content-Length: ",
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip",
        b"Location: /",
        b"5",
        b"-1",
        b"fffffffffffffffff",
        b"hello",
        b"\x00",
        b"\xff\xfe",
        b": ",
        b" \t",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=12).map(b"".join))
def test_e13_any_bytes_are_an_answer_or_a_reason(answer: bytes) -> None:
    with SocksServer(answering(answer)) as proxy:
        try:
            assert get(proxy, deadline=10.0).status == 200
        except TransportError as error:
            assert error.reason != "timeout"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=30))
def test_e13_any_bytes_of_a_proxy_are_a_reason(said: bytes) -> None:
    def greet(sock: socket.socket) -> None:
        sock.sendall(said)
        sock.shutdown(socket.SHUT_WR)
        wait_for_end(sock)

    with SocksServer(answering(b""), greet=greet) as proxy:
        assert refusal(proxy, deadline=10.0) != "timeout"
