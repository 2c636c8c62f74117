"""The intake: what is posted is kept as it is, and both ways of a connection answer alike."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from mars.wire.request import HTTPRequest
from mars.wire.sealed import LARGE, SMALL
from mars_server.daylog.format import spool_of
from mars_server.serving.fast_request import Posted, head_of_post, posted
from tests.server.serving import kit
from tests.waiting import PATIENCE

SEED = 20261130
CHANCE = random.Random(SEED)
KEPT = b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\n\r\n"
LAST = b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
LONG_WAY = "X-Other: a\r\n"
"""A field that the client never sends."""


@pytest.fixture
def server() -> Iterator[kit.Served]:
    with kit.served("--host", "abc.example", unix=True, spool=True) as running:
        yield running


def body(size: int = SMALL) -> bytes:
    return CHANCE.randbytes(size)


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("fields", ["", LONG_WAY], ids=["short", "long"])
def test_a_report_of_either_size_is_kept_as_it_is(
    server: kit.Served, size: int, fields: str
) -> None:
    report = body(size)
    assert server.ask(kit.post(report, fields=fields)) == LAST
    assert server.stop() == 0
    assert server.reports() == [report]
    assert server.lines() == [], "nothing of it in the access log"


def test_the_clients_own_request_takes_the_short_cut() -> None:
    for size in (SMALL, LARGE):
        report = body(size)
        request = HTTPRequest.post(f"http://{'a' * 56}.onion/motd/in", report).golden
        head = head_of_post(request)
        assert posted(head) == Posted(f"{'a' * 56}.onion", len(request) - size, size, close=True)
        assert request == kit.post(report, f"{'a' * 56}.onion")


def test_a_closed_spool_says_its_day_and_tells_no_order(server: kit.Served) -> None:
    reports = [body() for _ in range(40)]
    for report in reports:
        server.ask(kit.post(report))
    assert server.stop() == 0
    (path,) = server.spools.iterdir()
    spool = spool_of(path.read_bytes())
    assert spool is not None
    assert path.name == f"spool-{spool.day}-{spool.id}.log"
    assert path.stat().st_mode & 0o777 == 0o640
    assert server.spools.stat().st_mode & 0o777 == 0o700
    lines = server.lines(server.spools)
    assert lines == sorted(lines)
    assert Counter(server.reports()) == Counter(reports)


def test_without_a_spool_there_is_no_intake() -> None:
    with kit.served(unix=True) as server:
        for fields in ("", LONG_WAY):
            assert kit.status(server.ask(kit.post(body(), fields=fields))) == 404
        assert kit.status(server.ask(b"GET /motd/in HTTP/1.1\r\nHost: a\r\n\r\n")) == 404


def test_one_connection_brings_reports_and_asks_for_news_on_both_ways(server: kit.Served) -> None:
    keep = b"Connection: close\r\n"
    post = [kit.post(body(), fields=fields).replace(keep, b"") for fields in ("", LONG_WAY, "")]
    with server.connect() as sock:
        sock.sendall(post[0])
        assert _exactly(sock, len(KEPT)) == KEPT
        sock.sendall(kit.golden().replace(keep, b""))
        assert b" 200 OK" in _exactly(sock, 15)
        _exactly(sock, len(server.body), upto=server.body)
        for request in (*post, post[0]):
            sock.sendall(request)
            assert _exactly(sock, len(KEPT)) == KEPT
    assert server.stop() == 0
    assert len(server.reports()) == 5
    assert [line.split()[-4] for line in server.lines()] == ["200"]


def _exactly(sock: socket.socket, size: int, upto: bytes = b"") -> bytes:
    data = b""
    while len(data) < size or upto not in data:
        part = sock.recv(size - len(data) if not upto else 65536)
        assert part, data
        data += part
    return data


def requests() -> list[bytes]:
    """Whole and broken posts: mutated heads, other lengths, fields in any order."""
    chance = random.Random(SEED)
    found = []
    for size in (SMALL, LARGE, SMALL - 1, SMALL + 1, 0, 1, 70_000):
        for host in ("localhost", "evil.example"):
            head, end, rest = kit.post(chance.randbytes(size), host).partition(b"\r\n\r\n")
            first, *fields = head.split(b"\r\n")
            chance.shuffle(fields)
            found.append(b"\r\n".join([first, *fields]) + end + rest)
    for _ in range(30):
        broken = bytearray(kit.post(chance.randbytes(SMALL)))
        broken[chance.randrange(210)] = chance.choice(b"\r\n :?&=/%\0aZ1\xff")
        found.append(bytes(broken))
    return found


@pytest.mark.parametrize("pieces", [1, 3])
def test_both_ways_answer_and_keep_the_same(server: kit.Served, pieces: int) -> None:
    """A field that is not the client's leads to the long way; it changes no answer."""
    seen: list[list[bytes]] = []
    kept = []
    for fields in (b"", LONG_WAY.encode()):
        asked = [request.replace(b"User-Agent:", fields + b"User-Agent:") for request in requests()]
        seen.append([_ask(server, request, pieces) for request in asked])
        (part,) = server.spools.glob("*.part")
        kept.append(Counter(part.read_bytes().split(b"\n")))
    assert seen[0] == seen[1]
    assert kit.status(seen[0][0]) == 204 and 413 in map(kit.status, seen[0])
    assert {line: 2 * n for line, n in kept[0].items() if len(line) > 30} == {
        line: n for line, n in kept[1].items() if len(line) > 30
    }


