"""What the open Internet may post to the intake, by raw sockets: not parsed, and nothing leaks."""

from __future__ import annotations

import random
import socket
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.sealed import LARGE, SMALL, Opener, seal
from mars_server.common.config import Limits
from tests.hostile.test_slow_and_greedy_peers import SHORT, memory, short
from tests.server.serving import kit
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.usefixtures("one_day")

CHANCE = random.Random(20261130)
KEEP = "Connection: keep-alive"
WAYS = pytest.mark.parametrize("way", ["", "X-Other: a\r\n"], ids=["short", "long"])
"""The short cut, and aiohttp's."""
SOON = 6.0
"""Seconds; several times the deadlines of ``SHORT``."""
MARK = b"evil-mark"
"""Stands in hostile reports; may never reach stderr, an answer or the access log."""
HEAD = b"POST /motd/in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[kit.Served]:
    with kit.served("--host", "abc.example", spool=True, unix=True) as running:
        running.get()  # it has all its descriptors when it has answered
        yield running
        assert running.stop() == 0
        disk = b"".join(path.read_bytes() for path in running.logs.iterdir())
        assert MARK not in disk + running.stderr.encode()
        assert b64encode(MARK)[:8] not in disk + running.stderr.encode()
        assert "Traceback" not in running.stderr
        for line in running.lines():
            assert "GET /motd/motd.json " in line, "none is of a report, taken or refused"
        assert {len(report) for report in running.reports()} <= {SMALL, LARGE}


def body(size: int = SMALL) -> bytes:
    return CHANCE.randbytes(size)


def kept(server: kit.Served) -> Counter[bytes]:
    """Lines of the open spool."""
    (part,) = server.spools.glob("*.part")
    return Counter(line for line in part.read_bytes().split(b"\n") if line[:1] != b"#" and line)


def added(server: kit.Served, before: Counter[bytes]) -> int:
    return (kept(server) - before).total()


@WAYS
@pytest.mark.parametrize("size", [0, 1, 1023, 1025, 4096, 16_383, 16_385, 65_536, 65_537, 10**9])
def test_i07_a_body_of_another_size_is_refused_unread(
    server: kit.Served, size: int, way: str
) -> None:
    before = kept(server)
    with server.connect() as sock:
        sock.sendall(kit.post(b"", fields=way, length=size))
        with suppress(OSError):  # refused before all of it is there
            sock.sendall((MARK * 8_000)[:size])
        answer = kit.read_all(sock) if size < 65_537 else sock.recv(1000)
    assert kit.status(answer) == 413
    assert MARK not in answer
    assert added(server, before) == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_i07_other_methods_are_refused_and_the_right_one_is_named(
    server: kit.Served, method: str
) -> None:
    before = kept(server)
    answer = server.ask(kit.post(body()).replace(b"POST", method.encode(), 1))
    assert kit.status(answer) == 405
    assert b"\r\nAllow: POST\r\n" in answer
    assert added(server, before) == 0


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"\r\n", {411}),
        (b"Transfer-Encoding: chunked\r\n\r\n400\r\n" + b"x" * SMALL + b"\r\n0\r\n\r\n", {411}),
        (b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", {400, 411}),
        (b"Transfer-Encoding: gzip\r\n\r\n", {400, 411}),
        (b"Content-Length: 1024\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        (b"Content-Length: 1024\r\nContent-Length: 16384\r\n\r\n" + b"x" * SMALL, {400}),
        (b"Content-Length: +1024\r\n\r\n" + b"x" * SMALL, {400}),
        (b"Content-Length: 0x400\r\n\r\n" + b"x" * SMALL, {400}),
        (b"Content-Length: 1024, 1024\r\n\r\n" + b"x" * SMALL, {400}),
        (b"Content-Encoding: gzip\r\nContent-Length: 1024\r\n\r\n" + b"x" * SMALL, {415}),
    ],
)
def test_i07_odd_framing_of_a_report(server: kit.Served, framing: bytes, status: set[int]) -> None:
    before = kept(server)
    assert kit.status(server.ask(HEAD + framing)) in status
    assert added(server, before) == 0


def test_i07_a_content_type_is_not_judged_and_an_expectation_is_met(server: kit.Served) -> None:
    before = kept(server)
    for field in (b"Content-Type: text/html\r\n", b"", b"Expect: 100-continue\r\n"):
        request = HEAD + field + b"Content-Length: 1024\r\n\r\n" + body()
        answer = server.ask(request).removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert kit.status(answer) == 204
    assert added(server, before) == 3


