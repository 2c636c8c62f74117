"""The folder that is published: what already stands in it, and how new files get there."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mars_server.publication import served
from mars_server.publication.document import Week, decode
from mars_server.publication.served import Served

DATA = "data"
_NEW = ".new-"
_WEEK_FILE = re.compile(r"[0-9]{4}-W[0-9]{2}\.json", re.ASCII)


def week_files(data: Path) -> dict[str, bytes]:
    """The week documents that stand in ``data``, by week, unchecked."""
    if not data.is_dir():
        return {}
    return {
        path.stem: path.read_bytes()
        for path in sorted(data.iterdir())
        if _WEEK_FILE.fullmatch(path.name)
    }


def read_weeks(data: Path) -> list[Week]:
    """The published weeks in ``data``, oldest first. Raises ``WireError`` for a changed file."""
    return [decode(document) for _, document in sorted(week_files(data).items())]


def read_documents(data: Path) -> list[Served]:
    """The signed documents that are named in ``data``; none where there is no such file."""
    path = data / served.FILE
    return served.decode(path.read_bytes()) if path.is_file() else []


def clear(data: Path) -> None:
    """Removes what a run that was killed has left half written in ``data``."""
    for path in data.glob(f"{_NEW}*"):
        path.unlink(missing_ok=True)


def write_files(folder: Path, files: Mapping[str, bytes], *, durable: bool = False) -> int:
    """Writes ``files`` (by path below ``folder``), each replaced atomically; counts the changed.

    A file that already has these bytes is not touched, so its date stays too. ``durable`` waits
    for the disk; pages can be made again, so they need not.
    """
    changed = 0
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            _replace(path, data, durable=durable)
            changed += 1
    return changed


def _replace(path: Path, data: bytes, *, durable: bool) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_NEW)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(0o644)  # published: anybody may read it, the web server's user too
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
