"""The pure core of counting: bytes of a log in, sums by day out.

Lines are cut at LF alone, as bytes, never by a text decoder. A block is matched as a whole, equal
(day, query) pairs are grouped, and only the distinct pairs are read by the allow-list; coarse
metrics make few of them. What cannot be grouped (an attacker's all-distinct queries) is folded
into the sums as soon as the groups pass a bound, so memory does not grow with the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from mars.wire.query import NONE, VARIABLES, AllowList
from mars_server.counting.formats import COMBINED, Format

LEVEL = "level"
PLAIN = "plain"
TRACKED = "tracked"
COUNTED = (LEVEL, *VARIABLES)
"""The variables that are counted, in the order in which they are shown."""

GROUPS_BOUND = 16_384
"""Distinct (day, query) pairs held before they are folded: at most some 10 MB."""

Group = tuple[bytes, bytes]
Cell = tuple[str, str, str]
"""ISO day, variable, value; in ``Tally.pairs`` ISO day, version, platform."""


@dataclass(frozen=True)
class Rules:
    """What decides whether a line is a hit and which values may be counted."""

    allow: AllowList
    format: Format = COMBINED


@dataclass
class Tally:
    """Sums over some complete lines. ``lines = hits + rejected`` always holds."""

    lines: int = 0
    hits: int = 0
    cells: Counter[Cell] = field(default_factory=Counter)
    pairs: Counter[Cell] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        return self.lines - self.hits

    def add(self, other: Tally) -> None:
        """Adds ``other``; the order in which tallies are added does not matter."""
        self.lines += other.lines
        self.hits += other.hits
        self.cells.update(other.cells)
        self.pairs.update(other.pairs)

    def days(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{day: {variable: {value: n}}}``, days and values sorted, no zeros."""
        table: dict[str, dict[str, dict[str, int]]] = {}
        for (day, variable, value), n in sorted(self.cells.items()):
            values = table.setdefault(day, {name: {} for name in COUNTED})[variable]
            values[value] = n
        return table


def tally(block: bytes, rules: Rules) -> Tally:
    """Counts the complete lines of ``block``; bytes after its last LF are in nothing."""
    counting = Counting(rules)
    counting.add(block)
    return counting.take()


def merge(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for one in tallies:
        total.add(one)
    return total


class Counting:
    """A running tally over many blocks, each of whole lines: groups first, folds late."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._groups: Counter[Group] = Counter()
        self._tally = Tally()

    def add(self, block: bytes) -> None:
        """Counts the complete lines of ``block``."""
        self._tally.lines += block.count(b"\n")
        self._groups.update(self._rules.format.find(block))
        if len(self._groups) > GROUPS_BOUND:
            self._fold()

    def take(self) -> Tally:
        """What was counted since the last ``take``; starts anew."""
        self._fold()
        taken, self._tally = self._tally, Tally()
        return taken

    def _fold(self) -> None:
        fold(self._groups, self._rules.allow, self._tally)
        self._groups.clear()


def fold(groups: Counter[Group], allow: AllowList, into: Tally) -> None:
    """Adds the grouped hits to ``into``. A day that no calendar has (31/Feb) is no hit."""
    for (day, query), n in groups.items():
        iso = iso_day(day)
        if iso is None:
            continue
        known = allow.read(query.decode("ascii"))
        into.hits += n
        into.cells[iso, LEVEL, TRACKED if query else PLAIN] += n
        for variable in VARIABLES:
            into.cells[iso, variable, known.get(variable, NONE)] += n
        into.pairs[iso, known.get("v", NONE), known.get("os", NONE)] += n


_MONTHS = {
    name: number
    for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}


def iso_day(day: bytes) -> str | None:
    """``2026-03-02`` for ``02/Mar/2026``; None where the calendar has no such day."""
    try:
        return date(int(day[7:]), _MONTHS[day[3:6]], int(day[:2])).isoformat()
    except (KeyError, ValueError):
        return None
