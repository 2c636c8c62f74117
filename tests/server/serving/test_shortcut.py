"""The short cut and aiohttp's way give the same answers and the same lines."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from mars.wire.request import request_bytes
from mars_server.serving.answer import Shape, golden
from tests.server.serving import kit

QUERIES = ("", "v=0.5.2", "v=0.5.2&os=linux&ia=100", "v=x&v=y", "a=b", "ia=10&cc=IS", "&", "v=9_-")
FIELDS = ("User-Agent: mars/1\r\n", "Accept: */*\r\n", "Accept-Encoding: identity\r\n")
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
            kept = "".join(field for field in FIELDS if chance.random() < 0.7)
            end = chance.choice(("", "Connection: close\r\n", "Connection: keep-alive\r\n"))
            target = "/motd/motd.json" + ("?" + query if query or chance.random() < 0.5 else "")
            found.append(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{kept}{end}\r\n".encode())
    for request in list(found):
        broken = bytearray(request)
        place = chance.randrange(len(broken))
        broken[place] = chance.choice(b"\r\n :?&=/%\0aZ1\xff")
        found.append(bytes(broken))
    return found


def answers(server: kit.Served, requests: list[bytes], pieces: int) -> list[bytes]:
    return [_ask(server, request, pieces) for request in requests]


def _ask(server: kit.Served, request: bytes, pieces: int) -> bytes:
    with server.connect() as sock:
        step = len(request) // pieces + 1
        with suppress(OSError):  # refused after the first piece
            for start in range(0, len(request), step):
                sock.sendall(request[start : start + step])
                if pieces > 1:
                    time.sleep(0.003)  # so that the pieces arrive one by one
            sock.shutdown(socket.SHUT_WR)
        return kit.read_all(sock)


def test_both_ways_answer_alike(server: kit.Served) -> None:
    asked = requests()
    assert sum(golden(request) is not None for request in asked) >= len(QUERIES) * 3
    parts = list(server.logs.glob("*.part"))
    at_once = answers(server, asked, pieces=1)
    time.sleep(0.3)
    lines = sorted(parts[0].read_text().splitlines())
    in_pieces = answers(server, asked, pieces=2)
    time.sleep(0.3)
    assert in_pieces == at_once
    assert sorted(parts[0].read_text().splitlines()) == sorted(lines * 2)
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
        "",
    ],
)
def test_everything_else_goes_to_the_parser(request_text: str) -> None:
    assert golden(request_text.encode()) is None
