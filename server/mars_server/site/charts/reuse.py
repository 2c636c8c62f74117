"""Charts that already stand in a published folder: drawn before, so they need not be drawn again.

``charts.json`` beside the pages tells which folder holds which chart, by the ``key`` of what was
drawn, with a hash of the three files. A file that was changed or cut short is not taken.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from mars_server.site.charts.render import Picture

FILE: Final = "charts.json"
_FORMAT: Final = "mars-charts/1"
_FILES: Final = ("chart.svg", "chart.png", "chart-dark.png")
_FOLDER = re.compile(r"[a-z-]{1,20}(?:/[a-z0-9-]{1,20}){0,2}", re.ASCII)


def listing(keys: Mapping[str, str], hashes: Mapping[str, str]) -> bytes:
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
    return (json.dumps({"format": _FORMAT, "charts": charts}, indent=1) + "\n").encode("ascii")


def find(site: Path, key: str, vouched: str | None = None) -> Picture | None:
    """The chart ``key`` as it was published, or None where it is not there, whole and unchanged.

    With ``vouched``, the SHA-256 of ``charts.json`` (hex), it is certain to be what was written;
    without, whoever can write to ``site`` can forge both.
    """
    try:
        text = (site / FILE).read_bytes()
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
