"""The logs of real servers, hit with ordinary and hostile requests, against the reference."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars_server.counting.blocks import Lines
from mars_server.counting.formats import COMBINED, JSON, detect
from mars_server.counting.tally import Counting, named
from tests.server.counting import reference
from tests.server.counting.commands import contract, expected, product, run_json
from tests.server.counting.examples import ALLOW, ALLOWED, HITS, NO_HITS, line, tally
from tests.server.counting.webservers import missing, send, web_server

END = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
ORDINARY = (
    b"GET /motd/motd.json" + END + b"\r\n",
    b"GET /motd/motd.json?v=0.5.2&os=linux&ia=100" + END + b"\r\n",
    b"GET /motd/motd.json?v=0.5.1&os=windows&ia=10&lang=is" + END + b"\r\n",
    b"GET /motd/motd.json?" + END + b"\r\n",
    b"GET /motd/motd.json?v=1&v=0.5.2" + END + b"User-Agent: x\r\n\r\n",
    b"GET /motd/motd.json?cc=IS" + END + b'User-Agent: " 404 "[x] "GET / HTTP/1.1" 200 \r\n\r\n',
    b"GET /motd/motd.json?py=3.12" + END + b'Referer: \\" 500 {"status":404}\r\n\r\n',
    b"GET /motd/motd.json?lang=de" + END + b"User-Agent: \xff\xfe\x80\r\n\r\n",
    b"GET /motd/motd.json HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
)
"""Each is one hit on every server."""
HOSTILE = (
    b"HEAD /motd/motd.json" + END + b"\r\n",
    b"POST /motd/motd.json" + END + b"Content-Length: 0\r\n\r\n",
    b"GET /none" + END + b"\r\n",
    b"GET /motd/motd.json/" + END + b"\r\n",
    b"GET /motd/motd.json?v=%30.5.2" + END + b"\r\n",
    b'GET /motd/motd.json?v="x"' + END + b"\r\n",
    b"GET /motd/motd.json?v=\xd9\xa1" + END + b"\r\n",
    b"GET /motd/motd.json?" + b"x" * 256 + END + b"\r\n",
    b"GET /%6dotd/motd.json" + END + b"\r\n",
    b'GET /x"] "GET /motd/motd.json HTTP/1.1" 200 ' + END + b"\r\n",
    b"GET http://127.0.0.1/motd/motd.json" + END + b"\r\n",
    b"GET /motd/motd.json" + END + b"Range: bytes=0-1\r\n\r\n",
    b"GET /?/motd/motd.json" + END + b'User-Agent: GET /motd/motd.json HTTP/1.1" 200 \r\n\r\n',
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET /motd/motd.json\r\n\r\n",
    b"GET /\x00\x1b[31m" + END + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


@pytest.mark.parametrize("name", ["nginx", "apache", "caddy"])
def test_real_servers(name: str, tmp_path: Path) -> None:
    reason = missing(name)
    if reason is not None:
        # make test installs it; pytest alone names and counts the skip, and with CI set fails.
        pytest.skip(reason)
    before = datetime.now(UTC).date()
    with web_server(name) as server:
        for request in ORDINARY:
            assert b" 200 " in send(server.port, request)
        for request in HOSTILE:
            send(server.port, request)
        server.stop()
        contents = {form: path.read_bytes() for form, path in server.logs.items()}
    days = {before.isoformat(), datetime.now(UTC).date().isoformat()}
    told = ("--product", product(tmp_path), "--dry-run")
    for form, content in contents.items():
        found = contract(run_json("count", "-", *told, stdin=content))
        assert detect(content) == form.partition(" ")[0]
        assert found == expected(content, as_json=form != "combined")
        # nginx's $request_uri is a plain path for "GET http://127.0.0.1/motd/motd.json" too.
        extra = 1 if form == "json parts" else 0
        assert found["hits"] == len(ORDINARY) + extra, content.decode(errors="replace")
        assert set(found["days"]) <= days


CADDY = (
    b'{"level":"info","ts":%s,"logger":"http.log.access","msg":"handled request","request":'
    b'{"remote_ip":"127.0.0.1","proto":"HTTP/%s","method":"%s","host":"x","uri":"%s",'
    b'"headers":{"Uri":["/motd/motd.json"],"User-Agent":["GET /motd/motd.json HTTP/1.1"]}},'
    b'"size":1843,"status":%s}\n'
)
_STAMPS = (b"1795219200.5", b"1795219199.999", b'"2026-11-21T23:59:59.9-0800"', b"1e300", b"null")
_LINES = st.builds(
    lambda *parts: CADDY % parts,
    st.sampled_from(_STAMPS),
    st.sampled_from([b"1.1", b"2.0", b"1.2"]),
    st.sampled_from([b"GET", b"POST"]),
    st.sampled_from(
        [b"/motd/motd.json?v=0.5.2", b"\\/motd\\/motd.json", b"/x", b"/\\u006dotd/motd.json"]
    ),
    st.sampled_from([b"200", b'"200"', b"404", b"true", b"[]"]),
)
_PLAIN = b'"status":200,"request":"GET /motd/motd.json HTTP/1.1"'
_PARTS = b'"request_method":"GET","request_uri":"/motd/motd.json","server_protocol":"HTTP/1.0"'
_ODD = st.sampled_from(
    [
        b"{}\n",
        b"[]\n",
        b"null\n",
        b'{"request":null,"status":200}\n',
        b"{" + _PLAIN + b',"time_local":"21/Nov/2026:00:00:00 +0000"}\n',
        b"{" + _PLAIN + b',"time_local":"31/Feb/2026:00:00:00 +0000"}\n',
        b"{" + _PLAIN + b',"time_iso8601":"2026-02-30T00:00:00"}\n',
        b"{" + _PLAIN + b',"agent":"\xff","msec":"1795219200.1"}\n',
        b'{"status":"200","request":"GET /motd/motd.json? HTTP/3.0","time":"2026-11-21"}\n',
        b'{"status":200,' + _PARTS + b',"ts":1795219200}\n',
        b"{" + _PLAIN + b',"time":"0.003","@timestamp":"2026-11-21T10:00:00+00:00"}\n',
        b"{" + _PLAIN + b',"time_local":"","time":12,"msec":"1795219200.1"}\n',
        b"\xef\xbb\xbf \t{" + _PLAIN + b',"ts":1795219200} \r\n',
        b"2026-11-21T10:00:00.5Z stdout F {" + _PLAIN + b',"ts":1795219200}\n',
        b'a "b" {' + _PLAIN + b',"ts":1795219200}\n',
        b"{" + _PLAIN + b',"ts":1795219200',
        b"\x00\n",
        *HITS[:3],
        *NO_HITS[:3],
    ]
)


@settings(deadline=None)  # a busy machine is no defect
@given(st.lists(_LINES | _ODD, max_size=30).map(b"".join))
def test_json_lines_equal_the_reference(data: bytes) -> None:
    found = tally(data, ALLOW, JSON)
    expected = reference.count(data, ALLOWED, as_json=True)
    assert (found.lines, found.hits) == (expected.lines, expected.hits)
    assert dict(found.cells) == dict(expected.cells)


def test_json_lines_beyond_the_bound_are_no_hits() -> None:
    long = b'{"x":"' + b"y" * 3_000_000 + b'"}\n'
    lines = Lines(named(JSON).shorten)
    counting = Counting(ALLOW, JSON)
    for at in range(0, len(long), 65536):
        counting.add(lines.feed(long[at : at + 65536]))
    found = counting.take()
    assert (found.lines, found.hits) == (1, 0)


_HIT = b"{" + _PLAIN + b',"ts":1795219200.5}'
PREFIXES = {
    "a space": b" ",
    "a BOM": "\ufeff".encode(),
    "containerd, CRI-O": b"2026-11-21T10:00:00.123456789Z stdout F ",
    "Docker Compose": b"web-1  | ",
    "syslog": b"Nov 21 10:00:00 host caddy[12]: ",
    "syslog, RFC 5424": b"<134>1 2026-11-21T10:00:00Z host caddy 12 - - @cee: ",
}


@pytest.mark.parametrize("before", PREFIXES.values(), ids=PREFIXES)
def test_json_behind_what_a_collector_writes_before_it(before: bytes, tmp_path: Path) -> None:
    told = ("count", "-", "--product", product(tmp_path), "--dry-run")
    assert run_json(*told, stdin=(before + _HIT + b" \r\n") * 3)["hits"] == 3


def test_no_json_that_a_client_writes_into_a_combined_line_is_read() -> None:
    for before in (b"- {", b'- {\\x22status\\x22: "', b""):
        data = line(before=before, after=b'" 404 1 "-" "%s"' % _HIT)
        assert detect(data) == COMBINED
        assert tally(data, ALLOW, JSON).hits == 0


_DATED = b"{" + _PLAIN + b',%s,"@timestamp":"2026-11-21T10:00:00Z"}\n'


@pytest.mark.parametrize(
    "member",
    [
        b'"time":"0.003"',
        b'"time":12.5',
        b'"time":{"total":3}',
        b'"time":true',
        b'"time_local":""',
        b'"time_local":"-"',
        b'"time_iso8601":"0001-01-01T00:00:00Z"',
        b'"timestamp":1795219200123',
        b'"time":"31/Feb/2026:10:00:00 +0000"',
    ],
)
def test_the_first_member_that_is_a_date_dates_a_hit(member: bytes) -> None:
    found = tally(_DATED % member, ALLOW, JSON)
    assert list(found.days()) == ["2026-11-21"]


def test_without_any_date_from_2000_on_there_is_no_hit() -> None:
    assert tally(b"{" + _PLAIN + b',"ts":1795219}\n', ALLOW, JSON).hits == 0
