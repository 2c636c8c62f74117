"""When the next request comes after one that failed: only whoever saw nothing of it sees it soon.

Who withholds an answer from one circuit and saw that client come back within hours would know two
requests for one installation's, and could look for its way into Tor again and again.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from mars import factory
from mars.channels.memory import Memory
from mars.channels.news import NewsClient
from mars.core.records import JOURNAL_FILE
from mars.core.schedule import HOUR, Schedule
from mars.errors import TransportError
from mars.ports import Fetcher, Request, Response
from mars.testing.memory import MemoryKey, MemoryOpenPGP, MemoryStore, session
from mars.testing.publisher import Publisher
from mars.testing.socks import Handler, SocksServer, Visit, answering, ok, read_request
from mars.testing.world import World
from mars.wire.times import DAY
from tests.hostile.transport import SHORT, wait_for_end

HTTPS = "https://news.example/motd/motd.json"


@dataclass
class Hasty:
    """The real way through a proxy, with a deadline that a test can wait for."""

    way: Fetcher
    deadline: float = 30.0

    def fetch(self, request: Request) -> Response:
        return self.way.fetch(replace(request, deadline=self.deadline))


def try_when_due(client: NewsClient) -> tuple[str | None, int, bool]:
    """Reason of the one scheduled try, seconds to the next, and whether the journal says that a
    byte left."""
    now = client.ports.clock.now()
    due = Schedule(now)
    client.update(lambda kept: (replace(Memory.of(kept), schedule=due).into(kept), None))
    client.step(60)
    (entry,) = client.journal()
    after = Memory.of(client.load()).schedule
    assert after is not None
    return entry["reason"], after.due - now, bool(entry["sent"])


def a_client(way: Fetcher, world: World | None = None) -> NewsClient:
    world = world or World()
    world.grant("tracked")
    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _ready: way)
    return client


def require_soon(seconds: int, *, left: bool) -> None:
    assert not left, "the journal shows nothing as sent"
    assert HOUR <= seconds <= 6 * HOUR


def require_next_period(seconds: int, *, left: bool) -> None:
    assert left, "the journal shows what may have gone"
    assert 3 * DAY <= seconds <= 10 * DAY


# --- before the first byte ------------------------------------------------------------------


def say(answer: bytes) -> Callable[[socket.socket], None]:
    def greet(sock: socket.socket) -> None:
        sock.recv(3)
        sock.sendall(answer)
        wait_for_end(sock)

    return greet


def no_tls(sock: socket.socket, _visit: Visit) -> None:
    sock.recv(1)
    sock.sendall(b"this is no TLS")


BEFORE: dict[str, tuple[str, Callable[[], SocksServer], str]] = {
    "no SOCKS": ("not-socks", lambda: SocksServer(answering(b""), greet=say(b"HTTP/1.0")), ""),
    "no login": ("socks-auth", lambda: SocksServer(answering(b""), method=0xFF), ""),
    "login refused": ("socks-auth", lambda: SocksServer(answering(b""), login=1), ""),
    "no route": ("tor-failed", lambda: SocksServer(answering(b""), code=1), ""),
    "refused": ("refused", lambda: SocksServer(answering(b""), code=5), ""),
    "unreachable": ("onion-unreachable", lambda: SocksServer(answering(b""), code=6), ""),
    "no descriptor": ("onion-not-found", lambda: SocksServer(answering(b""), code=0xF0), ""),
    "TLS fails": ("tls", lambda: SocksServer(no_tls), HTTPS),
}


@pytest.mark.parametrize("how", BEFORE)
def test_e19_what_fails_before_the_first_byte_is_tried_again_within_hours(how: str) -> None:
    reason, server, url = BEFORE[how]
    world = World(url=url) if url else World()
    with server() as proxy:
        found, seconds, left = try_when_due(a_client(Hasty(factory.fetcher(proxy.address)), world))
    assert found == reason
    assert [visit.request for visit in proxy.visits] in ([], [b""])
    require_soon(seconds, left=left)


def test_e19_no_tor_at_all_is_tried_again_within_hours() -> None:
    with SocksServer(answering(b"")) as proxy:
        pass
    found, seconds, left = try_when_due(a_client(factory.fetcher(proxy.address)))
    assert found == "tor-unavailable"
    require_soon(seconds, left=left)


def test_e19_a_proxy_that_stalls_until_the_deadline_saw_nothing_of_the_request() -> None:
    with SocksServer(answering(b""), greet=say(b"\x05\x02")) as proxy:
        way = Hasty(factory.fetcher(proxy.address), SHORT)
        found, seconds, left = try_when_due(a_client(way))
    assert found in ("timeout", "tor-silent")
    require_soon(seconds, left=left)


def test_e19_a_direct_way_that_does_not_connect_is_tried_again_within_hours() -> None:
    with socket.socket() as closed:  # bound and not listening: nobody else gets this port
        closed.bind(("127.0.0.1", 0))
        world = World(url=f"https://127.0.0.1:{closed.getsockname()[1]}/motd.json")
        world.grant("plain", direct=True)
        client = world.client()
        direct = factory.direct_fetcher()

        class Direct:
            def fetch(self, request: Request) -> Response:
                message = client.plan(client.load(), client.voice(client.load())).direct
                assert message is not None
                return direct.fetch(replace(request, message=message))

        client.ports = replace(client.ports, fetcher=lambda _ready: Direct())
        found, seconds, left = try_when_due(client)
    assert found == "host-unreachable"
    require_soon(seconds, left=left)


def test_e19_a_client_that_cannot_judge_asked_nobody() -> None:
    world = World(publisher=Publisher(openpgp=[MemoryKey()]))
    client = a_client(world.server, world)
    client.ports = replace(client.ports, openpgp=lambda: MemoryOpenPGP("openpgp-unavailable"))
    found, seconds, left = try_when_due(client)
    assert (found, world.server.visits) == ("openpgp-unavailable", [])
    require_soon(seconds, left=left)


def test_e19_a_client_that_was_stopped_while_connecting_sent_nothing() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        client = a_client(factory.fetcher(proxy.address))
        client.halted = lambda: True
        found, seconds, left = try_when_due(client)
        assert found == "withdrawn"
    assert [visit.request for visit in proxy.visits] == [b""]
    require_soon(seconds, left=left)


# --- after it -------------------------------------------------------------------------------


def reset(sock: socket.socket, visit: Visit) -> None:
    read_request(sock, visit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    sock.close()


def withhold(sock: socket.socket, visit: Visit) -> None:
    read_request(sock, visit)
    wait_for_end(sock)


def hang_up(sock: socket.socket, visit: Visit) -> None:
    """Before it read anything: whether a byte was under way nobody knows."""


AFTER: dict[str, tuple[tuple[str, ...], Handler]] = {
    "withheld": (("timeout",), withhold),
    "nothing": (("incomplete", "bad-answer"), answering(b"")),
    "reset": (("incomplete",), reset),
    "hung up": (("incomplete", "bad-answer"), hang_up),
    "torn": (("incomplete",), answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")),
    "status": (("http-status",), answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")),
    "redirect": (("redirect",), answering(b"HTTP/1.1 302 Go\r\nLocation: /\r\n\r\n")),
    "no HTTP": (("bad-answer",), answering(b"SSH-2.0-dropbear\r\n")),
    "compressed": (("encoded",), answering(ok(b"", "Content-Encoding: gzip"))),
    "too large": (("too-large",), answering(ok(bytes(64 * 1024 + 1)))),
    "no document": (("not-json",), answering(ok(b"news"))),
}


@pytest.mark.parametrize("how", AFTER)
def test_e19_once_a_byte_left_the_next_try_is_a_period_away(how: str) -> None:
    reasons, handler = AFTER[how]
    with SocksServer(handler) as proxy:
        deadline = SHORT if how == "withheld" else 30.0
        way = Hasty(factory.fetcher(proxy.address), deadline)
        found, seconds, left = try_when_due(a_client(way))
    assert found in reasons
    require_next_period(seconds, left=left)


class SlowDisk(MemoryStore):
    """Writing the journal's entry takes longer than the deadline."""

    def write(self, name: str, data: bytes) -> None:
        super().write(name, data)
        if name == JOURNAL_FILE:
            time.sleep(1.5 * SHORT)


