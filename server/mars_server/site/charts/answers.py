"""The chart of one declared entry: the shares of its values, period by period, stacked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import accumulate, pairwise
from typing import Final

from mars.wire.catalogue import OTHER_RELEASE as OTHER
from mars.wire.events import BELOW_1, BELOW_10, FEW, MORE, NO_FAILURE
from mars.wire.registry import EVENTS, VERSION
from mars_server.common.calendar import following, monday
from mars_server.site.charts.data import (
    COLOURS,
    MIDDLE,
    REST_KEY,
    Band,
    Place,
    apart,
    banded,
    ticks,
)
from mars_server.site.charts.render import Chart
from mars_server.site.declared import Declared, Period, is_failed_share, ordered
from mars_server.site.language import REST, Language

_WHOLE: Final = 100
"""Percent; the stack is taller where shares that were rounded or corrected add up to more."""
_SEVERITY: Final = {MORE: 6, BELOW_10: 2, BELOW_1: 7, NO_FAILURE: 1, FEW: 0}
"""The colours of how much failed, always the same: warm where it is much, grey where nothing can be
said."""
_NEW: Final = 10
"""Percent of the latest period from which a value has a band, however small it was before."""


def told(periods: Sequence[Period]) -> list[Period]:
    """Those in which a value has a share that can be drawn."""
    return [period for period in periods if any(_heights(period).values())]


def is_drawn(entry: Declared) -> bool:
    """Whether there is a history to draw: of a single period the table says as much, and of a
    domain of error events the share that failed is drawn alone."""
    other = entry.metric.purpose == EVENTS and not is_failed_share(entry.metric)
    return not other and len(told(entry.recent)) > 1


def bands(entry: Declared) -> list[Band]:
    """The biggest seven values by themselves, those of the latest period first; the others
    together. In the order of the tables."""
    periods = told(entry.recent)
    sums: dict[str, int] = defaultdict(int)
    for period in periods:
        for value, height in _heights(period).items():
            sums[value] += height
    if not periods:
        return []
    new = {value for value, height in _heights(periods[-1]).items() if height >= _NEW}
    ranked = sorted(sums, key=lambda value: (value not in new, -sums[value]))
    open_ = OTHER if entry.metric.type == VERSION else None  # of an enumeration a value as any
    big = set([value for value in ranked if sums[value] and value != open_][: len(COLOURS)])
    named = [value for value in ordered(entry.metric, sums) if value in big]
    if is_failed_share(entry.metric):
        return [Band(value, frozenset({value}), _SEVERITY.get(value, 0)) for value in named]
    found = [Band(value, frozenset({value}), n) for n, value in enumerate(named, start=1)]
    rest = frozenset(value for value, height in sums.items() if height) - big
    return [*found, Band(REST_KEY, rest, 0)] if rest else found


def colours(entry: Declared) -> dict[str, int]:
    """The number of each value's colour in the chart (0–7); none where there is no chart."""
    found = bands(entry) if is_drawn(entry) else []
    return {value: band.number for band in found for value in band.values}


def answers_chart(entry: Declared, say: Language, *, narrow: bool = False) -> Chart:
    """A period without shares leaves a gap; what the shares leave open stays open."""
    periods, series = told(entry.recent), bands(entry)
    rows: list[Mapping[str, object]] = []
    for run, part in enumerate(_runs(periods)):
        steps = [(monday(period.first), _stack(period, series)) for period in part]
        steps.append((monday(following(part[-1].last)), steps[-1][1]))
        rows += banded(run, steps, series)
    first, last = periods[0].first, periods[-1].last
    days, form = ticks(first, last)
    return Chart(
        "shares",
        {
            "bands": rows,
            "labels": _labels(entry, periods[-1], series, say),
            "inside": [],
            "releases": [],
            "marks": [
                {"x": (monday(period.last) + timedelta(days=MIDDLE)).isoformat()}
                for period in periods
                if "disturbed" in period.flags
            ],
        },
        ticks=days,
        tick_format=form,
        domain=(monday(first).isoformat(), monday(following(last)).isoformat()),
        numbers=say.numbers,
        narrow=narrow,
    )


def _heights(period: Period) -> dict[str, int]:
    """The share of each value in percent, 0 where nothing can be told."""
    return {row.value: period.share(row) for row in period.figures.values}


def _stack(period: Period, series: Sequence[Band]) -> dict[str, Place]:
    heights = _heights(period)
    sizes = [sum(heights.get(value, 0) for value in band.values) for band in series]
    whole = max(_WHOLE, sum(sizes))
    edges = [edge / whole for edge in accumulate(sizes, initial=0)]
    return dict(zip((band.name for band in series), pairwise(edges), strict=True))


def _labels(
    entry: Declared, period: Period, series: Sequence[Band], say: Language
) -> list[dict[str, object]]:
    heights, places = _heights(period), _stack(period, series)
    shown = [band for band in series if places[band.name][0] < places[band.name][1]]
    middles = apart([sum(places[band.name]) / 2 for band in shown])
    return [
        {
            "y": middle,
            "from": places[band.name][0],
            "to": places[band.name][1],
            "colour": band.colour,
            "text": f"{say.whole(sum(heights.get(value, 0) for value in band.values))} · "
            f"{_name(entry, band, say)}",
        }
        for band, middle in zip(shown, middles, strict=True)
    ]


def _name(entry: Declared, band: Band, say: Language) -> str:
    if band.name != REST_KEY:
        return say.said(entry.metric, band.name)
    return say.said(entry.metric, OTHER) if band.values == {OTHER} else say.gettext(REST)


def _runs(periods: Sequence[Period]) -> list[list[Period]]:
    """Stretches without a gap."""
    found: list[list[Period]] = []
    for period in periods:
        if found and following(found[-1][-1].last) == period.first:
            found[-1].append(period)
        else:
            found.append([period])
    return found
