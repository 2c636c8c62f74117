"""The answer to a MOTD request, and the one shape of request that is answered without a parser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mars.wire.query import MOTD_PATH
from mars.wire.request import HEADERS

CONTENT_TYPE = "application/json"
FIELDS = (("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"))
"""With Content-Length, and Connection where it says something, all that an answer has. No Date:
the clock's skew identifies a machine (Murdoch, Hot or Not, CCS 2006), and RFC 9110 6.6.1 lets a
server without a clock it trusts leave it out. No Server, ETag, Last-Modified or cookie."""


def _golden_pattern() -> re.Pattern[bytes]:
    fields = dict(HEADERS)
    optional = "".join(
        f"(?:{name}: {re.escape(fields[name])}\r\n)?"
        for name in ("User-Agent", "Accept", "Accept-Encoding")
    )
    return re.compile(
        (
            rf"GET {re.escape(MOTD_PATH)}(?:\?([A-Za-z0-9._=&-]{{0,255}}))? HTTP/1\.1\r\n"
            r"Host: ([A-Za-z0-9.:\[\]-]{1,261})\r\n"
            rf"{optional}(?:Connection: (close|keep-alive)\r\n)?\r\n"
        ).encode("ascii")
    )


_GOLDEN = _golden_pattern()


@dataclass(frozen=True)
class Shape:
    """A complete GET of the golden shape: the raw query, the Host value, whether to close."""

    query: str
    host: str
    close: bool


def golden(data: bytes) -> Shape | None:
    """``data`` as a request of the golden shape, or None: then the full parser must see it.

    The shape is the client's own request, byte for byte, where each field but Host may be absent.
    """
    match = _GOLDEN.fullmatch(data)
    if match is None:
        return None
    query, host, connection = match.groups()
    return Shape((query or b"").decode(), host.decode(), connection == b"close")


def render(body: bytes, close: bool) -> bytes:
    """The whole answer, as aiohttp would write it for a request of HTTP/1.1."""
    (kind, value), *rest = FIELDS
    lines = ["HTTP/1.1 200 OK", f"{kind}: {value}"]
    lines += [f"{name}: {value}" for name, value in rest]
    lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body
