"""A day log of one process: generations that follow the day, and what to do when disks fail.

Whatever happens to the disk, answering goes on; lines that could not be written are counted as
lost and said in the log, so that a gap shows as a gap.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from pathlib import Path

from mars.errors import StateError
from mars.ports import Chance, Clock
from mars_server.daylog.crash_recovery import close_leftovers
from mars_server.daylog.format import ACCESS, Kind, day_of, iso_day, release_line
from mars_server.daylog.generation import FOLDER_MODE, Generation

_TOKEN_BYTES = 16
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""No reason not to serve; whatever else hinders the log at the start is a mistake in a setting."""
_ROOM, _BACK = "make room on that disk", "put the folder back"
_ADVICE = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "mount it for writing again",
    errno.EACCES: "let the server's user write there",
    errno.ENOENT: _BACK,
    errno.ENOTDIR: _BACK,
    errno.EEXIST: _BACK,
}


class DayLog:
    """``add`` once per line, ``tick`` about once a second, ``finish`` off the event loop."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        chance: Chance,
        tell: Callable[[str], None],
        line: Callable[..., bytes],
        kind: Kind = ACCESS,
    ) -> None:
        """``line`` writes what was ``add``-ed, with the day (since 1970) before it."""
        self._line = line
        self._kind = kind
        self._folder = folder
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._current: Generation | None = None
        self._waiting: list[Generation] = []
        self.healthy = True
        """Whether the disk took the last line."""
        self._look_for_leftovers = True
        self._left_over = False
        self._declared: frozenset[str] = frozenset()
        self._said: set[str] = set()
        """Releases that the current generation declares already."""
        self._missing: Counter[int] = Counter()
        """By day: entries for which not even a part could be made."""
        self._fault = OSError(errno.EIO, os.strerror(errno.EIO))
        """What the disk said when it last refused a part or a log."""
        self.written = 0
        self.lost = 0
        """Entries of this process that the log does not hold."""

    def open(self, leftovers: bool = True) -> None:
        """Starts a generation; ``leftovers`` of a crash are closed at the next ``finish``.

        Raises ``StateError`` where that fails by a mistake, not by a fault of the disk.
        """
        self._look_for_leftovers, kind = leftovers, self._kind
        try:
            self._folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            self._current = self._start(self._today())
        except OSError as error:
            if error.errno not in _DISK_FAULTS:
                raise StateError(
                    f"{kind.short}-unwritable",
                    f"The {kind.short} folder {self._folder} cannot be written ({error.strerror}).",
                ) from None
            self._sick(f"the {kind.short} folder cannot be written; {kind.unwritten}", error)

    def _close_leftovers(self) -> None:
        try:
            closed = close_leftovers(self._folder, self._kind)
        except OSError as error:
            if not self._left_over:
                what = f"a {self._kind.short} that a crash left cannot be closed yet"
                self._tell(f"{what}; it is tried again later: {self._because(error)}")
            self._left_over = True
            return
        self._left_over = False
        if closed:
            self._tell(f"closed {closed} {self._kind.short} generation(s) left by a crash")

    def declare(self, releases: Iterable[str]) -> None:
        """Releases that lines may name though product.toml does not: every log says so itself, so
        that whoever reads it later, with whichever product.toml, knows them too."""
        self._declared = frozenset(releases)

    def add(self, *said: Hashable) -> bool:
        """One entry, of what the log's ``line`` takes; whether the disk has it."""
        day = self._today()
        current = self._current
        if current is None or current.day != day:
            current = self._turn(day)
        if current is not None:
            self._declare(current)
            if current.append(self._line(day, *said)):
                self.written += 1
                return True
            current.lose(1)
        else:
            self._missing[day] += 1
        self.lost += 1
        fault = self._fault if current is None else current.fault
        self._sick(f"the {self._kind.name} cannot be written; {self._kind.unwritten}", fault)
        return False

    def _declare(self, current: Generation) -> None:
        for release in sorted(self._declared - self._said):
            if current.append(release_line(release)):
                self._said.add(release)

    def _turn(self, day: int) -> Generation | None:
        if self._current is not None:
            self._waiting.append(self._current)
        self._look_for_leftovers = True
        self._said.clear()
        try:
            self._current = self._start(day)
        except OSError as error:
            self._current, self._fault = None, error
        return self._current

    def _start(self, day: int) -> Generation:
        token = self._chance.token(_TOKEN_BYTES).hex()
        return Generation(self._folder, day, token, self._kind)

    def tick(self) -> None:
        """Follows the day when nobody asks, and restores a part that somebody removed."""
        today, kind = self._today(), self._kind
        if self._current is None or self._current.day != today:
            self._turn(today)
        try:
            if self._current is None:
                raise self._fault
            if self._current.restore():
                self._tell(f"the open part of the {kind.name} had vanished; it was written anew")
        except OSError as error:
            then = kind.unwritten if self._current is None else kind.kept
            self._sick(f"the {kind.short} folder is gone or cannot be written; {then}", error)
            return
        if not self.healthy and self._probe():
            self.healthy = self._look_for_leftovers = True
            self._own_up()
            self._tell(
                f"the {kind.name} can be written again; {self.lost} {kind.entries} are missing"
            )

    def _own_up(self) -> None:
        """Notes in a log of their day how many entries found no log at all."""
        for day, lost in list(self._missing.items()):
            with suppress(OSError):
                generation = self._current
                other = generation is None or generation.day != day
                if generation is None or other:
                    generation = self._start(day)
                generation.lose(lost)
                del self._missing[day]
                if other:
                    self._waiting.append(generation)

    def _probe(self) -> bool:
        """Whether the disk takes data again; an empty write would not tell."""
        probe = self._folder / f".probe-{self._chance.token(4).hex()}.part"
        try:
            probe.write_bytes(b"\n")
            probe.unlink()
        except OSError:
            with suppress(OSError):  # a disk that takes no data may refuse this too
                probe.unlink(missing_ok=True)
            return False
        return True

    def finish(self) -> int:
        """Writes the sorted logs of past generations, a crash's included; may take minutes.

        Returns how many are still waiting for the disk.
        """
        if self._look_for_leftovers:
            self._look_for_leftovers = False
            self._close_leftovers()
        for generation in list(self._waiting):
            try:
                generation.close_files()
            except OSError as error:
                self._fault = error
                self._sick(
                    f"a finished {self._kind.short} cannot be written; it is tried again", error
                )
                continue
            self._waiting.remove(generation)
        return len(self._waiting)

    def close(self) -> int:
        """Ends the current generation too; how many days' logs are not complete (they are told)."""
        self._own_up()
        if self._current is not None:
            self._waiting.append(self._current)
            self._current = None
        left = self.finish()
        while self._waiting:
            self._leave(self._waiting.pop())
        because, kind = self._because(self._fault), self._kind
        for day, lost in sorted(self._missing.items()):
            self._tell(
                f"{lost} {kind.entries} of {iso_day(day)} are in no {kind.short}, and no file says "
                f"so; what is counted of that day will be too low: {because}"
            )
        return left + len(self._missing)

    def _leave(self, generation: Generation) -> None:
        """Tells what the next start will find of a generation that cannot be closed."""
        kind = self._kind
        try:
            untold = generation.untold
        except OSError:
            untold = generation.lost
        if untold:
            self._missing[generation.day] += untold
        if generation.in_place:
            self._tell(
                f"the {kind.short} of {iso_day(generation.day)} is not closed, and "
                f"{generation.lost} {kind.entries} are missing in it; the next start closes "
                f"{generation.part.name}: {self._because(self._fault)}"
            )
        generation.abandon()

    def _sick(self, what: str, error: OSError) -> None:
        if self.healthy:
            self.healthy = False
            self._tell(f"{what}: {self._because(error)}")

    def _because(self, error: OSError) -> str:
        """The folder, the system's reason and what to do; no byte of a request."""
        advice = _ADVICE.get(error.errno or 0, "look at that disk (dmesg)")
        return f"{self._folder}: {error.strerror or 'not writable'}; {advice}"

    def _today(self) -> int:
        return day_of(self._clock.now())
