"""The answer to a MOTD request, and the one shape of request that is answered without a parser."""

from __future__ import annotations

import re
from typing import NamedTuple

from mars.wire.query import MOTD_PATH
from mars.wire.request import HEADERS

FIELDS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
"""With Content-Length, and Connection where it says something, all that an answer has. No Date:
the clock's skew identifies a machine (Murdoch, Hot or Not, CCS 2006), and RFC 9110 6.6.1 lets a
server without a clock it trusts leave it out. No Server, ETag, Last-Modified or cookie."""


_HEAD = re.compile(
    (
        rf"GET {re.escape(MOTD_PATH)}(?:\?([A-Za-z0-9._=&-]{{0,255}}))? HTTP/1\.1\r\n"
        r"((?:[A-Za-z-]{1,15}: [!-~]{1,261}\r\n){1,5})\r\n"
    ).encode("ascii")
)
_VALUES = {
    **{name: re.compile(re.escape(value)) for name, value in HEADERS},
    "Host": re.compile(r"[A-Za-z0-9.:\[\]-]{1,261}"),
    "Connection": re.compile("close|keep-alive"),
}


class Shape(NamedTuple):
    """A complete GET of the golden shape: the raw query, the Host value, whether to close."""

    query: str
    host: str
    close: bool


def golden(data: bytes) -> Shape | None:
    """``data`` as a request of the golden shape, or None: then the full parser must see it.

    The shape is the client's own request, where the fields may stand in any order, each at most
    once, and each but Host may be absent.
    """
    match = _HEAD.fullmatch(data)
    if match is None:
        return None
    fields: dict[str, str] = {}
    for line in match[2].decode().split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        if name in fields or name not in _VALUES or not _VALUES[name].fullmatch(value):
            return None
        fields[name] = value
    if "Host" not in fields:
        return None
    return Shape((match[1] or b"").decode(), fields["Host"], fields.get("Connection") == "close")


def render(body: bytes, close: bool) -> bytes:
    """The whole answer, as aiohttp would write it for a request of HTTP/1.1."""
    lines = ["HTTP/1.1 200 OK", *(f"{name}: {value}" for name, value in FIELDS)]
    lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body