@WAYS
def test_i08_whatever_a_report_holds_the_answer_is_the_same(server: kit.Served, way: str) -> None:
    """Nobody can ask the intake whether a report is good, is new, or opens."""
    sealed = seal(b"{}", Opener.of(b"k" * 32).public, b"s" * 32)
    reports = [
        sealed, sealed, body(), bytes(SMALL), b"\n" * SMALL, b"# mars\n" * 146 + b"##",
        (MARK * 200)[:SMALL], b"\xff" * SMALL, sealed[:-1] + b"\0",
    ]  # fmt: skip
    before = kept(server)
    answers = {server.ask(kit.post(report, fields=way)) for report in reports}
    assert answers == {
        b"HTTP/1.1 204 No Content\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    }
    after = kept(server) - before
    assert after == Counter(b64encode(report) for report in reports)


def test_i08_a_replay_is_a_line_like_any_other(server: kit.Served) -> None:
    """That it counts once is the matter of who opens it; here nothing tells that it came before."""
    report, before = body(), kept(server)
    answers = [server.ask(kit.post(report)) for _ in range(20)]
    assert len(set(answers)) == 1
    assert kept(server) - before == Counter({b64encode(report): 20})


@WAYS
def test_i09_reports_that_come_together_are_each_kept_once(server: kit.Served, way: str) -> None:
    """Pipelining, with a request for news between, in whatever pieces."""
    reports = [body(SMALL if number % 3 else LARGE) for number in range(12)]
    close = b"Connection: close"
    stream = b"".join(
        kit.post(report, fields=way).replace(close, KEEP.encode()) for report in reports
    )
    stream += b"GET /motd/check.json HTTP/1.1\r\nHost: localhost\r\n\r\n" + kit.post(reports[0])
    before = kept(server)
    for step in (len(stream), 5000, 1300):
        with server.connect() as sock:
            for start in range(0, len(stream), step):
                sock.sendall(stream[start : start + step])
                time.sleep(0.001)
            answer = kit.read_all(sock)
        assert answer.count(b"HTTP/1.1 204 No Content\r\n") == 13
        assert answer.count(server.body) == 1
    wanted = Counter(b64encode(report) for report in (*reports, reports[0]))
    assert kept(server) - before == Counter({line: 3 * n for line, n in wanted.items()})


@WAYS
def test_i09_what_follows_a_report_is_no_part_of_it(server: kit.Served, way: str) -> None:
    """A second request in the bytes behind the body is answered as one, never kept."""
    report, before = body(), kept(server)
    behind = b"GET /" + MARK + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    first = kit.post(report, fields=way).replace(b"Connection: close", KEEP.encode())
    answer = server.ask(first + behind)
    assert [kit.status(answer), answer.count(b"404 Not Found\r\n")] == [204, 1]
    assert kept(server) - before == Counter([b64encode(report)])


@WAYS
@pytest.mark.parametrize("then", ["closes", "ends its half", "resets"])
def test_i10_half_a_report_is_none(server: kit.Served, way: str, then: str) -> None:
    before = kept(server)
    files = server.descriptors()
    with server.connect(SOON) as sock:
        sock.sendall(kit.post(body(), fields=way)[:-1])
        if then == "resets":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes((1, *[0] * 7)))
        elif then == "ends its half":
            sock.shutdown(socket.SHUT_WR)
            assert kit.status(kit.read_all(sock)) in (0, 400)
    until(lambda: server.descriptors() <= files)
    assert added(server, before) == 0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Served]:
    """With small deadlines, but for idle connections."""
    settings = short(tmp_path_factory.mktemp("hasty"), replace(SHORT, idle=PATIENCE))
    with kit.served("--config", settings, unix=True, spool=True) as running:
        running.get()
        yield running
        assert running.stop() == 0
        assert running.reports() == []


@WAYS
@pytest.mark.parametrize("bytes_of_body", [0, 1, 1023])
def test_i10_a_slow_report_is_ended_in_time(
    hasty: kit.Served, way: str, bytes_of_body: int
) -> None:
    """By the deadline of a request, long before that of an idle connection; both ways alike."""
    assert Limits().request == 60.0
    with hasty.connect(SOON) as sock:
        sock.sendall(kit.post(b"x" * bytes_of_body, fields=way, length=SMALL))
        answer = kit.read_all(sock)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer.endswith(b"Connection: close\r\n\r\n408 Request Timeout\n")


def test_i10_a_trickle_does_not_prolong_a_report(hasty: kit.Served) -> None:
    with hasty.connect() as sock:
        sock.sendall(kit.post(b"", length=SMALL))
        sock.settimeout(0.05)
        for _ in range(int(SOON / 0.05)):
            sock.sendall(b"x")
            with suppress(TimeoutError):
                assert kit.status(sock.recv(1000)) == 408
                break
        else:
            pytest.fail("it may take as long as it likes")


def test_i11_halves_of_reports_lock_nobody_out(tmp_path: Path) -> None:
    """With as many as there may be connections, honest reports and news are taken all the same."""
    settings = short(tmp_path, Limits(idle=PATIENCE, connections=40))
    with (
        kit.served("--config", settings, unix=True, folder=tmp_path, spool=True) as server,
        ExitStack() as stack,
    ):
        for _ in range(100):
            stack.enter_context(server.connect()).sendall(kit.post(body(LARGE))[:-1])
        for _ in range(10):
            assert kit.status(server.ask(kit.post(body()))) == 204
            assert kit.body(server.get()) == server.body
        assert server.descriptors() < 40 + 30


def test_i11_halves_of_reports_do_not_fill_the_memory(server: kit.Served) -> None:
    """At most a body of the larger size for each connection."""
    server.get()
    before = memory(server)
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(server.connect()).sendall(kit.post(body(LARGE))[:-1])
        assert kit.status(server.ask(kit.post(body()))) == 204
        assert memory(server) - before < 300 * 3 * LARGE


def test_i12_another_host_has_no_intake(server: kit.Served) -> None:
    for way in ("", "X-Other: a\r\n"):
        assert kit.status(server.ask(kit.post(body(), "evil.example", way))) == 404


@pytest.mark.parametrize("path", ["/motd/in/", "/motd/%69n", "/MOTD/in", "//motd/in", "/motd/inn"])
def test_i12_only_the_one_path_is_the_intake(server: kit.Served, path: str) -> None:
    before = kept(server)
    request = kit.post(body()).replace(b"/motd/in ", path.encode() + b" ", 1)
    assert kit.status(server.ask(request)) == 404
    assert added(server, before) == 0
