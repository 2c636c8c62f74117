"""``downloads.toml``: the release that may be downloaded now, as people or a build write it. Pure.

Every problem names file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from packaging.version import Version

from mars.errors import ConfigError, WireError
from mars.wire.product import Product
from mars.wire.release import Download, Release
from mars_motd.kinds import RELEASE
from mars_motd.messages import wrong_text
from mars_motd.toml_files import Problem, line_of, parse

_MEMBERS = ("release", "minimum_version", "notes", "downloads")
_DOWNLOAD = tuple(member.name for member in fields(Download))
_MAX_NOTES = 4000
"""Characters in one language."""


@dataclass(frozen=True)
class Draft:
    """What the file declares, if it could be read at all, and what is wrong with it."""

    release: Release | None
    """None where none is declared. Epoch, serial and date are given by whoever signs it."""
    problems: tuple[Problem, ...] = ()

    def require(self) -> Release | None:
        """Raises ``ConfigError`` (``content-invalid``) that lists every error, one a line."""
        errors = [str(problem) for problem in self.problems if not problem.warning]
        if errors:
            said = "The downloads cannot be signed as they are:\n" + "\n".join(errors)
            raise ConfigError("content-invalid", said)
        return self.release


def parse_downloads(data: bytes, where: str, product: Product) -> Draft:
    """Reads the file. Raises nothing: problems are in the result."""
    parsed = parse(data, where)
    if isinstance(parsed, Problem):
        return Draft(None, (parsed,))
    text, table = parsed
    faults = [*_unknown(table), *_faults(table, product)] or _unreadable(table, product)
    if faults or not table:
        problems = tuple(Problem(where, _line(text, name), said) for name, said in faults)
        return Draft(None, problems)
    release = _release(table, product)
    if release.release in product.releases:
        return Draft(release, ())
    said = f"{release.release} is not in releases of product.toml, so it is not counted yet"
    return Draft(release, (Problem(where, _line(text, "release"), said, warning=True),))


def _faults(table: Mapping[str, Any], product: Product) -> list[tuple[str, str]]:
    """The entry, and what is wrong with it."""
    notes, downloads = table.get("notes", {}), table.get("downloads", [])
    if not isinstance(notes, dict):
        return [("notes", "notes must be a table with one entry a language: [notes] with en = …")]
    if not isinstance(downloads, list) or not all(isinstance(it, dict) for it in downloads):
        return [("downloads", "each download is a table of its own, [[downloads]]")]
    found = []
    for language, text in notes.items():
        if language not in product.languages:
            found.append((f"notes.{language}", f"{language!r} is not in languages of product.toml"))
        elif wrong := wrong_text(text, _MAX_NOTES, is_title=False):
            found.append((f"notes.{language}", f"notes.{language} {wrong}"))
    for number, download in enumerate(downloads):
        platform = download.get("platform")
        if platform not in product.platforms:
            said = f"platform {platform!r} is not in platforms of product.toml"
            found.append((f"downloads.{number}", said))
    return found


def _unknown(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    known = ", ".join(_MEMBERS)
    return [(it, f"unknown entry {it}; known are {known}") for it in table if it not in _MEMBERS]


def _unreadable(table: Mapping[str, Any], product: Product) -> list[tuple[str, str]]:
    """The first objection of the client's own reader: to the rest, to a download, to the whole."""
    if not table:
        return []
    downloads = table.get("downloads", [])
    parts = [("", []), *((f"downloads.{n}", [it]) for n, it in enumerate(downloads))]
    for place, some in [*parts, ("downloads", downloads)]:
        if said := _objection({**table, "downloads": some}, product):
            return [(place or said.partition(" ")[0], said)]
    return []


def _objection(table: Mapping[str, Any], product: Product) -> str:
    strange = [name for it in table["downloads"] for name in it if name not in _DOWNLOAD]
    if strange:
        return f"unknown entry {strange[0]}; known in [[downloads]] are {', '.join(_DOWNLOAD)}"
    try:
        said = RELEASE.read(RELEASE.write(_release(table, product)))
    except TypeError:  # an entry is wanting, or is a date
        return f"a download needs {', '.join(_DOWNLOAD[:4])}, texts and (size) a number of bytes"
    except WireError as error:
        return error.message.partition("form: ")[2].rstrip(".") or error.message
    if said.minimum_version and Version(said.minimum_version) > Version(said.release):
        return "minimum_version is newer than release"
    return ""


def _release(table: Mapping[str, Any], product: Product) -> Release:
    """Raises ``TypeError`` where a download lacks an entry."""
    notes = {name: text.strip("\n") for name, text in table.get("notes", {}).items()}
    return Release(
        product.product,
        product.channel,
        epoch=1,
        serial=1,
        issued=0,
        release=table.get("release", ""),
        minimum_version=table.get("minimum_version", ""),
        notes=notes,
        downloads=tuple(Download(**it) for it in table.get("downloads", [])),
    )


def _line(text: str, name: str) -> int:
    """That of an entry; ``downloads.N`` is the table number N, from 0."""
    table, _, number = name.partition(".")
    if table != "downloads" or not number.isdigit():
        return line_of(text, name)
    lines = enumerate(text.split("\n"), 1)
    starts = [it for it, line in lines if line.replace(" ", "").startswith("[[downloads]]")]
    return starts[int(number)] if int(number) < len(starts) else line_of(text, table)
