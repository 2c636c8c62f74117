"""Recognises logs among the sources of the database, and says what of them is to be counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from itertools import zip_longest

from mars.errors import StateError
from mars_server.counting.foreign.identity import (
    BLANK,
    OWN,
    SEALED,
    Face,
    Source,
    Verdict,
    akin,
    holds,
    identify,
    same_start,
)
from mars_server.counting.foreign.probe import LogMovedError, Probe, is_longer, spans, written_on
from mars_server.counting.store_port import Advance, Ledger
from mars_server.counting.tasks import Done, Piece, Task, Whole

# --- What the database keeps to know a log again: its hashes under a key that is not in there ---


class _Marks:
    """Turns what is seen of a log into what the database knows of it."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        """``key`` is asked for at the first log that is not our own; what it raises is raised."""
        self._find_key = key

    @cached_property
    def _key(self) -> bytes:
        return self._find_key()

    def face(self, face: Face) -> Face:
        return replace(
            face,
            ladder=self.ladder(face.own, face.ladder),
            tail_at=lambda position: self.tail(face.own, face.tail_at(position)),
            inode=self.of("inode", face.own, face.inode),
            blank=self.blank(face.own),
        )

    def blank(self, own: str | None) -> str:
        """``BLANK`` as it stands in the ladders of logs that are not our own."""
        return BLANK if own else self.ladder(None, (BLANK,))[0]

    def ladder(self, own: str | None, rungs: Iterable[str]) -> tuple[str, ...]:
        return () if own else tuple(self._sealed(b"rung", rung)[:16] for rung in rungs)

    def tail(self, own: str | None, tail: str) -> str:
        """Empty where ``tail`` is: no line ends there."""
        if not tail or (own and not tail.startswith(SEALED)):
            return tail and OWN
        return self._sealed(b"tail", tail)

    def archive(self, own: str | None, fingerprint: str | None) -> str | None:
        """An archive bears the time of its log's last line; that of our own logs tells nothing."""
        return fingerprint if own else self.of("archive", own, fingerprint)

    def of(self, kind: str, own: str | None, value: str | None) -> str | None:
        """Of the ``inode``, whose birth may be that of the first request, and of the ``boot``; of
        our own logs nothing is lost by which two of them have to be told apart."""
        return None if own or value is None else self._sealed(kind.encode(), value)

    def _sealed(self, kind: bytes, value: str) -> str:
        return blake2b(value.encode(), digest_size=16, key=self._key, person=kind).hexdigest()


_PACKING = (
    "begins as the log beside it, of which it seems to be made, and no line holds a time of day; "
    "so that none counts twice, nothing of it is counted while that log is there."
)
_LONGER = (
    f"It {_PACKING} But it holds more than that one: if it is of an older log, its lines are "
    "missing from the figures until it has a name of its own and both are counted."
)


