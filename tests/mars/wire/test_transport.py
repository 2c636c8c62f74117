"""The pure side of the transport: SOCKS bytes, reasons, and that docs/tor.md knows them all."""

from __future__ import annotations

import ast
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.cli.common import explained
from mars.core.journal import EXCHANGE
from mars.errors import TransportError
from mars.wire import socks5
from mars.wire.url import parse_url

ROOT = Path(__file__).parents[3]
SOURCES = (
    "mars/adapters/control.py",
    "mars/adapters/deadline.py",
    "mars/adapters/http.py",
    "mars/adapters/owners.py",
    "mars/adapters/socks.py",
    "mars/adapters/tor.py",
    "mars/errors.py",
    "mars/wire/socks5.py",
    "mars/wire/torrc.py",
    "mars/wire/url.py",
)


def test_a_name_is_sent_as_a_name() -> None:
    assert socks5.connect("news.example", 80) == b"\x05\x01\x00\x03\x0cnews.example\x00P"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", b"\x01\x7f\0\0\x01"),
        ("::1", b"\x04" + socket.inet_pton(socket.AF_INET6, "::1")),
    ],
)
def test_an_ip_literal_is_sent_as_an_address(host: str, address: bytes) -> None:
    assert socks5.connect(host, 443) == b"\x05\x01\x00" + address + b"\x01\xbb"


@pytest.mark.parametrize(("user", "password"), [(b"", b"x"), (b"x", b""), (b"x" * 256, b"x")])
def test_a_login_has_both_of_1_to_255_bytes(user: bytes, password: bytes) -> None:
    with pytest.raises(ValueError, match="255"):
        socks5.login(user, password)


def test_a_host_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TransportError):
        socks5.connect("x" * 256, 80)


@given(st.integers(1, 255), st.sampled_from(["x.onion", "news.example"]))
def test_every_code_has_a_sentence_and_a_reason(code: int, host: str) -> None:
    error = socks5.failure(code, host)
    assert re.fullmatch(r"[a-z][a-z-]+", error.reason)
    assert error.message.endswith(".")
    assert ("onion" in error.reason) <= host.endswith(".onion") or code in (0xF1, 0xF4, 0xF5, 0xF6)


@given(st.text(max_size=40))
def test_a_url_is_read_or_refused_and_never_changed(text: str) -> None:
    for url in (text, "http://" + text, "https://x.example/" + text):
        try:
            location = parse_url(url)
        except TransportError as error:
            assert error.reason == "url-invalid"
        else:
            assert parse_url(location.url) == location
            assert location.url.isascii()
            assert not set(location.url) & set(" \r\n\t#@") - {"@"}


def reasons(path: Path, kind: str = "Error") -> set[str]:
    """Literal reason codes that a module raises or returns."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        first = node.args[0]
        if name.endswith(kind) and isinstance(first, ast.Constant):
            found.add(str(first.value))
    return found


def test_every_reason_of_the_transport_stands_in_the_docs_and_no_other() -> None:
    raised = set().union(*(reasons(ROOT / source) for source in SOURCES))
    raised |= reasons(ROOT / "mars/adapters/files.py", "TransportError")
    raised = {reason for reason in raised if re.fullmatch(r"[a-z]+(-[a-z]+)*", reason)}
    raised |= {
        socks5.failure(code, host).reason for code in range(1, 256) for host in ("a.onion", "b")
    }
    assert raised | {"begun", "withdrawn", "day-used", "registry-unknown"} == set(EXCHANGE)
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", (ROOT / "docs/tor.md").read_text(), re.MULTILINE)
    documented = {code: text for codes, text in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert documented == EXCHANGE


def test_a_reason_is_explained_where_it_is_known() -> None:
    assert explained("begun").startswith("begun (it was sent, and the process ended")
    assert (
        explained("rollback")
        == "rollback (serial is lower than one that was seen, or than the built-in minimum)"
    )
    assert explained("made-up") == "made-up"
