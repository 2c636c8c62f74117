"""Weekly figures of faults by release, floored, that stay once a week is over.

A fault is named where ten installations met it: a crowd that can be read, or ten direct reports of
one release. All that are named stand in each week, met in it or not, so that standing there tells
nothing of the week; its number is floored like any other.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from mars.wire.reports.crowd import NEEDED
from mars_server.common.calendar import following, settled, span
from mars_server.common.jsontext import encode_json
from mars_server.storage import Engine
from mars_server.storage.triage import groups, store
from mars_server.tables.faults import FORMAT
from mars_server.tables.floor import floor

Arrived = list[tuple[str, int, str, str, int]]
"""Week, group, release, kind, number."""


def close(engine: Engine, now: int) -> list[str]:
    """Keeps the figures of weeks that are over at ``now`` (Unix seconds); which these are."""
    with engine.begin() as connection:
        kept = store.documents(connection)
        first = following(max(kept)) if kept else store.first_week(connection)
        due = list(span(first, settled(now))) if first else []
        arrived = store.arrived(connection) if due else []
        titles = {each.id: each.title for each in groups.each(connection)} if due else {}
        made = {week: json.dumps(figures(arrived, titles, week)) for week in due}
        store.keep(connection, made)
    return due


def figures(arrived: Arrived, titles: Mapping[int, str], week: str) -> list[dict[str, Any]]:
    """Of one week, by fault and release."""
    total: Counter[tuple[int, str, str]] = Counter()
    within: Counter[tuple[int, str, str]] = Counter()
    for when, group, release, kind, n in arrived:
        total[group, release, kind] += n
        within[group, release, kind] += n if when == week else 0
    named: Counter[tuple[int, str]] = Counter()
    for (group, release, kind), n in total.items():
        if n >= NEEDED:
            named[group, release] += within[group, release, kind]
    rows = [
        {"fault": titles[group], "release": release, "count": floor(n).value}
        for (group, release), n in named.items()
    ]
    return sorted(rows, key=lambda row: (str(row["fault"]), str(row["release"])))


def published(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All weeks that are over, in their order."""
    with engine.connect() as connection:
        return {week: json.loads(text) for week, text in store.documents(connection).items()}


def document(engine: Engine) -> bytes:
    """The same as a file for the site."""
    with engine.connect() as connection:
        names = {key: store.noted(connection, key) for key in ("product", "channel")}
    weeks = [{"week": week, "faults": rows} for week, rows in published(engine).items()]
    return encode_json({"format": FORMAT, **names, "weeks": weeks})


def lines(weeks: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    """For people."""
    for week, rows in weeks.items():
        for row in rows:
            yield f"{week}  {row['count']:>8}  {row['release']:12} {row['fault']}"
