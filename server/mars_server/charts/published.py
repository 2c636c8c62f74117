"""Charts that already stand in a published folder: drawn before, so they need not be drawn again.

``charts.json`` beside the pages tells which folder holds which chart, by the ``key`` of what was
drawn, with a hash of the three files. A file that was changed or cut short is not taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mars_server.charts.render import SCALE, Picture

FILE: Final = "charts.json"
FORMAT: Final = "mars-charts/1"
FILES: Final = ("chart.svg", "chart.png", "chart-dark.png")
_FOLDER = re.compile(r"[a-z-]{1,20}(?:/[a-z0-9-]{1,20})?", re.ASCII)


def listing(site: Path, keys: Mapping[str, str]) -> bytes:
    """The bytes of ``charts.json`` for the folders in ``keys`` (below ``site``, by chart key)."""
    charts = [
        {"folder": folder, "key": key, "sha256": _hash(_read(site / folder))}
        for folder, key in sorted(keys.items())
    ]
    return (json.dumps({"format": FORMAT, "charts": charts}, indent=1) + "\n").encode("ascii")


def find(site: Path, key: str) -> Picture | None:
    """The chart ``key`` as it was published, or None where it is not there, whole and unchanged."""
    try:
        charts = json.loads((site / FILE).read_bytes())["charts"]
        for entry in charts:
            folder = entry["folder"]
            if entry["key"] == key and _FOLDER.fullmatch(folder):
                parts = _read(site / folder)
                if _hash(parts) == entry["sha256"]:
                    return Picture(*parts, *_size(parts[1]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return None


def _read(folder: Path) -> tuple[bytes, bytes, bytes]:
    svg, png, dark = ((folder / name).read_bytes() for name in FILES)
    return svg, png, dark


def _hash(parts: tuple[bytes, bytes, bytes]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _size(png: bytes) -> tuple[int, int]:
    """Width and height in CSS pixels, from the header (PNG, section 11.2.2)."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    return width // SCALE, height // SCALE
