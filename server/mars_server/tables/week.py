"""One published week: its figures, and the exact bytes that stand for it for ever.

The JSON of a week is written once, at publication, and kept; everything else that is published
(CSV, series, charts, pages) is made from these documents and never from exact counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from mars.errors import WireError
from mars.wire.variables import NAMES
from mars_server.common.calendar import monday, sunday
from mars_server.common.jsontext import encode_json
from mars_server.tables.estimate import Estimate, Interval
from mars_server.tables.floor import Published, restore
from mars_server.tables.noise import TOLD, deviation
from mars_server.tables.quarters import Summed

FORMAT: Final = "mars-week/2"
_FORMAT_1: Final = "mars-week/1"
"""Of weeks published before there were periods: each of its tables is of its week alone."""

TABLES: Final = ("level", *NAMES)
"""The one-dimensional tables, in the order of pages and files."""


@dataclass(frozen=True)
class Row:
    """One cell of a table."""

    value: str
    count: Published


class Tables(dict[str, tuple[Row, ...]]):
    """The rows of a week by table. A table that did not exist when it was published has none."""

    def __missing__(self, name: str) -> tuple[Row, ...]:
        return ()


@dataclass(frozen=True)
class Pair:
    """One cell of the only cross table, version × platform."""

    v: str
    os: str
    count: Published


@dataclass(frozen=True)
class Week:
    """Everything that is published about one ISO week of one product and channel."""

    product: str
    channel: str
    week: str
    hits: Published
    tables: Mapping[str, tuple[Row, ...]]
    pairs: tuple[Pair, ...]
    estimate: Estimate | None
    interval: Interval
    late: Published
    """Hits of weeks closed earlier that came too late and were dropped, since the last report."""
    noise: float | None
    """The privacy budget epsilon per installation and week, None without noise."""
    flags: tuple[str, ...]
    crowd: int | None = None
    """As the product had it; None in format 1."""
    request: str = ""
    """What a request says in such a crowd, as it was told then."""
    tracked: Estimate | None = None
    """Installations that send metrics, from the hits of that level; None in format 1 too."""
    periods: Mapping[str, Summed] = field(default_factory=dict)
    """The period that each table is in; its rows stand in the last week of it. Empty in format 1:
    there each table stands in each week."""

    @property
    def of_old(self) -> bool:
        """Of format 1."""
        return self.crowd is None

    def since(self, table: str) -> str:
        """The first week that the rows of ``table`` sum."""
        return self.periods[table].first if table in self.periods else self.week

    def closes(self, table: str) -> bool:
        """Whether a period of ``table`` ends with this week, so that its rows stand here."""
        return table not in self.periods or self.periods[table].last == self.week

    @property
    def deviation(self) -> float:
        """The standard deviation of the noise in each number of hits; 0 without noise."""
        return 0.0 if self.noise is None else deviation(self.noise, len(self.tables))

    def tells(self, count: Published, deviations: float = TOLD) -> bool:
        """Whether ``count`` may be told as a finding: not hidden, and hardly noise alone."""
        return count.least > 0 and count.least >= deviations * self.deviation

    def count(self, table: str, value: str) -> Published | None:
        """The cell of ``value``, or None where the table does not list it."""
        return next((row.count for row in self.tables[table] if row.value == value), None)


def encode(week: Week) -> bytes:
    """The bytes of ``WEEK.json``: one member a line, ASCII, one trailing newline."""
    table: dict[str, object] = {
        "format": _FORMAT_1 if week.of_old else FORMAT,
        "product": week.product,
        "channel": week.channel,
        "week": week.week,
        "first_day": monday(week.week).isoformat(),
        "last_day": sunday(week.week).isoformat(),
        "hits": week.hits.value,
        "estimate": week.estimate and asdict(week.estimate),
        "interval_days": {"from": week.interval.low, "to": week.interval.high},
        **({} if week.of_old else _of_crowd(week)),
        "tables": {
            name: [{"value": row.value, "count": row.count.value} for row in rows]
            for name, rows in week.tables.items()
        },
        "version_platform": [
            {"v": pair.v, "os": pair.os, "count": pair.count.value} for pair in week.pairs
        ],
        "late": {"count": week.late.value},
        "noise_epsilon": week.noise,
        "flags": list(week.flags),
    }
    return encode_json(table)


def _of_crowd(week: Week) -> dict[str, object]:
    """What format 2 has beside format 1."""
    return {
        "crowd": week.crowd,
        "request": week.request,
        "tracked": week.tracked and asdict(week.tracked),
        "periods": {
            name: {"weeks": each.every, "first_week": each.first, "last_week": each.last}
            for name, each in week.periods.items()
        },
    }


def decode(data: bytes) -> Week:
    """Reads a week document. Raises ``WireError`` (``week-document``, ``not-floored``).

    It must be what ``encode`` writes, byte for byte, so no number can hide beside the floors.
    """
    try:
        week = _read(json.loads(data, parse_constant=_refuse))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WireError("week-document", "A week file does not have the published form.") from None
    if encode(week) != data:
        raise WireError("week-document", "A week file was changed after it was published.")
    return week


def _refuse(constant: str) -> None:
    """NaN and infinities are no JSON."""
    raise ValueError(constant)


def _read(table: dict[str, Any]) -> Week:
    span = table["interval_days"]
    of_old = table["format"] == _FORMAT_1
    return Week(
        product=str(table["product"]),
        channel=str(table["channel"]),
        week=str(table["week"]),
        hits=restore(table["hits"]),
        tables=Tables(
            {
                str(name): tuple(Row(str(row["value"]), restore(row["count"])) for row in rows)
                for name, rows in table["tables"].items()
            }
        ),
        pairs=tuple(
            Pair(str(pair["v"]), str(pair["os"]), restore(pair["count"]))
            for pair in table["version_platform"]
        ),
        estimate=_read_estimate(table["estimate"]),
        interval=Interval(float(span["from"]), float(span["to"])),
        late=restore(table["late"]["count"]),
        noise=None if table["noise_epsilon"] is None else float(table["noise_epsilon"]),
        flags=tuple(str(flag) for flag in table["flags"]),
        crowd=None if of_old else int(table["crowd"]),
        request="" if of_old else str(table["request"]),
        tracked=None if of_old else _read_estimate(table["tracked"]),
        periods={} if of_old else _read_periods(table["periods"]),
    )


def _read_estimate(guess: dict[str, Any] | None) -> Estimate | None:
    names = ("installations", "low", "high")
    return None if guess is None else Estimate(*(int(guess[name]) for name in names))


def _read_periods(table: dict[str, Any]) -> dict[str, Summed]:
    return {
        str(name): Summed(int(each["weeks"]), str(each["first_week"]), str(each["last_week"]))
        for name, each in table.items()
    }
