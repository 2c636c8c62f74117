"""nginx and Caddy as deploy/ sets them up, asked by somebody who wants traces in their logs."""

from __future__ import annotations

import re

import pytest

from tests.server.serving import kit
from tests.server.serving.test_fronts import counts, front
from tests.waiting import until

TARGETS = (
    "/motd/motd.json?v=%31&name=Alice%20Smith",
    "/motd/motd.json?" + "alice" * 60,
    "/motd/motd.json?mail=alice@example.org",
    "/motd/motd.json?ip=2001:db8::7",
    '/motd/motd.json?"alice"',
    "/motd/motd.json?a=b?alice/192",
    "/motd/motd.json?v=0.5.2",
    "/home/alice",
    "/motd/motd.json/alice",
)
WORDS = re.compile(rb"alice|smith|192|2001:|example|mars/1|[0-2]\d:[0-5]\d:[1-9]", re.IGNORECASE)
FIELDS = (
    "X-Forwarded-For: 192.0.2.7",
    "Forwarded: for=192.0.2.7",
    "User-Agent: alice",
    "Referer: http://alice/",
    "Authorization: Basic YWxpY2U6eA==",
    "Cookie: a=alice",
    "Accept-Encoding: gzip, br, zstd",
    "Connection: close",
)
REFUSED = (
    b"GARBAGE alice 192.0.2.7\r\n\r\n",
    b"GET /motd/motd.json?a=\x00alice HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\nX: " + b"alice" * 9000 + b"\r\n\r\n",
    b"POST /alice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: close\r\n\r\na",
    b"GET /motd/motd.json HTTP/1.1\r\nHost: alice.example\r\nConnection: close\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_g01_g16_nothing_of_a_client_reaches_the_disk_of_a_front_server(name: str) -> None:
    with kit.served("--host", "localhost") as ours, front(name, ours.body) as theirs:
        for target in TARGETS:
            head = [f"GET {target} HTTP/1.1", "Host: localhost", *FIELDS]
            request = "\r\n".join([*head, "", ""]).encode()
            one, other = ours.ask(request), theirs.ask(request)
            assert (kit.status(one), target) == (kit.status(other), target)
            if kit.status(one) == 200:
                assert kit.body(one) == kit.body(other)
            said = other.partition(b"\r\n\r\n")[0].lower()
            for field in (b"etag", b"last-modified", b"set-cookie", b"content-encoding", b"vary"):
                assert field not in said
        for refused in REFUSED:
            assert kit.status(theirs.ask(refused)) in (400, 404, 405, 431)
            assert name != "Caddyfile" or b"Server:" not in theirs.ask(refused)
        ours.stop()
        product = ours.folder / "product.toml"
        until(lambda: levels(counts(theirs.log, product)) == levels(counts(ours.logs, product)))
        written = b"".join(
            path.read_bytes() for path in theirs.folder.rglob("*")
            if path.is_file() and path.name not in (name, "motd.json", "stderr", "nginx.pid")
        )  # fmt: skip
        assert written
        assert WORDS.findall(re.sub(rb"autosave|[\w/.-]*mars-front-\w+", b"", written)) == []


def levels(days: dict[str, object]) -> dict[str, object]:
    """Of each day; the variables of a query outside the grammar are not in a front's log."""
    return {day: found["level"] for day, found in days.items() if isinstance(found, dict)}
