"""Files: the client's own folder, where each platform keeps such, and what others name."""

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

from mars.errors import ConfigError, MarsError, StateError, TransportError
from mars.ports import Platform, Request, Response
from mars.wire.product import is_name
from mars.wire.torrc import OWN_TORRC

_LIMIT = 1024 * 1024
"""Bytes. Nothing of ours is larger."""
LARGEST = 64 * 1024
"""Bytes of a file that others write for us: trust, policy, an application's."""
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
            return read_regular(path, _LIMIT, own=True)
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

    def names(self, prefix: str) -> tuple[str, ...]:
        """The names of files that begin with ``prefix``, sorted; none where there is no folder.

        Raises ``StateError`` (``state-unreadable``).
        """
        try:
            found = [one.name for one in self.path.iterdir() if one.name.startswith(prefix)]
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StateError(
                "state-unreadable",
                f"{self.path} cannot be read ({error.strerror or error}); {_advice(error)}.",
            ) from None
        return tuple(sorted(found))

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

    read = names = write = delete = lock = _refuse


def kept(folder: str | os.PathLike[str], pattern: str) -> list[Path]:
    """The folders below ``folder`` that match ``pattern`` and in which a client keeps a state."""
    found = Path(folder).glob(f"{pattern}/state.json")
    return sorted(file.parent for file in found)


def clear(folder: str | os.PathLike[str]) -> None:
    """Removes what lies beside a state of ours: news for others, our tor, a crash's remains.

    By name and kind: no folder that bears the name of a file, nothing else in the folder of tor.
    Locks stay, since another process may hold them. Raises ``StateError`` (``state-unwritable``).
    """
    path = Path(folder)
    try:
        for found in list(path.iterdir()) if path.is_dir() else ():
            if found.name.startswith((*_REMAINS, *_OF_REPORTS)) or found.name in _REMOVED:
                _remove(found)
        _clear_tor(path / "tor")
    except OSError as error:
        raise _unwritable(f"Not everything in {path} can be removed", error) from None


def _clear_tor(home: Path) -> None:
    """Only where the settings in it are those that we write, and make it tor's own folder."""
    try:
        settings = read_regular(home / "torrc", _LIMIT, own=True)
    except OSError:
        return
    if home.is_symlink() or not settings.startswith(OWN_TORRC.encode("ascii")):
        return
    data = home / "data"
    if data.is_dir() and not data.is_symlink():
        shutil.rmtree(data)
    for name in _OF_TOR:
        _remove(home / name)
    with contextlib.suppress(OSError):  # a stranger's file is in it
        home.rmdir()


def _remove(path: Path) -> None:
    if path.is_file() and not path.is_symlink():
        path.unlink()


_OF_TOR = ("torrc", "defaults", "control-port", "cookie", "tor.log")
"""Beside the folder of tor's own data."""
_REMAINS = tuple(
    f".{name}-"
    for name in (
        *("state.json", "journal.jsonl", "current.json"),
        *("registry.json", "failures.json", "status.json"),
    )
)
"""How names of files begin that a process was writing when it was killed."""
_OF_REPORTS = ("report-", ".report-")
"""How names of error reports begin, and of what a crash left of writing one."""
_REMOVED = (
    *("current.json", "registry.json", "failures.json", "status.json"),
    *("state.json.damaged", "journal.jsonl.damaged"),
)

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


def read_regular(path: Path, most: int, *, own: bool = False) -> bytes:
    """The first ``most`` bytes of a regular file. Raises ``OSError``.

    Never waits: a pipe or a device that lies in the file's place raises. With ``own``, of this
    user's alone: then a link, which is not followed, and another user's file raise too.
    """
    if own and path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link")
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags | (getattr(os, "O_NOFOLLOW", 0) if own else 0))
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        if own and not _mine(status):
            raise OSError(errno.EACCES, "it belongs to another user")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(descriptor)


def read_small(path: str | os.PathLike[str], most: int = LARGEST) -> bytes:
    """The content of a regular file of at most 64 KiB (or ``most`` bytes), such as a person or an
    application names.

    Never waits. Raises ``OSError``.
    """
    data = read_regular(Path(path), most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, "it is larger than such files are")
    return data


class FileFetcher:
    """``mars.ports.Fetcher`` on a regular file of this machine, by a ``file:`` URL: for tests, and
    for news that is carried on a disk. Opens no socket."""

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError``: ``url-invalid``, ``file-unreadable``, ``too-large``."""
        try:
            data = read_regular(_path(request.message.url), request.limit + 1)
        except (OSError, ValueError):  # the latter of a URL or path that no file can have
            raise TransportError(
                "file-unreadable", "The file cannot be read; check its path and rights."
            ) from None
        if len(data) > request.limit:
            raise TransportError(
                "too-large",
                f"The file is larger than {request.limit} bytes, so it is no news; check its path.",
            )
        return Response(200, data, "file")


def _path(url: str) -> Path:
    # Late, because it loads OpenSSL, which an application that only waits should not pay for.
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or "\0" in url:
        raise TransportError(
            "url-invalid", "This is not a file URL; write it like file:///folder/motd.json."
        )
    return Path(url2pathname(parts.path))


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


def state_root(host: Platform) -> str:
    """Where programs of this user keep their state on ``host``, as that system writes paths.

    Raises ``ConfigError`` (``no-home``) where nothing says where that is, as in a container whose
    user has neither HOME nor an entry in the list of users.
    """
    try:
        root = _state_root(host.system, host.environ)
    except RuntimeError:  # platformdirs, when it knows no home
        root = ""
    if not (ntpath if host.system == "windows" else posixpath).isabs(root):
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


def state_folder(host: Platform, product: str, channel: str) -> str:
    """The folder of one product and channel on ``host``. Raises ``ConfigError``: ``no-home``, and
    ``name-invalid`` for what is no name: such as a path, it would lead elsewhere."""
    if not (is_name(product) and is_name(channel)):
        raise ConfigError(
            "name-invalid",
            "Write the name of a product or channel with 1-40 characters of a-z, 0-9 and -.",
        )
    join = ntpath.join if host.system == "windows" else posixpath.join
    return join(state_root(host), product, channel)


def policy_path(system: str, environ: Mapping[str, str]) -> str:
    """Where an administrator may put a ceiling for everybody on this machine."""
    if system == "windows":
        return ntpath.join(environ.get("ProgramData", r"C:\ProgramData"), "mars", "policy.toml")
    if system == "macos":
        return "/Library/Application Support/mars/policy.toml"
    return "/etc/mars/policy.toml"
