"""JSON as it is published: one member a line, indented by one space, ASCII, one newline at the end.

The bytes are those of ``json.dumps(value, indent=1)``, which CPython writes in plain Python as soon
as it indents; this is several times faster, and figures of years are a million lines.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii


def encode_json(value: object) -> bytes:
    """Takes dicts with text keys, lists, texts, numbers, bools and None."""
    return f"{_text(value, '')}\n".encode("ascii")


def _text(value: object, pad: str) -> str:
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if value is None:
        return "null"
    if type(value) is int:
        return repr(value)
    inner = f"{pad} "
    if isinstance(value, dict):
        parts = [f"{encode_basestring_ascii(k)}: {_text(v, inner)}" for k, v in value.items()]
        return _block("{", parts, "}", pad)
    if isinstance(value, list):
        return _block("[", [_text(each, inner) for each in value], "]", pad)
    return json.dumps(value)


def _block(start: str, parts: list[str], end: str, pad: str) -> str:
    if not parts:
        return start + end
    return f"{start}\n{pad} " + f",\n{pad} ".join(parts) + f"\n{pad}{end}"
