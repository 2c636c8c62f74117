"""By which way a URL may go, decided purely and kept by the fetcher that takes the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from mars.errors import TransportError
from mars.ports import Request, Tor, TorSettings
from mars.route import Via, ways, without_metrics
from mars.routed import Routed
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.url import parse_url

ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/motd/motd.json"
HTTPS = "https://news.example/motd/motd.json"


@pytest.mark.parametrize(
    "url",
    [
        ONION,
        ONION.replace("http:", "https:"),
        ONION.upper().replace("HTTP", "http"),
        "https://x.onion/",
        "https://sub.x.onion:8443/",
        "http://news.example/",
        HTTPS + "?v=1.0",
        HTTPS + "?",
    ],
)
def test_m31_what_only_tor_may_carry(url: str) -> None:
    assert ways(url, direct_allowed=True) == (Via.TOR,)


def test_direct_is_the_second_choice_and_only_where_allowed() -> None:
    assert ways(HTTPS) == (Via.TOR,)
    assert ways(HTTPS, direct_allowed=True) == (Via.TOR, Via.DIRECT)
    assert without_metrics(HTTPS + "?v=1.0&os=linux") == HTTPS


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
        ways(url)
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


def broken_tor(settings: TorSettings) -> Tor:
    raise TransportError("socks-auth", "A Tor that refuses us.")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("url", [ONION, "http://127.0.0.1:1/"])
def test_m31_without_tor_nothing_is_sent(url: str, allowed: bool) -> None:
    with pytest.raises(TransportError) as caught:
        Routed(TorSettings(), direct_allowed=allowed, find=no_tor).fetch(Request(url))
    assert caught.value.reason == "tor-unavailable"


def test_direct_is_taken_where_the_user_allowed_it() -> None:
    with pytest.raises(TransportError) as caught:
        Routed(TorSettings(), direct_allowed=True, find=no_tor).fetch(
            Request("https://127.0.0.1:1/motd.json?v=1.0")
        )
    assert caught.value.reason == "host-unreachable"


def test_a_tor_that_fails_is_no_reason_to_go_direct() -> None:
    with pytest.raises(TransportError) as caught:
        Routed(TorSettings(), direct_allowed=True, find=broken_tor).fetch(
            Request("https://127.0.0.1:1/motd.json")
        )
    assert caught.value.reason == "socks-auth"


def test_tor_is_used_where_there_is_one() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        routed = Routed(TorSettings(socks=proxy.address), direct_allowed=True)
        assert routed.fetch(Request(ONION + "?v=1.0")).route == f"tor {proxy.address}"
    assert b"?v=1.0 HTTP" in proxy.visits[1].request


def test_m05_a_file_url_opens_no_socket(tmp_path: Path) -> None:
    file = tmp_path / "motd at home.json"
    file.write_bytes(b"news")
    response = Routed(TorSettings(), find=no_tor).fetch(Request(file.as_uri()))
    assert (response.status, response.body, response.route) == (200, b"news", "file")
