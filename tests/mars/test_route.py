"""By which way a URL may go, decided purely and kept by the fetcher that takes the way."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars.adapters.tor import SYSTEM_FOLDERS, Place, find_tor
from mars.build import NO_TOR, Routed, opener
from mars.core.channel import NextRequest
from mars.errors import ConfigError, TransportError
from mars.factory import system_chance, system_clock
from mars.ports import Request, Tor, TorSettings
from mars.testing.socks import SocksServer, Visit, answering, ok
from mars.testing.world import World
from mars.wire.request import HTTPRequest
from mars.wire.url import parse_url

ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/motd/motd.json"
HTTPS = "https://news.example/motd/motd.json"
NOWHERE = "127.0.0.1:1"


ONLY_TOR = [
    ONION,
    ONION.replace("http:", "https:"),
    ONION.upper().replace("HTTP", "http"),
    "https://x.onion/",
    "https://sub.x.onion:8443/",
    "http://news.example/",
]


@pytest.mark.parametrize("url", [*ONLY_TOR, HTTPS + "?v=1.0", HTTPS + "?"])
def test_m31_what_only_tor_may_carry(url: str) -> None:
    assert not parse_url(url).may_go_directly
    assert url not in ONLY_TOR or planned(url, direct=True).direct is None


def test_direct_is_planned_without_data_and_only_where_allowed() -> None:
    assert planned(HTTPS, direct=False).direct is None
    plan = planned(HTTPS, direct=True)
    assert plan.direct == HTTPRequest.get(HTTPS)
    assert plan.url.startswith(f"{HTTPS}?v=")


def planned(url: str, *, direct: bool) -> NextRequest:
    world = World()
    world.grant("tracked", direct=direct)
    client = world.client()
    state = client.load()
    return client.plan(state, client.voice(state), url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://news.example/",
        "HTTPS://news.example/",
        "//news.example/",
        "https://me:secret@news.example/",
        "https://news.example/#part",
        "https://news.example/\r\nX: y",
        "https://news.example/ x",
        "https://næws.example/",
        "https://news.example:0/",
        "https://news.example:65536/",
        "https://[::1/",
        "https://-x/",
        "https://",
        "",
    ],
)
def test_a_url_is_of_one_strict_form(url: str) -> None:
    with pytest.raises(TransportError) as caught:
        HTTPRequest.get(url)
    assert caught.value.reason == "url-invalid"


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://News.Example", "news.example"),
        ("http://news.example:80/", "news.example"),
        ("https://news.example:443/", "news.example"),
        ("http://news.example:8080/x?y", "news.example:8080"),
        ("http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_the_authority_names_the_port_where_it_is_unusual(url: str, authority: str) -> None:
    location = parse_url(url)
    assert location.authority == authority
    assert parse_url(location.url) == location


def no_tor(settings: TorSettings) -> Tor:
    raise TransportError("tor-unavailable", "No Tor.")


@pytest.mark.parametrize("url", [ONION, "http://127.0.0.1:1/", HTTPS])
def test_m31_without_tor_nothing_is_sent(url: str) -> None:
    with pytest.raises(TransportError) as caught:
        Routed(TorSettings(), find=no_tor).fetch(Request(HTTPRequest.get(url)))
    assert caught.value.reason == "tor-unavailable"


def test_direct_is_taken_where_the_user_allowed_it() -> None:
    with pytest.raises(TransportError) as caught:
        direct = HTTPRequest.get("https://127.0.0.1:1/motd.json")
        Routed(TorSettings(), direct, find=no_tor).fetch(Request(HTTPRequest.get(HTTPS)))
    assert caught.value.reason == "host-unreachable"


def silent(sock: socket.socket) -> None:
    while sock.recv(4096):
        pass


def http(sock: socket.socket) -> None:
    sock.recv(4096)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def no_tls(sock: socket.socket, visit: Visit) -> None:
    sock.sendall(b"this is no TLS")


AT_THE_PORT: dict[str, tuple[dict[str, Any], str]] = {
    "it hangs": ({"greet": silent}, "tor-silent"),
    "it hangs up": ({"greet": lambda sock: None}, "not-socks"),
    "another program": ({"greet": http}, "not-socks"),
    "it has no logins": ({"method": 0}, "socks-auth"),
    "it takes no login": ({"method": 0xFF}, "socks-auth"),
    "it refuses the login": ({"login": 1}, "socks-auth"),
    "it cannot connect": ({"code": 1}, "tor-failed"),
    "its rules refuse": ({"code": 2}, "refused"),
    "it is offline": ({"code": 3}, "network-down"),
    "it does not find the host": ({"code": 4}, "host-not-found"),
    "it is too slow": ({"code": 6}, "host-unreachable"),
    "it is a proxy of another kind": ({"code": 7}, "not-socks"),
    "it says nonsense": ({"code": 99}, "tor-failed"),
    "no TLS at the other end": ({}, "tls"),
}
"""What listens where a Tor may be, and what comes of asking it. The direct way is allowed."""


@pytest.mark.parametrize("found", ["given", "usual"])
@pytest.mark.parametrize(("fault", "reason"), AT_THE_PORT.values(), ids=AT_THE_PORT)
def test_whatever_listens_and_fails_is_no_reason_to_go_direct(
    fault: dict[str, Any], reason: str, found: str, tmp_path: Path
) -> None:
    with SocksServer(no_tls, **fault) as tor, direct_server() as (url, visited):
        places = (Place("system", tor.address, ()),) if found == "usual" else ()
        # No tor of our own either: without what listens there, the direct way would be open.
        settings = TorSettings(binary="/nonexistent/tor", folder=str(tmp_path))
        given = replace(settings, socks=tor.address) if found == "given" else settings
        with pytest.raises(TransportError) as caught:
            fetch_by(given, places, url)
    assert caught.value.reason == reason
    assert not visited()


def script(folder: Path, text: str) -> str:
    path = folder / "tor"
    path.write_text(f"#!/bin/sh\n{text}\n", "ascii")
    path.chmod(0o755)
    return str(path)


OF_OUR_OWN = {
    "it ends at once": ("exit 1", "tor-start"),
    "it does not connect": ("exec sleep 60", "tor-bootstrap"),
    "it is no program": ("\0", "tor-start"),
}


@pytest.mark.parametrize(("text", "reason"), OF_OUR_OWN.values(), ids=OF_OUR_OWN)
def test_a_tor_of_our_own_that_fails_is_no_reason_to_go_direct(
    text: str, reason: str, tmp_path: Path
) -> None:
    settings = TorSettings(
        binary=script(tmp_path, text), folder=str(tmp_path / "own"), patience=1.0
    )
    with direct_server() as (url, visited), pytest.raises(TransportError) as caught:
        fetch_by(settings, (Place("system", NOWHERE, ()),), url)
    assert caught.value.reason == reason
    assert not visited()


def test_files_of_our_own_tor_that_cannot_be_written_are_no_reason_to_go_direct(
    tmp_path: Path,
) -> None:
    (tmp_path / "own").write_bytes(b"a file")
    with direct_server() as (url, visited), pytest.raises(ConfigError):
        fetch_by(TorSettings(binary="true", folder=str(tmp_path / "own")), (), url)
    assert not visited()


@pytest.mark.parametrize("what", ["no right", "a folder", "a broken link", "on the PATH"])
def test_a_tor_that_is_there_and_cannot_be_started_is_no_reason_to_go_direct(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "tor"
    if what == "a folder":
        place.mkdir()
    elif what == "a broken link":
        place.symlink_to("nothing")
    else:
        place.write_bytes(b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    binary = "tor" if what == "on the PATH" else str(place)
    settings = TorSettings(binary=binary, folder=str(tmp_path / "own"))
    if what == "on the PATH" and shutil.which("tor", path=SYSTEM_FOLDERS):
        settings = replace(settings, binary="no-such-tor")
        place.rename(tmp_path / "no-such-tor")
    with direct_server() as (url, visited), pytest.raises(TransportError) as caught:
        fetch_by(settings, (Place("system", NOWHERE, ()),), url)
    assert caught.value.reason == "tor-start"
    assert not visited()


NOBODY: dict[str, TorSettings] = {
    "given": TorSettings(socks=NOWHERE),
    "no launch": TorSettings(launch=False, folder="own"),
    "no folder": TorSettings(),
    "not installed": TorSettings(binary="/nonexistent/tor", folder="own"),
}


@pytest.mark.parametrize("settings", NOBODY.values(), ids=NOBODY)
@pytest.mark.parametrize("allowed", [True, False])
def test_where_no_tor_is_the_direct_way_is_taken_if_it_is_allowed(
    settings: TorSettings, allowed: bool, tmp_path: Path
) -> None:
    folder = settings.folder and str(tmp_path / settings.folder)
    settings = replace(settings, folder=folder)
    with direct_server() as (url, visited), pytest.raises(TransportError) as caught:
        fetch_by(settings, (Place("system", NOWHERE, ()),), url, allowed=allowed)
    assert visited() is allowed
    assert allowed is (caught.value.reason not in NO_TOR)


def fetch_by(
    settings: TorSettings, places: tuple[Place, ...], url: str, *, allowed: bool = True
) -> None:
    def find(given: TorSettings) -> Tor:
        return find_tor(given, system_clock(), system_chance(), places)

    asked = HTTPRequest.get(url)
    Routed(settings, asked if allowed else None, find=find).fetch(Request(asked, deadline=20.0))


@contextmanager
def direct_server() -> Iterator[tuple[str, Callable[[], bool]]]:
    """The https server itself, which speaks no TLS; and whether anybody came directly."""
    with SocksServer(no_tls, plain=True) as server:
        yield f"https://{server.address}/motd.json", lambda: bool(server.visits)


def test_tor_is_used_where_there_is_one() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        routed = Routed(TorSettings(socks=proxy.address), HTTPRequest.get(HTTPS))
        request = Request(HTTPRequest.get(HTTPS.replace("https", "http") + "?v=1.0"))
        assert routed.fetch(request).route == f"tor {proxy.address}"
    assert b"?v=1.0 HTTP" in proxy.visits[1].request


def test_m05_a_file_url_opens_no_socket(tmp_path: Path) -> None:
    file = tmp_path / "motd at home.json"
    file.write_bytes(b"news")
    plan = planned(file.as_uri(), direct=True)
    response = opener(TorSettings())(plan).fetch(Request(plan.request))
    assert (response.status, response.body, response.route) == (200, b"news", "file")
