"""The folder that is published: what already stands in it, and how new files get there."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Final

from mars.errors import StateError, WireError
from mars.wire.catalogue import Catalogue
from mars.wire.reports.status import Status
from mars_server.publication import status_document
from mars_server.tables import signed_documents
from mars_server.tables.faults import Faults, FaultWeek
from mars_server.tables.signed_documents import Served
from mars_server.tables.statistics_week import StatisticsWeek
from mars_server.tables.statistics_week import decode as decode_statistics
from mars_server.tables.week import Week, decode

DATA: Final = "data"
_PATIENCE: Final = 300.0
"""Seconds for which a second run waits; five years at once take one a minute, or two when the
machine is busy (docs/publication.md)."""
_POLL: Final = 0.1
"""Seconds between two tries."""
_NEW: Final = ".new-"
HITS: Final = ""
DECLARED: Final = "declared.json"
"""The registry as it was when the site was made: what is declared."""
STATISTICS: Final = "statistics-"
FAULTS: Final = "faults-"
"""How the name of a week's file begins, before the week: of hits, of statistics, of faults."""
STATUS: Final = "status.json"
"""The signed answers to error reports, as they are served."""
_WEEK_FILE = re.compile(r"((?:statistics-|faults-)?)([0-9]{4}-W[0-9]{2})\.json", re.ASCII)
_NO_LOCKS: Final = {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
"""What file systems answer that cannot lock a folder."""


@contextmanager
def held(out: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Makes the folder ``out`` and keeps other runs of this machine out while the body runs.

    The folder itself is locked, so that no file of ours stands among the public ones. Where its
    file system cannot do that (NFS), nobody is kept out. Raises ``StateError``: ``site-busy`` after
    ``patience`` seconds, ``site-unwritable``, ``site-link``, ``site-special``.
    """
    with _told(out):
        out.mkdir(parents=True, exist_ok=True)
        _refuse_links(out, DATA)  # before anything in it is believed
        _refuse_specials(out)
        handle = os.open(out, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _wait(out, handle, patience)
        yield
    finally:
        os.close(handle)


def _wait(out: Path, handle: int, patience: float) -> None:
    pause = Event()
    for _ in range(max(1, int(patience / _POLL))):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pause.wait(_POLL)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return
            raise
    raise StateError(
        "site-busy",
        f"Another run has been publishing to {out} for {patience:.0f} seconds; try again later.",
    )


def week_files(data: Path, kind: str = HITS) -> dict[str, bytes]:
    """The week documents of a ``kind`` that stand in ``data``, by week, unchecked."""
    if not data.is_dir():
        return {}
    found = ((path, _WEEK_FILE.fullmatch(path.name)) for path in sorted(data.iterdir()))
    return {
        match[2]: path.read_bytes()
        for path, match in found
        if match is not None and match[1] == kind and path.is_file()
    }


def read_week(name: str, document: bytes) -> Week:
    """The document of the week ``name``. Raises ``WireError`` that names its file."""
    with _named(f"{DATA}/{name}.json"):
        return decode(document)


def read_statistics(name: str, document: bytes) -> StatisticsWeek:
    """That of its statistics. Raises ``WireError`` that names its file."""
    with _named(f"{DATA}/{STATISTICS}{name}.json"):
        return decode_statistics(document)


@contextmanager
def _named(where: str) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        raise WireError(
            error.reason, f"{where}: {error.message} Restore it from a copy of the site."
        ) from None


def read_weeks(data: Path) -> list[Week]:
    """The published weeks in ``data``, oldest first. Raises ``WireError`` for a changed file."""
    return [read_week(name, document) for name, document in sorted(week_files(data).items())]


def read_all_statistics(data: Path) -> list[StatisticsWeek]:
    """Those of statistics."""
    found = sorted(week_files(data, STATISTICS).items())
    return [read_statistics(name, document) for name, document in found]


def read_faults(name: str, document: bytes) -> FaultWeek:
    """That of its faults. Raises ``WireError`` that names its file."""
    with _named(f"{DATA}/{FAULTS}{name}.json"):
        weeks = Faults.decode(document).weeks
        if [each.week for each in weeks] != [name]:
            raise WireError("faults-invalid", "It is not of that week.")
        return weeks[0]


def read_all_faults(data: Path) -> list[FaultWeek]:
    """Those of faults."""
    found = sorted(week_files(data, FAULTS).items())
    return [read_faults(name, document) for name, document in found]


def read_status(data: Path) -> Status | None:
    """The answers to error reports; None where there are none. Its signature is not looked at.
    Raises ``WireError`` for a changed file."""
    path = data / STATUS
    with _named(f"{DATA}/{STATUS}"):
        return status_document.said(path.read_bytes()) if path.is_file() else None


def read_declared(data: Path) -> Catalogue | None:
    """What is declared; None where nothing is. Raises ``WireError`` for a changed file."""
    path = data / DECLARED
    with _named(f"{DATA}/{DECLARED}"):
        return Catalogue.decode(path.read_bytes()) if path.is_file() else None


def read_documents(data: Path) -> list[Served]:
    """The signed documents that are named in ``data``; none where there is no such file."""
    path = data / signed_documents.FILE
    return signed_documents.decode(path.read_bytes()) if path.is_file() else []


def clear(folder: Path) -> None:
    """Removes what a run that was killed has left half written in ``folder``."""
    for path in folder.glob(f"{_NEW}*"):
        path.unlink(missing_ok=True)


def foreign(out: Path, ours: Collection[str]) -> list[str]:
    """The files below ``out`` that are none of ``ours`` (paths below it), links included."""
    found = []
    for place, folders, names in os.walk(out):
        links = [name for name in folders if Path(place, name).is_symlink()]
        found += [Path(place, name).relative_to(out).as_posix() for name in [*names, *links]]
    return sorted(set(found) - set(ours))


def write_files(folder: Path, files: Mapping[str, bytes], *, durable: bool = False) -> int:
    """Writes ``files`` (by path below ``folder``), each replaced atomically; counts the changed.

    All are written before the first is replaced, so that those that belong together change within
    a moment. A file that already has these bytes is not touched, so its date stays too.
    ``durable`` waits for the disk; pages can be made again, so they need not. Raises
    ``StateError`` (``site-unwritable``).
    """
    staged: list[tuple[Path, Path]] = []
    with _told(folder):
        try:
            for where, data in files.items():
                _refuse_links(folder, where)
                path = folder / where
                if not path.is_file() or path.read_bytes() != data:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=_NEW)
                    staged.append((Path(name), path))
                    _fill(descriptor, data, durable=durable)
            for temporary, path in staged:
                temporary.replace(path)
        except BaseException:
            for temporary, _ in staged:
                temporary.unlink(missing_ok=True)
            raise
    return len(staged)


def _refuse_links(folder: Path, name: str) -> None:
    """Raises ``StateError`` (``site-link``) where ``name`` below ``folder``, or a folder on the way
    to it, is a link: whoever can write to the site could have us write anywhere."""
    path = folder / name
    for each in (path, *path.parents):
        if each == folder:
            return
        if each.is_symlink():
            raise StateError(
                "site-link",
                f"{each} is a link, and nothing is written through it; remove it, and find out who "
                "else can write to the site.",
            )


def _refuse_specials(out: Path) -> None:
    """Raises ``StateError`` (``site-special``) for a pipe, socket or device, also at the end of a
    link: to read it might never end."""
    for place, _, names in os.walk(out):
        for path in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):
                if not stat.S_ISREG(path.stat().st_mode):
                    raise StateError(
                        "site-special",
                        f"{path} is no regular file; remove it, and find out who else can write "
                        "to the site.",
                    )


def _fill(descriptor: int, data: bytes, *, durable: bool) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, 0o644)  # published: anybody may read it, the web server's user too
        if durable:
            file.flush()
            os.fsync(descriptor)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Says of an ``OSError`` in the body what to do."""
    try:
        yield
    except OSError as error:
        raise StateError(
            "site-unwritable",
            f"{error.filename or folder} cannot be written ({error.strerror}); give --out a folder "
            "that this user may write to, on a disk with room.",
        ) from None
