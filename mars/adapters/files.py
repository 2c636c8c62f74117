"""The client's folder on disk: atomic files, locks, and where each platform keeps such things."""

from __future__ import annotations

import contextlib
import ntpath
import os
import posixpath
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from mars.errors import StateError

_LIMIT = 1024 * 1024
"""Bytes. Nothing of ours is larger."""
_PRIVATE_FOLDER = 0o700


class Folder:
    """``mars.ports.Store`` in one private directory. Made on the first write."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self, name: str) -> bytes | None:
        """The file's bytes. None where it is missing, a link, another user's, or unreadable."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        path = self.path / name
        try:
            if path.is_symlink():
                return None
            descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or not _mine(status) or status.st_size > _LIMIT:
                return None
            with contextlib.suppress(OSError):
                return file.read(_LIMIT)
        return None

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
                os.fsync(descriptor)
            Path(temporary).replace(self.path / name)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    Path(temporary).unlink()
            raise StateError(
                "state-unwritable",
                f"Nothing can be written to {self.path} ({error.strerror or error}); make room or "
                "give the folder back to this user.",
            ) from None

    def delete(self, name: str) -> None:
        """Removes the file if it is there. Raises ``StateError`` (``state-unwritable``)."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise StateError(
                "state-unwritable",
                f"{self.path / name} cannot be removed ({error.strerror}); "
                "give it back to this user, or remove it by hand.",
            ) from None

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
                raise StateError(
                    "state-unwritable",
                    f"No lock can be made in {self.path} ({error.strerror or error}); make room or "
                    "give the folder back to this user.",
                ) from None
            if not taken:
                raise StateError(
                    "locked", f"Another process is using {self.path}; try again in a moment."
                )
            yield


def clear(folder: str | os.PathLike[str]) -> None:
    """Removes what lies beside state and journal: news for others, our tor, a crash's remains.

    A folder in which the client never kept anything loses no folder of its own. Locks stay, since
    another process may hold them. Raises ``StateError`` (``state-unwritable``).
    """
    path = Path(folder)
    served = any((path / name).exists() for name in _OURS)
    try:
        for found in list(path.iterdir()) if path.is_dir() else ():
            if found.name.startswith(_REMAINS) or (served and found.name == "current.json"):
                found.unlink(missing_ok=True)
            elif served and found.name == "tor" and found.is_dir() and not found.is_symlink():
                shutil.rmtree(found)
    except OSError as error:
        raise StateError(
            "state-unwritable",
            f"Not everything in {path} can be removed ({error.strerror or error}); end the "
            "application and give the folder back to this user, then try again.",
        ) from None


_OURS = ("state.json", "journal.jsonl", "fetcher.lock", "tor/torrc")
"""One of these in a folder means that the client has worked there."""
_REMAINS = tuple(f".{name}-" for name in ("state.json", "journal.jsonl", "current.json"))
"""How names of files begin that a process was writing when it was killed."""


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
    """Where programs of this user keep their state on ``system``, as that system writes paths."""
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
