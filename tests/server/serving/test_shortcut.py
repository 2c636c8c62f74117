"""The short cut and aiohttp's way give the same answers and the same lines."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest

from mars.wire.request import request_bytes
from mars_server.serving.fast_request import Shape, golden
from tests.server.serving import kit

QUERIES = ("", "v=0.5.2", "v=0.5.2&os=linux&ia=100", "v=x&v=y", "a=b", "ia=10&cc=IS", "&", "v=9_-")
FIELDS = ("User-Agent: mars/1\r\n", "Accept: */*\r\n", "Accept-Encoding: identity\r\n")
CONNECTION = ("", "Connection: close\r\n", "Connection: keep-alive\r\n")
TIMEOUT = 60.0
"""Seconds; the machine may be busy with other tests."""
SEED = 20261121


@pytest.fixture(scope="module")
def server() -> Iterator[kit.Served]:
    with kit.served("--host", "abc.example", unix=True) as running:
        yield running


def requests() -> list[bytes]:
    """Golden shapes in all their variants, and mutations of them."""
    chance = random.Random(SEED)
    found = []
    for query in QUERIES:
        for host in ("abc.example", "localhost:80", "evil.example"):
            fields = [f"Host: {host}\r\n", *(field for field in FIELDS if chance.random() < 0.7)]
            fields += [field for field in (chance.choice(CONNECTION),) if field]
            if chance.random() < 0.5:
                chance.shuffle(fields)
            target = "/motd/motd.json" + ("?" + query if query or chance.random() < 0.5 else "")
            found.append(f"GET {target} HTTP/1.1\r\n{''.join(fields)}\r\n".encode())
    for request in list(found):
        broken = bytearray(request)
        place = chance.randrange(len(broken))
        broken[place] = chance.choice(b"\r\n :?&=/%\0aZ1\xff")
        found.append(bytes(broken))
    return found


def answers(server: kit.Served, requests: list[bytes], pieces: int) -> list[bytes]:
    return [_ask(server, request, pieces) for request in requests]


def _ask(server: kit.Served, request: bytes, pieces: int) -> bytes:
    with server.connect(TIMEOUT) as sock:
        step = len(request) // pieces + 1
        with suppress(OSError):  # refused after the first piece
            for start in range(0, len(request), step):
                sock.sendall(request[start : start + step])
                if pieces > 1:
                    time.sleep(0.003)  # so that the pieces arrive one by one
            sock.shutdown(socket.SHUT_WR)
        return kit.read_all(sock)


def settled_lines(server: kit.Served) -> Counter[str]:
    """The lines of the open generation once no more are added."""
    (part,) = server.logs.glob("*.part")
    before = -1
    while part.stat().st_size != before:
        before = part.stat().st_size
        time.sleep(0.5)
    return Counter(kit.answers_in(part))


def test_one_connection_may_take_both_ways(server: kit.Served) -> None:
    """Requests on one connection, of which the third is not of the golden shape."""
    before = settled_lines(server)
    golden_one = b"GET /motd/motd.json?v=0.5.2 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    other = golden_one.replace(b"Host", b"X-A: b\r\nHost")
    seen = []
    with server.connect(TIMEOUT) as sock:
        for request in (golden_one, golden_one, other, golden_one, golden_one + other):
            sock.sendall(request)
            seen += [_answer(sock) for _ in range(request.count(b"GET "))]
    assert len(seen) == 6
    assert set(seen) == {seen[0]}
    added = settled_lines(server) - before
    assert added.total() == 6
    assert not any(" 499 " in line for line in added)


def _answer(sock: socket.socket) -> bytes:
    """One whole answer, by its Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += sock.recv(1)
    head, _, _ = data.partition(b"\r\n\r\n")
    size = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    while len(data) < len(head) + 4 + size:
        data += sock.recv(len(head) + 4 + size - len(data))
    return data


