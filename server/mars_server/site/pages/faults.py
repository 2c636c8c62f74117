"""What the page of faults tells: the weeks of each fault and release, from published figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mars_server.site.charts.faults import RECENT, colours, is_drawn, ranked, short
from mars_server.site.language import Language
from mars_server.tables.faults import FaultRow, FaultWeek, of
from mars_server.tables.floor import NO_DATA, Published, together

__all__ = ["colours", "finding", "histories", "is_drawn", "latest", "short"]
"""What the templates use."""

MOST_ROWS: Final = 50
"""Of the latest week; the files have all."""
MOST_FAULTS: Final = 10
MOST_RELEASES: Final = 8
"""With a history on the page, and columns of one."""


@dataclass(frozen=True)
class History:
    """One fault, week by week and release by release."""

    fault: str
    releases: Sequence[str]
    """The newest first."""
    weeks: Sequence[tuple[str, Sequence[Published]]]
    """The newest first, each with its numbers by release."""


def latest(weeks: Sequence[FaultWeek]) -> list[FaultRow]:
    """Those of the last week, the most frequent first."""
    return sorted(
        weeks[-1].rows, key=lambda row: (-row.count.least, row.fault, _newest(row.release))
    )[:MOST_ROWS]


def histories(weeks: Sequence[FaultWeek]) -> list[History]:
    """Of the faults that were reported most in the weeks of the chart."""
    recent = weeks[-RECENT:]
    return [_history(fault, recent) for fault in ranked(weeks)[:MOST_FAULTS]]


def _history(fault: str, weeks: Sequence[FaultWeek]) -> History:
    found = {week.week: {row.release: row.count for row in of(fault, week)} for week in weeks}
    names = {release for rows in found.values() for release in rows}
    releases = sorted(names, key=_newest)[:MOST_RELEASES]
    rows = [
        (week, [counts.get(release, NO_DATA) for release in releases])
        for week, counts in found.items()
        if counts
    ]
    return History(fault, releases, rows[::-1])


def finding(weeks: Sequence[FaultWeek], say: Language) -> str:
    """In a sentence."""
    last = weeks[-1]
    if not last.rows:
        return say.gettext("No fault that ten installations reported is known.")
    total = together(row.count for row in last.rows)
    if total.hidden:
        text = say.gettext("In %(week)s no fault was reported by ten installations of one version.")
        return text % {"week": last.week}
    most = latest(weeks)[0]
    text = say.gettext(
        "In %(week)s the most frequent fault, %(fault)s, was reported %(count)s times or more in "
        "version %(release)s."
    )
    told = {"week": last.week, "fault": short(most.fault), "count": say.number(most.count.least)}
    return text % {**told, "release": most.release}


def _newest(release: str) -> tuple[int, ...]:
    return tuple(-int(part) for part in release.split("."))
