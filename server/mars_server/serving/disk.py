"""How full the disks are that hold logs and spools."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """Bytes."""

    free: int
    total: int


def fullest(folders: Iterable[str | Path]) -> Usage:
    """Of the disk with the least free share. Raises ``OSError``, ``ValueError`` for no folder."""
    found = (shutil.disk_usage(folder) for folder in folders)
    return min(
        (Usage(disk.free, disk.total) for disk in found), key=lambda use: use.free / use.total
    )


def hundredths(usage: Usage) -> float:
    """The free share, rounded down: a finer one would show each report as it is written."""
    return usage.free * 100 // usage.total / 100
