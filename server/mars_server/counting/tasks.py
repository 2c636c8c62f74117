"""The unit of work that every driver runs, here or elsewhere: one span of a log, or one stream.

Tasks and results are small and hold nothing of a line: no address leaves the block it stood in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from mars.errors import MarsError, StateError
from mars.wire.query import AllowList
from mars_server.counting import formats
from mars_server.counting.blocks import Watch, cut
from mars_server.counting.foreign.identity import WINDOW, Beginning, beginning, sealed_tail, tail
from mars_server.counting.foreign.same_file import Seen, limited, read, stamp
from mars_server.counting.reports import Opening
from mars_server.counting.streams import STDIN, Stream, open_raw, refused, unfinished
from mars_server.counting.tally import Counting, Tally
from mars_server.daylog.format import declared, is_unfinished, spool_of

if TYPE_CHECKING:
    from mars_server.counting.opening import SpoolCounting


@dataclass(frozen=True)
class Span:
    """Whole lines of a plain log: bytes ``start`` to ``end``, both after an LF."""

    path: str
    format: str
    start: int
    end: int
    seen: Seen
    releases: frozenset[str] = frozenset()
    """Those that the log declares."""
    day: date | None = None
    """Of a spool."""
    opening: Opening | None = None
    """What a spool is opened with; without it all its lines wait."""


@dataclass(frozen=True)
class Whole:
    """A log that can only be read from its start; ``cuts`` are positions to report at, sorted."""

    path: str
    format: str
    cuts: tuple[int, ...] = ()
    stamp: tuple[int, int] | None = None
    """Of a local archive, as it was looked at (``stamp``)."""
    opening: Opening | None = None


Task = Span | Whole


@dataclass(frozen=True)
class Piece:
    """The lines up to ``end`` that are in no piece before, and the tail's hash there."""

    end: int
    tail: str
    tally: Tally


@dataclass(frozen=True, kw_only=True)
class Done(Beginning):
    """A task's result. Only a ``Whole`` tells how the log begins."""

    pieces: tuple[Piece, ...] = ()
    """Empty where there was no whole line, or where it was another log that was read."""
    cut_short: bool = False
    problem: tuple[str, str] | None = None
    """Reason code and sentence; then nothing of the task may be stored."""

    def require(self) -> None:
        """Raises the ``problem``, if there is one."""
        if self.problem is not None:
            raise MarsError(*self.problem)


def perform(task: Task, allow: AllowList) -> Done:
    """Runs one task; problems with the log are in the result, not raised."""
    try:
        return _span(task, allow) if isinstance(task, Span) else _whole(task, allow)
    except MarsError as error:
        return Done(problem=(error.reason, error.message))
    except OSError as error:
        told = refused(task.path, error)
        return Done(problem=(told.reason, told.message))


def _span(task: Span, allow: AllowList) -> Done:
    counting = _counting(task, allow.also(task.releases), task.day)
    size = task.end - task.start
    with open_raw(task.path) as raw:
        if not task.seen.is_still(raw):
            return Done()
        before = min(task.start, WINDOW)
        raw.seek(task.start - before)
        watch = Watch(read(raw, before))
        for chunk in limited(raw, size):
            watch.see(chunk)
            counting.feed(chunk)
        # Rotated by copytruncate meanwhile, it may hold new lines in the place of the old ones.
        if watch.whole != size or not task.seen.is_still(raw):
            return Done()
    if counting.unfinished:
        raise unfinished(task.path)
    mark = sealed_tail if task.day else tail
    return Done(pieces=(Piece(task.end, mark(watch.tail), counting.take()),))


def _whole(task: Whole, allow: AllowList) -> Done:
    with open_raw(task.path) as raw, closing(Stream(raw, task.path)) as stream:
        if task.stamp is not None and task.stamp != stamp(raw):
            return Done()
        if task.format == formats.AUTO:
            task = replace(task, format=formats.detect(stream.head()))
        watch = Watch()
        spool = spool_of(stream.head())
        allow = allow.also(declared(stream.head()))
        counting = _counting(task, allow, spool.day if spool else None)
        pieces = tuple(_pieces(task, stream, watch, counting))
    if counting.unfinished or is_unfinished(watch.head):
        raise unfinished(task.path)
    found = beginning(watch.head)
    return Done(pieces=pieces, cut_short=stream.cut_short, **vars(found))


def _counting(task: Task, allow: AllowList, day: date | None) -> Counting | SpoolCounting:
    if day is None:
        return Counting(allow, task.format)
    from mars_server.counting.opening import SpoolCounting  # late: libsodium is a library

    return SpoolCounting(task.opening or Opening(), day)


def _pieces(
    task: Whole, stream: Stream, watch: Watch, counting: Counting | SpoolCounting
) -> Iterator[Piece]:
    marks = frozenset(task.cuts)
    mark = tail if isinstance(counting, Counting) else sealed_tail
    end = 0
    for chunk in cut(stream.chunks(), task.cuts):
        watch.see(chunk)
        counting.feed(chunk)
        if watch.seen in marks and watch.whole == watch.seen:
            end = watch.whole
            yield Piece(end, mark(watch.tail), counting.take())
    if watch.whole > end:
        yield Piece(watch.whole, mark(watch.tail), counting.take())


# --- Who runs them ---

Driver = Callable[[Iterable[Task], AllowList], Iterator[Done]]
"""Runs the tasks. Raises ``StateError`` (``worker-died``) where results are lost for good."""

_AHEAD = 3
"""Tasks under way per process or thread: one runs, the others wait for it."""


@dataclass(frozen=True)
class Ahead:
    """In other processes, a bounded number of tasks ahead."""

    submit: Callable[[Task, AllowList], Callable[[], Done]]
    """Hands a task over; what it gives waits for the result."""
    processes: Callable[[], int]
    lost: tuple[type[Exception], ...]
    """What is raised where results are lost for good."""

    def __call__(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        limit = _AHEAD * self.processes()
        under_way: deque[Callable[[], Done]] = deque()
        try:
            for task in tasks:
                if len(under_way) >= limit:
                    yield under_way.popleft()()
                # Standard input belongs to this process.
                mine = task.path == STDIN
                under_way.append(
                    partial(perform, task, allow) if mine else self.submit(task, allow)
                )
            while under_way:
                yield under_way.popleft()()
        except self.lost as error:
            raise StateError(
                "worker-died",
                "A counting process was ended from outside; what was stored is right, run again.",
            ) from error
