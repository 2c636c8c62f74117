"""Files that are whole or absent, and secrets that nobody else may read."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mars.errors import StateError

PUBLIC = 0o644
SECRET = 0o600

_POSIX = os.name == "posix"


def replace(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Writes ``data`` to ``path`` in one step: a reader sees the old file or the new one.

    The bytes and the rename have reached the disk on return. Raises ``OSError``.
    """
    with _beside(path, data, mode) as temporary:
        temporary.replace(path)
    _sync_folder(path.parent)


def create(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Like ``replace``, but raises ``FileExistsError`` rather than touch a file that is there."""
    with _beside(path, data, mode) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, such as a FAT stick
            if path.exists():
                raise FileExistsError(path) from None
            temporary.replace(path)
    _sync_folder(path.parent)


@contextmanager
def _beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A complete temporary file in the same folder; gone afterwards, unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def private_folder(path: Path) -> None:
    """Makes the folder ``path`` for its owner alone (0700)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def read_secret(path: Path) -> bytes:
    """The bytes of a secret file. Raises ``StateError`` (``secret-exposed``) if others may read it.

    Where the file system has no such modes (Windows), the folder's own rights decide.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if _POSIX and mode & 0o077:
        raise StateError(
            "secret-exposed",
            f"{path} can be read by other users (mode {mode:04o}), so the key in it may be known "
            f"to them. If it was never exposed, run: chmod 600 '{path}'. Otherwise rotate the key.",
        )
    return path.read_bytes()


def _sync_folder(folder: Path) -> None:
    if not _POSIX:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
