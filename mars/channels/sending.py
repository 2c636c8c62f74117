"""When an error report or the request to delete one goes, and how often it is tried. Pure.

A released report goes at a time uniform over the next 7 days, a deletion within 30: never at a
start, at a crash, or because something happened. Each is tried at most three times, days apart, and
sealed anew each time, or equal bytes would tell that two tries are one report.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any, Self

from mars.channels.draws import MOVED_WITHIN
from mars.core.state import State, flag, is_misunderstood, of_type, read, table, text, time
from mars.core.waiting import Waiting
from mars.ports import Chance
from mars.wire.times import DAY, WEEK, week_start

NAME = "reports"
SPREAD = 7 * DAY
"""After its release, over which a report's time is uniform; ..."""
DELETION_SPREAD = 30 * DAY
"""... after it was asked for, a deletion's: over 7 days a third of several would be linked."""
TRIES = 3
AGAIN = (2 * DAY, 7 * DAY)
"""After a try of which something left and that was not answered as it should be."""
A_WEEK = 3
"""Faults of a week that become reports."""
SEEN = 512
"""Faults remembered, so that each is reported once for each release."""
SECRET_BYTES = 32
SEED_BYTES = 64
"""Of both sealings, the inner first."""


@dataclass(frozen=True)
class Pending(Waiting):
    """One report that was released, or one deletion that was asked for."""

    id: str
    deletion: bool
    due: int
    wait: int | None = None
    tries: int = 0
    """Of which a byte left, or may have."""
    by_hand: bool = True
    """Whether the user released it, and not a yes to all."""

    @property
    def whose(self) -> tuple[str, bool]:
        return self.id, self.deletion


@dataclass(frozen=True)
class Upcoming:
    """What goes next, for one try. It is sealed anew from this each time it is looked at."""

    id: str
    deletion: bool
    tries: int
    """Before this one."""
    key: str
    """The intake's, that it is sealed to, hex."""
    seed: str
    """Of its sealing, hex."""

    def is_of(self, pending: Pending | None, key: str) -> bool:
        return pending is not None and (
            (self.id, self.deletion, self.tries, self.key)
            == (pending.id, pending.deletion, pending.tries, key)
        )


@dataclass(frozen=True)
class Memory:
    """All that is kept of reports beside the reports themselves."""

    secret: str = ""
    """32 bytes, hex, that never leave: keys of reports and points of crowd reports are made of it,
    and it stays when consent is withdrawn, since deletions take it."""
    pending: tuple[Pending, ...] = ()
    upcoming: Upcoming | None = None
    seen: tuple[str, ...] = ()
    """Keyed hashes of fault and release, the newest last."""
    week: int = 0
    """The last in which a fault became a report, by its Monday (Unix time); ..."""
    made: int = 0
    """... and how many did."""

    @classmethod
    def of(cls, state: State) -> Self:
        """Of each member that is not understood nothing."""
        kept = state.kept(NAME)
        found = {name: read(_READERS[name], kept[name]) for name in kept.keys() & _READERS.keys()}
        return cls(**{name: value for name, value in found.items() if value is not None})

    def plain(self) -> dict[str, Any]:
        """What ``of`` reads; what is not said is left out."""
        said = {
            **vars(self),
            "pending": [astuple(one) for one in self.pending],
            "upcoming": self.upcoming and asdict(self.upcoming),
            "seen": list(self.seen),
        }
        return {name: value for name, value in said.items() if value}

    def into(self, state: State) -> State:
        return state.keeping(NAME, self.plain())

    def with_secret(self, chance: Chance) -> Memory:
        return self if self.secret else replace(self, secret=chance.token(SECRET_BYTES).hex())

    def find(self, id_: str, *, deletion: bool) -> Pending | None:
        return next((one for one in self.pending if one.whose == (id_, deletion)), None)

    def without(self, *gone: Pending) -> Memory:
        whose = {one.whose for one in gone}
        return replace(self, pending=tuple(one for one in self.pending if one.whose not in whose))

    def putting(self, *new: Pending) -> Memory:
        """With these in the place of what is pending of the same."""
        return replace(self, pending=(*self.without(*new).pending, *new))

    def released(self, id_: str, now: int, chance: Chance, *, by_hand: bool = True) -> Memory:
        due = now + int(chance.uniform(0, SPREAD))
        return self.putting(Pending(id_, False, due, by_hand=by_hand))

    def deleting(self, id_: str, now: int, chance: Chance) -> Memory:
        due = now + int(chance.uniform(0, DELETION_SPREAD))
        return self.putting(Pending(id_, True, due))

    def taking(self, mark: str, now: int) -> Memory | None:
        """After one more fault became a report, ``mark`` saying which of which release; None where
        this one did before, or enough of this week did.

        An earlier clock counts to the last week, and one of more than a week ahead is forgotten.
        """
        week = week_start(now)
        stays = week <= self.week <= week + WEEK
        made = self.made if stays else 0
        if mark in self.seen or made >= A_WEEK:
            return None
        seen = (*self.seen, mark)[-SEEN:]
        return replace(self, seen=seen, week=self.week if stays else week, made=made + 1)


def begun(memory: Memory, pending: Pending, now: int, chance: Chance) -> Memory:
    """To be stored *before* a try: whatever happens then, the next one is days later."""
    due = now + int(chance.uniform(*AGAIN))
    return memory.putting(replace(pending, due=due, wait=None, tries=pending.tries + 1))


def ended(
    memory: Memory, pending: Pending, after: int, chance: Chance, *, left: bool, done: bool
) -> Memory:
    """After a try: over where it was ``done`` or was the last; where nothing ``left`` it did not
    count, and goes on another day, from ``after`` (Unix time) on."""
    memory = replace(memory, upcoming=None)
    if not left:
        again = replace(pending, tries=max(pending.tries - 1, 0))
        return memory.putting(again.moved(after, MOVED_WITHIN, chance))
    return memory.without(pending) if done or pending.tries >= TRIES else memory


def first(pending: Collection[Pending], now: int) -> Pending | None:
    """What goes first, as things stand. The order of the queue says nothing."""
    return min(pending, key=lambda one: (one.earliest(now), one.due, one.id), default=None)


def is_damaged(state: State) -> bool:
    """Whether a member says something that is not understood."""
    return is_misunderstood(state.kept(NAME), _READERS)


_list: Callable[[object], list[Any]] = of_type(list)


def _pending(value: object) -> tuple[Pending, ...]:
    return tuple(_one(each) for each in _list(value))


def _one(value: object) -> Pending:
    id_, deletion, due, wait, tries, by_hand = _list(value)
    return Pending(
        text(id_),
        flag(deletion),
        time(due),
        None if wait is None else time(wait),
        time(tries),
        flag(by_hand),
    )


def _upcoming(value: object) -> Upcoming:
    said = table(value)
    seed = _hex(said["seed"], SEED_BYTES)
    return Upcoming(
        text(said["id"]), flag(said["deletion"]), time(said["tries"]), text(said["key"]), seed
    )


def _hex(value: object, size: int) -> str:
    if len(bytes.fromhex(text(value))) != size:
        raise ValueError
    return text(value)


def _secret(value: object) -> str:
    return _hex(value, SECRET_BYTES)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(text, _list(value)))


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "secret": _secret,
    "pending": _pending,
    "upcoming": _upcoming,
    "seen": _texts,
    "week": time,
    "made": time,
}
