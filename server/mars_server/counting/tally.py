"""The pure core of counting: bytes of a log in, sums by day out.

Lines are cut at LF alone, as bytes, never by a text decoder. A block is matched as a whole, equal
hits are grouped, and only the distinct ones are read by the allow-list; coarse metrics make few of
them. What cannot be grouped (an attacker's all-distinct queries) is folded into the sums as soon
as the groups pass a bound, so memory does not grow with the log.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from mars.errors import ConfigError
from mars.wire.query import NONE, AllowList
from mars.wire.variables import NAMES
from mars_server.common.calendar import iso_day
from mars_server.counting import formats
from mars_server.counting.blocks import Lines
from mars_server.counting.reports import Digests

LEVEL = "level"
_PLAIN = "plain"
_TRACKED = "tracked"
COUNTED = (LEVEL, *NAMES)
"""The variables that are counted, in the order in which they are shown."""
_V, _OS = COUNTED.index("v"), COUNTED.index("os")

GROUPS_BOUND = 16_384
"""Distinct hits held before they are folded: at most some 8 MB."""

_SAMPLE, _LATER = 64, 4
"""Lines of each block, spread over it, that are asked whether they fit the format: of the first
blocks, and once ``_ENOUGH`` were asked."""
_ENOUGH = 1024
UNREAD = 20
"""Lines in no known format that a long log may hold, such as of an error log that goes the same
way, or a twentieth of it; a short one half of its lines."""

Cell = tuple[str, str, str]
"""ISO day, variable, value; in ``Tally.pairs`` ISO day, version, platform."""
Row = tuple[str, ...]
"""ISO day, and the value of each of ``COUNTED``. Never leaves this module."""


@dataclass
class Tally:
    """Sums over some complete lines. ``lines = hits + rejected`` always holds."""

    lines: int = 0
    hits: int = 0
    unread: int = field(default=0, compare=False)
    """Of ``lines``, about how many fit no format, by a sample of each block."""
    packed: bool = field(default=False, compare=False)
    """An archive begins where a line should."""
    cells: Counter[Cell] = field(default_factory=Counter)
    pairs: Counter[Cell] = field(default_factory=Counter)
    opened: Digests = field(default_factory=dict)
    """Of a spool: what became of its lines."""
    waiting: int = 0
    """Its lines that are sealed to other keys than those given."""
    passed: int = 0
    """Its lines that are error reports, which triage opens."""

    @property
    def rejected(self) -> int:
        return self.lines - self.hits

    def add(self, other: Tally) -> None:
        """Adds ``other``; the order in which tallies are added does not matter."""
        self.lines += other.lines
        self.hits += other.hits
        self.unread += other.unread
        self.packed |= other.packed
        self.cells.update(other.cells)
        self.pairs.update(other.pairs)
        self.waiting += other.waiting
        self.passed += other.passed
        both = {**other.opened, **self.opened}
        shared = self.opened.keys() & other.opened.keys()
        self.opened = both | {each: self.opened[each] + other.opened[each] for each in shared}

    def days(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{day: {variable: {value: n}}}``, days and values sorted, no zeros."""
        table: dict[str, dict[str, dict[str, int]]] = {}
        for (day, variable, value), n in sorted(self.cells.items()):
            values = table.setdefault(day, {name: {} for name in COUNTED})[variable]
            values[value] = n
        return table


def is_unread(lines: int, unread: int) -> bool:
    """Whether so many of a log's lines fit no format that it must not go as one that was read."""
    return unread > max(lines / 20, min(lines / 2, UNREAD))


