"""TOML files as people write them: each problem names file and line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]#]+?)\s*\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_\"'-]+)*)\s*=")
_MULTILINE = ('"""', "'''")


@dataclass(frozen=True)
class Problem:
    """Something to repair. ``warning`` ones do not keep the file from being signed."""

    where: str
    line: int
    text: str
    warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.warning else ""
        return f"{self.where}:{self.line}: {kind}{self.text}"


def parse(data: bytes, where: str) -> tuple[str, Mapping[str, Any]] | Problem:
    """The text and what it says, or why it is no TOML."""
    try:
        text = data.decode("utf-8-sig")
        return text, tomllib.loads(text)
    except UnicodeDecodeError as error:
        return Problem(where, data.count(b"\n", 0, error.start) + 1, "is not UTF-8")
    except tomllib.TOMLDecodeError as error:
        # Expected '=' … (at line 3, column 4)
        what, found, place = str(error).partition(" (at line ")
        line = place.partition(",")[0]
        known = found and line.isdigit()
        return Problem(where, int(line) if known else 1, f"is not TOML: {what}")


def _entry_lines(text: str) -> dict[str, int]:
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
    found = _entry_lines(text)
    while name:
        if name in found:
            return found[name]
        name = name.rpartition(".")[0]
    return 1


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))


def _opened(value: str) -> str | None:
    """The delimiter of a multi-line text that begins in ``value`` and does not end there."""
    mark = value[:3]
    return mark if mark in _MULTILINE and mark not in value[3:] else None
