"""Proves from the files themselves that the logs hold no address and that retention ran."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mars_server.serving.logline import HEADER
from mars_server.serving.retention import Closed, closed_logs, settled
from mars_server.storage.overview import Overview

_LINE = re.compile(
    rb"- - - \[\d\d/[A-Z][a-z]{2}/\d{4}:00:00:00 \+0000\] "
    rb'"GET /motd/motd\.json(?:\?(?:other|[a-z]{1,4}=[A-Za-z0-9.]{1,24}'
    rb'(?:&[a-z]{1,4}=[A-Za-z0-9.]{1,24}){0,5}))? HTTP/1\.1" (?:200 \d{1,6}|499 0) "-" "-"\n'
)
_COMMENT = re.compile(re.escape(HEADER) + rb"[0-9a-f]{32}\n|# mars lost=\d{1,20}\n")
_OTHERS = 0o007
"""Permission bits of everybody else."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``ok`` False means that a promise is broken."""

    name: str
    ok: bool
    text: str


def examine(log: Path, overview: Overview | None, today: date, keep_days: int) -> list[Finding]:
    """Looks at every file in the log folder. No finding quotes a byte of a log.

    ``overview`` None: no database, so nothing can be said of retention but the age. Raises
    ``OSError``.
    """
    files = [path for path in sorted(log.iterdir()) if path.is_file()]
    return [
        _strange_files(files),
        _lines(files),
        _modes([log, *files]),
        _retention(list(closed_logs(log)), overview, today, keep_days),
    ]


def _strange_files(files: list[Path]) -> Finding:
    strange = [path for path in files if not re.match(r"access-|\.probe-", path.name)]
    text = f"{len(strange)} file(s) are not ours; count nothing and serve nothing from here"
    return Finding("files", not strange, text if strange else "only our own logs lie here")


def _lines(files: list[Path]) -> Finding:
    total = wrong = 0
    for line in _each_line(files):
        total += 1
        if _LINE.fullmatch(line) is None and _COMMENT.fullmatch(line) is None:
            wrong += 1
    if wrong:
        return Finding("lines", False, f"{wrong} of {total} lines hold more than a log of ours may")
    return Finding(
        "lines", True, f"{total} lines: a day, the path, allow-listed values, status and size"
    )


def _each_line(files: list[Path]) -> Iterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n") or path.suffix != ".part":
                    yield line


def _modes(paths: list[Path]) -> Finding:
    readable = [path for path in paths if path.stat().st_mode & _OTHERS]
    if readable:
        return Finding("modes", False, f"{len(readable)} file(s) or folders are open to every user")
    return Finding("modes", True, "no other user can read the logs")


def _retention(
    logs: list[Closed], overview: Overview | None, today: date, keep_days: int
) -> Finding:
    old = [log for log in logs if (today - log.day).days > keep_days]
    if old:
        return Finding(
            "retention", False, f"{len(old)} log(s) are older than {keep_days} days; count, publish"
        )
    if overview is None:
        return Finding("retention", True, f"no log is older than {keep_days} days (no database)")
    due = [log for log in logs if settled(log, overview.positions, overview.weeks)]
    if due:
        return Finding(
            "retention", False, f"{len(due)} log(s) are counted and published: mars-server retain"
        )
    return Finding("retention", True, f"{len(logs)} log(s) wait to be counted and published")
