"""Proves from the files themselves that the logs hold no address and that retention ran."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path

from mars.wire.query import AllowList
from mars.wire.variables import VARIABLES
from mars_server.common.calendar import FIRST_WEEK, week_of
from mars_server.daylog.format import ACCESS, COMMENT, RELEASE, Kind, own_id
from mars_server.daylog.generation import LOG, PART, parse_name, parse_part
from mars_server.serving.logline import LINE
from mars_server.storage.reading import Overview

_QUERY = re.compile(
    "other|(?=[a-z])" + "".join(f"(?:(?:^|&){one.name}=(?:{one.form}|other))?" for one in VARIABLES)
)
"""What a query of ours looks like for any product; an IPv4 address has one number too many."""
_PROBE = re.compile(r"\.probe-[0-9a-f]{8}\.part")
_OTHERS = 0o007
"""Permission bits of everybody else."""
_GROUP_TOO = 0o077
"""Those and the group's: in the folder the size and time of the open part tell of each answer."""
_ACCESS_LIST = "system.posix_acl_access"
_BY_NAME = (0x02, 0x08)
"""ACL_USER and ACL_GROUP (acl(5); Linux, include/uapi/linux/posix_acl.h)."""
_ENTER = 0o001
"""That by which they may enter a folder."""
_ID_SIZE = 128
"""Bytes, more than a closed log's first line has."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``ok`` False means that a promise is broken."""

    name: str
    ok: bool
    text: str


def examine(
    log: Path,
    overview: Overview | None,
    today: date,
    keep_days: int,
    allow: AllowList | None,
    database: Path | None = None,
) -> list[Finding]:
    """Looks at every file in the log folder. No finding quotes a byte of a log.

    ``overview`` None: no database, so nothing can be said of retention but the age. ``allow``
    None: no product.toml, so values are compared with their form only. ``database``: the file of
    the counts, where they are in one. Raises ``OSError``.
    """
    entries = sorted(log.iterdir())
    files = [path for path in entries if path.is_file()]
    found = {
        "files": strange(entries),
        "lines": _lines(files, allow),
        "modes": modes(log, [*files, *_parts(database)]),
        "retention": _retention(list(closed_logs(log)), overview, today, keep_days),
    }
    return [Finding(name, ok, text) for name, (ok, text) in found.items()]


_Told = tuple[bool, str]


def strange(entries: list[Path], kind: Kind = ACCESS) -> _Told:
    """Whether only files of ours are among them."""
    others = [path for path in entries if not _ours(path, kind)]
    text = f"{len(others)} file(s) or folders are not ours; look at them, then move them away"
    return not others, text if others else f"only our own {kind.short}s lie here"


def _ours(path: Path, kind: Kind) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    name = path.name.removesuffix(PART) if path.name.endswith(LOG + PART) else path.name
    if name.endswith(LOG):
        return parse_name(name.removesuffix(LOG), kind) is not None
    return (
        parse_part(name.removeprefix("."), kind) is not None or _PROBE.fullmatch(name) is not None
    )


def _lines(files: list[Path], allow: AllowList | None) -> _Told:
    total = wrong = 0
    for path in files:
        known, admitted = allow, _admitting(allow)
        for line in each_line(path):
            total += 1
            if known and (release := RELEASE.fullmatch(line)):
                known = known.also([release[1].decode()])
                admitted = _admitting(known)
            found = LINE.fullmatch(line)
            good = admitted(found[1] or b"") if found else COMMENT.fullmatch(line)
            wrong += not good
    if wrong:
        return False, f"{wrong} of {total} lines hold more than a log of ours may"
    values = "allow-listed values" if allow else "values of the known form (no product.toml)"
    return True, f"{total} lines: a day, the path, {values}, status and size"


def _admitting(allow: AllowList | None) -> Callable[[bytes], bool]:
    return lru_cache(maxsize=4096)(lambda query: _admitted(query, allow))


def _admitted(query: bytes, allow: AllowList | None) -> bool:
    text = query.decode("ascii")
    if not text:
        return True
    if allow is None:
        return _QUERY.fullmatch(text) is not None
    return allow.canonical(text) == f"?{text}"