def merge(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for one in tallies:
        total.add(one)
    return total


def _count_lf(data: bytes) -> int:
    """``data.count(b"\\n")`` in half the time: CPython 3.11–3.13 counts one byte by a plain loop,
    but replaces it by memchr."""
    return len(data) - len(data.replace(b"\n", b""))


@cache
def named(name: str) -> formats.Format:
    """Raises ``ConfigError`` (``log-format``)."""
    if name == formats.COMBINED:
        return formats.Combined()
    if name == formats.JSON:
        from mars_server.counting.jsonlines import JsonLines  # late: its parser is a library

        return JsonLines()
    raise ConfigError("log-format", f"Known log formats are {', '.join(formats.NAMES)}.")


class Counting:
    """A running tally over the pieces of a log, or over framed blocks: groups first, folds late."""

    def __init__(self, allow: AllowList, format_name: str = formats.COMBINED) -> None:
        """``allow`` says which values may be counted."""
        self._allow = allow
        self._format = named(format_name)
        self._lines = Lines(self._format.shorten)
        self._hits: defaultdict[bytes, Counter[bytes]] = defaultdict(Counter)
        self._mixed: Counter[tuple[bytes, bytes]] = Counter()
        self._tally = Tally()
        self._asked = 0

    def feed(self, chunk: bytes) -> None:
        """Counts the lines that ``chunk`` completes."""
        self.add(self._lines.feed(chunk))

    @property
    def unfinished(self) -> bool:
        """As in ``Lines``; then nothing of it may be stored."""
        return self._lines.unfinished

    def add(self, lines: bytes) -> None:
        """Counts ``lines``, a framed block or nothing."""
        number = _count_lf(lines) - 1 if lines else 0
        self._tally.lines += number
        self._tally.unread += self._unread(lines, number)
        found = self._format.find(lines)
        self._mixed.update(found.pairs)
        if found.hits:
            self._hits[found.day].update(found.hits)
        if sum(map(len, self._hits.values()), len(self._mixed)) > GROUPS_BOUND:
            self._fold()

    def _unread(self, lines: bytes, number: int) -> int:
        """Empty lines and comments fit every format."""
        some = list(_sample(lines, number, _SAMPLE if self._asked < _ENOUGH else _LATER))
        self._asked += len(some)
        fit = sum(line[:1] in (b"", b"#", b"\r") or self._format.fits(line) for line in some)
        return number * (len(some) - fit) // len(some) if some else 0

    def take(self) -> Tally:
        """What was counted since the last ``take``; starts anew."""
        self._fold()
        taken, self._tally = self._tally, Tally()
        if self._lines.archive:
            taken.packed, taken.unread = True, max(taken.unread, 1)
        return taken

    def _fold(self) -> None:
        rows: Counter[Row] = Counter()
        known: dict[bytes, list[str]] = {}  # each query is read once, on however many days it came
        for day, hits in self._hits.items():
            for hit, n in hits.items():
                self._put(rows, known, day, hit, n)
        for (day, hit), n in self._mixed.items():
            self._put(rows, known, day, hit, n)
        self._hits.clear()
        self._mixed.clear()
        tally = self._tally
        for (iso, *values), n in rows.items():  # hits that are alike in everything that is counted
            tally.hits += n
            for variable, value in zip(COUNTED, values, strict=True):
                tally.cells[iso, variable, value] += n
            tally.pairs[iso, values[_V], values[_OS]] += n

    def _put(
        self, rows: Counter[Row], known: dict[bytes, list[str]], day: bytes, hit: bytes, n: int
    ) -> None:
        """One distinct hit. A day that no calendar has (31/Feb) makes it none."""
        read = self._format.read(day, hit)
        iso = iso_day(read[0]) if read else None
        if read and iso:
            values = known.get(read[1])
            if values is None:
                values = known[read[1]] = self._values(read[1][1:].decode("ascii"))
            rows[iso, *values] += n

    def _values(self, query: str) -> list[str]:
        """Those of each of ``COUNTED``."""
        values = self._allow.read(query)
        level = _TRACKED if query else _PLAIN
        return [level, *[values.get(name, NONE) for name in NAMES]]


def _sample(lines: bytes, number: int, most: int) -> Iterator[bytes]:
    """All of a framed block's ``number`` lines, or about ``most`` of them."""
    step = len(lines) // most if number > most else 0
    at = 0
    while at >= 0 and (end := lines.find(b"\n", at + 1)) > 0:
        yield lines[at + 1 : end]
        at = lines.find(b"\n", max(end, at + step))
