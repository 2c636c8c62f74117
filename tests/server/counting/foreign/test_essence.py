"""No address, and nothing else that only the server saw, is in what is remembered of a log."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars_server.counting.foreign.identity import digest, essence, has_time, ladder
from tests.server.counting.commands import product, run_json
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


def test_times_tell_logs_apart_and_requests_where_there_is_no_time() -> None:
    first = line(b"?v=0.5.2", stamp=b"21/Nov/2026:10:11:12 +0000")
    later = line(b"?v=0.5.2", stamp=b"21/Nov/2026:10:11:13 +0000")
    other = line(b"?v=0.5.1", stamp=b"21/Nov/2026:10:11:12 +0000")
    assert len({digest(one) for one in (first, later, first + first)}) == 3
    assert digest(first) == digest(other)
    timeless = [one.replace(b":10:11:12", b":00:00:00") for one in (first, other)]
    assert len({digest(one) for one in timeless}) == 2


@pytest.mark.parametrize(
    "form",
    [
        b'- - - [21/Nov/2026:00:00:00 +0000] "GET %b HTTP/1.1" 200 512 "%b" "-"\n',
        b'{"request":{"method":"GET","uri":"%b","headers":{"Referer":["%b"]}},"status":200}\n',
        b'{"request":"GET %b HTTP/1.1","referrer":"%b","status":200}\n',
        b'{"referrer":"-","request_uri":"%b","http_referer":"%b"}\n',
    ],
)
def test_a_referrer_is_no_request(form: bytes) -> None:
    own = [b"/motd/motd.json?v=0.5.%d" % n for n in (1, 2)]
    assert len({essence(form % (one, b"-")) for one in own}) == 2
    for path in (b"/", b"/motd/motd.json"):
        named = [b"http://a/motd/motd.json?v=0.5.1", b"http://a/motd/motd.json?v=0.5.2", *own]
        pages = [form % (path, one) for one in named]
        kept = {re.sub(rb"^[0-9]+ ", b"", essence(one)) for one in pages}
        assert len(kept) == 1


@given(st.text("0123456789abcdef:.", max_size=39))
def test_no_address_looks_like_a_time(address: str) -> None:
    assert not has_time(b'%b - - [21/Nov/2026:00:00:00 +0000] "GET / ' % address.encode())


@given(st.binary(), st.binary())
def test_any_bytes_have_an_essence_line_by_line(one: bytes, two: bytes) -> None:
    assert essence(one + b"\n" + two) == essence(one) + b"\n" + essence(two)


WHOLE = b'{"ip":%d,"ts":%d,"status":200,"request":"GET /motd/motd.json HTTP/1.1"}\n'


def test_whole_seconds_are_a_time_but_no_other_number_is() -> None:
    assert essence(WHOLE % (3232235777, 1795255200)) == essence(WHOLE % (3405803783, 1795255200))
    assert digest(WHOLE % (1, 1795255200)) != digest(WHOLE % (1, 1795255201))
    assert has_time(WHOLE % (1, 1795255200))
    assert not has_time(WHOLE % (1, 1795219200)), "midnight: only the day was written"
    assert has_time(b'{"ts":1795219200.000000000}\n')


def test_two_archives_of_whole_seconds_are_two_logs(tmp_path: Path) -> None:
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    log = tmp_path / "a.json.gz"
    for start in (1795255200, 1795258800):
        lines = b"".join(WHOLE % (1, start + n) for n in range(100))
        log.write_bytes(gzip.compress(lines))
        assert run_json("count", log, *told)["hits"] == 100
        assert run_json("count", log, *told)["hits"] == 0
        log.unlink()
