"""Which files are meant: names, folders, globs and standard input become a list of logs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from glob import glob
from pathlib import Path

from mars.errors import ConfigError, StateError

STDIN = "-"
PART = ".part"
"""A generation that our server still writes, unsorted; counted when it is closed."""


def expand(names: Sequence[str]) -> list[str]:
    """The logs that ``names`` mean, each once, in the order given; folders sorted by name.

    Raises ``StateError`` (``log-missing``) and ``ConfigError`` (``log-unfinished``) for a
    ``.part`` file that is named; for URLs with ``*`` what ``remote.expand_url`` raises.
    """
    seen: set[tuple[int, int]] = set()
    return [path for path in _each(names) if _is_new(path, seen)]


def _each(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if "://" in name and "*" in name:
            from mars_server.counting.remote import expand_url

            yield from expand_url(name)
        elif name == STDIN or "://" in name:
            yield name
        elif Path(name).is_dir():
            yield from _folder(Path(name))
        elif Path(name).exists():
            if name.endswith(PART):
                raise ConfigError(
                    "log-unfinished",
                    f"{name} is still being written; count the folder, or wait until it is closed.",
                )
            yield name
        else:
            found = sorted(glob(name))  # noqa: PTH207 - absolute patterns too
            if not found:
                raise StateError("log-missing", f"There is no log {name}.")
            yield from (one for one in found if _is_log(Path(one)))


def _folder(folder: Path) -> Iterator[str]:
    yield from (str(path) for path in sorted(folder.iterdir()) if _is_log(path))


def _is_log(path: Path) -> bool:
    return path.is_file() and path.suffix != PART and not path.name.startswith(".")


def _is_new(path: str, seen: set[tuple[int, int]]) -> bool:
    if path == STDIN or "://" in path:
        return True
    status = Path(path).stat()
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True
