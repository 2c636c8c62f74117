"""The chart of faults: how many reports of each came week by week, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final

from mars.wire.targeting import clean
from mars_server.common.calendar import following, monday
from mars_server.site.charts.data import COLOURS, REST_KEY, Band, apart, ticks
from mars_server.site.charts.render import Chart
from mars_server.site.language import REST, Language
from mars_server.tables.faults import FaultWeek, reported

RECENT: Final = 26
"""Weeks of the chart and of the histories; the files have all."""
LONGEST: Final = 120
"""Characters of a title on a page, ..."""
_LABEL: Final = 22
"""... and of a place beside the chart, where there is room for no more."""


def short(title: str, most: int = LONGEST) -> str:
    """A clean title; of one that is long, both ends."""
    text = clean(title)
    half = most // 2 - 1
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def ranked(weeks: Sequence[FaultWeek]) -> list[str]:
    """The faults of the chart's weeks, the most frequent first; at the end those of which no
    number is told."""
    sums = reported(weeks[-RECENT:])
    return sorted(sums, key=lambda fault: (-sums[fault], fault))


def is_drawn(weeks: Sequence[FaultWeek]) -> bool:
    """Whether there is a history to draw: of a single week the table says as much."""
    return sum(1 for week in weeks[-RECENT:] if reported([week]).total()) > 1


def bands(weeks: Sequence[FaultWeek]) -> list[Band]:
    """The seven most frequent, the most frequent at the bottom; the others together."""
    sums = reported(weeks[-RECENT:])
    told = [fault for fault in ranked(weeks) if sums[fault]]
    big, rest = told[: len(COLOURS)], told[len(COLOURS) :]
    found = [Band(fault, frozenset({fault}), n) for n, fault in enumerate(big, start=1)]
    return [*found, Band(REST_KEY, frozenset(rest), 0)] if rest else found


def colours(weeks: Sequence[FaultWeek]) -> dict[str, int]:
    """The number of each fault's colour in the chart (0–7); none where there is no chart."""
    found = bands(weeks) if is_drawn(weeks) else []
    return {fault: band.number for band in found for fault in band.values}


def faults_chart(weeks: Sequence[FaultWeek], say: Language) -> Chart:
    """A sum is that of published numbers, so hidden ones are not in it. Bands are named by number,
    since a title can be any text."""
    weeks = weeks[-RECENT:]
    series = bands(weeks)
    rows = []
    for run, part in enumerate(_runs(weeks)):
        steps = [(monday(week.week), _stack(week, series)) for week in part]
        steps.append((monday(following(part[-1].week)), steps[-1][1]))
        rows += [
            {
                "x": day.isoformat(),
                "run": run,
                "series": number,
                "colour": band.colour,
                "dash": band.dash,
                "bottom": places[number][0],
                "top": places[number][1],
            }
            for day, places in steps
            for number, band in enumerate(series)
        ]
    named, form = ticks(weeks[0].week, weeks[-1].week)
    highest = max(sum(_sizes(week, series)) for week in weeks)
    return Chart(
        "faults",
        {"bands": rows, "labels": _labels(weeks[-1], series, highest, say)},
        ticks=named,
        tick_format=form,
        domain=(monday(weeks[0].week).isoformat(), monday(following(weeks[-1].week)).isoformat()),
        numbers=say.numbers,
    )


def _runs(weeks: Sequence[FaultWeek]) -> list[list[FaultWeek]]:
    """Stretches without a gap."""
    found: list[list[FaultWeek]] = []
    for week in weeks:
        if found and following(found[-1][-1].week) == week.week:
            found[-1].append(week)
        else:
            found.append([week])
    return found


def _sizes(week: FaultWeek, series: Sequence[Band]) -> list[int]:
    sums = reported([week])
    return [sum(sums[fault] for fault in band.values) for band in series]


def _stack(week: FaultWeek, series: Sequence[Band]) -> list[tuple[int, int]]:
    return list(pairwise(accumulate(_sizes(week, series), initial=0)))


def _labels(
    week: FaultWeek, series: Sequence[Band], highest: int, say: Language
) -> list[dict[str, object]]:
    shown = [
        (band, size, place)
        for band, size, place in zip(
            series, _sizes(week, series), _stack(week, series), strict=True
        )
        if size
    ]
    middles = apart([sum(place) / 2 / highest for _, _, place in shown])
    return [
        {
            "y": middle * highest,
            "from": place[0],
            "to": place[1],
            "colour": band.colour,
            "text": f"{say.number(size)} · {_name(band, say)}",
        }
        for middle, (band, size, place) in zip(middles, shown, strict=True)
    ]


def _name(band: Band, say: Language) -> str:
    """Where it happened; the table has the whole title beside its colour."""
    if not band.number:
        return say.gettext(REST)
    text = clean(band.name).rpartition(" | ")[2]
    return text if len(text) <= _LABEL else f"…{text[-_LABEL + 1 :]}"
