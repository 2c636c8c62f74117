"""A tor of our own, bridges, and the control port, on the private network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mars.adapters.tor import Place
from mars.adapters.tor import find_tor as find_among
from mars.errors import ConfigError, TransportError
from mars.factory import fetcher, find_tor, system_chance, system_clock
from mars.ports import Request, Tor, TorSettings
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, Visit, answering, forward, ok
from mars.wire.request import HTTPRequest
from testbed.tornet import TorNetwork
from testbed.tornet.process import find

pytestmark = pytest.mark.tor
NETWORK_LINES = ("TestingTorNetwork", "DirAuthority", "AssumeReachable", "PathsNeeded", "GeoIP")
"""What a tor must know to live in the private network and to reach no other."""


@pytest.fixture
def folder() -> Iterator[str]:
    """Short: pytest's own folders are too deep for tor."""
    with tempfile.TemporaryDirectory(prefix="mars-own ", dir="/tmp") as path:
        yield path


def private(net: TorNetwork) -> tuple[str, ...]:
    lines = (net.client.folder / "torrc").read_text("ascii").splitlines()
    chosen = [line for line in lines if line.startswith(NETWORK_LINES)]
    return (*chosen, "LearnCircuitBuildTimeout 0", "CircuitBuildTimeout 10")


def launch(net: TorNetwork, folder: str, **more: object) -> Tor:
    """Past the usual places, where a tor of this machine might be running."""
    settings = TorSettings(folder=folder, extra=private(net), **more)  # type: ignore[arg-type]
    return find_among(settings, system_clock(), system_chance(), places=())


def refusal(net: TorNetwork, folder: str, **more: object) -> str:
    with pytest.raises(TransportError) as caught:
        launch(net, folder, **more).close()
    return caught.value.reason


def children() -> set[int]:
    """Processes of this one that are named tor."""
    return {child.pid for child in psutil.Process().children() if child.name() == "tor"}


def test_own_tor_starts_in_a_thread_fetches_and_ends(tornet: TorNetwork, folder: str) -> None:
    onion = tornet.add_onion(80, f"127.0.0.1:{tornet.client.socks_port}")
    before = children()
    made: list[Tor] = []
    thread = threading.Thread(target=lambda: made.append(launch(tornet, folder)))
    thread.start()
    thread.join(60)
    (tor,) = made
    assert tor.how == "own"
    status = tor.status()
    assert (status.progress, status.clock_skew) == (100, None)
    assert status.circuits > 0
    # The "server" behind this onion is tor's own SocksPort, which answers HTTP with a hint.
    with pytest.raises(TransportError) as caught:
        fetcher(tor.socks).fetch(Request(HTTPRequest.get(f"{onion.url}/")))
    assert caught.value.reason == "http-status"
    assert len(children() - before) == 1
    tor.close()
    tor.close()
    assert children() == before


def test_own_tor_keeps_its_folder_to_itself(tornet: TorNetwork, folder: str) -> None:
    launch(tornet, folder).close()
    assert {path.stat().st_mode & 0o777 for path in (Path(folder), Path(folder, "data"))} == {0o700}
    assert Path(folder, "torrc").stat().st_mode & 0o077 == 0


def test_own_tor_that_is_too_slow_is_ended(tornet: TorNetwork, folder: str) -> None:
    before = children()
    began = time.monotonic()
    with pytest.raises(TransportError) as caught:
        launch_with(folder, ("DisableNetwork 1", *private(tornet)), patience=2.0)
    assert caught.value.reason == "tor-bootstrap"
    assert time.monotonic() - began < 15
    assert children() == before


def launch_with(folder: str, extra: tuple[str, ...], patience: float) -> None:
    settings = TorSettings(folder=folder, extra=extra, patience=patience)
    find_among(settings, system_clock(), system_chance(), places=()).close()


@pytest.mark.parametrize(
    ("binary", "reason"), [("/nonexistent/tor", "tor-missing"), ("false", "tor-start")]
)
def test_own_tor_that_cannot_run(tornet: TorNetwork, folder: str, binary: str, reason: str) -> None:
    assert refusal(tornet, folder, binary=binary) == reason


