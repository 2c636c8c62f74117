"""One generation of the access log: one run of one process on one day.

It grows as ``access-DATE-ID.part``, in the order of the answers, after a line that says what it is.
When it is closed, its lines are written sorted, so that their order tells nothing, as
``access-DATE-ID.log`` with the id line first, and the part is removed. A lock on the part tells a
live one from the leftover of a crash (``crash_recovery``).

Answers whose line the disk refused are counted in the part's name, ``access-DATE-ID-lostN.part``:
a full disk takes a new name where it takes no byte, and a killed process leaves it behind.
"""

from __future__ import annotations

import errno
import fcntl
import heapq
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mars_server.common.config import write_durably
from mars_server.daylog.format import UNFINISHED, gap, id_line, iso_day, lost_line

PART = ".part"
LOG = ".log"
FOLDER_MODE = 0o700
"""Whoever may enter sees when a part grows and by how much: the time of each answer, and the length
of its query."""
_PART_MODE = 0o600
"""A part has the order of the answers, and its time of change the time of the last one."""
_LOG_MODE = 0o640
"""What is sorted and closed may be given to a counter of the same group."""
_DISTINCT_IN_MEMORY = 100_000
"""Different lines that are tallied, about 20 MB; while running no more are, beyond that the part is
read when closing, and there each so many are a run."""
_NAME = re.compile(r"access-(\d{4}-\d\d-\d\d)-([0-9a-f]{32})")
_PART_NAME = re.compile(rf"({_NAME.pattern})(?:-lost([0-9]{{1,18}}))?\{PART}")
_HEAD = 120
"""Bytes, more than one of the first two lines has."""
_BLOCK = 1 << 20
"""Bytes read or written at once."""
_TRIES = 1000
"""New parts that searches for leftovers may take away one after the other; one is rare."""


class PartName(NamedTuple):
    """What the name of a part tells."""

    stem: str
    """``access-DATE-ID``; the log's name is this and ``.log``."""
    day: date
    token: str
    lost: int


def parse_name(stem: str) -> tuple[date, str] | None:
    """Day and id of ``access-DATE-ID``, None for another name."""
    found = _NAME.fullmatch(stem)
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]), found[2]
    except ValueError:
        return None


def parse_part(name: str) -> PartName | None:
    """What ``access-DATE-ID.part`` or ``access-DATE-ID-lostN.part`` says, None for another name."""
    found = _PART_NAME.fullmatch(name)
    day = parse_name(found[1]) if found else None
    if found is None or day is None:
        return None
    return PartName(found[1], *day, int(found[4] or 0))


