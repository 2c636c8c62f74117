"""What the charts show, as rows for the renderer; made from published weeks alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Final

from mars.wire.query import OTHER
from mars_server.charts.axis import ticks
from mars_server.charts.render import Chart, Rows
from mars_server.publication.document import Week
from mars_server.publication.files import NOT_GIVEN
from mars_server.publication.weeks import following, monday

COLOURS: Final = ("#2f6f95", "#e0a13c", "#5d9a68", "#a65a7c", "#7a71b8", "#c9694a", "#4fa5a5")
"""In order; also in the style sheet as ``.s1`` to ``.s7``. Told apart with common colour blindness
by their lightness, and by the dashes."""
REST_COLOUR: Final = "#b9c2c8"
LIGHT_COLOURS: Final = (COLOURS[1], REST_COLOUR)
DARK_INK: Final = "#101a20"
"""For text on the light ones of these colours, in both themes."""
DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4], [4, 2, 1, 2])
SMALLEST_BAND: Final = 100
"""A value gets a band of its own from one part in this many on."""
SMALLEST_NEW: Final = 10
"""In the latest week: one part in this many."""
REST: Final = "rest"
"""Everything that has no band of its own, drawn on top."""
THINNEST_LABEL: Final = 0.005
"""Share from which a band of the last week is named beside the chart."""
LOWEST_NAMED: Final = 0.15
"""Share from which a band that is gone by then is named inside the chart."""
MIDDLE: Final = 3
"""The day of a week (0 is Monday) at which a figure of the whole week stands."""
LABEL_HEIGHT: Final = 0.062
"""Height of a label line as a share of the plot (15 of 250 px)."""


@dataclass(frozen=True)
class Band:
    """One series of a stacked chart: the values it stands for, and its place in the palette."""

    name: str
    values: frozenset[str]
    number: int
    """1–7, or 0 for the rest."""

    @property
    def colour(self) -> str:
        return COLOURS[self.number - 1] if self.number else REST_COLOUR

    @property
    def dash(self) -> list[int]:
        return DASHES[self.number - 1] if self.number else [1, 0]


def installations_chart(weeks: Sequence[Week]) -> Chart:
    """Estimate and interval by week; a week without data leaves a gap."""
    rows = []
    for run, part in enumerate(runs(weeks)):
        for week in part:
            guess = week.estimate
            assert guess is not None
            rows.append(
                {
                    "x": (monday(week.week) + timedelta(days=MIDDLE)).isoformat(),
                    "run": run,
                    "low": guess.low,
                    "high": guess.high,
                    "installations": guess.installations,
                    "alone": len(part) == 1,
                    "disturbed": "disturbed" in week.flags,
                }
            )
    return _timed(Chart("installations", {"weeks": rows}), weeks, MIDDLE)


def _new(table: str, weeks: Sequence[Week]) -> set[str]:
    """What is big in the latest week, however small it was before: a new version above all."""
    last = next((week for week in reversed(weeks) if not week.hits.missing), None)
    rows = [] if last is None else [row for row in last.tables[table] if row.value != NOT_GIVEN]
    whole = sum(row.count.least for row in rows)
    return {row.value for row in rows if row.count.least * SMALLEST_NEW >= whole > 0}


def bands(table: str, weeks: Sequence[Week]) -> list[Band]:
    """The series of a table over ``weeks``: the biggest seven by themselves, those of the latest
    week first, the others together.

    In the order in which the tables list their values; versions newest first.
    """
    order = list(dict.fromkeys(row.value for week in weeks for row in week.tables[table]))
    sums = dict.fromkeys(order, 0)
    for week in weeks:
        for row in week.tables[table]:
            sums[row.value] += row.count.least
    shown = [value for value in order if sums[value] and value not in (NOT_GIVEN, OTHER)]
    whole = sum(sums[value] for value in order if value != NOT_GIVEN)
    new = _new(table, weeks)
    ranked = sorted(shown, key=lambda value: (value not in new, -sums[value]))
    big = {
        value
        for value in ranked[: len(COLOURS)]
        if value in new or sums[value] * SMALLEST_BAND >= whole
    }
    named = [value for value in shown if value in big]
    if table == "v":
        named = named[::-1]
    rest = frozenset(order) - big - {NOT_GIVEN}
    result = [Band(value, frozenset({value}), n) for n, value in enumerate(named, start=1)]
    if any(sums[value] for value in rest):
        result.append(Band(REST, rest, 0))
    return result


def shares_chart(table: str, weeks: Sequence[Week], names: dict[str, str]) -> Chart:
    """Stacked shares of ``table``. ``names`` gives the label of a value; default is the value."""
    series = bands(table, weeks)
    rows = []
    last: dict[str, tuple[float, float]] = {}
    for run, part in enumerate(runs(weeks)):
        stacks = [(monday(week.week), stack(table, week, series)) for week in part]
        stacks.append((stacks[-1][0] + timedelta(days=7), stacks[-1][1]))
        last = stacks[-1][1]
        for day, places in stacks:
            rows += [
                {
                    "x": day.isoformat(),
                    "run": run,
                    "series": band.name,
                    "colour": band.colour,
                    "dash": band.dash,
                    "bottom": places[band.name][0],
                    "top": places[band.name][1],
                }
                for band in series
                if band.name in places
            ]
    labels = _labels(series, last, names)
    faded = [band for band in series if _height(last.get(band.name, (0, 0))) <= THINNEST_LABEL]
    inside = _inside(table, weeks, faded, series, names)
    chart = Chart("shares", {"bands": rows, "labels": labels, "inside": inside})
    return _timed(chart, weeks)


def is_empty(table: str, weeks: Sequence[Week]) -> bool:
    """Whether the chart of ``table`` (or ``hits``) would show nothing but its axes."""
    if table == "hits":
        return all(week.hits.missing or week.hits.hidden for week in weeks)
    return not bands(table, weeks)


def _timed(chart: Chart, weeks: Sequence[Week], offset: int = 0) -> Chart:
    """``chart`` with the names of its time axis."""
    known = [week.week for week in weeks if not week.hits.missing]
    if not known:
        return chart
    days, form = ticks(known[0], known[-1], offset)
    return replace(chart, ticks=days, tick_format=form)


def stack(table: str, week: Week, series: Iterable[Band]) -> dict[str, tuple[float, float]]:
    """Bottom and top of each band in one week, as shares of the floored counts; {} for none."""
    sizes = {
        band.name: sum(row.count.least for row in week.tables[table] if row.value in band.values)
        for band in series
    }
    whole = sum(sizes.values())
    if not whole:
        return {}
    edges = [0]
    for size in sizes.values():
        edges.append(edges[-1] + size)
    places = [(low / whole, high / whole) for low, high in pairwise(edges)]
    return dict(zip(sizes, places, strict=True))


def runs(weeks: Iterable[Week]) -> list[list[Week]]:
    """Stretches of weeks with data; a week without data, or one that is left out, ends one."""
    result: list[list[Week]] = [[]]
    for week in weeks:
        if week.hits.missing:
            continue
        if result[-1] and following(result[-1][-1].week) != week.week:
            result.append([])
        result[-1].append(week)
    return [part for part in result if part]


def _labels(
    series: Sequence[Band], places: dict[str, tuple[float, float]], names: dict[str, str]
) -> Rows:
    """Labels beside the last week's bands, bottom up, moved apart where they would overlap."""
    shown = [
        band
        for band in series
        if band.name in places and _height(places[band.name]) > THINNEST_LABEL
    ]
    middles = [sum(places[band.name]) / 2 for band in shown]
    for n in range(1, len(middles)):
        middles[n] = max(middles[n], middles[n - 1] + LABEL_HEIGHT)
    top = 1.0
    for n in reversed(range(len(middles))):
        middles[n] = min(middles[n], top)
        top = middles[n] - LABEL_HEIGHT
    return [
        {
            "y": middle,
            "from": places[band.name][0],
            "to": places[band.name][1],
            "colour": band.colour,
            "text": f"{names.get(band.name, band.name)} · {_percent(places[band.name])}",
        }
        for band, middle in zip(shown, middles, strict=True)
    ]


def _inside(
    table: str,
    weeks: Sequence[Week],
    faded: Sequence[Band],
    series: Sequence[Band],
    names: dict[str, str],
) -> Rows:
    """Names of bands that the last week does not have, each where the band is highest."""
    rows = []
    for band in faded:
        places = [(week, stack(table, week, series).get(band.name, (0.0, 0.0))) for week in weeks]
        week, place = max(places, key=lambda each: _height(each[1]))
        if _height(place) >= LOWEST_NAMED:
            rows.append(
                {
                    "x": (monday(week.week) + timedelta(days=MIDDLE)).isoformat(),
                    "y": sum(place) / 2,
                    "text": names.get(band.name, band.name),
                    "ink": DARK_INK if band.colour in LIGHT_COLOURS else "#ffffff",
                }
            )
    return rows


def _height(place: tuple[float, float]) -> float:
    return place[1] - place[0]


def _percent(place: tuple[float, float]) -> str:
    return f"{math.floor(100 * _height(place) + 0.5)} %"
