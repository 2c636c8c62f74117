"""Files that are whole or absent, and secrets that nobody else may read."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mars.errors import ConfigError, StateError

PUBLIC = 0o644
SECRET = 0o600

_POSIX = os.name == "posix"
_BINARY = getattr(os, "O_BINARY", 0)
_ROOM = 65_536
"""Bytes: more than a pair of OpenPGP keys and gpg's lists take."""
_STDIN = Path("/dev/stdin")
_HANDED = (Path("/dev/fd"), Path("/proc/self/fd"))
"""Where a shell's ``<(command)`` and standard input stand."""


def replace(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Writes ``data`` to ``path`` in one step: a reader sees the old file or the new one.

    A symbolic link is written through. The bytes and the rename have reached the disk on return.
    Raises ``OSError``, ``ConfigError`` (``out-invalid``).
    """
    path = writable(path)
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


def writable(path: Path) -> Path:
    """Where the bytes for ``path`` go: itself, or what a symbolic link leads to.

    Raises ``ConfigError`` (``out-invalid``) where something lies there that is no regular file: a
    rename would put a file in the place of a device, and everybody else would lose it.
    """
    try:
        real = path.resolve()
        mode = real.stat().st_mode
    except FileNotFoundError:
        return real
    except (OSError, RuntimeError, ValueError) as error:
        # A loop of links (an OSError from CPython 3.13 on); a NUL in the name.
        if isinstance(error, OSError) and error.errno != errno.ELOOP:
            raise
        raise ConfigError("out-invalid", f"{path} leads nowhere; name the file to write.") from None
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise ConfigError("out-invalid", f"{path} is {what}; name the file to write.")
    return real


def exists(path: Path) -> bool:
    """Whether there is such a file. Raises ``OSError`` where that cannot be told: what is taken for
    missing is made anew."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def listed(folder: Path, prefix: str = "", suffix: str = "") -> list[Path]:
    """The files ``PREFIX*SUFFIX`` of a folder, by name; none where there is no folder.

    Raises ``OSError`` where the folder cannot be read; ``Path.glob`` would then find nothing.
    """
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    return [path for path in paths if path.name.startswith(prefix) and path.name.endswith(suffix)]


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A regular file, or a pipe that this process was handed; every file is read through here.

    Anything else (a device, a FIFO that may have no writer) raises ``StateError``
    (``unreadable``) at once.
    """
    handed = path.parent in _HANDED or path == _STDIN
    flags = os.O_RDONLY | (0 if handed else getattr(os, "O_NONBLOCK", 0)) | _BINARY
    descriptor = os.open(path, flags)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or (handed and stat.S_ISFIFO(mode))):
        os.close(descriptor)
        said = f"{path} is no regular file, so it is not read; put a file there."
        raise StateError("unreadable", said)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def read(path: Path, limit: int = -1) -> bytes:
    """At most ``limit`` bytes, all of them where it is -1. Raises as ``opened``, ``OSError``."""
    with opened(path) as file:
        return file.read(limit)


@contextmanager
def _beside(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A complete temporary file in the same folder; gone afterwards, unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(mode)
        yield temporary
    except OSError as error:
        error.filename = str(path)  # whoever reads it does not know the temporary one
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def require_room(folder: Path) -> None:
    """Raises ``OSError`` where ``folder`` takes no files; gpg would not say why it failed."""
    with _beside(folder / "room", bytes(_ROOM), SECRET):
        pass


def private_folder(path: Path) -> None:
    """Makes the folder ``path`` for its owner alone (0700)."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)


def require_private(path: Path) -> None:
    """Raises ``StateError`` (``secret-exposed``) if others than the owner may use ``path``.

    Where the file system has no such modes (Windows), the folder's own rights decide.
    """
    info = path.stat()
    mode = stat.S_IMODE(info.st_mode)
    right = "700" if stat.S_ISDIR(info.st_mode) else "600"
    if _POSIX and mode & 0o077:
        raise StateError(
            "secret-exposed",
            f"{path} can be read by other users (mode {mode:04o}), so the key in it may be known "
            f"to them. If it was never exposed, run: chmod {right} '{path}'. Otherwise rotate the "
            f"key.",
        )


def _sync_folder(folder: Path) -> None:
    if not _POSIX:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