def test_own_tor_with_a_wrong_option_ends_at_once(folder: str) -> None:
    with pytest.raises(TransportError) as caught:
        launch_with(folder, ("DisableNetwork 1", "NoSuchOption 1"), patience=30.0)
    assert caught.value.reason == "tor-start"
    assert "tor.log" in caught.value.message


def relay_of(net: TorNetwork) -> tuple[str, str]:
    """Address and fingerprint of a relay, which serves as a bridge."""
    relay = net.routers[1]
    lines = (relay.folder / "torrc").read_text("ascii").splitlines()
    (address,) = [line.split()[1] for line in lines if line.startswith("ORPort")]
    return address, (relay.folder / "fingerprint").read_text("ascii").split()[-1]


def test_own_tor_through_a_bridge_enters_there(tornet: TorNetwork, folder: str) -> None:
    address, fingerprint = relay_of(tornet)
    tor = launch(tornet, folder, bridges=(f"Bridge {address} {fingerprint}",))
    try:
        assert tor.status().progress == 100
        assert entries(tor) == {fingerprint}
    finally:
        tor.close()


def entries(tor: Tor) -> set[str]:
    """The first hops of the circuits that are built, by the control port."""
    from mars.adapters.control import session

    control = Path(_folder_of(tor), "control-port").read_text("ascii").strip()
    with session(control.removeprefix("PORT="), None, 10) as controller:
        paths = [circuit.path for circuit in controller.get_circuits() if circuit.path]
    return {path[0][0] for path in paths}


def _folder_of(tor: Tor) -> str:
    from mars.adapters.tor import OwnTor

    assert isinstance(tor, OwnTor)
    return str(tor.folder)


TRANSPORT = """
import sys
print("VERSION 1", flush=True)
print("CMETHOD plain socks5 {address}", flush=True)
print("CMETHODS DONE", flush=True)
sys.stdin.read()
"""


def test_own_tor_through_a_pluggable_transport(tornet: TorNetwork, folder: str) -> None:
    """A transport that changes nothing, and records that tor went through it."""
    address, fingerprint = relay_of(tornet)
    with SocksServer(forward(address), method=0) as transport:
        script = Path(tempfile.mkstemp(suffix=".py", dir="/tmp")[1])
        script.write_text(TRANSPORT.format(address=transport.address))
        try:
            tor = launch(
                tornet,
                folder,
                bridges=(f"plain {address} {fingerprint}",),
                transports=(f"plain exec {sys.executable} {script}",),
            )
            assert tor.status().progress == 100
            tor.close()
        finally:
            script.unlink()
    seen: set[tuple[str, int]] = {_target(visit) for visit in transport.visits}
    host, _, port = address.rpartition(":")
    assert seen == {(host, int(port))}


def _target(visit: Visit) -> tuple[str, int]:
    return visit.host, visit.port


