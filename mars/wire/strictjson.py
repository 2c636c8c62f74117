"""JSON as strict as a signed document needs it; stricter than RFC 8259, never laxer.

``json.loads`` alone takes UTF-16, a byte order mark, duplicate members (the last one wins), NaN,
infinities, floats, lone surrogates and nesting up to the recursion limit. None of that may differ
between two readers of one signature, so all of it is refused.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from mars.errors import WireError

MAX_DEPTH = 8
"""Arrays and objects inside one another."""
MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""
_MAX_DIGITS = len(str(MAX_INTEGER))

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NO_MARK = bytes(set(range(256)) - set(b'[]{}"'))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(data: bytes, max_bytes: int) -> object:
    """The value that ``data`` writes: objects as ``dict``, arrays as ``list``, integers as ``int``.

    Raises ``WireError``: ``too-large`` (over ``max_bytes``), ``not-utf8``, ``too-deep``
    (over ``MAX_DEPTH``), ``duplicate-member``, ``bad-number`` (a float, a negative number or one
    over ``MAX_INTEGER``), ``bad-text`` (a lone surrogate), ``not-json``.
    """
    if len(data) > max_bytes:
        raise WireError(
            "too-large", f"The document has more than {max_bytes} bytes; make it shorter."
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise WireError("not-utf8", "The document is not UTF-8.") from None
    if is_deep(data):
        raise WireError("too-deep", f"The document nests deeper than {MAX_DEPTH} levels.")
    try:
        value = _decode(text)
    except ValueError:
        raise WireError("not-json", "The document is not JSON (RFC 8259).") from None
    if b"\\" in data and _SURROGATE.search(data) is not None:
        _refuse_surrogates(value)
    return value


def write(value: object, indent: int | None = None) -> bytes:
    """``value`` as UTF-8 JSON, members in their order: compact, as signed, or indented."""
    separators = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, separators=separators, indent=indent)
    return text.encode("utf-8")


def is_deep(data: bytes, most: int = MAX_DEPTH) -> bool:
    """Whether ``data`` nests deeper; without recursion, so that no input exhausts the stack.

    Up to the first error in the text, which is as far as a parser gets, what stands between an
    even and an odd quotation mark is outside of strings.
    """
    if not _opens_more(data, most):
        return False
    unescaped = _ESCAPE.sub(b"", data) if b"\\" in data else data
    marks = unescaped.translate(None, _NO_MARK)
    depth = 0
    for bracket in b"".join(marks.split(b'"')[::2]):
        depth += 1 if bracket in b"[{" else -1
        if depth > most:
            return True
    return False


def _opens_more(data: bytes, most: int) -> bool:
    """Whether more than ``most`` brackets open. ``find`` leaps over a long text, such as base64,
    where ``count`` looks at each byte."""
    found = 0
    for bracket in (b"[", b"{"):
        at = data.find(bracket)
        while at >= 0 and found <= most:
            found += 1
            at = data.find(bracket, at + 1)
    return found > most


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise WireError("duplicate-member", "The document has a member twice in one object.")
    return value


def _integer(text: str) -> int:
    # The length first: int() of a million digits costs time, and over 4300 it raises.
    if text[0] == "-" or len(text) > _MAX_DIGITS or (value := int(text)) > MAX_INTEGER:
        _refuse_number(text)
    return value


def _refuse_number(text: str) -> NoReturn:
    del text
    raise WireError("bad-number", f"Numbers must be whole, from 0 to {MAX_INTEGER}.")


_decode = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_refuse_number,
    parse_constant=_refuse_number,
).decode


def _refuse_surrogates(value: object) -> None:
    try:
        write(value)
    except UnicodeEncodeError:
        raise WireError("bad-text", "A text holds half of a surrogate pair.") from None
