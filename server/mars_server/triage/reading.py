"""Reads spools for triage, each line once, and stores what they hold.

A line that was opened is known by a hash of its body, so a spool is read again, by a run after one
that died or with more keys, without harm. A spool is closed and never changes; whether it was read
to the end is noted with its size and a hash of its end, by which ``count`` knows it too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from io import BytesIO

from mars.errors import MarsError
from mars.wire.reports.crowd import recover
from mars_server.counting.blocks import Lines, Watch
from mars_server.counting.foreign.identity import sealed_tail
from mars_server.counting.progress import Progress
from mars_server.counting.streams import STDIN, Stream, open_raw, refused, shown, unfinished
from mars_server.daylog.format import Spool, is_unfinished, spool_of
from mars_server.storage import Engine
from mars_server.storage.triage import arrivals
from mars_server.storage.triage.arrivals import Arrival, Seen, Stored
from mars_server.triage.grouping import Lists
from mars_server.triage.opening import Line, Opened, Opening

AT_ONCE = 1024
"""Lines that are opened and stored in one transaction; some 24 MB."""
_NULS = 16 * 1024 * 1024
"""Before a spool's first line, as a power cut may leave them; a device such as ``/dev/zero`` holds
them without end."""


@dataclass
class Outcome:
    """Of one run."""

    spools: int = 0
    """That were read."""
    before: int = 0
    """That an earlier run had read to the end, and that were passed over."""
    lines: int = 0
    """Error reports among their lines."""
    stored: Stored = field(default_factory=Stored)
    waiting: int = 0
    """Lines whose keys were not given."""
    inside: int = 0
    """Of these such as the intake's keys opened, and none of a release."""
    readable: int = 0
    """Faults that can be read since this run."""
    notes: list[str] = field(default_factory=list)
    problems: list[MarsError] = field(default_factory=list)


@dataclass
class Reading:
    """One run over some spools. The caller holds the lock."""

    engine: Engine
    opening: Opening = field(repr=False)
    lists: Lists
    progress: Progress
    today: str
    at_once: int = AT_ONCE
    outcome: Outcome = field(default_factory=Outcome)

    def run(self, paths: Iterable[str], size: int = 0) -> Outcome:
        """``size``: bytes of all of them, for the progress. Problems with single spools are in the
        outcome. Raises ``StateError`` where the database fails."""
        self.progress.start(size)
        with self.engine.connect() as connection:
            known = arrivals.seen(connection)
        for path in paths:
            try:
                self._spool(path, known)
            except MarsError as error:
                self.outcome.problems.append(error)
            except OSError as error:
                self.outcome.problems.append(refused(path, error))
        self._recover()
        self.progress.end()
        return self.outcome

    def _spool(self, path: str, known: dict[str, Seen]) -> None:
        with open_raw(path) as raw, closing(Stream(raw, path)) as stream:
            head = stream.head(_NULS)
            if is_unfinished(head):
                raise unfinished(path)
            spool = spool_of(head)
            if spool is None:
                self.outcome.notes.append(f"{shown(path)} is no spool; nothing of it was read.")
            elif self._is_done(path, known.get(spool.id)):
                self.outcome.before += 1
            else:
                known[spool.id] = self._read(path, stream, spool)

    def _is_done(self, path: str, before: Seen | None) -> bool:
        """Whether these bytes were read to the end, and what waits in them still does."""
        if (
            before is None
            or path == STDIN
            or (before.waiting and not self.opening.ids <= before.keys)
        ):
            return False
        with open_raw(path) as raw, closing(Stream(raw, path)) as stream:
            watch = Watch()
            for chunk in stream.chunks():
                watch.see(chunk)
        is_same = (watch.seen, sealed_tail(watch.tail)) == (before.size, before.tail)
        self.outcome.waiting += before.waiting if is_same else 0
        return is_same

    def _read(self, path: str, stream: Stream, spool: Spool) -> Seen:
        watch, waiting = Watch(), 0
        lines = self._lines(watched(watch, stream.chunks()), spool.day)
        for batch in _batches(lines, self.at_once):
            waiting += self._store(batch, spool.day)
        self.outcome.spools += 1
        self.outcome.waiting += waiting
        seen = Seen(watch.seen, sealed_tail(watch.tail), waiting, self.opening.ids)
        if stream.cut_short:
            self.outcome.notes.append(f"{shown(path)} ends in the middle; it is read again.")
            return seen
        with self.engine.begin() as connection:
            arrivals.note_spool(connection, spool.id, seen, self.today)
        return seen

    def _lines(self, chunks: Iterable[bytes], day: date) -> Iterator[Line]:
        framing = Lines(lambda _: b"#")  # a comment, whatever follows in that line
        for chunk in chunks:
            block = BytesIO(framing.feed(chunk)).readlines()[1:]  # split looks at each byte in turn
            self.progress.add(len(block), len(chunk))
            for text in block:
                if not text.startswith(b"#") and (line := self.opening.line(text[:-1], day)):
                    self.outcome.lines += 1
                    yield line

    def _store(self, batch: list[Line], day: date) -> int:
        """How many lines wait."""
        distinct = {line.digest: line for line in batch if line.digest}
        with self.engine.begin() as connection:
            weeks = {digest: line.week for digest, line in distinct.items()}
            seen = arrivals.known(connection, weeks)
            new = [line for digest, line in distinct.items() if digest not in seen]
            found = [self.opening.open(line) for line in new]
            opened = [_arrival(each) for each in found if each is not None]
            stored = arrivals.store(connection, opened, day.isoformat(), self.lists.title)
        keyless = sum(not line.digest for line in batch)
        self.outcome.inside += len(new) - len(opened)
        stored.repeated += len(batch) - keyless - len(new)
        self.outcome.stored.add(stored)
        return keyless + len(new) - len(opened)

    def _recover(self) -> None:
        """Reads what ten installations have met by now."""
        with self.engine.connect() as connection:
            ripe = arrivals.ripe(connection)
        for tag, release in ripe.items():
            with self.engine.begin() as connection:
                shares = arrivals.shares_of(connection, tag)
                fault = recover(shares, self.opening.recipient.product, release)
                if fault is not None:
                    arrivals.reveal(connection, {tag: fault}, self.lists.title)
                    self.outcome.readable += 1


def watched(watch: Watch, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Passes them on."""
    for chunk in chunks:
        watch.see(chunk)
        yield chunk


def _batches(lines: Iterable[Line], most: int) -> Iterator[list[Line]]:
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) >= most:
            yield batch
            batch = []
    if batch:
        yield batch


def _arrival(opened: Opened) -> Arrival:
    if isinstance(opened.said, str):
        return Arrival(opened.week, opened.digest, "", opened.said)
    return Arrival(opened.week, opened.digest, *opened.said)