def _ask(server: kit.Served, request: bytes, pieces: int) -> bytes:
    with server.connect(PATIENCE) as sock:
        step = len(request) // pieces + 1
        with suppress(OSError):  # refused before all was sent
            for start in range(0, len(request), step):
                sock.sendall(request[start : start + step])
                if pieces > 1:
                    time.sleep(0.003)
            sock.shutdown(socket.SHUT_WR)
        return kit.read_all(sock)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_report_that_comes_cell_by_cell_is_whole(server: kit.Served, size: int) -> None:
    """As Tor brings it, 498 bytes at a time, over one connection that stays open."""
    reports = [body(size) for _ in range(3)]
    with server.connect() as sock:
        for report in reports:
            request = kit.post(report).replace(b"Connection: close", b"Connection: keep-alive")
            for start in range(0, len(request), 498):
                sock.sendall(request[start : start + 498])
                time.sleep(0.001)
            assert _exactly(sock, len(KEPT)) == KEPT
    assert server.stop() == 0
    assert Counter(server.reports()) == Counter(reports)


@pytest.mark.parametrize("step", [10_000, 498, 60])
def test_behind_tor_a_line_about_the_circuit_may_stand_before(
    server: kit.Served, step: int
) -> None:
    report = body()
    request = b"PROXY TCP6 fc00:dead:beef:4dad::AA:BB ::1 1 80\r\n" + kit.post(report)
    with server.connect() as sock:
        for start in range(0, len(request), step):
            sock.sendall(request[start : start + step])
            time.sleep(0.001)
        assert kit.read_all(sock) == LAST
    assert server.stop() == 0
    assert server.reports() == [report]


def _over(circuit: int, request: bytes) -> bytes:
    """With the line that tor writes before it."""
    return f"PROXY TCP6 fc00:dead:beef:4dad::{circuit:x}:1 ::1 1 80\r\n".encode() + request


def test_j07_beyond_three_reports_of_one_circuit_none_is_kept_and_nobody_is_told(
    tmp_path: Path,
) -> None:
    path, reports = tmp_path / "m", [body() for _ in range(26)]
    with kit.served("--metrics", str(path), unix=True, spool=True, folder=tmp_path) as server:
        told = {server.ask(_over(1, kit.post(report))) for report in reports[:13]}
        told |= {
            server.ask(_over(2, kit.post(report, fields="X: y\r\n"))) for report in reports[13:]
        }
        with kit.connect_unix(str(path)) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = kit.body(kit.read_all(sock)).decode()
        assert server.stop() == 0
    assert told == {LAST}
    assert Counter(server.reports()) == Counter(reports[:3] + reports[13:16])
    assert "\nmars_reports_capped_total 20.0\n" in text


def test_several_processes_have_a_spool_each() -> None:
    with kit.served("--workers", "2", unix=True, spool=True) as server:
        reports = [body() for _ in range(20)]
        for report in reports:
            assert kit.status(server.ask(kit.post(report))) == 204
        assert server.stop() == 0
        assert Counter(server.reports()) == Counter(reports)


def test_metrics_tell_reports_in_tens(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with kit.served("--metrics", str(path), unix=True, spool=True, folder=tmp_path) as server:
        for _ in range(12):
            server.ask(kit.post(body()))
        for _ in range(11):
            server.ask(kit.post(b"short"))
        with kit.connect_unix(str(path)) as sock:
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = kit.body(kit.read_all(sock)).decode()
    assert "\nmars_reports_taken_total 10.0\n" in text
    assert "\nmars_reports_refused_total 10.0\n" in text
    assert "\nmars_reports_lost_total 0.0\n" in text
