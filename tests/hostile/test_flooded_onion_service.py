"""The onion service, on a real tor, under faults and greed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from mars.errors import ConfigError, MarsError
from mars_server.common.config import Limits
from mars_server.onion.control import connected
from mars_server.onion.folder import hostname
from testbed.tornet import TorNetwork
from testbed.tornet.network import connect as bootstrap
from tests.server.serving import kit
from tests.server.serving.onions import Reached, control
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("one_day")


@dataclass(frozen=True)
class Behind(Reached):
    """A server behind an onion service of the private network."""

    server: kit.Served


@pytest.fixture(scope="module")
def behind(tornet: TorNetwork) -> Iterator[Behind]:
    folder = str(tornet.folder / "l-onion")
    with kit.served("--onion", folder, "--control", control(tornet), unix=True) as server:
        server.wait_for("onion service http://")
        name = hostname(folder)
        assert name is not None
        running = Behind(tornet, name, server)
        assert running.fetch() == server.body
        yield running


def test_l01_a_flood_meets_proof_of_work_and_limited_introductions(behind: Behind) -> None:
    with connected(control(behind.network)) as tor:
        options = dict(tor.services())
    assert options["HiddenServicePoWDefensesEnabled"] == "1"
    assert options["HiddenServiceEnableIntroDoSDefense"] == "1"
    assert behind.fetch() == behind.server.body  # at effort 0, as without the module


def test_l02_a_circuit_with_too_many_streams_is_closed(behind: Behind) -> None:
    """All of its streams, not only those that are too many."""
    opened: list[socket.socket] = []
    with ExitStack() as streams:
        with suppress(OSError):
            for _ in range(40):
                opened += [streams.enter_context(behind.stream("greedy"))]
        assert 0 < len(opened) <= 20
        for stream in opened:
            stream.settimeout(5.0)  # an open one would be idle for twenty
            with suppress(ConnectionError):
                assert stream.recv(1) == b""
    assert behind.fetch() == behind.server.body


def test_h01_answers_on_one_circuit_are_counted_up_to_the_cap(behind: Behind) -> None:
    for _ in range(Limits().hits_per_circuit + 4):
        with behind.stream("circuit") as sock:
            sock.sendall(kit.golden("cc=IS", behind.host))
            assert kit.body(kit.read_all(sock)) == behind.server.body
    until(lambda: len(_lines(behind, "cc=IS")) >= 7)
    assert [line.split()[-4] for line in _lines(behind, "cc=IS")] == ["200"] * 3 + ["499"] * 4


def _lines(behind: Behind, query: str) -> list[str]:
    (part,) = behind.server.logs.glob("*.part")
    return [line for line in part.read_text().splitlines() if query in line]


def test_l03_the_service_comes_back_after_tor_restarted(behind: Behind) -> None:
    tor = behind.network.service
    before = behind.server.stderr.count("onion service http://")
    tor.stop()
    behind.server.wait_for("control port does not answer", 8)  # it looks every five
    tor.start()
    tor.wait_for_control()
    bootstrap(tor)
    behind.server.wait_for(f"onion service http://{behind.host}", 30, times=before + 1)
    assert behind.fetch("os=macos") == behind.server.body
    assert len(_lines(behind, "os=macos")) >= 1


def test_l04_a_wrong_password_is_told(tornet: TorNetwork, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    with pytest.raises(ConfigError) as refused, connected(control(tornet), wrong):
        pass
    assert refused.value.reason == "control-auth"


def test_l04_an_unreadable_cookie_is_told(tornet: TorNetwork) -> None:
    cookie = tornet.service.folder / "cookie"
    hidden = cookie.rename(cookie.with_name("hidden"))
    try:
        with pytest.raises(ConfigError) as refused, connected(control(tornet)):
            pass
    finally:
        hidden.rename(cookie)
    assert refused.value.reason == "control-auth"


def test_l04_an_open_control_port_is_refused(tornet: TorNetwork) -> None:
    with connected(control(tornet)) as tor:
        assert tor.info("version")
        tor.configure([("CookieAuthentication", "0")])
        try:
            with pytest.raises(ConfigError) as refused, connected(control(tornet)):
                pass
        finally:
            tor.configure([("CookieAuthentication", "1")])
    assert refused.value.reason == "control-open"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nonexistent/control"])
def test_l04_no_control_port(address: str) -> None:
    with pytest.raises(MarsError) as refused, connected(address):
        pass
    assert refused.value.reason == "tor-control"


@pytest.mark.parametrize("address", ["", "tor", "127.0.0.1:"])
def test_l04_no_address(address: str) -> None:
    with pytest.raises(ConfigError) as refused, connected(address):
        pass
    assert refused.value.reason == "control-address"
