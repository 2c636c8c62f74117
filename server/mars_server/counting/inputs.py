"""Which files are meant: names, folders, globs and standard input become a list of logs."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path
from threading import Event

from mars.errors import ConfigError, MarsError, StateError
from mars_server.common.config import read
from mars_server.counting.streams import STDIN, is_url, refused, shown, unfinished

_SQLITE = b"SQLite format 3\0"
_BESIDE = re.compile(r"(?:-wal|-shm|-journal|\.lock|\.key(?:\.new)?)\Z")
_PART = ".part"
"""A generation that our server still writes, unsorted; counted when it is closed."""


def _raise(problem: MarsError) -> None:
    raise problem


def expand(
    names: Sequence[str],
    problem: Callable[[MarsError], None] = _raise,
    note: Callable[[str], None] = lambda _: None,
    *,
    links: bool = False,
) -> list[str]:
    """The logs that ``names`` mean, each once, in the order given; folders sorted by name. With
    ``links`` by all the names that are meant of it.

    ``note`` gets a sentence for each folder with folders in it, for these are not looked into.

    For a name that means none ``problem`` is called, which may raise: ``StateError``
    (``log-missing``), ``ConfigError`` (``log-unfinished``) for a ``.part`` file, and for URLs with
    ``*`` what ``remote.expand_url`` raises; ``StateError`` (``log-unreadable``).
    """
    seen: set[object] = set()
    paths = []
    for name in names:
        try:
            paths += [path for path in _each(name, note) if _is_new(path, seen, links)]
        except MarsError as error:
            problem(error)
        except OSError as error:
            problem(refused(name, error))
    return paths


def _each(name: str, note: Callable[[str], None]) -> list[str]:
    if is_url(name) and "*" in name:
        from mars_server.counting.streams import expand_url

        return expand_url(name)
    if name == STDIN or is_url(name):
        return [name]
    path = Path(name)
    if path.is_dir():
        inside = sorted(path.iterdir())
        _tell_skipped(name, inside, note)
        return [str(one) for one in inside if _is_log(one)]
    if path.exists():
        if _is_database(path):
            raise StateError(
                "log-unreadable", f"{shown(name)} belongs to a database and is no log."
            )
        if _is_part(path):
            raise unfinished(name)
        return [name]
    matching = sorted(glob(name))  # noqa: PTH207 - absolute too
    found = [one for one in matching if _is_log(Path(one))]
    if not found:
        raise StateError("log-missing", f"There is no log {shown(name)}.")
    _tell_skipped(name, map(Path, matching), note)
    return found


def _tell_skipped(name: str, inside: Iterable[Path], note: Callable[[str], None]) -> None:
    folders = [one.name for one in inside if one.is_dir() and not one.name.startswith(".")]
    if folders:
        more = f" and {len(folders) - 1} more" if folders[1:] else ""
        first = shown(folders[0])
        note(f"{shown(name)}: not looked into its folder {first}{more}; name what holds logs.")


def _is_log(path: Path) -> bool:
    hidden = path.name.startswith(".")
    return path.is_file() and not (hidden or _is_part(path) or _is_database(path))


def _is_database(path: Path) -> bool:
    """Whether it is a SQLite file, or one of those that lie beside such a file."""
    main = path.with_name(_BESIDE.sub("", path.name))
    try:
        if not main.is_file():  # a pipe would not open
            return False
        with main.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:  # what cannot be read is told when it is counted
        return False


def _is_part(path: Path) -> bool:
    """By whichever link it is named."""
    return _PART in (path.suffix, path.resolve().suffix)


def _is_new(path: str, seen: set[object], links: bool) -> bool:
    if path == STDIN or is_url(path):
        return True
    try:
        status = Path(path).stat()
    except FileNotFoundError:  # rotated away meanwhile
        return False
    one = Path(path)
    key: object = one.parent.resolve() / one.name if links else (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True


_MARK = b'"mars-secret-keys"'
_MARKED = 64
"""Bytes within which a key file bears ``_MARK``."""


def is_key_file(path: str) -> bool:
    """Whether ``path`` names a file of secret keys, as a shell puts it among the logs that expands
    ``--keys F…``."""
    with suppress(ConfigError):
        return _MARK in read(path, "", most=_MARKED)
    return False


# --- Counts again whenever a log has changed, until told to stop ---


_Look = dict[str, tuple[int, int, int]]
"""Path → inode, size, time of the last change in nanoseconds."""


@contextmanager
def until_signal() -> Iterator[None]:
    """The body runs until it ends or SIGTERM or SIGINT comes; what is stored stays whole."""
    stop = signal.default_int_handler
    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except KeyboardInterrupt:  # no ``Exception``, so that nothing on the way swallows it
        pass
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def follow(
    names: Sequence[str],
    count: Callable[[list[str]], None],
    interval: float,
    say: Callable[[str], None],
) -> None:
    """Calls ``count`` with all logs at once and then after each change; never returns.

    Logs that are missing at a look, as in the middle of a rotation, are waited for; ``say`` gets a
    sentence for each such name, once.
    """
    pause = Event()
    seen: _Look | None = None
    told: set[str] = set()

    def wait_for(name: str, why: str) -> None:
        if name not in told:
            told.add(name)
            say(f"{why} Waiting for it.")

    expand([name for name in names if Path(name).is_dir()], note=say)
    while True:
        now = _look(names, wait_for)
        if now != seen:
            count(list(now))
            seen = now
        pause.wait(interval)


def _look(names: Sequence[str], missing: Callable[[str, str], None]) -> _Look:
    """The logs as they are now; ``missing`` gets each name that means none, and the reason."""
    found: _Look = {}
    for name in names:
        try:
            paths = expand([name])
        except StateError as error:  # not there yet, or between two names
            missing(name, error.message)
            continue
        for path in paths:
            try:
                status = Path(path).stat()
            except FileNotFoundError:
                continue
            found[path] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return found
