"""Parts of a day log whose process is gone: found by their lock, closed at the next start."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path

from mars_server.daylog.format import ACCESS, Kind
from mars_server.daylog.generation import (
    LOG,
    PART,
    PartName,
    lines_of,
    log_head,
    parse_part,
    same_file,
    write_log,
)


def close_leftovers(folder: Path, kind: Kind = ACCESS) -> int:
    """Closes what a crash left in ``folder``; how many generations that were.

    A last line without its LF is dropped. Parts that a live process holds are left alone. A log
    that was half written takes a new start, under the same temporary name, from its part.
    Raises ``OSError`` for the last one that could not be closed, when all have been tried.
    """
    closed, problem = 0, None
    for part in sorted(folder.glob(f"*{kind.prefix}-*{PART}")):
        try:
            name = parse_part(part.name.removeprefix("."), kind)
            closed += name is not None and _close_leftover(part, name, kind)
        except OSError as error:
            problem = error
    if problem is not None:
        raise problem
    return closed


def parts(folder: Path, kind: Kind = ACCESS) -> list[PartName]:
    """What the names of the parts in ``folder`` tell, those of live processes included."""
    return [name for _, name in _named(folder, kind)]


def held(folder: Path, kind: Kind = ACCESS) -> list[PartName]:
    """The parts that live processes write. Raises ``OSError`` where one is not ours to look at."""
    return [name for part, name in _named(folder, kind) if _is_held(part)]


def _named(folder: Path, kind: Kind) -> list[tuple[Path, PartName]]:
    names = sorted(folder.glob(f"{kind.prefix}-*{PART}"))
    found = ((part, parse_part(part.name, kind)) for part in names)
    return [(part, name) for part, name in found if name is not None]


def _is_held(part: Path) -> bool:
    fd = _open(part)
    if fd is None:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _close_leftover(part: Path, name: PartName, kind: Kind) -> bool:
    fd = _lock(part)
    if fd is None:
        return False
    try:
        log = part.with_name(name.stem + LOG)
        size = os.fstat(fd).st_size
        anything = bool(size or name.lost)
        if anything and not log.exists():
            head = log_head(kind, name.token, name.day.isoformat(), name.lost)
            write_log(log, head, lines_of(fd, size, part.parent, kind))
        part.unlink()
    finally:
        os.close(fd)
    return anything


def _lock(part: Path) -> int | None:
    """A descriptor of the part, or None where it is not for us: a live process holds it, another
    just closed it, or it is no file of ours (``_open``)."""
    fd = _open(part)
    if fd is None:
        return None
    with suppress(OSError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if same_file(part, fd):
            return fd
    os.close(fd)
    return None


def _open(part: Path) -> int | None:
    """None where the part is gone, or is a link, a pipe or a folder that somebody put there."""
    try:
        fd = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return fd
