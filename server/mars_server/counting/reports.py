"""What opening a spool takes and gives: keys and registry, sums by week, reasons to drop. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from mars.wire.catalogue import Catalogue
from mars.wire.registry import PURPOSES, STATISTICS

if TYPE_CHECKING:  # libsodium is loaded where there is something to open
    from mars.wire.sealed import Opener

SPOOL = "spool"
"""The format of a log that is a spool, as the database calls it."""
DIGEST_BYTES = 16
REJUDGED = ("undeclared", "unknown-release", "bad-value", "expired", "withdrawn")
"""Why a registry does not let a report count that another registry may let."""
LATE = "late"
"""The reason of a report whose week is published."""


class Statistic(NamedTuple):
    """What a report that counts adds to: ISO week, ``project/key``, release, value."""

    week: str
    name: str
    release: str
    value: str


class Dropped(NamedTuple):
    """Why a line is no report that counts, and the ISO week of its key, or of its spool."""

    week: str
    reason: str


class Rejudged(NamedTuple):
    """A report that may have been dropped for a reason of ``REJUDGED``, and is no longer."""

    week: str
    reason: str
    anew: bool = True
    """So that it equals no ``Dropped``."""


Opened = Statistic | Dropped | Rejudged
Digests = Mapping[Opened, bytes]
"""What became of sealed lines, each as its hash, one after another: equal ones count once."""


class WeekKey(NamedTuple):
    """A key pair of the intake and the ISO week in which clients seal to it."""

    week: str
    pair: Opener


@dataclass(frozen=True)
class Opening:
    """What a spool is opened with. Goes to the processes that count; is never shown."""

    catalogue: Catalogue = field(default=Catalogue("", ""), repr=False)
    keys: Mapping[bytes, WeekKey] = field(default_factory=dict, repr=False)
    """By their ids (``mars.wire.sealed.key_id``)."""
    again: bool = False
    """The lines were counted before, and some waited for these keys."""
    anew: bool = False
    """Another registry judged them then."""
    done: frozenset[str] = frozenset()
    """Ids, in hex, of the keys with which they were opened then."""

    @property
    def registry(self) -> str:
        """The hash of the catalogue."""
        return blake2b(self.catalogue.encode(), digest_size=DIGEST_BYTES).hexdigest()

    @property
    def ids(self) -> frozenset[str]:
        """In hex."""
        return frozenset(each.hex() for each in self.keys)

    @property
    def weeks(self) -> dict[str, str]:
        """Of the keys, by their ids in hex."""
        return {name.hex(): key.week for name, key in self.keys.items()}


@dataclass
class Reports:
    """Sums of what was opened, each line once."""

    counted: Counter[Statistic] = field(default_factory=Counter)
    dropped: Counter[Dropped] = field(default_factory=Counter)
    """Those that came too late included (``LATE``)."""
    repeated: int = 0
    """Lines that were opened before."""
    rejudged: Counter[Dropped] = field(default_factory=Counter)
    """Those that had been dropped, and were judged anew by another registry."""

    def add(self, other: Reports) -> None:
        self.counted.update(other.counted)
        self.dropped.update(other.dropped)
        self.repeated += other.repeated
        self.rejudged.update(other.rejudged)

    def by_purpose(self, declared: Catalogue) -> dict[str, Nested]:
        """Under each purpose ``{week: {"project/key": {release: {value: n}}}}``, sorted. What is
        not ``declared`` any more is a statistic, since the sums hold names alone."""
        found: dict[str, list[tuple[Statistic, int]]] = {purpose: [] for purpose in PURPOSES}
        purposes = {entry.name: entry.purpose for entry in declared.entries}
        for cell, n in sorted(self.counted.items()):
            found[purposes.get(cell.name, STATISTICS)].append((cell, n))
        return {purpose: nested(cells) for purpose, cells in found.items()}

    def reasons(self) -> dict[str, int]:
        """How many were dropped for each reason, sorted."""
        found: Counter[str] = Counter()
        for each, n in self.dropped.items():
            found[each.reason] += n
        return dict(sorted(found.items()))

    def reasons_by_week(self) -> dict[str, dict[str, int]]:
        """``{week: {reason: n}}``, sorted."""
        table: dict[str, dict[str, int]] = {}
        for (week, reason), n in sorted(self.dropped.items()):
            table.setdefault(week, {})[reason] = n
        return table


Nested = dict[str, dict[str, dict[str, dict[str, int]]]]


def nested(cells: Collection[tuple[Statistic, int]]) -> Nested:
    """``{week: {"project/key": {release: {value: n}}}}``, in the order given."""
    table: Nested = {}
    for (week, name, release, value), n in cells:
        table.setdefault(week, {}).setdefault(name, {}).setdefault(release, {})[value] = n
    return table


Fresh = Callable[[str, bytes], int]
"""How many of the joined digests of a week were never seen before; from then on they were."""


def nothing(_: str, __: bytes) -> int:
    """As ``gone`` of ``sums``, where nothing was stored before."""
    return 0


def is_open_to_others(opened: Digests) -> bool:
    """Whether another registry may count some of it."""
    return any(isinstance(one, Dropped) and one.reason in REJUDGED for one in opened)


def sums(
    opened: Digests, fresh: Fresh, closed: Collection[str] = (), gone: Fresh = nothing
) -> Reports:
    """Each line once; a report of a ``closed`` week is late, whatever else it is. ``gone`` forgets
    digests of a week and tells how many there were."""
    found = Reports()
    for what, digests in sorted(opened.items()):
        if isinstance(what, Rejudged):
            found.rejudged[Dropped(what.week, what.reason)] += gone(what.week, digests)
            continue
        n = fresh(what.week, digests)
        found.repeated += len(digests) // DIGEST_BYTES - n
        if not n:
            continue
        if isinstance(what, Dropped):
            found.dropped[what] += n
        elif what.week in closed:
            found.dropped[Dropped(what.week, LATE)] += n
        else:
            found.counted[what] += n
    return found


def unseen() -> Fresh:
    """Of a run that stores nothing; holds the digests of all its lines in memory."""
    seen: set[bytes] = set()

    def fresh(_: str, digests: bytes) -> int:
        before = len(seen)
        seen.update(each(digests))
        return len(seen) - before

    return fresh


def each(digests: bytes) -> Iterator[bytes]:
    """The single ones of joined digests."""
    return (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))