def test_a_document_larger_than_the_sockets_buffers_arrives_whole() -> None:
    """Both ways, to a peer that reads slowly; the rest is sent when it takes more."""
    with kit.served(unix=False, motd_file=kit.document(size=65_000)) as server:
        for request in (kit.golden("v=0.5.2"), kit.golden("v=0.5.2").replace(b"*/*", b"a/b")):
            with server.connect(TIMEOUT, receive_buffer=2048) as sock:
                sock.sendall(request)
                time.sleep(0.2)
                assert kit.body(kit.read_all(sock)) == server.body
        assert server.stop() == 0
        assert [line.split()[-4] for line in server.lines()] == ["200", "200"]


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("second", [b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", b"X"])
def test_an_answer_nobody_read_is_not_counted_by_asking_for_another(
    unix: bool, second: bytes
) -> None:
    """The second way takes over from the first, which holds most of its answer still."""
    first = b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with kit.served(unix=unix, motd_file=kit.document(size=65_000)) as server:
        with server.connect(TIMEOUT, receive_buffer=2048) as sock:
            sock.sendall(first)
            assert sock.recv(1)  # so that the second comes by itself
            sock.sendall(second)
            time.sleep(0.2)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert server.stop() == 0
        assert [line.split()[-4] for line in server.lines()] == ["499"]


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("accept", [b"*/*", b"a/b"])
def test_a_peer_that_ends_its_half_after_asking_gets_both_answers(
    unix: bool, accept: bytes
) -> None:
    """It reads none before it has asked for both; the first came on either way."""
    first = b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\nAccept: " + accept + b"\r\n\r\n"
    with kit.served(unix=unix, motd_file=kit.document(size=65_000)) as server:
        with server.connect(TIMEOUT, receive_buffer=2048) as sock:
            sock.sendall(first)
            answers = sock.recv(1)  # so that the second comes by itself
            sock.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            time.sleep(0.2)
            answers += kit.read_all(sock)
        assert server.body in answers
        assert answers.endswith(b"404 Not Found\n")
        assert server.stop() == 0
        assert "error" not in server.stderr


@pytest.mark.parametrize("unix", [False, True])
def test_requests_that_come_together_before_the_peer_ends_its_half_are_all_answered(
    unix: bool,
) -> None:
    """Each up to one that asks for the end; those that count have a line, whatever comes last."""
    one = b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    nothing, broken = one.replace(b"motd.json", b"none"), b"GET /motd/motd.json HTT"
    with kit.served(unix=unix) as server:
        wanted = 0
        for asked, answers in (
            (one * 2, 2), (one * 5, 5), (one * 20, 20), (one * 90, 90), (one * 3 + nothing, 3),
            (nothing + one * 2, 2), (one * 2 + broken, 2), (one + last + one * 3, 2),
            (one * 3 + b"X\r\n\r\n", 3), (one * 70 + b"X\r\n\r\n", 70),
        ):  # fmt: skip
            assert server.ask(asked).count(server.body) == answers, asked
            wanted += answers
        assert server.stop() == 0
        assert [line.split()[-4] for line in server.lines()] == ["200"] * wanted
        assert "error" not in server.stderr


@pytest.mark.parametrize("unix", [False, True])
def test_of_requests_that_come_together_none_counts_that_its_peer_did_not_take(unix: bool) -> None:
    one = b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with kit.served(unix=unix, motd_file=kit.document(size=65_000)) as server:
        with server.connect(TIMEOUT, receive_buffer=2048) as sock:
            sock.sendall(one * 5 + b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1)
            time.sleep(0.2)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert server.stop() == 0
        status = [line.split()[-4] for line in server.lines()]
        assert status
        assert set(status) == {"499"}


def test_a_peer_that_asks_faster_than_it_reads_is_answered_and_bounded() -> None:
    """Every answer has its line; at most the last hundred wait until the peer has all."""
    asked = 150  # what the sockets' buffers hold
    request = b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with kit.served(unix=True) as server:
        with server.connect(TIMEOUT) as sock:
            for _ in range(asked):
                sock.sendall(request)
                time.sleep(0.001)  # so that most arrive one by one, on the short cut
            sock.shutdown(socket.SHUT_WR)
            assert kit.read_all(sock).count(server.body) == asked
        assert server.stop() == 0
        status = Counter(line.split()[-4] for line in server.lines())
        assert status.total() == asked
        assert status["200"] >= 1


def test_both_ways_answer_alike(server: kit.Served) -> None:
    asked = requests()
    assert sum(golden(request) is not None for request in asked) >= len(QUERIES) * 3
    earlier = settled_lines(server)
    at_once = answers(server, asked, pieces=1)
    lines = settled_lines(server)
    in_pieces = answers(server, asked, pieces=2)
    assert in_pieces == at_once
    added = lines - earlier
    assert settled_lines(server) - lines == added
    assert added.total() > len(QUERIES) * 2
    assert {kit.status(answer) for answer in at_once} >= {200, 400, 404}


def test_the_clients_own_request_takes_the_short_cut() -> None:
    host = "a" * 56 + ".onion"
    assert golden(request_bytes(host, "v=0.5.2&os=linux")) == Shape("v=0.5.2&os=linux", host, True)
    assert golden(request_bytes(host)) == Shape("", host, True)


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /motd/motd.json HTTP/1.1\r\nHost: a\r\n\r\nX",
        "GET /motd/motd.json HTTP/1.1\r\nHost: a\r\n",
        "GET /motd/motd.json HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\nHost: a\n\n",
        "GET /motd/motd.json HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        "GET /motd/motd.json?" + "a" * 256 + " HTTP/1.1\r\nHost: a\r\n\r\n",
        "get /motd/motd.json HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nAccept: */*\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nAccept: */*\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nCookie: a\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /motd/motd.json HTTP/1.1\r\nHost:  a\r\n\r\n",
        "",
    ],
)
def test_everything_else_goes_to_the_parser(request_text: str) -> None:
    assert golden(request_text.encode()) is None
