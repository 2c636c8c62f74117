"""The client's folder on disk: atomic files, locks, and where each platform keeps such things."""

from __future__ import annotations

import contextlib
import errno
import ntpath
import os
import posixpath
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from mars.errors import ConfigError, MarsError, StateError

_LIMIT = 1024 * 1024
"""Bytes. Nothing of ours is larger."""
_PRIVATE_FOLDER = 0o700


class Folder:
    """``mars.ports.Store`` in one private directory. Made on the first write."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self, name: str) -> bytes | None:
        """The file's bytes, None where there is no such file.

        Raises ``StateError`` (``state-unreadable``) for everything else, so that what could not be
        read this once is never taken for what was never written.
        """
        path = self.path / name
        try:
            return _content(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(
                "state-unreadable",
                f"{path} cannot be read ({error.strerror or error}), so it was left as it is and "
                f"nothing is sent; {_advice(error)}.",
            ) from None

    def write(self, name: str, data: bytes) -> None:
        """Replaces the file at once: a reader, or a crash, sees the old bytes or the new ones.

        Raises ``StateError`` (``state-unwritable``); the old file then stands.
        """
        temporary: str | None = None
        try:
            _make(self.path)
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=self.path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                _sync(descriptor)
            Path(temporary).replace(self.path / name)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
            raise _unwritable(f"Nothing can be written to {self.path}", error) from None

    def delete(self, name: str) -> None:
        """Removes the file if it is there. Raises ``StateError`` (``state-unwritable``)."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(f"{self.path / name} cannot be removed", error) from None

    @contextlib.contextmanager
    def lock(self, name: str, wait: float = 0.0) -> Iterator[None]:
        """Holds the lock ``name`` against other processes and threads; waits ``wait`` seconds.

        The system releases it when the process ends, however it ends. Raises ``StateError``:
        ``locked`` when another holds it, ``state-unwritable`` when it cannot be made.
        """
        from mars.adapters.locks import locked

        with contextlib.ExitStack() as held:
            try:
                _make(self.path)
                taken = held.enter_context(locked(self.path / f"{name}.lock", wait))
            except OSError as error:
                raise _unwritable(f"No lock can be made in {self.path}", error) from None
            if not taken:
                raise StateError(
                    "locked", f"Another process is using {self.path}; try again in a moment."
                )
            yield


class Nowhere:
    """``mars.ports.Store`` where no folder is known: whatever is asked of it raises ``error``.

    So nothing is remembered, and nothing is sent.
    """

    def __init__(self, error: MarsError) -> None:
        self._error = error

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise self._error

    read = write = delete = lock = _refuse


def kept(folder: str | os.PathLike[str], pattern: str) -> list[Path]:
    """The folders under ``folder`` that match ``pattern`` and in which a client keeps a state."""
    found = Path(folder).glob(f"{pattern}/state.json")
    return sorted(file.parent for file in found)


def clear(folder: str | os.PathLike[str]) -> None:
    """Removes what lies beside state and journal: news for others, our tor, a crash's remains.

    A folder in which the client never kept anything loses no folder of its own. Locks stay, since
    another process may hold them. Raises ``StateError`` (``state-unwritable``).
    """
    path = Path(folder)
    try:
        served = any((path / name).exists() for name in _OURS)
        for found in list(path.iterdir()) if path.is_dir() else ():
            if found.name.startswith(_REMAINS) or (served and found.name in _REMOVED):
                found.unlink(missing_ok=True)
            elif served and found.name == "tor" and found.is_dir() and not found.is_symlink():
                shutil.rmtree(found)
    except OSError as error:
        raise _unwritable(f"Not everything in {path} can be removed", error) from None


_OURS = ("state.json", "journal.jsonl", "fetcher.lock", "tor/torrc")
"""One of these in a folder means that the client has worked there."""
_REMAINS = tuple(f".{name}-" for name in ("state.json", "journal.jsonl", "current.json"))
"""How names of files begin that a process was writing when it was killed."""
_REMOVED = ("current.json", "state.json.damaged", "journal.jsonl.damaged")

_WITHOUT_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What a file system answers that cannot sync, as FUSE or a shared folder; rename is enough."""
_ADVICE = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room on that disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "give it back to this user"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "close programs or files, then try again"),
    errno.ELOOP: "put the file itself in the place of the link, or name another folder",
    errno.EROFS: "make that disk writable, or name another folder",
}


def _advice(error: OSError) -> str:
    """What to do about it."""
    return _ADVICE.get(error.errno or 0, "try again, and if it goes on name another folder")


def _unwritable(what: str, error: OSError) -> StateError:
    return StateError("state-unwritable", f"{what} ({error.strerror or error}); {_advice(error)}.")


def _content(path: Path) -> bytes:
    """The file's bytes, at most ``_LIMIT``; never waits, never follows a link. Raises ``OSError``.

    A link, a pipe, a folder or another user's file raises too.
    """
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link")
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        if not _mine(status):
            raise OSError(errno.EACCES, "it belongs to another user")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_LIMIT)
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    """Has the bytes on the disk, where the file system can do that. Raises ``OSError``."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _WITHOUT_SYNC:
            raise


def _make(folder: Path) -> None:
    """Makes the folder and its missing parents, all for this user alone. Raises ``OSError``.

    Where ``mkdir(parents=True)`` makes parents, they are as open as the umask says.
    """
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    except FileNotFoundError:
        if folder.parent == folder:
            raise
        _make(folder.parent)
        folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)


def _mine(status: os.stat_result) -> bool:
    """Whether the file is this user's; always so where the system has no user ids."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def state_root(system: str, environ: Mapping[str, str]) -> str:
    """Where programs of this user keep their state on ``system``, as that system writes paths.

    Raises ``ConfigError`` (``no-home``) where nothing says where that is, as in a container whose
    user has neither HOME nor an entry in the list of users.
    """
    try:
        root = _state_root(system, environ)
    except RuntimeError:  # platformdirs, when it knows no home
        root = ""
    if not (ntpath if system == "windows" else posixpath).isabs(root):
        raise ConfigError(
            "no-home",
            "No folder is known in which this user keeps things; set HOME (or XDG_STATE_HOME, on "
            "Windows LOCALAPPDATA) to a whole path, or name a folder.",
        )
    return root


def _state_root(system: str, environ: Mapping[str, str]) -> str:
    if system == "windows" and "LOCALAPPDATA" in environ:
        return ntpath.join(environ["LOCALAPPDATA"], "mars")
    if system == "windows":
        from platformdirs.windows import Windows

        return Windows("mars", appauthor=False).user_state_dir
    if system == "macos":
        from platformdirs.macos import MacOS

        return MacOS("mars").user_state_dir
    from platformdirs.unix import Unix

    return Unix("mars").user_state_dir


def state_folder(system: str, environ: Mapping[str, str], product: str, channel: str) -> str:
    """The folder of one product and channel."""
    join = ntpath.join if system == "windows" else posixpath.join
    return join(state_root(system, environ), product, channel)


def policy_path(system: str, environ: Mapping[str, str]) -> str:
    """Where an administrator may put a ceiling for everybody on this machine."""
    if system == "windows":
        return ntpath.join(environ.get("ProgramData", r"C:\ProgramData"), "mars", "policy.toml")
    if system == "macos":
        return "/Library/Application Support/mars/policy.toml"
    return "/etc/mars/policy.toml"
