"""The onion service on a real, private Tor network: set up, found again, never left open."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mars import factory
from mars.errors import ConfigError, MarsError, TransportError
from mars.ports import Request
from mars.testing.tornet import TorNetwork
from mars_server.onion.control import connected
from mars_server.onion.folder import hostname
from tests.server.serving import kit


def fetch(network: TorNetwork, host: str, query: str = "") -> bytes:
    """A fetch through the client tor, tried again while the descriptor is on its way."""
    url = f"http://{host}/motd/motd.json" + (f"?{query}" if query else "")
    for attempt in range(20):
        try:
            return factory.fetcher(network.socks).fetch(Request(url, deadline=20.0)).body
        except TransportError:
            if attempt == 19:
                raise
            time.sleep(0.5)
    raise AssertionError


def control(network: TorNetwork) -> str:
    return f"unix:{network.service.folder}/control"


def test_l03_serve_makes_the_service_and_adds_it_again(tornet: TorNetwork) -> None:
    onion = tornet.folder / "motd-onion"
    with kit.served("--onion", str(onion), "--control", control(tornet), unix=True) as server:
        server.wait_for("onion service http://")
        name = hostname(str(onion))
        assert name is not None
        assert fetch(tornet, name, "v=0.5.2&os=linux") == server.body
        with connected(control(tornet)) as tor:
            options = tor.services()
            assert ("HiddenServicePoWDefensesEnabled", "1") in options
            assert ("HiddenServiceMaxStreams", "20") in options
            tor.configure([])
        server.wait_for(f"onion service http://{name}", 20, times=2)
        assert fetch(tornet, name, "v=0.5.2&os=linux") == server.body
        assert kit.status(server.get(host=name)) == 200
        assert kit.status(server.get(host="evil.example")) == 404
        assert server.stop() == 0
        assert len([line for line in server.lines() if "os=linux" in line and " 200 " in line]) == 2


def test_other_services_of_the_same_tor_stay(tornet: TorNetwork, tmp_path: Path) -> None:
    other = tornet.folder / "other"
    with connected(control(tornet)) as tor:
        tor.configure([("HiddenServiceDir", str(other)), ("HiddenServicePort", "81 127.0.0.1:9")])
    onion = tornet.folder / "mine"
    with kit.served("--onion", str(onion), "--control", control(tornet), unix=True):
        with connected(control(tornet)) as tor:
            folders = [value for name, value in tor.services() if name == "HiddenServiceDir"]
        assert folders == [str(other), str(onion)]


def test_l04_a_control_port_that_does_not_let_us_in_is_told(tornet: TorNetwork) -> None:
    wrong = tornet.folder / "password"
    wrong.write_text("wrong\n")
    with pytest.raises(ConfigError) as refused, connected(control(tornet), wrong):
        pass
    assert refused.value.reason == "control-auth"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "unix:/nonexistent/control"])
def test_l04_no_control_port(address: str) -> None:
    with pytest.raises(MarsError) as refused, connected(address):
        pass
    assert refused.value.reason == "tor-control"
