"""Weekly figures of faults by release, as triage gives them (``errors stats --out``) and as each
week of them is published. Pure.

A row stands for what ten installations met; its number is of the reports that came in that week, in
tens. Titles hold names of the application's own code, which whoever sends reports can choose.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mars.errors import WireError
from mars.wire.product import is_release
from mars_server.common.calendar import FIRST_WEEK, is_week, monday
from mars_server.common.jsontext import encode_json
from mars_server.tables.downloads import Cell, csv_bytes
from mars_server.tables.floor import Published, restore

FORMAT: Final = "mars-faults/1"
_SERIES: Final = "mars-faults-series/1"
MAX_TITLE: Final = 2_000
"""Characters; a type and eight frames, of 150 bytes each, are fewer."""
MAX_ROWS: Final = 20_000
"""Of one week; more faults than triage has room for."""
COLUMNS: Final = ("week", "first_day", "fault", "release", "count")


@dataclass(frozen=True)
class FaultRow:
    """How often a fault was reported in one release."""

    fault: str
    """Its title: ``ValueError | mail.store:load``. Clean and escape it before display."""
    release: str
    count: Published


@dataclass(frozen=True)
class FaultWeek:
    """Those of one ISO week, sorted by fault and release, each pair once."""

    week: str
    rows: tuple[FaultRow, ...]


@dataclass(frozen=True)
class Faults:
    """A file of weeks, oldest first."""

    product: str
    channel: str
    weeks: tuple[FaultWeek, ...]

    @classmethod
    def decode(cls, data: bytes) -> Faults:
        """Raises ``WireError``: ``faults-invalid``, ``not-floored``."""
        try:
            table = json.loads(data)
            if table["format"] != FORMAT:
                raise _invalid("it is no file of weekly figures that errors stats --out writes")
            weeks = tuple(_week(each) for each in table["weeks"])
            names = [each.week for each in weeks]
            if names != sorted(set(names)):
                raise _invalid("its weeks are not in their order")
            return cls(_text(table["product"], 40), _text(table["channel"], 40), weeks)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _invalid("it does not have the published form") from None

    def encode(self) -> bytes:
        """What ``decode`` reads."""
        head = {"format": FORMAT, "product": self.product, "channel": self.channel}
        return encode_json({**head, "weeks": [_plain(week) for week in self.weeks]})

    def each(self) -> Iterator[tuple[str, bytes]]:
        """Each week by name, as the document that is published of it."""
        for week in self.weeks:
            yield week.week, Faults(self.product, self.channel, (week,)).encode()


def series_csv(weeks: Iterable[FaultWeek]) -> bytes:
    """All rows of ``weeks``."""
    return csv_bytes(COLUMNS, (row for week in weeks for row in _cells(week)))


def series_json(weeks: Iterable[FaultWeek]) -> bytes:
    """The same as JSON."""
    return encode_json({"format": _SERIES, "weeks": [_plain(week) for week in weeks]})


def reported(weeks: Iterable[FaultWeek]) -> Counter[str]:
    """The sum of each fault over all its releases in ``weeks``, of published numbers: hidden ones
    count as nothing."""
    sums: Counter[str] = Counter()
    for week in weeks:
        for row in week.rows:
            sums[row.fault] += row.count.least
    return sums


def of(fault: str, week: FaultWeek) -> Sequence[FaultRow]:
    return [row for row in week.rows if row.fault == fault]


def _plain(week: FaultWeek) -> dict[str, Any]:
    rows = [
        {"fault": row.fault, "release": row.release, "count": row.count.value} for row in week.rows
    ]
    return {"week": week.week, "faults": rows}


def _cells(week: FaultWeek) -> Iterator[tuple[Cell, ...]]:
    begins = monday(week.week).isoformat()
    for row in week.rows:
        yield week.week, begins, row.fault, row.release, row.count


def _week(table: dict[str, Any]) -> FaultWeek:
    name, found = table["week"], table["faults"]
    if not (isinstance(name, str) and is_week(name) and name >= FIRST_WEEK):
        raise _invalid(f"{name!r} is no week")
    if not isinstance(found, list) or len(found) > MAX_ROWS:
        raise _invalid(f"{name} has no list of at most {MAX_ROWS} faults")
    rows = tuple(_row(each) for each in found)
    names = [(row.fault, row.release) for row in rows]
    if names != sorted(set(names)):
        raise _invalid(f"the faults of {name} are not in their order")
    return FaultWeek(name, rows)


def _row(table: dict[str, Any]) -> FaultRow:
    count = restore(table["count"])
    if count.missing:
        raise _invalid("a fault has no number")
    fault, release = _text(table["fault"], MAX_TITLE), table["release"]
    if not (isinstance(release, str) and is_release(release)):
        raise _invalid(f"{release!r} is no release")
    return FaultRow(fault, release, count)


def _text(value: object, most: int) -> str:
    if not (isinstance(value, str) and 0 < len(value) <= most):
        raise _invalid(f"a text is missing, empty or longer than {most} characters")
    value.encode()  # half of a surrogate pair is no text: UnicodeEncodeError is a ValueError
    return value


def _invalid(why: str) -> WireError:
    return WireError("faults-invalid", f"These are no weekly figures of faults: {why}.")
