"""One generation of the access log: one run of one process on one day.

It grows as ``access-DATE-ID.part``, in the order of the answers. When it is closed, its lines are
written sorted, so that their order tells nothing, as ``access-DATE-ID.log`` with the id line first,
and the part is removed. A lock on the part tells a live one from the leftover of a crash.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from mars_server.counting.identity import gap
from mars_server.serving.arrange import sorted_lines
from mars_server.serving.logline import HEADER, iso_day

PART = ".part"
LOG = ".log"
PART_MODE = 0o600
"""A part has the order of the answers, and its time of change the time of the last one."""
LOG_MODE = 0o640
"""The counter may run as another user of the same group."""
DISTINCT_IN_MEMORY = 100_000
"""Different lines that are tallied while running; beyond that the part is read when closing."""
_NAME = re.compile(r"access-(\d{4}-\d\d-\d\d)-([0-9a-f]{32})")
_LOST = b"# mars lost=%d day=%b\n"
"""Second line of a closed log that does not hold every answer (``counting.identity.gap``)."""
_HEAD = 120
"""Bytes, more than one of the first two lines has."""
_BLOCK = 1 << 20
"""Bytes written at once."""


def parse_name(stem: str) -> tuple[date, str] | None:
    """Day and id of ``access-DATE-ID``, None for another name."""
    found = _NAME.fullmatch(stem)
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]), found[2]
    except ValueError:
        return None


class Generation:
    """An open generation. Not thread-safe; ``close_files`` may run in another thread at the end."""

    def __init__(self, folder: Path, day: int, token: str) -> None:
        """Creates the part. ``token`` is 32 random hex digits. Raises ``OSError``."""
        self.day = day
        self.token = token
        self.folder = folder
        self.lost = 0
        """Answers whose line could not be written."""
        self._tally: Counter[bytes] | None = Counter()
        self._size = 0
        self._torn = False
        self._fd = self._create()

    @property
    def part(self) -> Path:
        return self.folder / f"access-{iso_day(self.day)}-{self.token}{PART}"

    @property
    def empty(self) -> bool:
        return self._size == 0 and self.lost == 0

    def append(self, line: bytes) -> bool:
        """Writes one whole line or nothing at all; False when the disk refused it."""
        try:
            if self._torn:
                self._mend()
            written = os.write(self._fd, line)
            if written != len(line):
                self._torn = True
                self._mend()
                written = 0
        except OSError:
            written = 0
        if not written:
            self.lost += 1
            return False
        self._size += written
        self._remember(line)
        return True

    def _mend(self) -> None:
        """Cuts off the part of a line that a full disk left behind."""
        os.ftruncate(self._fd, self._size)
        self._torn = False

    def _remember(self, line: bytes) -> None:
        tally = self._tally
        if tally is None:
            return
        tally[line] += 1
        if len(tally) > DISTINCT_IN_MEMORY:
            self._tally = None

    def restore(self) -> bool:
        """Writes the part anew where somebody removed it; True when it had to be done.

        Raises ``OSError`` while the folder cannot be written.
        """
        if _same_file(self.part, self._fd):
            return False
        self.folder.mkdir(mode=0o750, exist_ok=True)
        lines = self._lines()
        self.part.unlink(missing_ok=True)  # a copy that somebody put back; ours is complete
        fd = self._create()
        try:
            size = _write_all(fd, lines)
        except OSError:
            os.close(fd)
            self.part.unlink(missing_ok=True)
            raise
        os.close(self._fd)
        self._fd, self._size = fd, size
        return True

    def close_files(self) -> None:
        """Writes the sorted log and removes the part. Raises ``OSError``; may be tried again."""
        if not self.empty:
            comment = _LOST % (self.lost, iso_day(self.day).encode()) if self.lost else b""
            write_log(self.part.with_suffix(LOG), self.token, self._lines(), comment)
        self.part.unlink(missing_ok=True)
        os.close(self._fd)

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        if self._tally is not None:
            return iter(sorted(self._tally.items()))
        return sorted_lines(self._fd, self._size)

    def _create(self) -> int:
        fd = os.open(self.part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, PART_MODE)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd


def write_log(
    path: Path, token: str, lines: Iterable[tuple[bytes, int]], comment: bytes = b""
) -> None:
    """Writes a closed generation whole or not at all. ``lines`` are (line, times), sorted."""
    temporary = path.with_name(path.name + PART)
    temporary.unlink(missing_ok=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(temporary, flags, LOG_MODE), "wb") as out:
            out.write(HEADER + token.encode() + b"\n")
            out.write(comment)
            for block in _blocks(lines):
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        temporary.rename(path)
        _sync_folder(path.parent)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def lost_in(log: Path) -> int:
    """Answers of which a closed log says that it does not hold them. Raises ``OSError``."""
    with log.open("rb") as file:
        found = gap(file.readline(_HEAD) + file.readline(_HEAD))
    return found.lost if found else 0


def _write_all(fd: int, lines: Iterable[tuple[bytes, int]]) -> int:
    size = 0
    for block in _blocks(lines):
        written = os.write(fd, block)
        if written != len(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        size += written
    return size


def _blocks(lines: Iterable[tuple[bytes, int]]) -> Iterator[bytes]:
    for line, times in lines:
        at_once = max(1, _BLOCK // len(line))
        whole, rest = divmod(times, at_once)
        block = line * at_once if whole else b""
        for _ in range(whole):
            yield block
        if rest:
            yield line * rest


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _same_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(fd))
    except OSError:
        return False


def close_leftovers(folder: Path) -> int:
    """Closes what a crash left in ``folder``; how many generations that were.

    A last line without its LF is dropped. Parts that a live process holds are left alone.
    Raises ``OSError`` for the last one that could not be closed, when all have been tried.
    """
    closed, problem = 0, None
    for part in sorted(folder.glob(f"access-*{PART}")):
        try:
            closed += _tidy(part)
        except OSError as error:
            problem = error
    if problem is not None:
        raise problem
    return closed


def _tidy(part: Path) -> bool:
    name = _NAME.fullmatch(part.stem)
    if name is not None:
        return _close_leftover(part, name[2])
    if part.name.endswith(LOG + PART):
        _remove_temporary(part)
    return False


def _close_leftover(part: Path, token: str) -> bool:
    fd = _lock(part)
    if fd is None:
        return False
    try:
        log = part.with_suffix(LOG)
        size = os.fstat(fd).st_size
        if size and not log.exists():
            write_log(log, token, sorted_lines(fd, size))
        part.unlink()
    finally:
        os.close(fd)
    return bool(size)


def _lock(part: Path) -> int | None:
    """A descriptor of the part, or None where it is not for us: a live process holds it, another
    just closed it, or it is no file but a link, a pipe or a folder that somebody put there."""
    try:
        fd = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    if not _same_file(part, fd):
        os.close(fd)
        return None
    return fd


def _remove_temporary(temporary: Path) -> None:
    """A half-written log of a process that died; its part is still there and says the same."""
    name = _NAME.fullmatch(temporary.name.removesuffix(LOG + PART))
    if name is None:
        return
    part = temporary.with_name(temporary.name.removesuffix(LOG + PART) + PART)
    fd = _lock(part)
    if fd is not None or not part.exists():
        temporary.unlink(missing_ok=True)
    if fd is not None:
        os.close(fd)
