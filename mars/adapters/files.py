"""The client's folder on disk: atomic files, locks, and where each platform keeps such things."""

from __future__ import annotations

import contextlib
import ntpath
import os
import posixpath
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
            self.path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
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
                "state-unwritable", f"{self.path / name} cannot be removed ({error.strerror})."
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
                self.path.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
                taken = held.enter_context(locked(self.path / f"{name}.lock", wait))
            except OSError as error:
                raise StateError(
                    "state-unwritable",
                    f"No lock can be made in {self.path} ({error.strerror or error}).",
                ) from None
            if not taken:
                raise StateError(
                    "locked", f"Another process is using {self.path}; try again in a moment."
                )
            yield


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