def test_e19_a_cut_between_the_last_question_and_the_first_byte_counts_as_left() -> None:
    """Nobody can say how far it came, so it is in doubt."""
    with SocksServer(withhold) as proxy:
        way = Hasty(factory.fetcher(proxy.address), SHORT)
        found, seconds, left = try_when_due(a_client(way, World(store=SlowDisk())))
    assert found == "timeout"
    require_next_period(seconds, left=left)


def test_e19_what_an_own_fetcher_failed_with_unasked_counts_as_left() -> None:
    class Unasking:
        def fetch(self, request: Request) -> Response:
            raise TransportError("timeout", "Nothing came.")

    client = a_client(Unasking())
    client.ports = replace(client.ports, is_own_fetcher=True)
    _, seconds, left = try_when_due(client)
    require_next_period(seconds, left=left)


def test_e19_a_second_question_that_is_refused_leaves_the_first_request_sent() -> None:
    class Twice:
        def fetch(self, request: Request) -> Response:
            assert request.leaving is not None
            request.leaving(request.message, "own")
            client.halted = lambda: True
            request.leaving(request.message, "own")
            raise AssertionError("unreached")

    client = a_client(Twice())
    found, seconds, left = try_when_due(client)
    assert found == "withdrawn"
    require_next_period(seconds, left=left)


@pytest.mark.parametrize("what", ["withheld", "refused"])
def test_e19_who_withholds_every_answer_gets_a_client_back_after_3_to_10_days(what: str) -> None:
    for seed in range(3):
        world = World(seed=seed)
        world.grant("tracked")
        world.server.body = b"no document"
        if what == "withheld":
            world.server.fault = TransportError("timeout", "Nothing came.")
        client = world.client()
        session(client, world.clock, 120 * DAY)
        times = [entry["time"] for entry in client.journal()]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert len(times) == len(world.server.visits) > 10
        assert min(gaps) >= 3 * DAY
        assert max(gaps) <= 10 * DAY + HOUR


def test_e19_a_retry_that_leaves_ends_the_period() -> None:
    world = World()
    world.grant("plain")
    client = world.client()
    world.server.unreachable = TransportError("network-down", "No network.")
    _, seconds, _ = try_when_due(client)
    assert client.status()["failures"] == 1
    world.server.unreachable = None
    world.server.fault = TransportError("timeout", "Nothing came.")
    world.clock.advance(seconds)
    client.step(60)
    after = Memory.of(client.load()).schedule
    assert after is not None
    assert after.failures == 0
    assert after.due - world.clock.wall >= 3 * DAY
