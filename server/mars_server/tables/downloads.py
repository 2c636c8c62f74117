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

SERIES: Final = "mars-series/2"
NOT_GIVEN: Final = "none"
"""The row of hits that do not carry the variable; percentages leave it out."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

HIT_COLUMNS: Final = (
    *("week", "first_day", "hits", "installations", "low", "high", "late", "flags"),
    *("interval_from", "interval_to", "noise_epsilon"),
)
TABLE_COLUMNS: Final = ("week", "first_day", "value", "count", "percent")
PAIR_COLUMNS: Final = ("week", "first_day", "v", "os", "count")
WEEK_COLUMNS: Final = ("week", "first_day", "table", "value", "count", "percent")

Cell = str | int | float | Published | Percent | None


def data_files(weeks: Sequence[Week]) -> dict[str, bytes]:
    """All files of ``data/`` but the index, by name. ``weeks`` oldest first."""
    files: dict[str, bytes] = {}
    for week in weeks:
        files[f"{week.week}.json"] = encode(week)
        files[f"{week.week}.csv"] = week_csv(week)
    files["hits.json"], files["hits.csv"] = hits_json(weeks), hits_csv(weeks)
    for name in TABLES:
        files[f"{name}.json"] = table_json(name, weeks)
        files[f"{name}.csv"] = table_csv(name, weeks)
    files["v-os.json"], files["v-os.csv"] = pairs_json(weeks), pairs_csv(weeks)
    return files


def percents(name: str, rows: Iterable[Row]) -> dict[str, Percent]:
    """The share of each row among the hits that carry the variable, at their floors."""
    given = [row for row in rows if name == "level" or row.value != NOT_GIVEN]
    values = [row.value for row in given]
    return dict(zip(values, shares([row.count for row in given]), strict=True))


def hits_csv(weeks: Iterable[Week]) -> bytes:
    return _csv(
        HIT_COLUMNS,
        (
            (
                week.week,
                _day(week),
                week.hits,
                *_numbers(week),
                week.late,
                " ".join(week.flags),
                week.interval.low,
                week.interval.high,
                week.noise,
            )
            for week in weeks
        ),
    )


def hits_json(weeks: Iterable[Week]) -> bytes:
    return _series(
        "hits",
        [
            {
                "week": week.week,
                "hits": week.hits.value,
                **dict(zip(("installations", "low", "high"), _numbers(week), strict=True)),
                "late": {"count": week.late.value},
                "flags": list(week.flags),
                "interval_days": {"from": week.interval.low, "to": week.interval.high},
                "noise_epsilon": week.noise,
            }
            for week in weeks
        ],
    )


def table_csv(name: str, weeks: Iterable[Week]) -> bytes:
    return _csv(TABLE_COLUMNS, (row for week in weeks for row in _table_rows(name, week)))


def table_json(name: str, weeks: Iterable[Week]) -> bytes:
    return _series(
        name,
        [
            {
                "week": week.week,
                "hits": week.hits.value,
                "rows": [
                    {"value": value, "count": count.value, "percent": percent and percent.value}
                    for value, count, percent in _shared(name, week)
                ],
            }
            for week in weeks
        ],
    )


def pairs_csv(weeks: Iterable[Week]) -> bytes:
    rows: list[tuple[Cell, ...]] = []
    for week in weeks:
        rows += [(week.week, _day(week), pair.v, pair.os, pair.count) for pair in week.pairs]
        if week.hits.missing:
            rows.append((week.week, _day(week), "", "", week.hits))
    return _csv(PAIR_COLUMNS, rows)


def pairs_json(weeks: Iterable[Week]) -> bytes:
    return _series(
        "v-os",
        [
            {
                "week": week.week,
                "hits": week.hits.value,
                "rows": [
                    {"v": pair.v, "os": pair.os, "count": pair.count.value} for pair in week.pairs
                ],
            }
            for week in weeks
        ],
    )


def week_csv(week: Week) -> bytes:
    """All tables of one week in one file, for spreadsheets."""
    rows: list[tuple[Cell, ...]] = [(week.week, _day(week), "hits", "", week.hits, None)]
    for name in TABLES:
        rows += [
            (week.week, _day(week), name, value, count, percent)
            for _, _, value, count, percent in _table_rows(name, week)
            if not week.hits.missing
        ]
    rows += [
        (week.week, _day(week), "v-os", f"{pair.v} {pair.os}", pair.count, None)
        for pair in week.pairs
    ]
    rows.append((week.week, _day(week), "late", "", week.late, None))
    return _csv(WEEK_COLUMNS, rows)


def cell_text(cell: Cell) -> str:
    """One CSV field. Text that a spreadsheet would run as a formula gets a leading quote."""
    if isinstance(cell, Published | Percent):
        cell = cell.value
    if cell is None:
        return ""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _table_rows(name: str, week: Week) -> Iterable[tuple[Cell, Cell, Cell, Cell, Cell]]:
    """The rows of one table and week; one row without a value where there is no data."""
    if week.hits.missing:
        return [(week.week, _day(week), "", week.hits, None)]
    return [(week.week, _day(week), *cells) for cells in _shared(name, week)]


def _shared(name: str, week: Week) -> list[tuple[str, Published, Percent | None]]:
    """Value, count and share of each row of a table."""
    shares_ = percents(name, week.tables[name])
    return [(row.value, row.count, shares_.get(row.value)) for row in week.tables[name]]


def _numbers(week: Week) -> tuple[int | None, int | None, int | None]:
    guess = week.estimate
    if guess is None:
        return None, None, None
    return guess.installations, guess.low, guess.high


def _day(week: Week) -> str:
    return monday(week.week).isoformat()


def _series(name: str, weeks: list[dict[str, Any]]) -> bytes:
    return encode_json({"format": SERIES, "table": name, "weeks": weeks})


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(columns)
    writer.writerows([cell_text(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8")
