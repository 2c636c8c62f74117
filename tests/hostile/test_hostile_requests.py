"""What the open Internet may send to the server, by raw sockets."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.server.serving import kit
from tests.server.serving.kit import added, counted

pytestmark = pytest.mark.usefixtures("one_day")

LINE = re.compile(
    r'- - - \[\d\d/[A-Z][a-z]{2}/\d{4}:00:00:00 \+0000\] "GET /motd/motd\.json'
    r"(?:\?(?:other|(?:v|os|ia|lang|py|cc)=[A-Za-z0-9.]+(?:&(?:v|os|ia|lang|py|cc)=[A-Za-z0-9.]+)*))?"
    r' HTTP/1\.1" (?:200 \d+|499 0) "-" "-"'
)
HEAD = "Host: localhost\r\nConnection: close\r\n\r\n"
FRAMED = b"GET /motd/motd.json HTTP/1.1\r\nHost: a\r\n"
MARK = "evil-mark"
"""Stands in every hostile request; may never reach the disk or stderr."""


@pytest.fixture(scope="module")
def server() -> Iterator[kit.Served]:
    with kit.served() as running:
        yield running
        assert running.stop() == 0
        disk = b"".join(path.read_bytes() for path in running.logs.iterdir())
        assert MARK.encode() not in disk + running.stderr.encode()
        assert "Traceback" not in running.stderr
        for line in running.lines():
            assert LINE.fullmatch(line), line


def get(server: kit.Served, target: str, fields: str = "", version: str = "1.1") -> bytes:
    request = f"GET {target} HTTP/{version}\r\n{fields}{HEAD}"
    return server.ask(request.encode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2", "9.9"])
def test_g02_a_version_that_is_not_spoken_is_not_repeated(server: kit.Served, version: str) -> None:
    status = get(server, "/motd/motd.json", version=version).partition(b"\r\n")[0]
    assert status in (b"HTTP/1.0 400 Bad Request", b"HTTP/1.1 400 Bad Request")


def query_of(line: str) -> str:
    return line.partition("motd.json")[2].partition(" ")[0]


@pytest.mark.parametrize(
    "query",
    [
        f"v=0.5.2%0d%0aX-{MARK}:1",
        f"v=%00{MARK}",
        f"v=%1b[31m{MARK}",
        f'v="{MARK}"',
        f"x={MARK}%22%20200%20",
    ],
)
def test_g01_a_line_holds_no_byte_of_the_request(server: kit.Served, query: str) -> None:
    before = counted(server)
    agent = f'User-Agent: x" 200 "{MARK}"\r\nReferer: http://{MARK}/"\r\n'
    answer = get(server, f"/motd/motd.json?{query}", agent)
    assert kit.status(answer) in (200, 400)
    for line in added(server, before):
        assert LINE.fullmatch(line)
        assert query_of(line) in ("?v=other", "?other")


@pytest.mark.parametrize("byte", [b"\n", b"\0", b"\x1b", b"\x80", b"\xff", b"\r", b" "])
def test_g02_raw_control_bytes_in_the_target(server: kit.Served, byte: bytes) -> None:
    target = b"/motd/motd.json?v=" + byte + MARK.encode()
    answer = server.ask(b"GET " + target + b" HTTP/1.1\r\n" + HEAD.encode())
    if byte < b"\x80":
        assert kit.status(answer) == 400
        assert MARK.encode() not in answer
    else:  # aiohttp takes bytes of 0x80 and up; they are counted as "other"
        assert kit.status(answer) in (200, 400)


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /motd/motd.json?v=" + "x" * 9000 + " HTTP/1.1\r\n" + HEAD,
        "GET /motd/motd.json HTTP/1.1\r\n" + "X-A: b\r\n" * 500 + HEAD,
        "GET /motd/motd.json HTTP/1.1\r\nX-A: " + "b" * 9000 + "\r\n" + HEAD,
        "GET /motd/motd.json HTTP/1.1\r\n" + ("X-A: " + "b" * 7000 + "\r\n") * 50 + HEAD,
    ],
    ids=["target", "many-fields", "long-field", "many-long-fields"],
)
def test_g03_too_much_of_a_head(server: kit.Served, request_text: str) -> None:
    before = counted(server)
    assert kit.status(server.ask(request_text.encode())) == 400
    assert added(server, before) == []


@pytest.mark.parametrize(
    ("query", "logged"),
    [
        ("v=0.5.1&v=0.5.2", "?v=other"),
        ("&".join(f"p{n}=1" for n in range(1000)), "?other"),
        ("unknown=1", "?other"),
        ("v=", "?v=other"),
        ("v[]=0.5.2", "?other"),
        ("v=%ff", "?v=other"),
        ("v=0.5.2+", "?v=other"),
        ("v=" + "x" * 2000, "?v=other"),
        ("os=linux&v=0.5.2", "?v=0.5.2&os=linux"),
        ("&&&", "?other"),
        ("=", "?other"),
        ("", ""),
    ],
)
def test_g04_any_query_gets_the_same_bytes(server: kit.Served, query: str, logged: str) -> None:
    before = counted(server)
    answer = get(server, f"/motd/motd.json?{query}")
    assert kit.status(answer) == 200
    assert kit.body(answer) == server.body
    (line,) = added(server, before)
    assert query_of(line) == logged


def test_g05_values_outside_the_allow_list_share_one_line(server: kit.Served) -> None:
    before = counted(server)
    request = "GET /motd/motd.json?v=0.5.{}&cc=x{} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with server.connect() as sock:
        for number in range(2000):
            sock.sendall(request.format(number + 3, number).encode())
            received = 0
            while received < len(server.body):
                received += len(sock.recv(65536))
    assert {query_of(line) for line in added(server, before)} == {"?v=other&cc=other"}


@pytest.mark.parametrize("value", ["١.٠", "０.５.２", "ｌｉｎｕｘ", "0.5.2\u200b", "0․5.2"])
def test_g06_only_ascii_is_a_value(server: kit.Served, value: str) -> None:
    before = counted(server)
    answer = get(server, f"/motd/motd.json?v={value}")
    assert kit.status(answer) in (200, 400)
    assert all(query_of(line) == "?v=other" for line in added(server, before))


@pytest.mark.parametrize(
    ("request_bytes", "allowed"),
    [
        (b"GET http://localhost/motd/motd.json HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        (b"GET http://evil.example/motd/motd.json HTTP/1.1\r\nHost: a\r\n\r\n", {404}),
        (b"GET /motd/motd.json HTTP/1.0\r\n\r\n", {200}),
        (b"GET /motd/motd.json HTTP/1.1\r\n\r\n", {400}),
        (b"GET /motd/motd.json HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", {400}),
        (FRAMED + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
        (FRAMED + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", {400}),
        (FRAMED + b"Content-Length: +3\r\n\r\nabc", {400}),
        (FRAMED + b"Content-Length: -3\r\n\r\nabc", {400}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 404, 405}),
        (b"GET /motd/motd.json HTTP/9.9\r\nHost: a\r\n\r\n", {400}),
        (b"GET /motd/motd.json\r\n\r\n", {0, 400}),
        (b"GET  /motd/motd.json HTTP/1.1\r\nHost: a\r\n\r\n", {200, 400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
        (b"PROXY TCP6 fc00:dead:beef:4dad::0:1 ::1 1 80\r\n" + FRAMED + b"\r\n", {400}),
    ],
)  # fmt: skip
def test_g07_odd_framing(server: kit.Served, request_bytes: bytes, allowed: set[int]) -> None:
    answer = server.ask(request_bytes)
    assert kit.status(answer) in allowed
    if kit.status(answer) != 200:
        assert server.body not in answer


def test_g07_a_wrong_host_gets_404_on_both_ways() -> None:
    with kit.served("--host", "abc.example") as server:
        assert kit.status(server.get(host="abc.example")) == 200
        assert kit.status(server.get(host="ABC.example:80")) == 200
        assert kit.status(server.get(host=f"127.0.0.1:{server.port}")) == 200
        assert kit.status(server.get(host="localhost")) == 200
        for host in ("evil.example", "xabc.example", "abc.example.evil", "abc.example:x", ""):
            assert kit.status(server.get(host=host)) in (400, 404), host
            other = server.ask(f"GET /motd/motd.json HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            assert kit.status(other) == 404, host
        absent = server.ask(b"GET /motd/motd.json HTTP/1.0\r\n\r\n")
        assert kit.status(absent) == 404
        server.stop()
        assert len(server.lines()) == 4


def test_g08_head_is_not_counted(server: kit.Served) -> None:
    before = counted(server)
    answer = server.ask(f"HEAD /motd/motd.json HTTP/1.1\r\n{HEAD}".encode())
    assert kit.status(answer) == 200
    assert kit.body(answer) == b""
    assert f"Content-Length: {len(server.body)}\r\n".encode() in answer
    assert added(server, before) == []


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PUT", "PROPFIND", "POST", "DELETE"])
def test_g08_other_methods(server: kit.Served, method: str) -> None:
    before = counted(server)
    answer = server.ask(f"{method} /motd/motd.json HTTP/1.1\r\n{HEAD}".encode())
    assert kit.status(answer) == 405
    assert added(server, before) == []


@pytest.mark.parametrize(
    "field",
    [
        "If-None-Match: *",
        "If-Modified-Since: Sat, 21 Nov 2037 00:00:00 GMT",
        "Range: bytes=0-3",
        "Cookie: a=b",
        "Accept-Encoding: gzip, br, zstd",
        "Expect: 100-continue",
    ],
)
def test_g09_conditions_ranges_and_cookies_change_nothing(server: kit.Served, field: str) -> None:
    answer = get(server, "/motd/motd.json", f"{field}\r\n").removeprefix(
        b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert kit.status(answer) == 200
    assert body == server.body
    assert {line.partition(b":")[0] for line in head.split(b"\r\n")[1:]} == {
        b"Content-Type", b"Content-Length", b"Cache-Control", b"Connection",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/motd/motd.json", "/x"])
def test_g09_an_expectation_is_not_repeated(server: kit.Served, path: str) -> None:
    before = counted(server)
    answer = get(server, path, f"Expect: {MARK}\r\n")
    assert kit.status(answer) == 417
    assert MARK.encode() not in answer
    assert b"Cache-Control: no-store" in answer
    assert added(server, before) == []


@pytest.mark.parametrize(
    "path",
    [
        f"/static/../../etc/passwd?{MARK}", "/%2e%2e%2fetc/passwd", "/..%5c..%5cetc",
        "//etc/passwd", "/motd/../motd/motd.json", "/motd/%6dotd.json", "/motd/motd.json/",
        "/motd/motd.json;x", "/MOTD/motd.json", "/motd/motd.json%00", "*", "/", "/stats",
    ],
)  # fmt: skip
def test_g14_only_the_table_of_paths_is_served(server: kit.Served, path: str) -> None:
    before = counted(server)
    assert kit.status(get(server, path)) in (404, 400)
    assert added(server, before) == []


def test_g15_bodies_are_capped(server: kit.Served) -> None:
    huge = f"POST /motd/motd.json HTTP/1.1\r\nContent-Length: 99000000000\r\n{HEAD}"
    bomb = gzip.compress(b"0" * 10_000_000)
    packed = (
        "POST /motd/motd.json HTTP/1.1\r\nContent-Encoding: gzip\r\n"
        f"Content-Length: {len(bomb)}\r\n{HEAD}"
    )
    with server.connect() as sock:
        sock.sendall(huge.encode())
        assert kit.status(sock.recv(1000)) == 413
    with server.connect() as sock:
        sock.sendall(packed.encode() + bomb)
        assert kit.status(sock.recv(1000)) == 415


def test_g16_other_paths_are_not_logged(server: kit.Served) -> None:
    before = counted(server)
    for path in (f"/user/{MARK}@example.org", f"/motd/{MARK}", f"/?q={MARK}"):
        answer = get(server, path)
        assert kit.status(answer) == 404
        assert MARK.encode() not in answer
    assert added(server, before) == []


def test_g17_no_time_finer_than_a_day_and_no_order() -> None:
    with kit.served() as server:
        for release in ("0.5.2", "0.5.1", "0.5.2", "9.9"):
            server.get(f"v={release}")
        server.stop()
        (path,) = server.logs.iterdir()
        first, *rest = path.read_text().splitlines()
        assert first.startswith("# mars access log v1 id=")
        assert rest == sorted(rest)
        assert len(rest) == 4
        stamp = datetime.now(UTC).strftime("[%d/%b/%Y:00:00:00 +0000]")
        assert {line[6 : 6 + len(stamp)] for line in rest} == {stamp}
