"""The downloads: every figure as CSV and JSON, from published weeks alone.

Encodings, the same in every file: a multiple of ten, ``<10`` for 0–9, and an empty CSV field or
JSON ``null`` for "no data". A value that has no row in a week is part of that week's ``other``, but
for ages of a small crowd, of which each stands for more.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mars_server.common.calendar import monday
from mars_server.common.jsontext import encode_json
from mars_server.tables.crowd import tracked
from mars_server.tables.estimate import Estimate
from mars_server.tables.floor import NO_DATA, Percent, Published, base, shares
from mars_server.tables.quarters import CROSS
from mars_server.tables.week import TABLES, Row, Week, encode

_FORMAT: Final = "mars-series/3"
SERIES: Final = ("hits", *TABLES, CROSS)
"""The tables with a file of all weeks."""
NOT_GIVEN: Final = "none"
"""The row of hits that do not carry the variable; percentages leave it out."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_HITS: Final = (
    *("week", "first_day", "hits", "installations", "low", "high", "late", "flags"),
    *("interval_from", "interval_to", "noise_epsilon"),
    *("tracked_installations", "tracked_low", "tracked_high", "crowd", "request"),
)
_SUMMED: Final = ("weeks", "base")
_TABLE: Final = ("week", "first_day", "value", "count", "percent", *_SUMMED)
_PAIRS: Final = ("week", "first_day", "v", "os", "count", *_SUMMED)
_WEEK_1: Final = ("week", "first_day", "table", "value", "count", "percent")
_WEEK: Final = (*_WEEK_1, *_SUMMED)
COLUMNS: Final = {"hits": _HITS, ", ".join(TABLES): _TABLE, CROSS: _PAIRS, "WEEK": _WEEK}
"""Of each CSV file, by the names of those that have them."""

Cell = str | int | float | Published | Percent | None


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


def base_of(name: str, rows: Iterable[Row]) -> Published:
    """What the shares of a table are shares of: the hits that carry the variable, at the floors of
    their values; no data where none of these reached ten."""
    return base(row.count for row in rows if name == "level" or row.value != NOT_GIVEN)


def series_csv(name: str, weeks: Iterable[Week]) -> bytes:
    """One row for each week of ``hits``, for each period and pair of ``v-os``, and for each period
    and value of any other table ``name``; a period stands in its last week."""
    if name == "hits":
        rows = ((week.week, _day(week.week), *_hits_row(week)) for week in weeks)
        return csv_bytes(_HITS, rows)
    columns = _PAIRS if name == CROSS else _TABLE
    rows = (row for week in weeks for row in _rows(name, week))
    return csv_bytes(columns, rows)


def _hits_row(week: Week) -> tuple[Cell, ...]:
    guess, users = _numbers(week.estimate).values(), _numbers(tracked(week)).values()
    law, flags = week.interval, " ".join(week.flags)
    return (
        *(week.hits, *guess, week.late, flags, law.low, law.high, week.noise),
        *(*users, week.crowd, week.request),
    )


def _rows(name: str, week: Week) -> list[tuple[Cell, ...]]:
    """Of the period that ends with ``week``, if one does; one row without a value where there is no
    data."""
    if not week.closes(name) or (name == CROSS and not week.pairs and not week.hits.missing):
        return []
    head, span = (week.week, _day(week.since(name))), weeks_of(name, week)
    if name == CROSS:
        whole = base(pair.count for pair in week.pairs)
        pairs = [(*head, pair.v, pair.os, pair.count, span, whole) for pair in week.pairs]
        return [*pairs] or [(*head, "", "", NO_DATA, span, None)]
    whole = base_of(name, week.tables[name])
    rows = [(*head, *row, span, whole) for row in _shared(name, week)]
    nothing = name in week.tables or week.hits.missing
    return [*rows] or [(*head, "", NO_DATA, None, span, None)] * nothing


def weeks_of(name: str, week: Week) -> int:
    """How many weeks the rows of a table sum."""
    return week.periods[name].weeks if name in week.periods else 1


def series_json(name: str, weeks: Iterable[Week]) -> bytes:
    """The same figures, those of a week or period in one object."""
    entries = [{"week": week.week, **_members(name, week)} for week in weeks if _listed(name, week)]
    return encode_json({"format": _FORMAT, "table": name, "weeks": entries})


def _listed(name: str, week: Week) -> bool:
    return name == "hits" or bool(_rows(name, week))


def _members(name: str, week: Week) -> dict[str, Any]:
    if name == "hits":
        users = tracked(week)
        return {
            "hits": week.hits.value,
            **_numbers(week.estimate),
            "late": {"count": week.late.value},
            "flags": list(week.flags),
            "interval_days": {"from": week.interval.low, "to": week.interval.high},
            "noise_epsilon": week.noise,
            "tracked": users and _numbers(users),
            "crowd": week.crowd,
            "request": week.request or None,
        }
    period = {"first_week": week.since(name), "summed_weeks": weeks_of(name, week)}
    pairs = week.pairs
    rows: list[dict[str, object]]
    if name == CROSS:
        whole = base(pair.count for pair in pairs)
        rows = [{"v": one.v, "os": one.os, "count": one.count.value} for one in pairs]
    else:
        whole = base_of(name, week.tables[name])
        rows = [
            {"value": value, "count": count.value, "percent": percent and percent.value}
            for value, count, percent in _shared(name, week)
        ]
    return {**period, "base": {"count": whole.value}, "rows": rows}


def _week_csv(week: Week) -> bytes:
    """All tables of one week in one file, for spreadsheets: those whose period ends with it."""
    head = (week.week, _day(week.week))
    rows: list[tuple[Cell, ...]] = [(*head, "hits", "", week.hits, None, 1, None)]
    for name in TABLES:
        found = _rows(name, week) if week.tables[name] else []
        rows += [(*row[:2], name, *row[2:]) for row in found]
    rows += [
        (*row[:2], CROSS, f"{row[2]} {row[3]}", row[4], None, *row[5:])
        for row in (_rows(CROSS, week) if week.pairs else [])
    ]
    rows.append((*head, "late", "", week.late, None, 1, None))
    columns = _WEEK_1 if week.of_old else _WEEK
    return csv_bytes(columns, (row[: len(columns)] for row in rows))


def cell_text(cell: Cell) -> str:
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


def _numbers(guess: Estimate | None) -> dict[str, int | None]:
    names = ("installations", "low", "high")
    return {name: getattr(guess, name, None) for name in names}


def _day(week: str) -> str:
    return monday(week).isoformat()


def csv_bytes(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180
    writer.writerow(columns)
    writer.writerows([cell_text(cell) for cell in row] for row in rows)
    return out.getvalue().encode("utf-8")
