"""The news that were signed here, ``issued/SERIAL.json``: kept, and read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mars.errors import StateError, WireError
from mars.wire import envelope as envelopes
from mars.wire.motd import Motd
from mars_motd import files
from mars_motd.epochs import numbered
from mars_motd.folder import Folder
from mars_motd.kinds import NEWS, Document

News = Document[Motd]


def each(folder: Folder, until: int | None = None) -> Iterator[News]:
    """All whose serial is at most ``until`` (Unix seconds), the highest first.

    Raises ``StateError`` (``record-damaged``).
    """
    numbers = sorted(numbered(folder.issued), reverse=True)
    return (_read(path_of(folder, it)) for it in numbers if until is None or it <= until)


def newest(folder: Folder, until: int) -> News | None:
    """The one with the highest serial up to ``until``, complete or not: what is dated later may be
    a slip, or somebody's who wants everyday commands to stop. Raises as ``each``."""
    return next(each(folder, until), None)


def ahead(folder: Folder, until: int) -> list[int]:
    """The serials that do not count yet."""
    return [it for it in numbered(folder.issued) if it > until]


def taken(folder: Folder, motd: Motd) -> bool:
    """Whether this serial was signed before with another text: clients would call it forgery."""
    path = path_of(folder, motd.serial)
    return files.exists(path) and _read(path).said != motd


def record(folder: Folder, document: News) -> None:
    """Keeps the document under its serial; signatures that joined since replace it.

    Raises ``StateError`` (``serial-taken``) where another text has the serial.
    """
    motd, data = document.said, envelopes.encode(document.envelope)
    path = path_of(folder, motd.serial)
    try:
        files.create(path, data)
    except FileExistsError:
        if taken(folder, motd):
            raise StateError(
                "serial-taken",
                f"{path} holds another text of the same serial, and clients take two for forgery. "
                f"Where two commands signed at once, sign again; else find out who made which.",
            ) from None
        files.replace(path, data)


def path_of(folder: Folder, serial: int) -> Path:
    """Where the document of this serial is kept."""
    return folder.issued / f"{serial}.json"


def _read(path: Path) -> News:
    try:
        document = NEWS.decode(files.read(path))
    except WireError as error:
        raise StateError(
            "record-damaged",
            f"{path} cannot be read ({error.reason}). Restore it from a backup.",
        ) from None
    if path.stem != str(document.said.serial):
        raise StateError(
            "record-damaged",
            f"{path} holds serial {document.said.serial}, so it was renamed. Move it away.",
        )
    return document
