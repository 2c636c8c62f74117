"""The order in which a tor is looked for, without any tor: stand-ins on loopback."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mars.adapters.control import session
from mars.adapters.gpg import GnuPG
from mars.adapters.tor import USUAL, Place, find_tor
from mars.errors import ConfigError, TransportError
from mars.factory import system_chance, system_clock
from mars.ports import Tor, TorSettings
from mars.testing.socks import SocksServer, answering
from mars.wire.torrc import own_torrc

NOWHERE = "127.0.0.1:1"


def find(settings: TorSettings, *places: Place) -> Tor:
    return find_tor(settings, system_clock(), system_chance(), places)


def test_the_usual_places_are_tor_then_tor_browser() -> None:
    assert [(place.how, place.socks) for place in USUAL] == [
        ("system", "127.0.0.1:9050"),
        ("browser", "127.0.0.1:9150"),
    ]


def test_a_given_address_is_used_and_no_other() -> None:
    with SocksServer(answering(b"")) as given, SocksServer(answering(b"")) as usual:
        place = Place("system", usual.address, ())
        tor = find(TorSettings(socks=given.address), place)
        assert (tor.how, tor.socks) == ("given", given.address)
        with pytest.raises(TransportError) as caught:
            find(TorSettings(socks=NOWHERE), place)
        assert caught.value.reason == "tor-unavailable"
    assert usual.visits == []


def test_the_first_place_that_lets_us_log_in_is_taken() -> None:
    with (
        SocksServer(answering(b""), method=0) as without_login,
        SocksServer(answering(b"")) as browser,
    ):
        tor = find(
            TorSettings(),
            Place("system", NOWHERE, ()),
            Place("system", without_login.address, ()),
            Place("browser", browser.address, ()),
        )
    assert (tor.how, tor.socks) == ("browser", browser.address)
    assert browser.visits[0].user != b""
    assert browser.visits[0].host == "", "the probe asks for no connection"


def test_none_is_found_and_none_may_be_started() -> None:
    for settings in (TorSettings(), TorSettings(launch=False, folder="/nonexistent")):
        with pytest.raises(TransportError) as caught:
            find(settings, Place("system", NOWHERE, ()))
        assert caught.value.reason == "tor-unavailable"


def test_a_malformed_address_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError):
        find(TorSettings(socks="socks5://127.0.0.1:9050"))


def test_a_tor_without_known_control_port_says_so() -> None:
    with SocksServer(answering(b"")) as proxy:
        tor = find(TorSettings(socks=proxy.address))
    with pytest.raises(TransportError) as caught:
        tor.status()
    assert caught.value.reason == "control-unavailable"


def test_a_control_port_that_says_nothing_is_left_in_time() -> None:
    """stem alone would wait for ever."""
    with (
        SocksServer(answering(b""), greet=listen_only) as silent,
        pytest.raises(TransportError) as caught,
        session(silent.address, None, 0.5),
    ):
        pass
    assert caught.value.reason == "control-unavailable"


def listen_only(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def test_stem_and_requests_are_loaded_only_when_used() -> None:
    code = (
        "import sys, mars.factory as f\n"
        "from mars.errors import MarsError\n"
        "from mars.ports import TorSettings\n"
        f"f.require_socks('{NOWHERE}')\n"
        f"try: f.find_tor(TorSettings(socks='{NOWHERE}'))\n"
        "except MarsError: pass\n"
        "print(sorted({'stem', 'requests', 'urllib3', 'nacl', 'gnupg'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_torrc_of_our_own_tor() -> None:
    text = own_torrc(
        'C:\\Users\\Zoë "Z"',
        42,
        ["Bridge obfs4 192.0.2.1:443 0123 cert=x iat-mode=0", "192.0.2.2:443"],
        ["obfs4 exec /usr/bin/obfs4proxy"],
    )
    lines = text.splitlines()
    assert 'DataDirectory "C:\\\\Users\\\\Zoë \\"Z\\"/data"' in lines
    assert "__OwningControllerProcess 00042" in lines
    assert lines[-4:] == [
        "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy",
        "UseBridges 1",
        "Bridge obfs4 192.0.2.1:443 0123 cert=x iat-mode=0",
        "Bridge 192.0.2.2:443",
    ]


BUNDLE = {
    "LD_LIBRARY_PATH": "/bundle",
    "LD_PRELOAD": "",
    "PYTHONHOME": "/bundle",
    "DYLD_LIBRARY_PATH": "/bundle",
}


@pytest.mark.parametrize(
    ("marks", "frozen", "libraries"),
    [
        ({}, False, "/bundle"),  # the user's own
        ({}, True, None),
        ({"LD_LIBRARY_PATH_ORIG": "/before"}, True, "/before"),
        ({"LD_LIBRARY_PATH_ORIG": ""}, True, None),
        ({"APPDIR": "/bundle"}, False, None),
    ],
)
def test_a_bundles_libraries_do_not_reach_the_systems_tor(
    marks: dict[str, str],
    frozen: bool,
    libraries: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dump = program(tmp_path, "tor", f"exec env > {tmp_path}/seen")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "frozen", frozen, raising=False)
    for name, value in (BUNDLE | marks).items():
        monkeypatch.setenv(name, value)
    for binary, own in ((None, None), (str(dump), str(tmp_path))):
        seen = environment_of_tor(tmp_path, binary)
        expected = ":".join(filter(None, (own, libraries))) or None
        assert seen.get("LD_LIBRARY_PATH") == expected
        assert seen["HOME"] == str(tmp_path / "own")
        assert not (BUNDLE.keys() - {"LD_LIBRARY_PATH"}) & seen.keys()


def environment_of_tor(folder: Path, binary: str | None) -> dict[str, str]:
    with pytest.raises(TransportError) as caught:
        find(TorSettings(folder=str(folder / "own"), binary=binary, patience=20.0))
    assert caught.value.reason == "tor-start"
    lines = (folder / "seen").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_a_bundles_libraries_do_not_reach_gpgv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "gpgv", f"exec env > {tmp_path}/seen")
    for name, value in BUNDLE.items():
        monkeypatch.setenv(name, value)
    GnuPG(path=str(tmp_path), scratch=tmp_path).verify(b"\x88", b"", ())
    assert "HOME=" in (tmp_path / "seen").read_text()
    assert "/bundle" not in (tmp_path / "seen").read_text()


def program(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", "ascii")
    path.chmod(0o755)
    return path


# The name tried is no text; only Linux lets a folder have it. Where the suite runs it is never left
# out: CI is Linux.
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name is text")
def test_own_tor_lives_in_a_folder_of_any_name() -> None:
    """Off the network; that it comes to its control port and lets us in is what is seen here."""
    with tempfile.TemporaryDirectory(prefix="mars-own ", dir="/tmp") as folder:
        for name in (b"\xff\xe9", b'"\\', "Zoë".encode()):
            here = Path(folder, os.fsdecode(name))
            settings = TorSettings(folder=str(here), extra=("DisableNetwork 1",), patience=2.0)
            with pytest.raises(TransportError) as caught:
                find(settings)
            assert caught.value.reason == "tor-bootstrap"
            assert "0 % only (Starting)" in caught.value.message, "tor's own words"


def test_a_tor_that_hangs_is_no_other_program() -> None:
    with SocksServer(answering(b""), greet=listen_only) as hung:
        for place, given in ((hung.address, hung.address), (hung.address, None)):
            with pytest.raises(TransportError) as caught:
                find(TorSettings(socks=given), Place("system", place, ()))
            assert caught.value.reason == "tor-silent"


def test_a_tor_that_takes_no_more_connections_hangs_too() -> None:
    with contextlib.ExitStack() as held:
        server = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        address = server.getsockname()
        for _ in range(2):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        with pytest.raises(TransportError) as caught:
            find(TorSettings(), Place("system", f"127.0.0.1:{address[1]}", ()))
        assert caught.value.reason == "tor-silent"


def test_a_folder_with_a_line_break_is_refused() -> None:
    with pytest.raises(ConfigError):
        own_torrc("/tmp/a\nExitRelay 1", 42)