class Register:
    """The known sources, those found in this pass included."""

    def __init__(self, ledger: Ledger, span: int, *, new: bool = False) -> None:
        """``new``: a log that only begins as a known one is a log of its own."""
        self.span = span
        self._new = new
        self._files: dict[str, Probe] = {}
        """This pass's plain logs that are not our own, by the mark of their inode."""
        self._ledger = ledger
        self._sources = {one.id: one for one in ledger.sources()}
        self._held: set[int] = set()
        self.marks = _Marks(ledger.key)
        self._timed: defaultdict[str, list[Sequence[str]]] = defaultdict(list)
        """Ladders of this pass's logs whose lines hold a time of day, by their first rung."""
        self._plain: dict[str, Probe] = {}
        """This pass's plain timeless logs that are not our own, by path."""

    def expect(self, probes: Sequence[Probe]) -> None:
        """All logs of this pass: a source whose inode or archive still holds its bytes is no other
        log, and a copy cut within the lines of midnight is not timeless where the whole log lies by
        it."""
        plain = [one for one in probes if one.length is not None and one.timeless and not one.own]
        self._plain = {one.path: one for one in plain}
        for found in probes:
            if found.ladder and (mark := self.marks.of("inode", found.own, found.inode)):
                self._files[mark] = found
            if found.own is None and found.ladder and not found.timeless:
                rungs = self.marks.ladder(None, found.ladder)
                self._timed[rungs[0]].append(rungs)
            if found.length is not None and found.timeless:
                with suppress(LogMovedError):
                    face = self.marks.face(found.face())
                    self._held.update(source.id for source in holds(face, self.sources))
            elif (whole := self.archived(found)) is not None:
                self._held.add(whole.id)

    @property
    def sources(self) -> Collection[Source]:
        return self._sources.values()

    def plan(self, found: Probe) -> tuple[Verdict, list[Task]]:
        """For a plain log who it is and the tasks; for another the tasks that will tell.

        Raises ``StateError`` (``log-changed``, ``log-doubtful``) and ``LogMovedError``.
        """
        if found.length is None:
            whole = self.archived(found)
            log = self._plain.get(found.path.rpartition(".")[0])
            if not whole and log and found.timeless and same_start(found.ladder, log.ladder):
                if is_longer(found.path, log.size):
                    raise StateError("log-doubtful", _LONGER)
                raise LogMovedError(found.path, _PACKING)
            return Verdict(whole, None), [] if whole else [self.stream(found)]
        verdict = self._identify(found.face())
        if verdict.start is None:
            return verdict, []
        if verdict.changed:
            start = written_on(found, verdict.start)
            # By a span of nothing at its end it is known the next time.
            return replace(verdict, start=start), [*spans(found, start, self.span, empty=True)]
        return verdict, [*spans(found, verdict.start, self.span)]

    def own(self, number: str | None) -> Source | None:
        """The source of the log of ours with this id."""
        return next((one for one in self._sources.values() if number and one.own == number), None)

    def archived(self, found: Probe) -> Source | None:
        """The source of an archive that is counted to its end."""
        mark = self.marks.archive(found.own, found.fingerprint)
        number = None if mark is None else self._ledger.archived(mark)
        return None if number is None else self._sources.get(number)

    def stream(self, found: Probe) -> Whole:
        """The task that tells who a stream is: it reports at each position it may continue."""
        known = self._sources.values()
        if found.own is not None:
            maybe = [one for one in known if one.own == found.own]
        else:
            rungs = self.marks.ladder(None, found.ladder)
            maybe = akin(rungs, self.marks.blank(None), known) if rungs else list(known)
        cuts = tuple(sorted({one.position for one in maybe}))
        return Whole(found.path, found.format, cuts, found.stamp)

    def settle(self, done: Done) -> tuple[Verdict, Sequence[Piece]]:
        """Who a stream was, and those of its pieces that are not yet counted.

        Raises ``StateError`` (``log-changed``).
        """
        tails = {piece.end: piece.tail for piece in done.pieces}
        face = Face(
            own=done.own,
            ladder=done.ladder,
            timeless=done.timeless,
            length=done.pieces[-1].end,
            tail_at=lambda position: tails.get(position, ""),
            cut_short=done.cut_short,
        )
        verdict = self._identify(face)
        start = face.length if verdict.start is None else verdict.start
        return verdict, [piece for piece in done.pieces if piece.end > start]

    def _identify(self, face: Face) -> Verdict:
        face = self.marks.face(face)
        if face.timeless and face.ladder:
            timed = self._timed[face.ladder[0]]
            face = replace(face, timeless=not any(same_start(face.ladder, one) for one in timed))
        verdict = identify(face, self._sources.values(), self._held, self._is_there)
        if verdict.source is not None:
            self._held.add(verdict.source.id)
        return verdict

    @property
    def knows_timeless(self) -> bool:
        """Whether a log that is not our own is known of which no line holds a time of day."""
        return any(one.own is None and one.timeless for one in self._sources.values())

    def rounds(self, probes: Iterable[Probe]) -> Iterator[list[Probe]]:
        """Logs that may be one source go into different rounds, so the first is known to the next.

        Archives go first in their family: one that was cut short is known by the source that it
        continues, and could not be told from a part of a plain log that took that source before it.
        Then go the files that are known, before a copy takes their source.
        """
        known = {one.inode for one in self._sources.values()} - {None}

        def turn(one: Probe) -> int:
            if one.length is None:
                return 0
            # Without a known file no key is needed, and none made.
            return 1 if known and self.marks.of("inode", one.own, one.inode) in known else 2

        families: defaultdict[str | None, list[Probe]] = defaultdict(list)
        for one in sorted(probes, key=turn):
            families[one.family].append(one)
        streams = families.pop(None, [])
        for level in zip_longest(*families.values()):
            yield [one for one in level if one is not None]
        yield from ([one] for one in streams)

    def _is_there(self, source: Source) -> bool:
        found = None if source.inode is None else self._files.get(source.inode)
        if self._new or found is None:
            return self._new
        with suppress(LogMovedError):
            return bool(holds(self.marks.face(found.face()), [source]))
        return False

    def moved(self, number: int, step: Advance) -> None:
        """The database knows ``step`` now, as source ``number``."""
        now = step.now
        for other in self._sources.values():
            if now.inode is not None and other.inode == now.inode:
                self._sources[other.id] = replace(other, inode=None)
        before = self._sources.get(number, replace(now, lines=0, unread=0))
        lines, unread = before.lines + step.tally.lines, before.unread + step.tally.unread
        self._sources[number] = replace(now, id=number, lines=lines, unread=unread)
        self._held.add(number)
