"""The downloads: every figure as CSV and JSON, from published weeks alone.

Encodings, the same in every file: a multiple of ten, ``<10`` for 0–9, and an empty CSV field or
JSON ``null`` for "no data". A value that has no row in a week is part of that week's ``other``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mars_server.common.calendar import monday
from mars_server.common.jsontext import encode_json
from mars_server.tables.floor import Percent, Published, shares
from mars_server.tables.week import TABLES, Row, Week, encode

_FORMAT: Final = "mars-series/2"
SERIES: Final = ("hits", *TABLES, "v-os")
"""The tables with a file of all weeks."""
NOT_GIVEN: Final = "none"
"""The row of hits that do not carry the variable; percentages leave it out."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_HITS: Final = (
    *("week", "first_day", "hits", "installations", "low", "high", "late", "flags"),
    *("interval_from", "interval_to", "noise_epsilon"),
)
_TABLE: Final = ("week", "first_day", "value", "count", "percent")
_PAIRS: Final = ("week", "first_day", "v", "os", "count")
_WEEK: Final = ("week", "first_day", "table", "value", "count", "percent")
COLUMNS: Final = {"hits": _HITS, ", ".join(TABLES): _TABLE, "v-os": _PAIRS, "WEEK": _WEEK}
"""Of each CSV file, by the names of those that have them."""

_Cell = str | int | float | Published | Percent | None


def data_files(weeks: Sequence[Week]) -> dict[str, bytes]:
    """All files of ``data/`` but the index, by name. ``weeks`` oldest first."""
    files: dict[str, bytes] = {}
    for week in weeks:
        files[f"{week.week}.json"] = encode(week)
        files[f"{week.week}.csv"] = _week_csv(week)
    for name in SERIES:
        files[f"{name}.json"] = series_json(name, weeks)
        files[f"{name}.csv"] = series_csv(name, weeks)
    return files


def percents(name: str, rows: Iterable[Row]) -> dict[str, Percent]:
    """The share of each row among the hits that carry the variable, at their floors."""
    given = [row for row in rows if name == "level" or row.value != NOT_GIVEN]
    values = [row.value for row in given]
    return dict(zip(values, shares([row.count for row in given]), strict=True))


def series_csv(name: str, weeks: Iterable[Week]) -> bytes:
    """One row for each week of ``hits``, for each week and pair of ``v-os``, and for each week and
    value of any other table ``name``."""
    columns = {"hits": _HITS, "v-os": _PAIRS}.get(name, _TABLE)
    rows = ((week.week, _day(week), *row) for week in weeks for row in _rows(name, week))
    return _csv(columns, rows)


def _rows(name: str, week: Week) -> Sequence[tuple[_Cell, ...]]:
    """Without the columns that name the week; one row without a value where there is no data."""
    match name:
        case "hits":
            law, flags = week.interval, " ".join(week.flags)
            estimate = _numbers(week).values()
            return [(week.hits, *estimate, week.late, flags, law.low, law.high, week.noise)]
        case "v-os":
            pairs = [(pair.v, pair.os, pair.count) for pair in week.pairs]
            return [("", "", week.hits)] if week.hits.missing else pairs
        case _:
            return [("", week.hits, None)] if week.hits.missing else _shared(name, week)


def series_json(name: str, weeks: Iterable[Week]) -> bytes:
    """The same figures, those of a week in one object."""
    entries = [
        {"week": week.week, "hits": week.hits.value, **_members(name, week)} for week in weeks
    ]
    return encode_json({"format": _FORMAT, "table": name, "weeks": entries})


def _members(name: str, week: Week) -> dict[str, Any]:
    match name:
        case "hits":
            return {
                **_numbers(week),
                "late": {"count": week.late.value},
                "flags": list(week.flags),
                "interval_days": {"from": week.interval.low, "to": week.interval.high},
                "noise_epsilon": week.noise,
            }
        case "v-os":
            pairs = week.pairs
            return {"rows": [{"v": one.v, "os": one.os, "count": one.count.value} for one in pairs]}
        case _:
            rows = [
                {"value": value, "count": count.value, "percent": percent and percent.value}
                for value, count, percent in _shared(name, week)
            ]
            return {"rows": rows}


def _week_csv(week: Week) -> bytes:
    """All tables of one week in one file, for spreadsheets."""
    rows: list[tuple[_Cell, ...]] = [("hits", "", week.hits, None)]
    for name in TABLES:
        rows += [(name, *row) for row in _shared(name, week) if not week.hits.missing]
    rows += [("v-os", f"{pair.v} {pair.os}", pair.count, None) for pair in week.pairs]
    rows.append(("late", "", week.late, None))
    return _csv(_WEEK, ((week.week, _day(week), *row) for row in rows))


def cell_text(cell: _Cell) -> str:
    """One CSV field. Text that a spreadsheet would run as a formula gets a leading quote."""
    if isinstance(cell, Published | Percent):
        cell = cell.value
    if cell is None:
        return ""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _shared(name: str, week: Week) -> list[tuple[str, Published, Percent | None]]:
    """Value, count and share of each row of a table."""
    shares_ = percents(name, week.tables[name])
    return [(row.value, row.count, shares_.get(row.value)) for row in week.tables[name]]


def _numbers(week: Week) -> dict[str, int | None]:
    names = ("installations", "low", "high")
    return {name: getattr(week.estimate, name, None) for name in names}


def _day(week: Week) -> str:
    return monday(week.week).isoformat()


def _csv(columns: Sequence[str], rows: Iterable[Sequence[_Cell]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(columns)
    writer.writerows([cell_text(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8")
