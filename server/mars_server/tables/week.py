"""One published week: its figures, and the exact bytes that stand for it for ever.

The JSON of a week is written once, at publication, and kept; everything else that is published
(CSV, series, charts, pages) is made from these documents and never from exact counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from mars.errors import WireError
from mars.wire.variables import NAMES
from mars_server.common.calendar import monday, sunday
from mars_server.common.jsontext import encode_json
from mars_server.tables.estimate import Estimate, Interval
from mars_server.tables.floor import Published, restore
from mars_server.tables.noise import TOLD, deviation

FORMAT: Final = "mars-week/1"

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
    table = {
        "format": FORMAT,
        "product": week.product,
        "channel": week.channel,
        "week": week.week,
        "first_day": monday(week.week).isoformat(),
        "last_day": sunday(week.week).isoformat(),
        "hits": week.hits.value,
        "estimate": week.estimate and asdict(week.estimate),
        "interval_days": {"from": week.interval.low, "to": week.interval.high},
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
    guess = table["estimate"]
    span = table["interval_days"]
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
        estimate=guess
        and Estimate(*(int(guess[name]) for name in ("installations", "low", "high"))),
        interval=Interval(float(span["from"]), float(span["to"])),
        late=restore(table["late"]["count"]),
        noise=None if table["noise_epsilon"] is None else float(table["noise_epsilon"]),
        flags=tuple(str(flag) for flag in table["flags"]),
    )
