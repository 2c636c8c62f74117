"""No address, and nothing else that only the server saw, is in what is remembered of a log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars_server.counting.essence import essence, has_time
from mars_server.counting.identity import digest, ladder
from tests.server.counting.examples import line

COMBINED = (
    b'%b - %b [21/Nov/2026:10:11:12 +0000] "GET /motd/motd.json?v=0.5.2 HTTP/1.1" 200 512 '
    b'"%b" "%b"\n'
)
CADDY = (
    b'{"level":"info","ts":1795219200.5,"request":{"remote_ip":"%b","method":"GET",'
    b'"uri":"/motd/motd.json?v=0.5.2","headers":{"X-Forwarded-For":["%b"],"Referer":["%b"],'
    b'"User-Agent":["%b"]}},"status":200}\n'
)
PEOPLE = [
    (b"203.0.113.7", b"anna", b"https://a.example/", b"Agent/1 (x)"),
    (b"198.51.100.", b"bert", b"https://b.example/", b"Other/2 (y)"),
    (b"2001:db8::1", b"carl", b"https://c.example/", b"10:11:13 :)"),
    (b"::12:34:567", b"dora", b"2026:10:11:13 +   ", b"1795219.123"),
]


@pytest.mark.parametrize("form", [COMBINED, CADDY])
def test_two_visitors_leave_the_same_marks(form: bytes) -> None:
    logs = [form % who for who in PEOPLE]
    assert len(set(map(len, logs))) == 1
    assert len({essence(log) for log in logs}) == 1
    assert len({ladder(log * 9) for log in logs}) == 1


def test_time_and_request_tell_logs_apart() -> None:
    first = line(b"?v=0.5.2", stamp=b"21/Nov/2026:10:11:12 +0000")
    later = line(b"?v=0.5.2", stamp=b"21/Nov/2026:10:11:13 +0000")
    other = line(b"?v=0.5.1", stamp=b"21/Nov/2026:10:11:12 +0000")
    assert len({digest(one) for one in (first, later, other, first + first)}) == 4


@given(st.text("0123456789abcdef:.", max_size=39))
def test_no_address_looks_like_a_time(address: str) -> None:
    assert not has_time(b'%b - - [21/Nov/2026:00:00:00 +0000] "GET / ' % address.encode())


@given(st.binary(), st.binary())
def test_any_bytes_have_an_essence_line_by_line(one: bytes, two: bytes) -> None:
    assert essence(one + b"\n" + two) == essence(one) + b"\n" + essence(two)
