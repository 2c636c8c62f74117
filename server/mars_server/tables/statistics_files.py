"""The downloads of declared statistics and error events: each figure as CSV and JSON, from
published weeks alone.

Encodings are those of the other downloads (``mars_server.tables.downloads``). A row without release
and value is of all reports of an entry; a period stands in its last week.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final

from mars.wire.registry import EVENTS, STATISTICS
from mars_server.common.calendar import monday
from mars_server.common.jsontext import encode_json
from mars_server.tables.downloads import Cell, csv_bytes
from mars_server.tables.statistics_week import Entry, StatisticsWeek, Value, encode

COLUMNS: Final = (
    *("week", "first_day", "weeks", "project", "key", "release", "value", "count"),
    *("percent", "low", "high", "installations", "installations_low", "installations_high"),
    *("consenting", "flags"),
)
_SERIES: Final = {STATISTICS: "mars-statistics-series/1", EVENTS: "mars-events-series/1"}


def week_csv(week: StatisticsWeek) -> bytes:
    """All entries whose period ends with ``week``."""
    return csv_bytes(COLUMNS, (row for entry in _ended(week) for row in _rows(week, entry)))


def series_csv(purpose: str, project: str, weeks: Iterable[StatisticsWeek]) -> bytes:
    """The same of one project, or domain of error events, and of all ``weeks`` (oldest first)."""
    found = ((week, entry) for week in weeks for entry in _ended(week, purpose, project))
    return csv_bytes(COLUMNS, (row for each in found for row in _rows(*each)))


def series_json(purpose: str, project: str, weeks: Iterable[StatisticsWeek]) -> bytes:
    """The entries of it as they stand in the documents in which a period of theirs ends,
    those of a week in one object."""
    found = []
    for week in weeks:
        names = {entry.name for entry in _ended(week, purpose, project)}
        if names:
            document = json.loads(encode(week))
            entries = [
                each for each in document["entries"] if f"{each['project']}/{each['key']}" in names
            ]
            found.append({"week": week.week, "flags": list(week.flags), "entries": entries})
    return encode_json({"format": _SERIES[purpose], "project": project, "weeks": found})


def _ended(week: StatisticsWeek, purpose: str = "", project: str = "") -> list[Entry]:
    """Those whose period ends with ``week``, of one project or of all."""
    wanted = (purpose, project)
    return [
        entry
        for entry in week.entries
        if entry.period.last == week.week
        and (not project or wanted == (entry.metric.purpose, entry.metric.project))
    ]


def _rows(week: StatisticsWeek, entry: Entry) -> Iterator[tuple[Cell, ...]]:
    period, guess = entry.period, entry.installations
    begins, metric = monday(period.first).isoformat(), entry.metric
    head = (week.week, begins, period.weeks, metric.project, metric.key)
    numbers = (guess.installations, guess.low, guess.high) if guess else (None,) * 3
    flags = " ".join(dict.fromkeys((*week.flags, *entry.flags)))
    yield (*head, "", "", entry.total, *(None,) * 3, *numbers, entry.consenting, flags)
    for row in entry.values:
        yield (*head, "", row.value, row.count, *_share(row), *(None,) * 5)
    for release in entry.releases:
        yield (*head, release.release, "", release.total, *(None,) * 8)
        for row in release.values:
            yield (*head, release.release, row.value, row.count, *(None,) * 8)


def _share(row: Value) -> tuple[int | None, int | None, int | None]:
    share = row.share
    return (share.percent, share.low, share.high) if share else (None, None, None)
