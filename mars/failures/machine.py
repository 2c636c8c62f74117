"""What becomes of a failure: nothing, failed, or late. Pure; times come in as arguments.

``wall`` is Unix time in whole seconds and may step; ``running`` are seconds of a clock that never
steps back (``mars.ports.Clock``). Durations are by ``running``, days and weeks by ``wall``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType

from mars.failures.counts import MOST_KEYS, Counts, Day, Seen, added, recent
from mars.failures.subjects import KEY_BYTES, Hashes
from mars.wire.times import DAY, WEEK, week_start

MOST_PENDING = MOST_FAILED = 4_096
"""Failures within their grace, and those of which a late resolution is known."""
FAILED, LATE = "failed", "late"


@dataclass(frozen=True, slots=True)
class Event:
    """What a subscriber is told."""

    kind: str
    """``failed`` or ``late``."""
    name: str
    """The cause."""
    dimensions: Mapping[str, str]
    """As a report says them; not to be changed."""
    subject: str | None
    """A keyed hash, hex: the same for ``failed`` and ``late`` of one failure. None without one."""
    time: int
    """Unix time."""


@dataclass(slots=True, eq=False)
class Case:
    """One call of ``fail``."""

    name: str
    dimensions: dict[str, str]
    wall: int
    running: float
    subject: bytes | None = None
    """``as_bytes``; forgotten once it is hashed."""
    mark: tuple[Hashes, bytes] | None = None
    """Of its subject, under the key of the week in which it would count."""
    first: Case | None = None
    """The one whose failure it is: itself, or an earlier one of the same subject. None where there
    is none."""
    counted: int | None = None
    """The day on which that failure counts."""

    @property
    def key(self) -> object:
        """By which it is found again."""
        return self.mark[1] if self.mark else id(self)


Cases = OrderedDict[object, Case]
"""In the order in which they began."""


@dataclass
class Machine:
    """The failures of one domain in one process. Not thread-safe."""

    grace: int
    late: int
    """Seconds."""
    token: Callable[[int], bytes]
    """Draws a key of so many bytes."""
    counting: bool = False
    watched: bool = False
    """Whether somebody asks for ``told``."""
    due: float = inf
    """When ``look`` finds something, in seconds as ``running``."""
    told: list[Event] = field(default_factory=list)
    """What subscribers are to be told, in order; whoever does so takes it."""
    _every: tuple[Hashes, ...] = ()
    """The first of a week is what its subjects are hashed with."""
    _in_order: range = range(0)
    """When what fails is hashed with the very first of them."""
    _pending: Cases = field(default_factory=OrderedDict)
    _failed: Cases = field(default_factory=OrderedDict)
    _days: dict[int, Day] = field(default_factory=dict)
    _taken: Counts | None = None

    def declare(self, grace: int, late: int) -> None:
        """The domain's times are these from now on."""
        self.grace, self.late = grace, late
        self._in_order, self.due = range(0), -inf

    # --- what happens -----------------------------------------------------------------------

    def begin(self, case: Case) -> None:
        """``fail`` was called."""
        self.look(case.running)
        if case.subject is not None and self._is_known(case, case.subject):
            return
        if len(self._pending) >= MOST_PENDING:
            self._fail(case)
            return
        case.first = case
        self._pending[case.key] = case
        due = case.running + self.grace
        if due < self.due:
            self.due = due
        if not self.grace:
            self.look(case.running)

    def _is_known(self, case: Case, subject: bytes) -> bool:
        """Whether it is of a failure that began before, or its subject counts already."""
        case.subject = None
        marks = [(keyed, keyed.of(subject)) for keyed in self._keys(case.wall)]
        case.mark = marks[0]
        for _, mark in marks:
            first = self._pending.get(mark) or self._failed.get(mark)
            if first is not None:
                self._again(first, case)
                return True
        return any(mark in keyed for keyed, mark in marks)

    def _keys(self, wall: int) -> tuple[Hashes, ...]:
        """Those in use; first the one of the week in which counts what fails at ``wall``."""
        if wall not in self._in_order:
            this, then = week_start(wall), week_start(wall + self.grace)
            keys = recent(self._every, wall)
            own = next((one for one in keys if one.week == then), None)
            own = own or Hashes(then, self.token(KEY_BYTES))
            others = [one for one in keys if one is not own]
            self._every = (own, *others[: MOST_KEYS - 1])
            first, last = max(this, then - self.grace), min(this, then - self.grace) + WEEK
            self._in_order = range(first, last)
        return self._every

    @staticmethod
    def _again(first: Case, case: Case) -> None:
        case.first = first
        if first.counted is None and first.name != case.name:
            first.name, first.dimensions = case.name, case.dimensions

    def resolve(self, case: Case, wall: int, running: float) -> None:
        """``Failure.resolved`` was called."""
        self.look(running)
        first = case.first
        if first is None:
            return
        if self._pending.get(first.key) is first:
            del self._pending[first.key]
        elif self._failed.get(first.key) is first:
            del self._failed[first.key]
            self._tell(LATE, first, wall)
            if self.counting and first.counted is not None:
                self._day(first.counted).late += 1

    def succeed(self, tries: int, wall: int) -> None:
        """So many tries worked."""
        if self.counting:
            self._day(wall // DAY).succeeded += tries

    def look(self, running: float) -> None:
        """Whose grace has ended failed; what failed too long ago cannot be late any more."""
        if running < self.due:
            return
        while self._first(self._pending, self.grace) <= running:
            case = self._pending.popitem(last=False)[1]
            self._fail(case)
            self._failed[case.key] = case
        while self._first(self._failed, self.late) <= running or len(self._failed) > MOST_FAILED:
            self._failed.popitem(last=False)
        self.due = min(self._first(self._pending, self.grace), self._first(self._failed, self.late))

    @staticmethod
    def _first(cases: Cases, seconds: int) -> float:
        """When the oldest is so many seconds old."""
        return next(iter(cases.values())).running + seconds if cases else inf

    def _fail(self, case: Case) -> None:
        at = case.wall + self.grace
        self._tell(FAILED, case, at)
        case.counted = at // DAY
        if not self.counting:
            return
        day = self._day(case.counted)
        day.failed[case.name] = day.failed.get(case.name, 0) + 1
        day.last[case.name] = case.dimensions
        if case.mark is not None:
            hashes, mark = case.mark
            hashes.add(mark, (case.counted, case.name))

    def _day(self, number: int) -> Day:
        day = self._days.get(number)
        if day is None:
            day = self._days[number] = Day()
        return day

    def _tell(self, kind: str, case: Case, at: int) -> None:
        if not self.watched:
            return
        subject = case.mark[1].hex() if case.mark else None
        self.told.append(Event(kind, case.name, MappingProxyType(case.dimensions), subject, at))

    # --- what comes of it -------------------------------------------------------------------

    def gained(self) -> Counts:
        """What counts since the last time."""
        seen = tuple(Seen(one.week, one.key, one.taken()) for one in self._every if one.gained)
        days, self._days = self._days, {}
        self._taken = Counts(days, seen)
        return self._taken

    def regain(self, gained: Counts) -> None:
        """What ``gained`` gave last, and could not be written."""
        if gained is not self._taken:
            return  # what was counted before is to be forgotten
        self._taken = None
        self._days = added(gained.days, self._days)
        own = {(one.week, one.key): one for one in self._every}
        for seen in gained.seen:
            if (seen.week, seen.key) in own:
                own[seen.week, seen.key].regain(seen.hashes)

    def known(self, kept: Counts, wall: int) -> None:
        """Counts from now on what ``kept`` does not know."""
        if not self.counting:
            self.forget()
        self.counting = True
        self._in_order, self._taken = range(0), None
        own = {(one.week, one.key): one for one in self._every}
        keys = []
        for seen in kept.seen:
            hashes = own.pop((seen.week, seen.key), None) or Hashes(seen.week, seen.key)
            hashes.learn(seen.hashes)
            keys.append(hashes)
        self._every = recent([*keys, *own.values()], wall)

    def forget(self) -> None:
        """Counts nothing any more, and knows nothing of before."""
        self.counting, self._every, self._in_order = False, (), range(0)
        self._drop()

    def leave(self) -> None:
        """What is pending, or not written or told, is another process's."""
        self._drop()
        self.told.clear()
        for one in self._every:
            one.gained.clear()

    def _drop(self) -> None:
        self._pending.clear()
        self._failed.clear()
        self._days, self._taken = {}, None
