"""Clients that are slow, greedy, or ask for more than they take, by raw sockets."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from mars import factory
from mars_server.common.config import Limits
from mars_server.serving.bind import Bind, Hosts, listen
from mars_server.serving.motd_source import MotdSource
from mars_server.serving.prometheus import Counters, shared
from mars_server.serving.worker import Setup, Worker
from tests.server.serving import kit
from tests.server.serving.kit import added, counted
from tests.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("one_day")

FRAMED = b"GET /motd/motd.json HTTP/1.1\r\nHost: a\r\n"
SHORT = Limits(idle=0.6, request=0.8, write=1.5, linger=0.8, connections=40, grace=2.0)


def short(folder: Path, limits: Limits) -> str:
    """A server.toml with small deadlines; the real ones are asserted beside each test."""
    path = folder / "server.toml"
    path.write_text(
        "[limits]\n"
        f"idle = {limits.idle}\nrequest = {limits.request}\nwrite = {limits.write}\n"
        f"linger = {limits.linger}\n"
        f"connections = {limits.connections}\ngrace = {limits.grace}\n"
    )
    return str(path)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[kit.Served]:
    config = short(tmp_path_factory.mktemp("hasty"), SHORT)
    with kit.served("--config", config, unix=True, motd_file=kit.document(size=60_000)) as running:
        yield running
        running.stop()


def closed_after(sock: socket.socket, most: float) -> float:
    """Seconds until the server closes."""
    begun = time.monotonic()
    sock.settimeout(most)
    kit.read_all(sock)
    return time.monotonic() - begun


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nX: "])
def test_g10_a_slow_head_is_dropped(hasty: kit.Served, sent: bytes) -> None:
    assert Limits().idle == 20.0
    with hasty.connect() as sock:
        sock.sendall(sent)
        assert closed_after(sock, 8.0) < 8.0


def test_g10_a_trickle_does_not_prolong_it(hasty: kit.Served) -> None:
    with hasty.connect() as sock:
        begun = time.monotonic()
        with pytest.raises(OSError):
            for _ in range(80):
                sock.sendall(b"G")
                time.sleep(0.1)
        assert time.monotonic() - begun < 10.0


def test_g11_a_slow_body_is_bounded(tmp_path: Path) -> None:
    """By its own deadline, long before an idle connection would be dropped."""
    assert Limits().request == 60.0
    config = short(tmp_path, replace(SHORT, idle=30.0))
    with kit.served("--config", config, unix=True, folder=tmp_path) as running:
        with running.connect() as sock:
            sock.sendall(b"GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
            answer = sock.recv(100)
            assert kit.status(answer) == 200
            assert closed_after(sock, 8.0) < 8.0
        running.stop()


def test_g11_a_route_that_waits_for_a_body_is_ended_in_time(tmp_path: Path) -> None:
    """As one for reports would; the MOTD is answered without a look at the body."""
    (tmp_path / "motd.json").write_bytes(kit.document())
    (tmp_path / "product.toml").write_text(kit.PRODUCT, "utf-8")
    source = MotdSource(tmp_path / "motd.json", tmp_path / "product.toml")

    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def ask() -> bytes:
        clock, chance = factory.system_clock(), factory.system_chance()
        log, routes = tmp_path / "log", [web.post("/r", read)]
        setup = Setup(source, log, lambda _: Hosts(), SHORT, lambda _: routes)
        worker = Worker(setup, clock, chance, Counters(shared(1), 0), lambda _: None)
        bind = Bind(path=str(tmp_path / "s"))
        mine, parent = socket.socketpair()
        document = source.load(clock.now())
        worker.open()
        serving = asyncio.create_task(worker.run(listen(bind), document, parent.fileno()))
        incoming, outgoing = await asyncio.open_unix_connection(bind.path)
        outgoing.write(b"POST /r HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
        try:
            async with asyncio.timeout(PATIENCE):
                return await incoming.read()
        finally:
            outgoing.close()
            mine.close()
            await serving
            parent.close()

    answer = asyncio.run(ask())
    assert kit.status(answer) == 408
    assert b"Connection: close" in answer


def test_g12_a_peer_that_stops_reading_is_not_counted(hasty: kit.Served) -> None:
    assert Limits().write == 120.0
    before = counted(hasty)
    with hasty.connect() as short_cut, hasty.connect() as long_way:
        short_cut.sendall(kit.golden("cc=IS"))
        long_way.sendall(kit.golden("cc=IS").replace(b"*/*", b"a/b"))
        hasty.settled(before + 2)
        assert [line.split()[-4] for line in added(hasty, before)] == ["499"] * 2


def test_g12_a_reader_of_a_byte_at_a_time_is_not_counted(hasty: kit.Served) -> None:
    before = counted(hasty)
    with hasty.connect() as sock:
        sock.sendall(kit.golden("cc=DE"))
        begun = time.monotonic()
        while hasty.written() == before:
            assert sock.recv(1) and time.monotonic() - begun < PATIENCE
            time.sleep(0.05)
        assert [line.split()[-4] for line in added(hasty, before)] == ["499"]


def test_g13_idle_connections_make_room(tmp_path: Path) -> None:
    limits = Limits(idle=60.0, connections=40)
    config = short(tmp_path, limits)
    with kit.served("--config", config, unix=True) as server, ExitStack() as sockets:
        idle = [sockets.enter_context(server.connect()) for _ in range(200)]
        for sock in idle[::2]:
            try:
                sock.sendall(b"GET /motd")
            except OSError:
                continue  # closed already, to make room
        assert all(kit.body(server.get("os=linux")) == server.body for _ in range(5))
        files = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        assert files < limits.connections + 30
        sockets.close()
        assert server.stop() == 0
        assert len(server.lines()) == 5


LONG_WAY = FRAMED + b"X: y\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("way", [kit.golden(), LONG_WAY], ids=["short", "long"])
@pytest.mark.parametrize("waiting", [70, 100])
def test_g13_peers_that_do_not_read_lock_nobody_out(
    tmp_path: Path, way: bytes, waiting: int
) -> None:
    """With many of them, and idle ones beside them or not, the one that has waited longest goes."""
    config = short(tmp_path, Limits(connections=100))
    with (
        kit.served("--config", config, unix=True, motd_file=kit.document(size=60_000)) as server,
        ExitStack() as stack,
    ):
        for _ in range(waiting):
            stack.enter_context(server.connect()).sendall(way)
        time.sleep(0.3)
        for _ in range(100 - waiting):
            stack.enter_context(server.connect())
        for _ in range(20):
            assert kit.body(server.get("os=linux")) == server.body


@pytest.mark.parametrize("first", ["mars/1", "other"])
@pytest.mark.parametrize("then", ["mars/1", "other"])
def test_g12_who_asks_again_without_reading_is_not_counted(
    hasty: kit.Served, first: str, then: str
) -> None:
    """On both ways, and from one to the other: the answers before the next request have not been
    taken."""
    before = counted(hasty)
    request = "GET /motd/motd.json?cc=FR HTTP/1.1\r\nHost: a\r\nUser-Agent: {}\r\n\r\n"
    sock = hasty.connect()
    for agent in (first, then, then):
        sock.sendall(request.format(agent).encode())
        time.sleep(0.1)
    sock.close()
    lines = added(hasty, before)
    assert len(lines) >= 2, "one for each answer that was begun"
    assert {line.split()[-4] for line in lines} == {"499"}


def reset_after_asking(server: kit.Served, request: bytes) -> None:
    sock = server.connect()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.sendall(request)
    sock.close()


def test_a_reset_is_never_a_completed_answer() -> None:
    with kit.served(motd_file=kit.document(size=60_000)) as server:
        for _ in range(20):
            reset_after_asking(server, kit.golden("os=linux"))
        server.get("os=macos")
        server.stop()
        assert len([line for line in server.lines() if " 200 " in line]) == 1


def test_g03_heads_do_not_fill_the_memory() -> None:
    """aiohttp takes 64 fields of 8 kB each on every connection."""
    with kit.served(unix=True) as server, ExitStack() as sockets:
        server.get()
        before = memory(server)
        field = b"X-A: " + b"b" * 8000 + b"\r\n"
        for _ in range(200):
            sock = sockets.enter_context(server.connect())
            with suppress(OSError):  # refused before all of it is sent
                sock.sendall(FRAMED + field * 60)
        assert kit.body(server.get()) == server.body
        assert memory(server) - before < 200 * 60 * len(field) / 3


def memory(server: kit.Served) -> int:
    """Bytes of resident memory."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[0]) * 1024


def test_an_unread_answer_does_not_make_room_for_more_in_memory() -> None:
    with kit.served(unix=True, motd_file=kit.document(size=60_000)) as server:
        server.get()
        before = memory(server)
        with server.connect(timeout=0.5) as sock, suppress(OSError):
            for _ in range(2000):
                sock.sendall(b"GET /motd/motd.json HTTP/1.1\r\nHost: a\r\n\r\n")
                time.sleep(0.001)
        assert memory(server) - before < 10_000_000
        assert kit.body(server.get()) == server.body


def test_pipelined_answers_have_a_line_each() -> None:
    with kit.served() as server:
        for fields in ("", "X: y\r\n"):
            request = f"GET /motd/motd.json?os=linux HTTP/1.1\r\nHost: a\r\n{fields}\r\n"
            with server.connect() as sock:
                sock.sendall(request.encode() * 20)
                answer = b""
                while answer.count(server.body) < 20:
                    answer += sock.recv(65536)
        assert server.stop() == 0
        assert [line.split()[-4] for line in server.lines()] == ["200"] * 40
