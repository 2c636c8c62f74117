"""Deletes logs that are counted and published: what is not kept cannot be taken."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from mars_server.common.calendar import FIRST_WEEK, week_of
from mars_server.daylog.format import id_line, own_id
from mars_server.daylog.generation import LOG, parse_name

ID_SIZE = len(id_line("0" * 32))
"""Bytes of a closed log's first line."""


@dataclass(frozen=True)
class Closed:
    """One closed generation of our own access log."""

    path: Path
    day: date
    token: str
    size: int


def closed_logs(folder: Path) -> Iterator[Closed]:
    """The closed generations in ``folder``, oldest first. Raises ``OSError``."""
    for path in sorted(folder.glob(f"access-*{LOG}")):
        name = parse_name(path.stem)
        if name is not None:
            yield Closed(path, name[0], name[1], path.stat().st_size)


def settled(log: Closed, positions: Mapping[str, int], weeks: Collection[str]) -> bool:
    """Whether every byte of ``log`` is counted and its week is published, or never will be.

    ``positions``: bytes counted of each generation by its id; ``weeks``: closed ISO weeks.
    """
    week = week_of(log.day)
    closed = week in weeks or week < FIRST_WEEK
    return closed and positions.get(log.token) == log.size


def _id(path: Path) -> str | None:
    """What the log itself says; its name may be another's."""
    with path.open("rb") as file:
        return own_id(file.read(ID_SIZE))


def retain(
    folder: Path, positions: Mapping[str, int], weeks: Collection[str], remove: bool = True
) -> list[Closed]:
    """Deletes (or with ``remove=False`` only lists) what is settled. Raises ``OSError``."""
    gone = [
        log
        for log in closed_logs(folder)
        if settled(log, positions, weeks) and _id(log.path) == log.token
    ]
    for log in gone:
        if remove:
            log.path.unlink(missing_ok=True)
    return gone
