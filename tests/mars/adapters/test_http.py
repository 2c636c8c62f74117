"""The fetcher against a recording SOCKS proxy: what leaves, what comes back, what each fault is."""

from __future__ import annotations

import pytest

from mars.adapters.socks import parse_proxy
from mars.errors import ConfigError, MarsError, TransportError
from mars.factory import direct_fetcher, fetcher
from mars.ports import Request
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.request import HTTPRequest, request_bytes

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
URL = f"http://{ONION}/motd/motd.json"


def reason_of(url: str, socks: str, **kwargs: float) -> str:
    with pytest.raises(MarsError) as caught:
        fetcher(socks).fetch(Request(HTTPRequest.get(url), **kwargs))  # type: ignore[arg-type]
    assert len(caught.value.message) > 20
    return caught.value.reason


def test_a_fetch_brings_the_body_and_names_its_route() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        response = fetcher(proxy.address).fetch(Request(HTTPRequest.get(URL)))
    assert (response.status, response.body) == (200, b"news")
    assert response.route == f"tor {proxy.address}"


def test_the_proxy_gets_the_name_and_the_golden_bytes() -> None:
    with SocksServer(answering(ok(b""))) as proxy:
        fetcher(proxy.address).fetch(Request(HTTPRequest.get(URL + "?v=0.5.2&os=linux&ia=100")))
    (visit,) = proxy.visits
    assert (visit.kind, visit.host, visit.port) == (3, ONION, 80)
    assert visit.request == request_bytes(ONION, "v=0.5.2&os=linux&ia=100")
    assert visit.methods == b"\x02"


def test_no_request_is_answered_when_nothing_listens() -> None:
    with SocksServer(answering(b"")) as proxy:
        address = proxy.address
    assert reason_of(URL, address) == "tor-unavailable"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("socks5://127.0.0.1:9050", "socks-scheme"),
        ("http://127.0.0.1:9050", "socks-scheme"),
        ("tor.example:9050", "socks-address"),
        ("127.0.0.1", "socks-address"),
        ("127.0.0.1:0", "socks-address"),
        ("127.0.0.1:99999", "socks-address"),
        ("127.0.0.1:٩٠٥٠", "socks-address"),
        ("::1:9050", "socks-address"),
        ("[127.0.0.1]:9050", "socks-address"),
        ("[fe80::1%eth0]:9050", "socks-address"),
        ("127.1:9050", "socks-address"),
    ],
)
def test_a_proxy_is_an_ip_address_behind_socks5h(text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fetcher(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "url",
    [URL, URL.replace("http:", "https:"), "http://news.example/x", "https://news.example/?v=1"],
)
def test_the_direct_route_takes_plain_https_alone(url: str) -> None:
    post = HTTPRequest.post("https://news.example/motd/in", b"sealed")
    for request in (HTTPRequest.get(url), post):
        with pytest.raises(TransportError) as caught:
            direct_fetcher().fetch(Request(request))
        assert caught.value.reason == "direct-refused"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("127.0.0.1:9050", "127.0.0.1:9050"),
        ("localhost:9050", "127.0.0.1:9050"),
        ("socks5h://127.0.0.1:9050", "127.0.0.1:9050"),
        ("[::1]:9050", "[::1]:9050"),
        ("10.152.152.10:9050", "10.152.152.10:9050"),
    ],
)
def test_a_proxy_s_address_is_read(text: str, read: str) -> None:
    assert str(parse_proxy(text)) == read
