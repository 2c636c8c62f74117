"""The product that these tests count for, and lines that are made to be misread."""

from __future__ import annotations

import random

from mars.wire.product import parse_product
from mars.wire.query import AllowList
from mars.wire.variables import COUNTRIES
from mars_server.counting.formats import COMBINED
from mars_server.counting.tally import Counting, Tally
from tests.server.counting.reference import Allowed

PRODUCT = """
product = "examplemail"
channel = "stable"
releases = ["0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["en", "is", "de"]
"""

ALLOW = AllowList.of(parse_product(PRODUCT.encode()))
ALLOWED = Allowed(
    {
        "v": frozenset({"0.5.1", "0.5.2", "dev"}),
        "os": frozenset({"linux", "windows", "macos", "other"}),
        "ia": frozenset({"1", "10", "100", "1000"}),
        "lang": frozenset({"en", "is", "de"}),
        "py": frozenset(f"3.{n}" for n in range(100)),
        "cc": frozenset(COUNTRIES),
    }
)

STAMP = b"21/Nov/2026:10:11:12 +0000"
GET = b"GET /motd/motd.json"


def line(
    query: bytes = b"",
    *,
    before: bytes = b"203.0.113.7 - - ",
    stamp: bytes = STAMP,
    request: bytes = GET,
    protocol: bytes = b" HTTP/1.1",
    after: bytes = b'" 200 1843 "-" "UA"',
    end: bytes = b"\n",
) -> bytes:
    return before + b"[" + stamp + b'] "' + request + query + protocol + after + end


HITS: tuple[bytes, ...] = (
    line(),
    line(b"?"),
    line(b"?v=0.5.2&os=linux&ia=100"),
    line(b"?v=0.5.2&os=linux&ia=100&lang=is"),
    line(b"?cc=IS"),
    line(b"?py=3.99&cc=is"),
    line(b"?v=1&v=0.5.2"),
    line(b"?v"),
    line(b"?v="),
    line(b"?v=dev&os=other&ia=10000"),
    line(b"?other"),
    line(b"?unknown=1&&=&v=0.5.2=3"),
    line(b"?" + b"x" * 255),
    line(protocol=b" HTTP/1.0"),
    line(protocol=b" HTTP/2.0"),
    line(protocol=b" HTTP/3.0"),
    line(stamp=b"21/Nov/2026:00:00:00 -1200"),
    line(stamp=b'22/Nov/2026:"]["GET / HTTP'[:26]),
    line(stamp=b"29/Feb/2028:\x00\r\x85]\xff]]]]]]]]]"),
    line(before=b"- - - "),
    line(before=b""),
    line(before=b"\x00\r\x1c\x85\xe2\x80\xa8 "),
    line(before=b"x" * 5000),
    line(after=b'" 200 0 "\r" "\x00"'),
    line(after=b'" 200 ' + b"[" * 600),
    line(after=b'" 200 1 "x] \\"GET /motd/motd.json HTTP/1.1\\" 404 "'),
)
HITS += (line(end=b"\r\x85\n"), line(end=b"\r\n"))
NO_HITS = (
    b"\n",
    b"# mars access log v1 id=0123456789abcdef0123456789abcdef\n",
    b"junk\n",
    line(b"?" + b"x" * 256),
    line(b"?v=%30"),
    line(b"?v=a b"),
    line(b"?v=1#f"),
    line(b"?v=0.5.2\x85"),
    line(b"??"),
    line(b"&v=0.5.2"),
    line(protocol=b" HTTP/1.2"),
    line(protocol=b" HTTP/1.1 "),
    line(protocol=b" http/1.1"),
    line(protocol=b""),
    line(request=b"HEAD /motd/motd.json"),
    line(request=b"POST /motd/motd.json"),
    line(request=b" GET /motd/motd.json"),
    line(request=b"GET /motd/motd.json/"),
    line(request=b"GET //motd/motd.json"),
    line(request=b"GET /motd/motdxjson"),
    line(request=b"GET http://x/motd/motd.json"),
    line(after=b'" 200'),
    line(after=b'" 2000 1'),
    line(after=b'" 206 1'),
    line(after=b'" 304 0 "-" "-"'),
    line(after=b'" 499 0 "-" "-"'),
    line(after=b'" 404 0 "x" 200 "-"'),
    line(before=b'1.2.3.4 - "x" '),
    line(before=b'" 200 '),
    line(before=b"[::1] - - "),
    line(before=b'"[21/Nov/2026:10:11:12 +0000] "'),
    line(before=b"1.2.3.4 - [x "),
    line(stamp=b"31/Feb/2026:10:11:12 +0000"),
    line(stamp=b"29/Feb/2026:10:11:12 +0000"),
    line(stamp=b"00/Nov/2026:10:11:12 +0000"),
    line(stamp=b"21/nov/2026:10:11:12 +0000"),
    line(stamp=b"21/Nev/2026:10:11:12 +0000"),
    line(stamp=b"21/Nov/0000:10:11:12 +0000"),
    line(stamp=b"1/Nov/2026:10:11:12 +0000"),
    line(stamp=b"21/Nov/2026:10:11:12 +000"),
    line(stamp=b"21/Nov/2026:10:11:12 +00000"),
    line(stamp=b"21/Nov/2026 10:11:12 +0000"),
    line(stamp=b"\xb2\xb1/Nov/2026:10:11:12 +0000"[:26]),
    line(request=b"GET /other", after=b'" 404 1 "] \\"GET /motd/motd.json HTTP/1.1\\" 200 "'),
    line(request=b'GET /x" 200 ', after=b'" 404'),
)
UNENDED = line(end=b"")


def shuffled(seed: int, size: int, *, days: int = 3) -> bytes:
    """``size`` lines drawn from all of the above, over some days; not all of them whole."""
    draw = random.Random(seed)
    pool = HITS + NO_HITS
    picked = [draw.choice(pool) for _ in range(size)]
    for index in range(0, size, 3):
        day = b"%02d" % draw.randint(1, days)
        picked[index] = line(
            draw.choice((b"", b"?v=0.5.2&os=linux", b"?ia=%d" % draw.randint(0, 2000))),
            stamp=day + STAMP[2:],
        )
    return b"".join(picked) + draw.choice((b"", UNENDED, b"x"))


def tally(block: bytes, allow: AllowList, format_name: str = COMBINED) -> Tally:
    """Counts the complete lines of ``block``; bytes after its last LF are in nothing."""
    counting = Counting(allow, format_name)
    counting.feed(block)
    return counting.take()
