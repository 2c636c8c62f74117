"""One generation of a day log: one run of one process on one day.

It grows as ``access-DATE-ID.part``, in the order of the answers, after a line that says what it is
(or ``spool-DATE-ID.part``, of reports). When it is closed, its lines are written sorted, so that
their order tells nothing, as ``access-DATE-ID.log`` with the id line first, and the part is
removed. A lock on the part tells a live one from the leftover of a crash (``crash_recovery``).

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
from contextlib import ExitStack, suppress
from datetime import date
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mars_server.common.config import write_durably
from mars_server.daylog.format import ACCESS, Kind, gap, iso_day, lost_line

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
"""Different lines that are tallied while running, about 20 MB; beyond that the part is read when
closing."""
_RUN = 32 << 20
"""Bytes of different lines that are sorted in memory at once, with what the tally adds to each."""
_OF_A_RUN = 32 << 10
"""Bytes that are read of each run at once when they are merged."""
_OF_A_LINE = 150
"""Bytes that it adds, about."""
_NAME = r"{}-(\d{{4}}-\d\d-\d\d)-([0-9a-f]{{32}})"
_PART_NAME = rf"({_NAME})(?:-lost([0-9]{{{{1,18}}}}))?\{PART}"
_HEAD = 120
"""Bytes, more than one of the first two lines has."""
_BLOCK = 1 << 20
"""Bytes read or written at once."""
_TRIES = 1000
"""New parts that searches for leftovers may take away one after the other; one is rare."""


class PartName(NamedTuple):
    """What the name of a part tells."""

    stem: str
    """``access-DATE-ID`` or ``spool-DATE-ID``; the log's name is this and ``.log``."""
    day: date
    token: str
    lost: int


def parse_name(stem: str, kind: Kind = ACCESS) -> tuple[date, str] | None:
    """Day and id of ``access-DATE-ID``, None for another name."""
    found = re.fullmatch(_NAME.format(kind.prefix), stem)
    if found is None:
        return None
    try:
        return date.fromisoformat(found[1]), found[2]
    except ValueError:
        return None


def parse_part(name: str, kind: Kind = ACCESS) -> PartName | None:
    """What ``access-DATE-ID.part`` or ``access-DATE-ID-lostN.part`` says, None for another name."""
    found = re.fullmatch(_PART_NAME.format(kind.prefix), name)
    day = parse_name(found[1], kind) if found else None
    if found is None or day is None:
        return None
    return PartName(found[1], *day, int(found[4] or 0))


class Generation:
    """An open generation. Not thread-safe; ``close_files`` may run in another thread at the end."""

    def __init__(self, folder: Path, day: int, token: str, kind: Kind = ACCESS) -> None:
        """Creates the part. ``token`` is 32 random hex digits. Raises ``OSError``."""
        self.day = day
        self.token = token
        self.folder = folder
        self._kind = kind
        self.lost = 0
        """Answers whose line could not be written."""
        self.fault = OSError(errno.EIO, os.strerror(errno.EIO))
        """What the disk said when it last refused a line."""
        self._noted = 0
        """As many of them as the part's name says."""
        self._stem = folder / f"{kind.prefix}-{iso_day(day)}-{token}"
        self._tally: Counter[bytes] | None = Counter() if kind.repeats else None
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
        data = line if self._size else self._kind.unfinished + line
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
        first = [(self._kind.unfinished, 1)] if self._size else []
        fd, size = self._create(chain(first, self._lines()))
        os.close(self._fd)
        self._fd, self._size = fd, size
        return True

    def close_files(self) -> None:
        """Writes the sorted log and removes the part. Raises ``OSError``; may be tried again."""
        if not self.empty:
            path = self._stem.with_name(self._stem.name + LOG)
            head = log_head(self._kind, self.token, iso_day(self.day), self.lost)
            write_log(path, head, self._lines())
        self.part.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Leaves the part as it is to the next search for leftovers."""
        os.close(self._fd)

    def _lines(self) -> Iterator[tuple[bytes, int]]:
        if self._tally is not None:
            return iter(sorted(self._tally.items()))
        return lines_of(self._fd, self._size, self.folder, self._kind)

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


def lines_of(fd: int, size: int, folder: Path, kind: Kind) -> Iterator[tuple[bytes, int]]:
    """What a closed log in ``folder`` gets of a part: (line, how often), sorted. Raises
    ``OSError``."""
    found = sorted_lines(fd, size, folder, kind)
    return (one for one in found if one[0] != kind.unfinished)


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


def log_head(kind: Kind, token: str, day: str, lost: int) -> bytes:
    """How a closed generation of the ISO day begins that lacks ``lost`` lines."""
    return kind.first(token, day) + lost_line(lost, day)


def write_log(path: Path, head: bytes, lines: Iterable[tuple[bytes, int]]) -> None:
    """Writes a closed generation whole or not at all. ``lines`` are (line, times), sorted."""
    write_durably(path, chain((head,), _blocks(lines)), _LOG_MODE, PART)


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
# they are tallied, not kept; when hostile queries make many, and of sealed reports, sorted runs go
# to a temporary file. It has no name and lies beside the log: /tmp may be memory ---


def sorted_lines(
    fd: int, size: int, folder: Path, kind: Kind = ACCESS
) -> Iterator[tuple[bytes, int]]:
    """(line with its LF, how often), sorted, of the first ``size`` bytes of ``fd``; what needs room
    for that takes it in ``folder``.

    An unterminated last line, and one of a length that ours have not, as the stretch of NUL that a
    power cut may leave, is left out. Raises ``OSError``.
    """
    tally: Counter[bytes] = Counter()
    with ExitStack() as end:
        runs: list[Iterator[tuple[bytes, int]]] = []
        spilled: BinaryIO | None = None
        for lines in _whole_lines(fd, size, kind):
            tally.update(lines)
            if sum(map(len, tally)) + _OF_A_LINE * len(tally) > _RUN:
                if spilled is None:
                    spilled = end.enter_context(tempfile.TemporaryFile(dir=folder))
                runs.append(_spill(spilled, tally))
                tally = Counter()
        runs.append(iter(sorted(tally.items())))
        for line, same in groupby(heapq.merge(*runs), key=itemgetter(0)):
            yield line, sum(times for _, times in same)


def _whole_lines(fd: int, size: int, kind: Kind) -> Iterator[list[bytes]]:
    longest = max(kind.lengths)
    lengths = {*kind.lengths, len(kind.unfinished)}
    for lines in _split(fd, 0, size, _BLOCK, longest):
        yield [line + b"\n" for line in lines if len(line) + 1 in lengths]


def _split(fd: int, offset: int, end: int, at_once: int, longest: int) -> Iterator[list[bytes]]:
    """Lines without their LF; of one that is longer a little more than ``longest`` bytes."""
    rest = b""
    while offset < end and (block := os.pread(fd, min(at_once, end - offset), offset)):
        offset += len(block)
        lines = (rest + block).split(b"\n")
        rest = lines.pop()[: longest + 1]
        yield lines


def _spill(file: BinaryIO, tally: Counter[bytes]) -> Iterator[tuple[bytes, int]]:
    """All runs lie in one file, one behind the other: a big day has more than descriptors."""
    start = file.tell()
    file.writelines(b"%d %s" % (times, line) for line, times in sorted(tally.items()))
    file.flush()
    return _run(file.fileno(), start, file.tell())


def _run(fd: int, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    for rows in _split(fd, start, end, _OF_A_RUN, _RUN):
        for row in rows:
            times, _, line = row.partition(b" ")
            yield line + b"\n", int(times)