def each_line(path: Path) -> Iterator[bytes]:
    """With its LF; what a part ends with may not be written yet."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") or path.suffix != ".part":
                yield line


def _parts(database: Path | None) -> list[Path]:
    """The database's own files, and copies beside it, in a folder that others may enter."""
    if database is None or not database.exists() or not _open(database.parent, _ENTER):
        return []
    return [one for one in database.parent.iterdir() if one.name.startswith(database.name)]


def modes(log: Path, files: list[Path]) -> _Told:
    """Whether the folder, and each of ``files``, is closed to others."""
    growing = any(file.name.endswith(PART) for file in files)
    if _open(log, _GROUP_TOO if growing else _OTHERS):
        return False, "other users may enter the folder, and see when the open log grows; chmod 700"
    readable = [path for path in files if _open(path, _OTHERS)]
    if readable:
        return False, f"{len(readable)} file(s) are open to other users; chmod o=, setfacl -b"
    return True, "no other user can read the logs or the file of the counts"


def _open(path: Path, bits: int) -> bool:
    try:
        mode = path.stat().st_mode
        return bool(mode & bits) or _named(path, mode)
    except FileNotFoundError:  # a write-ahead log, gone with the last who used it
        return False


def _named(path: Path, mode: int) -> bool:
    """Whether an access list lets in a user or a group by name; ``mode`` does not tell whom, and
    its bits of the group are the most that they all may."""
    try:
        listed = os.getxattr(path, _ACCESS_LIST)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
    entries = struct.iter_unpack("<HHI", listed[4:])  # tag, permissions, id; a version before
    return any(tag in _BY_NAME and allowed & mode >> 3 for tag, allowed, _ in entries)


def _retention(logs: list[Closed], overview: Overview | None, today: date, keep_days: int) -> _Told:
    old = [log for log in logs if (today - log.day).days > keep_days]
    if old:
        return False, f"{len(old)} log(s) are older than {keep_days} days; count, publish"
    if overview is None:
        return True, f"no log is older than {keep_days} days (no database)"
    due = [log for log in logs if settled(log, overview.positions, overview.weeks)]
    if due:
        return False, f"{len(due)} log(s) are counted and published: mars-server retain"
    return True, f"{len(logs)} log(s) wait to be counted and published"


# --- Which logs are counted and published: what is not kept cannot be taken ---


@dataclass(frozen=True)
class Closed:
    """One closed generation of our own access log, or of the spool."""

    path: Path
    day: date
    token: str
    size: int


def closed_logs(folder: Path, kind: Kind = ACCESS) -> Iterator[Closed]:
    """The closed generations in ``folder``, oldest first. Raises ``OSError``."""
    for path in sorted(folder.glob(f"{kind.prefix}-*{LOG}")):
        name = parse_name(path.stem, kind)
        if name is not None:
            yield Closed(path, name[0], name[1], path.stat().st_size)


def settled(log: Closed, positions: Mapping[str, int], weeks: Collection[str]) -> bool:
    """Whether every byte of ``log`` is counted and its week is published, or never will be.

    ``positions``: bytes counted of each generation by its id; ``weeks``: closed ISO weeks.
    """
    week = week_of(log.day)
    closed = week in weeks or week < FIRST_WEEK
    return closed and positions.get(log.token) == log.size


def own(path: Path) -> str | None:
    """What the log itself says; its name may be another's."""
    with path.open("rb") as file:
        return own_id(file.read(_ID_SIZE))


def retain(
    folder: Path, positions: Mapping[str, int], weeks: Collection[str], remove: bool = True
) -> list[Closed]:
    """Deletes (or with ``remove=False`` only lists) what is settled. Raises ``OSError``."""
    gone = [
        log
        for log in closed_logs(folder)
        if settled(log, positions, weeks) and own(log.path) == log.token
    ]
    for log in gone:
        if remove:
            log.path.unlink(missing_ok=True)
    return gone
