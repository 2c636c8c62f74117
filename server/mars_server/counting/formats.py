"""The log formats: which bytes of a line make it a hit. Pure.

A *hit* is a complete line of one successful GET of the MOTD. Everything else, whatever a client
put into it, only adds to the number of lines; so the rules are strict and never guess.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Protocol

from mars.errors import ConfigError
from mars_server.counting.blocks import without_nuls
from mars_server.counting.combined import Combined, Found


class Format(Protocol):
    """One way to write an access log."""

    @property
    def name(self) -> str: ...

    def find(self, lines: bytes) -> Found:
        """All hits among ``lines``, a framed block (``mars_server.counting.blocks.Lines``), and
        perhaps more: ``read`` decides, once for all that are equal."""
        ...

    def read(self, day: bytes, hit: bytes) -> tuple[bytes, bytes] | None:
        """Day and query (with its ``?``, or empty) of what ``find`` found; None for no hit."""
        ...

    def fits(self, line: bytes) -> bool:
        """Whether ``line`` is written in this format, whatever was asked for in it; one that seems
        to be an answer of the MOTD, and is no hit, is not."""
        ...

    def shorten(self, start: bytes) -> bytes:
        """Fewer bytes that decide as ``start``, the start of a line, does, whatever follows."""
        ...


COMBINED = "combined"
JSON = "json"
AUTO = "auto"

NAMES = (AUTO, COMBINED, JSON)

_KNOWN = re.compile(
    rb'^(?:(?P<json>[^"{\n]*+\{[ \t]*+"(?=.*(?:\}[ \t\r]*$|\Z)))'
    rb'|[^"\[\n]*\[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:)',
    re.MULTILINE,
)
"""The beginning of a line in either format, as far as its first quote or day; a line of JSON ends
with its brace, or is cut."""


@cache
def named(name: str) -> Format:
    """Raises ``ConfigError`` (``log-format``)."""
    if name == COMBINED:
        return Combined()
    if name == JSON:
        from mars_server.counting.jsonlines import JsonLines  # late: its parser is a library

        return JsonLines()
    raise ConfigError("log-format", f"Known log formats are {', '.join(NAMES)}.")


def detect(head: bytes) -> str:
    """The format of a log that begins with ``head``, by the first line of either kind.

    The first, not most of them: what a log is may not change while it grows.
    """
    first = _KNOWN.search(without_nuls(b"\n" + head))
    return JSON if first is not None and first["json"] else COMBINED
