"""URLs, requests and the configuration of our own tor: pure text, byte for byte."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from hashlib import sha256

import pytest

from mars.errors import ConfigError, TransportError
from mars.wire import socks5
from mars.wire.request import HTTPRequest, request_bytes
from mars.wire.torrc import own_torrc, quote
from mars.wire.url import parse_url

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"


@pytest.mark.parametrize(
    ("url", "authority", "again"),
    [
        (f"http://{ONION}/motd/motd.json?v=1.0", ONION, f"http://{ONION}/motd/motd.json?v=1.0"),
        ("https://Example.org:8443", "example.org:8443", "https://example.org:8443/"),
        ("http://[::1]:80/x?", "[::1]", "http://[::1]/x?"),
    ],
)
def test_url_is_taken_apart_and_put_together(url: str, authority: str, again: str) -> None:
    place = parse_url(url)
    assert (place.authority, place.url) == (authority, again)
    assert place.is_onion == (ONION in url)
    assert place.has_query == ("?" in url)
    assert place.may_go_directly == (authority == "example.org:8443")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://x.org/", "http://", "http://u@x.org/", "http://x.org/#f", "http://x.org/a b", ""),
        *("http://x.org:0/", "http://x.org:65536/", "http://exämple.org/", "http://x.org/\n"),
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(TransportError) as caught:
        parse_url(url)
    assert caught.value.reason == "url-invalid"


def test_a_request_is_one_value_with_its_golden_bytes() -> None:
    get = HTTPRequest.get("http://H:80/motd/motd.json?v=1.0")
    assert (get.method, get.url, get.body) == ("GET", "http://h/motd/motd.json?v=1.0", None)
    assert get.golden == request_bytes("h", "v=1.0")
    assert get.shown.encode() == get.golden
    post = HTTPRequest.post("http://h/a", b"body")
    assert (post.method, post.body) == ("POST", b"body")
    assert post.golden.startswith(b"POST /a HTTP/1.1\r\nHost: h\r\n")
    assert post.golden.endswith(b"Content-Length: 4\r\n\r\nbody")
    with pytest.raises(FrozenInstanceError):
        post.body = b"other"  # type: ignore[misc]


def test_a_sealed_body_is_shown_as_what_was_sealed_with_its_size_and_digest() -> None:
    said = '{"statistic": "næws"}'
    body = b"\0\r\n\r\n" + bytes(1019)
    post = HTTPRequest.post("http://h/motd/in", body, said)
    head, _, shown = post.shown.partition("\r\n\r\n")
    digest = sha256(body).hexdigest()
    assert shown == f"{said}\r\n[1024 bytes, sealed, SHA-256 {digest}]\r\n"
    assert post.golden.startswith(head.encode() + b"\r\n\r\n\0\r\n\r\n\0")


def test_own_torrc_quotes_and_copies() -> None:
    text = own_torrc('/tmp/a "b"', 7, ["Bridge 1.2.3.4:5"], ["obfs4 exec /x"], ["Extra 1"])
    assert '"/tmp/a \\"b\\"/data"' in text
    assert "UseBridges 1\nBridge 1.2.3.4:5\n" in text
    assert "ClientTransportPlugin obfs4 exec /x\n" in text
    assert text.endswith("Extra 1\n")
    assert "UseBridges" not in own_torrc("/tmp", 7)


@pytest.mark.parametrize("line", ["a\nb", "a # b", "", "é", "x" * 2001])
def test_a_bridge_line_cannot_smuggle_in_an_option(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own_torrc("/tmp", 7, [line])
    assert caught.value.reason == "bridge-invalid"


def test_a_folder_with_control_characters_is_refused() -> None:
    with pytest.raises(ConfigError):
        quote("/tmp/a\nb")


def test_a_login_is_that_of_rfc_1929() -> None:
    assert socks5.login(b"user", b"pw") == b"\x01\x04user\x02pw"
