"""The two shapes of request that need no parser, one for the MOTD and one that brings a report, and
what they are answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from mars.wire.query import INTAKE_PATH, MOTD_PATH
from mars.wire.request import BODY_TYPE, HEADERS
from mars.wire.sealed import SIZES

NOT_STORED = (("Cache-Control", "no-store"),)
_TYPE, WORDS_TYPE = "Content-Type", "text/plain; charset=utf-8"
FIELDS = ((_TYPE, "application/json"), *NOT_STORED)
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
    fields = _fields(match[2], _VALUES)
    if fields is None:
        return None
    return Shape((match[1] or b"").decode(), fields["Host"], fields.get("Connection") == "close")


def _fields(lines: bytes, values: Mapping[str, re.Pattern[str]]) -> dict[str, str] | None:
    """Each at most once, of those in ``values``, Host always; else None."""
    fields: dict[str, str] = {}
    for line in lines.decode().split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        if name in fields or name not in values or not values[name].fullmatch(value):
            return None
        fields[name] = value
    return fields if "Host" in fields else None


# --- A report: a head of the client's own shape, and a body of one of two sizes ---

_POST = f"POST {INTAKE_PATH} ".encode("ascii")
_POST_HEAD = re.compile(
    (
        rf"POST {re.escape(INTAKE_PATH)} HTTP/1\.1\r\n"
        r"((?:[A-Za-z-]{1,15}: [!-~]{1,261}\r\n){2,7})\r\n"
    ).encode("ascii")
)
_LENGTH = "Content-Length"
_POST_VALUES = _VALUES | {
    "Content-Type": re.compile(re.escape(BODY_TYPE)),
    _LENGTH: re.compile("|".join(map(str, SIZES))),
}
_HEAD_ENDS = b"\r\n\r\n"


class Posted(NamedTuple):
    """The head of a report: the Host value, bytes of the head and of the body, whether to close."""

    host: str
    head: int
    size: int
    close: bool


def head_of_post(data: bytes) -> bytes:
    """The head of a post to the intake with which ``data`` begins; nothing for anything else."""
    if not data.startswith(_POST):
        return b""
    end = data.find(_HEAD_ENDS)
    return data[: end + len(_HEAD_ENDS)] if end >= 0 else b""


def posted(head: bytes) -> Posted | None:
    """``head`` as that of a report of the client's own shape, by the rules of ``golden``."""
    match = _POST_HEAD.fullmatch(head)
    fields = _fields(match[1], _POST_VALUES) if match else None
    if fields is None or _LENGTH not in fields:
        return None
    close = fields.get("Connection") == "close"
    return Posted(fields["Host"], len(head), int(fields[_LENGTH]), close)


def render(body: bytes, close: bool) -> bytes:
    """The whole answer, as aiohttp would write it for a request of HTTP/1.1."""
    fields = [*FIELDS, ("Content-Length", str(len(body)))]
    return _answer(HTTPStatus.OK, fields, close) + body


def words(status: int) -> str:
    """All that an answer says which is not what was asked for."""
    return f"{status} {HTTPStatus(status).phrase}\n"


def refusal(status: int, close: bool) -> bytes:
    """The same for what is not served, or not taken."""
    text = words(status)
    fields = [(_TYPE, WORDS_TYPE), *NOT_STORED, (_LENGTH, str(len(text)))]
    return _answer(status, fields, close) + text.encode("ascii")


def taken(close: bool) -> bytes:
    """The answer to every report of the right size, whatever it holds."""
    return _answer(HTTPStatus.NO_CONTENT, NOT_STORED, close)


def _answer(status: int, fields: Iterable[tuple[str, str]], close: bool) -> bytes:
    lines = [f"HTTP/1.1 {status:d} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields]
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