class Generation:
    """An open generation. Not thread-safe; ``close_files`` may run in another thread at the end."""

    def __init__(self, folder: Path, day: int, token: str) -> None:
        """Creates the part. ``token`` is 32 random hex digits. Raises ``OSError``."""
        self.day = day
        self.token = token
        self.folder = folder
        self.lost = 0
        """Answers whose line could not be written."""
        self.fault = OSError(errno.EIO, os.strerror(errno.EIO))
        """What the disk said when it last refused a line."""
        self._noted = 0
        """As many of them as the part's name says."""
        self._stem = folder / f"access-{iso_day(day)}-{token}"
        self._tally: Counter[bytes] | None = Counter()
        self._torn = False
        self._fd, self._size = self._create(())

    @property
    def part(self) -> Path:
        lost = f"-lost{self._noted}" if self._noted else ""
        return self._stem.with_name(f"{self._stem.name}{lost}{PART}")

    @property
    def in_place(self) -> bool:
        """Whether the part is still where the next start looks for it."""
        return same_file(self.part, self._fd)

    @property
    def untold(self) -> int:
        """Lost answers that no file tells of, were the process to end now. Raises ``OSError``."""
        if self.in_place:
            return self.lost - self._noted
        return self.lost + sum(times for line, times in self._lines() if line[:1] != b"#")

    @property
    def empty(self) -> bool:
        return self._size == 0 and self.lost == 0

    def append(self, line: bytes) -> bool:
        """Writes one whole line or nothing at all; False when the disk refused it."""
        data = line if self._size else UNFINISHED + line
        try:
            if self._torn:
                self._mend()
            written = os.write(self._fd, data)
            if written != len(data):
                self._torn = True
                self._mend()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.fault = error
            return False
        self._size += written
        self._remember(line)
        return True

    def lose(self, answers: int) -> None:
        """So many more answers have no line; the part's name says so at once, if the disk lets it.

        It takes no room, and a killed process leaves it behind.
        """
        self.lost += answers
        with suppress(OSError):
            before = self.part
            before.rename(self._stem.with_name(f"{self._stem.name}-lost{self.lost}{PART}"))
            self._noted = self.lost

    def _mend(self) -> None:
        """Cuts off the part of a line that a full disk left behind."""
        os.ftruncate(self._fd, self._size)
        self._torn = False

    def _remember(self, line: bytes) -> None:
        tally = self._tally
        if tally is None:
            return
        tally[line] += 1
        if len(tally) > _DISTINCT_IN_MEMORY:
            self._tally = None

    def restore(self) -> bool:
        """Writes the part anew where somebody removed it; True when it had to be done.

        Raises ``OSError`` while the folder cannot be written.
        """
        if self.in_place:
            return False
        self.folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        self._noted = self.lost
        first = [(UNFINISHED, 1)] if self._size else []
        fd, size = self._create(chain(first, self._lines()))
        os.close(self._fd)
        self._fd, self._size = fd, size
        return True

    def close_files(self) -> None:
        """Writes the sorted log and removes the part. Raises ``OSError``; may be tried again."""
        if not self.empty:
            path = self._stem.with_name(self._stem.name + LOG)
            write_log(path, self.token, self._lines(), lost_line(self.lost, iso_day(self.day)))
        self.part.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Leaves the part as it is to the next search for leftovers."""
        os.close(self._fd)

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        if self._tally is not None:
            return iter(sorted(self._tally.items()))
        return lines_of(self._fd, self._size)

    def _create(self, lines: Iterable[tuple[bytes, int]]) -> tuple[int, int]:
        """A part with ``lines``: its descriptor and its bytes. It has its name when it is whole."""
        hidden = self.part.with_name(f".{self.part.name}")
        fd = _locked(hidden)
        try:
            size = _write_all(fd, lines)
            hidden.rename(self.part)
        except OSError:
            hidden.unlink(missing_ok=True)
            os.close(fd)
            raise
        return fd, size


def lines_of(fd: int, size: int) -> Iterator[tuple[bytes, int]]:
    """What a closed log gets of a part: (line, how often), sorted. Raises ``OSError``."""
    return (one for one in sorted_lines(fd, size) if one[0] != UNFINISHED)


def _locked(path: Path) -> int:
    """A new file that is ours. Between its making and its lock a search for leftovers may take it
    away; then another is made. Raises ``OSError``."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    for _ in range(_TRIES):
        fd = os.open(path, flags, _PART_MODE)
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if same_file(path, fd):
                return fd
        os.close(fd)
        os.sched_yield()
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def write_log(
    path: Path, token: str, lines: Iterable[tuple[bytes, int]], comment: bytes = b""
) -> None:
    """Writes a closed generation whole or not at all. ``lines`` are (line, times), sorted."""
    write_durably(path, chain((id_line(token), comment), _blocks(lines)), _LOG_MODE, PART)


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


def same_file(path: Path, fd: int) -> bool:
    """Whether the open file is the one that lies at ``path``."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(fd))
    except OSError:
        return False


# --- Sorts the lines of a generation in bounded memory. Coarse metrics make few distinct lines, so
# they are tallied, not kept; when hostile queries make many, sorted runs go to a temporary file ---

_LONGEST = 4096
"""Bytes of a line; ours have less than 200. A power cut may leave a long stretch of NUL."""


def sorted_lines(fd: int, size: int) -> Iterator[tuple[bytes, int]]:
    """(line with its LF, how often), sorted, of the first ``size`` bytes of ``fd``.

    An unterminated last line, and one that is too long to be ours, is left out. Raises ``OSError``.
    """
    runs: list[Iterator[tuple[bytes, int]]] = []
    tally: Counter[bytes] = Counter()
    for lines in _whole_lines(fd, size):
        tally.update(lines)
        if len(tally) > _DISTINCT_IN_MEMORY:
            runs.append(_spill(tally))
            tally = Counter()
    runs.append(iter(sorted(tally.items())))
    for line, same in groupby(heapq.merge(*runs), key=itemgetter(0)):
        yield line, sum(times for _, times in same)


def _whole_lines(fd: int, size: int) -> Iterator[list[bytes]]:
    offset, rest = 0, b""
    while offset < size:
        block = os.pread(fd, min(_BLOCK, size - offset), offset)
        if not block:
            return
        offset += len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()[: _LONGEST + 1]
        yield [line + b"\n" for line in lines if len(line) <= _LONGEST]


def _spill(tally: Counter[bytes]) -> Iterator[tuple[bytes, int]]:
    run = tempfile.TemporaryFile()  # noqa: SIM115 - _run closes it when it is read
    for line, times in sorted(tally.items()):
        run.write(b"%d %s" % (times, line))
    run.seek(0)
    return _run(run)


def _run(run: BinaryIO) -> Iterator[tuple[bytes, int]]:
    with run:
        for row in run:
            times, _, line = row.partition(b" ")
            yield line, int(times)
