"""On which line of a TOML file an entry stands. The parser of the standard library does not say.

This is not a TOML parser: it is only ever asked about text that ``tomllib`` has accepted.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]#]+?)\s*\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_\"'-]+)*)\s*=")
_MULTILINE = ('"""', "'''")


def entry_lines(text: str) -> dict[str, int]:
    """Dotted names (``target.versions``) and table headers, each with its first line, from 1.

    Of tables that stand several times (``[[statistic]]``) each entry is found at its first place.
    """
    found: dict[str, int] = {}
    table = ""
    inside: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if inside is not None:
            inside = None if inside in line else inside
            continue
        if header := _HEADER.fullmatch(line):
            table = _plain(header[1])
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _plain(key[1])
            found.setdefault(f"{table}.{name}" if table else name, number)
            inside = _opened(line[key.end() :].strip())
    return found


def line_of(text: str, name: str) -> int:
    """The line of ``name``, else of the nearest table around it, else 1."""
    found = entry_lines(text)
    while name:
        if name in found:
            return found[name]
        name = name.rpartition(".")[0]
    return 1


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _opened(value: str) -> str | None:
    """The delimiter of a multi-line text that begins in ``value`` and does not end there."""
    for mark in _MULTILINE:
        if value.startswith(mark) and mark not in value[len(mark) :]:
            return mark
    return None