@pytest.mark.parametrize("line", ["1.2.3.4:1\nExitRelay 1", "", "x\x00", "é", "1.2.3.4:1 # x"])
def test_a_bridge_line_is_one_line(folder: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_among(
            TorSettings(folder=folder, bridges=(line,)), system_clock(), system_chance(), places=()
        )
    assert caught.value.reason == "bridge-invalid"


# The control port of a tor that somebody else started


def running(net: TorNetwork, control: str, password: str | None = None) -> Tor:
    return find_tor(TorSettings(socks=net.socks, control=control, password=password))


def test_the_control_port_tells_the_status_by_cookie(tornet: TorNetwork) -> None:
    tor = running(tornet, f"unix:{tornet.client.control_socket}")
    assert tor.how == "given"
    assert tor.status().progress == 100
    tor.close()
    assert tor.status().progress == 100, "a tor that is not ours is left as it is"


PASSWORDS = ("open sesame", 'C:\\new "tor"', "Sesam, öffne dich 目")


@pytest.fixture(scope="module")
def guarded(tornet: TorNetwork) -> Iterator[tuple[TorNetwork, str]]:
    """A client whose control port wants one of three passwords."""
    from testbed.tornet.network import free_ports

    port = free_ports(1)[0]
    lines = [f"ControlPort 127.0.0.1:{port}"]
    for password in PASSWORDS:
        done = subprocess.run(
            [find("tor"), "--quiet", "--hash-password", password], capture_output=True, text=True
        )
        lines.append(f"HashedControlPassword {done.stdout.split()[-1]}")
    client = tornet.add_client("guarded", lines)
    yield tornet, f"127.0.0.1:{port}"
    client.stop()


@pytest.mark.parametrize("password", PASSWORDS)
def test_the_control_port_takes_a_password(guarded: tuple[TorNetwork, str], password: str) -> None:
    net, control = guarded
    assert running(net, control, password).status().progress == 100


def test_the_control_port_refuses_a_wrong_password(guarded: tuple[TorNetwork, str]) -> None:
    net, control = guarded
    (net.folder / "guarded" / "cookie").unlink()
    for password in (None, "wrong"):
        with pytest.raises(TransportError) as caught:
            running(net, control, password).status()
        assert caught.value.reason == "control-auth"


def test_no_control_port_is_said_so(tornet: TorNetwork) -> None:
    for control in ("127.0.0.1:1", "unix:/nonexistent/control"):
        with pytest.raises(TransportError) as caught:
            running(tornet, control).status()
        assert caught.value.reason == "control-unavailable"


def test_places_are_tried_in_order(tornet: TorNetwork) -> None:
    """The first that answers a SOCKS login is taken, whatever else listens before it."""
    with SocksServer(forward(tornet.socks), greet=lambda sock: sock.sendall(b"SSH-2.0\r\n")) as ssh:
        places = (
            Place("system", "127.0.0.1:1", ()),
            Place("system", ssh.address, ()),
            Place("browser", tornet.socks, ()),
        )
        tor = find_among(TorSettings(), system_clock(), system_chance(), places)
    assert (tor.how, tor.socks) == ("browser", tornet.socks)


# mars doctor on the real network


def doctor(*arguments: str) -> dict[str, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-c", "from mars.cli import main; main()", "doctor", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": os.environ["PATH"]},
    )
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    return {step["step"]: step for step in report["steps"]}


def test_doctor_walks_the_whole_chain(tornet: TorNetwork, folder: str) -> None:
    publisher = Publisher()
    document = publisher.document(int(time.time()))
    trust = Path(folder, "trust.json")
    trust.write_bytes(publisher.trust().encode())
    with SocksServer(answering(ok(document)), plain=True) as server:
        onion = tornet.add_onion(80, server.address)
        found = doctor(
            *("--socks", tornet.socks, "--control", f"unix:{tornet.client.control_socket}"),
            *("--url", f"{onion.url}/motd/motd.json", "--trust", str(trust)),
        )
        assert {name: step["ok"] for name, step in found.items()} == dict.fromkeys(found, True)
        assert list(found) == ["tor", "bootstrapped", "circuit", "onion", "signature", "clock"]
        assert all(found[name]["seconds"] > 0 for name in ("bootstrapped", "circuit", "onion"))
        forged = doctor(
            *("--socks", tornet.socks, "--url", f"{onion.url}/motd/motd.json"),
            *("--trust", str(_other_trust(folder))),
        )
    assert forged["onion"]["ok"] is True
    assert (forged["signature"]["ok"], forged["signature"]["reason"]) == (
        False,
        "signature-threshold",
    )


def _other_trust(folder: str) -> Path:
    trust = Path(folder, "other.json")
    trust.write_bytes(Publisher().trust().encode())
    return trust


def test_doctor_names_an_onion_that_is_not_there(tornet: TorNetwork) -> None:
    nobody = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
    found = doctor("--socks", tornet.socks, "--url", f"http://{nobody}/")
    assert found["circuit"]["reason"] == "onion-not-found"
