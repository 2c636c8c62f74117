"""Keeps rendered charts, by a hash of everything that decides their bytes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from itertools import accumulate, islice
from pathlib import Path
from typing import Final

from mars.errors import StateError
from mars_server.common.jsontext import encode_json
from mars_server.publication.folder import write_files
from mars_server.site.charts.render import (
    VEGA_LITE,
    Chart,
    Picture,
    dark_colours,
    full_spec,
    render,
)

_IN_MEMORY: Final = 64
"""Pictures; some 30 kB each. ``publish`` keeps all that it needs, ``serve`` so many."""
_ON_DISK: Final = 1000
"""Pictures; the least recently written go first."""
_OURS = re.compile(r"[0-9a-f]{32}|\.new-\w{8}", re.ASCII)
"""What is ours in the folder: pictures, by their ``key``, and what a killed run left behind."""


def key(chart: Chart) -> str:
    """Names the picture of ``chart``: figures, specification, themes and renderer versions."""
    versions = [VEGA_LITE, version("vl-convert-python"), version("pillow")]
    parts = [full_spec(chart), dark_colours(), *versions]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class ChartStore:
    """Renders a chart once; ``folder`` (or nothing) keeps pictures between runs, and those that
    stand in the published folder ``site`` are taken from there, if the list of them has the SHA-256
    ``vouched`` (None: whatever it has).

    Bounded in memory and on disk, whatever ranges visitors ask for. Not safe for threads.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        site: Path | None = None,
        vouched: str | None = None,
        in_memory: int = _IN_MEMORY,
        limit: int = _ON_DISK,
        renderer: Callable[[Chart], Picture] = render,
        draw_all: Callable[[Sequence[Callable[[], Chart]]], Iterable[Picture]] | None = None,
    ) -> None:
        self._folder = folder
        self._site = site
        self._vouched = vouched
        self._in_memory = in_memory
        self._limit = limit
        self._draw_all = draw_all or (lambda charts: (renderer(chart()) for chart in charts))
        self._memory: dict[str, Picture] = {}

    def picture(self, name: str, chart: Callable[[], Chart]) -> Picture:
        """The picture called ``name``, which is the ``key`` of what ``chart`` returns."""
        self.draw({name: chart})
        return self._memory[name]

    def draw(self, charts: Mapping[str, Callable[[], Chart]]) -> None:
        """Draws those of ``charts`` (by name, as many as are kept in memory) that are not there."""
        missing = {}
        for name, chart in islice(charts.items(), self._in_memory):
            found = self._find(name)
            if found is None:
                missing[name] = chart
            else:
                self._keep(name, found)
        for name, picture in zip(missing, self._draw_all([*missing.values()]), strict=True):
            self._save(name, picture)
            self._keep(name, picture)

    def _find(self, name: str) -> Picture | None:
        found = self._memory.pop(name, None)
        if found is None and self._folder is not None:
            with suppress(OSError):
                found = _unpack((self._folder / name).read_bytes())
        if found is None and self._site is not None:
            found = find_published(self._site, name, self._vouched)
        return found

    def _keep(self, name: str, picture: Picture) -> None:
        self._memory[name] = picture
        if len(self._memory) > self._in_memory:
            del self._memory[next(iter(self._memory))]

    def _save(self, name: str, picture: Picture) -> None:
        """A cache that cannot be written (full disk, foreign folder) costs time, not the page."""
        if self._folder is None:
            return
        with suppress(OSError, StateError):
            write_files(self._folder, {name: _pack(picture)})
            _trim(self._folder, self._limit)


def _trim(folder: Path, limit: int) -> None:
    """Removes the oldest pictures beyond ``limit``, and nothing that is not ours."""
    ours = [each for each in folder.iterdir() if _OURS.fullmatch(each.name) and each.is_file()]
    ours.sort(key=lambda each: each.stat().st_mtime)
    for each in ours[: max(0, len(ours) - limit)]:
        each.unlink(missing_ok=True)


def _pack(picture: Picture) -> bytes:
    """One line of JSON, then the three files."""
    parts = picture.files.values()
    body = b"".join(parts)
    head = {"parts": [len(part) for part in parts], "sha256": hashlib.sha256(body).hexdigest()}
    return json.dumps(head).encode("ascii") + b"\n" + body


def _unpack(data: bytes) -> Picture | None:
    """None for a file that is cut short or damaged: the chart is then drawn again."""
    line, _, body = data.partition(b"\n")
    try:
        head = json.loads(line)
        svg, png, dark = accumulate(head["parts"])
        intact = dark == len(body) and hashlib.sha256(body).hexdigest() == head["sha256"]
        return Picture(body[:svg], body[svg:png], body[png:]) if intact else None
    except (ValueError, KeyError, TypeError):
        return None


# --- Charts that already stand in a published folder. ``charts.json`` beside the pages tells which
# folder holds which chart, by the ``key`` of what was drawn, with a hash of the three files. What
# was changed or cut short is not taken ---

LIST: Final = "charts.json"
_LIST_FORMAT: Final = "mars-charts/1"
_FILES: Final = ("chart.svg", "chart.png", "chart-dark.png")
_FOLDER = re.compile(r"[a-z-]{1,20}(?:/[a-z0-9_-]{1,40}){0,4}", re.ASCII)


def chart_list(keys: Mapping[str, str], hashes: Mapping[str, str]) -> bytes:
    """The bytes of ``charts.json`` for the folders in ``keys`` (by chart key), from the SHA-256
    (hex) of each file by its path."""
    charts = [
        {
            "folder": folder,
            "key": key,
            "sha256": _joint(hashes[f"{folder}/{name}"] for name in _FILES),
        }
        for folder, key in sorted(keys.items())
    ]
    return encode_json({"format": _LIST_FORMAT, "charts": charts})


def find_published(site: Path, key: str, vouched: str | None = None) -> Picture | None:
    """The chart ``key`` as it was published, or None where it is not there, whole and unchanged.

    With ``vouched``, the SHA-256 of ``charts.json`` (hex), it is certain to be what was written;
    without, whoever can write to ``site`` can forge both.
    """
    try:
        text = (site / LIST).read_bytes()
        if vouched is not None and hashlib.sha256(text).hexdigest() != vouched:
            return None
        for entry in json.loads(text)["charts"]:
            folder = entry["folder"]
            if entry["key"] == key and _FOLDER.fullmatch(folder):
                parts = [(site / folder / name).read_bytes() for name in _FILES]
                if _joint(hashlib.sha256(part).hexdigest() for part in parts) == entry["sha256"]:
                    return Picture(*parts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def _joint(hashes: Iterable[str]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(each) for each in hashes)).hexdigest()
