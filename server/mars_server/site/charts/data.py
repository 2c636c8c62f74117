"""What the charts show, as rows for the renderer; made from published weeks alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import accumulate, pairwise
from typing import Final

from mars.wire.variables import OTHER
from mars_server.common.calendar import following, monday, span
from mars_server.site.charts.render import Chart, Rows
from mars_server.site.charts.tellable import (
    given,
    latest,
    of_table,
    runs,
    tells_shares,
    told,
)
from mars_server.site.language import FOLDED, REST, Language
from mars_server.tables.downloads import NOT_GIVEN
from mars_server.tables.floor import joint_share
from mars_server.tables.week import Week

COLOURS: Final = ("#2f6f95", "#e0a13c", "#5d9a68", "#a65a7c", "#7a71b8", "#c9694a", "#4fa5a5")
"""In order; also in the style sheet as ``.s1`` to ``.s7``. Told apart with common colour blindness
by their lightness, and by the dashes."""
REST_COLOUR: Final = "#b9c2c8"
_LIGHT_COLOURS: Final = (COLOURS[1], REST_COLOUR)
_DARK_INK: Final = "#101a20"
"""For text on the light ones of these colours, in both themes."""
_DASHES: Final = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4], [4, 2, 1, 2])
_SMALLEST_BAND: Final = 100
"""A value gets a band of its own from one part in this many on."""
_SMALLEST_NEW: Final = 10
"""In the latest week: one part in this many."""
REST_KEY: Final = "rest"
"""Everything that has no band of its own, drawn on top."""
_THINNEST_LABEL: Final = 0.005
"""Share from which a band of the last week is named beside the chart."""
_LOWEST_NAMED: Final = 0.15
"""Share from which a band that is gone by then is named inside the chart."""
MIDDLE: Final = 3
"""The day of a week (0 is Monday) at which a figure of the whole week stands."""
_EDGE: Final = 0.045
"""Share of the plot that half a name takes; it stays this far from either end."""
_LETTER: Final = 0.014
"""Share of the plot that a letter of a name takes."""
_MARK_LETTER: Final = 0.011
"""The same of the name of a release above the plot."""
_NARROWER: Final = 2.5
"""How many times over a letter takes as much on a phone."""
_MOST_MARKED: Final = 12
"""Releases that are marked; older ones are not."""
_LABEL_HEIGHT: Final = 0.062
"""Height of a label line as a share of the plot (15 of 250 px)."""


Place = tuple[float, float]
"""Bottom and top of a band (0–1)."""


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
        return _DASHES[self.number - 1] if self.number else [1, 0]


Seen = Sequence[tuple[str, Week]]
"""Releases and the weeks in which they were first seen (``tellable.first_seen``)."""


def installations_chart(
    weeks: Sequence[Week], say: Language, seen: Seen = (), *, narrow: bool = False
) -> Chart:
    """Estimate and interval by week; a week without data leaves a gap. Of hidden hits the interval
    alone is drawn, because its middle says nothing."""
    pointed = {
        part[0].week
        for part in runs(weeks, lambda week: not (week.hits.missing or week.hits.hidden))
        if len(part) == 1
    }
    rows = []
    for run, part in enumerate(runs(weeks)):
        for week in part:
            guess = week.estimate
            assert guess is not None
            rows.append(
                {
                    "x": _middle(week),
                    "run": run,
                    "low": guess.low,
                    "high": guess.high,
                    "installations": None if week.hits.hidden else guess.installations,
                    "alone": len(part) == 1,
                    "point": week.week in pointed,
                    "disturbed": "disturbed" in week.flags,
                    "mark": guess.high if week.hits.hidden else guess.installations,
                }
            )
    marked = _marked_releases(seen, weeks, narrow=narrow)
    datasets = {"weeks": rows, "releases": marked}
    chart = Chart("installations", datasets, numbers=say.numbers, narrow=narrow)
    return _timed(chart, weeks, MIDDLE)


def _marked_releases(seen: Seen, weeks: Sequence[Week], table: str = "", *, narrow: bool) -> Rows:
    """Where the newest releases begin within ``weeks``, and their names as far as there is room;
    those of one week together."""
    if not weeks:
        return []
    first, last = monday(weeks[0].since(table)), monday(following(weeks[-1].week))
    begun: dict[date, list[str]] = defaultdict(list)
    for version, week in seen[-_MOST_MARKED:]:
        if first < monday(week.since("v")) < last:
            begun[monday(week.since("v"))].append(version)
    rows, limit = [], last + (last - first)
    for day in sorted(begun, reverse=True):
        text = ", ".join(begun[day])
        share = _MARK_LETTER * (_NARROWER if narrow else 1) * (len(text) + 1)
        half = (last - first) * share / 2
        fits = day + half <= limit
        limit = day - half if fits else limit
        rows.append({"x": day.isoformat(), "text": text if fits else ""})
    return rows


def _new(table: str, weeks: Sequence[Week]) -> set[str]:
    """What is big in the latest week, however small it was before: a new version above all."""
    last = latest(weeks)
    rows = [] if last is None else told(table, last)
    whole = sum(row.count.least for row in rows)
    return {row.value for row in rows if row.count.least * _SMALLEST_NEW >= whole > 0}


def bands(table: str, weeks: Sequence[Week]) -> list[Band]:
    """The series of a table over ``weeks``: the biggest seven by themselves, those of the latest
    week first, and the ages of a small crowd, all that its weeks have; the others together.

    In the order in which the tables list their values; versions newest first.
    """
    return _series(table, of_table(table, weeks))


def _series(table: str, weeks: Sequence[Week]) -> list[Band]:
    order = list(dict.fromkeys(row.value for week in weeks for row in week.tables[table]))
    sums = dict.fromkeys(order, 0)
    for week in weeks:
        for row in told(table, week):
            sums[row.value] += row.count.least
    shown = [value for value in order if sums[value] and value != OTHER]
    whole = sum(sums.values())
    new = _new(table, weeks) | {value for value in shown if value.endswith(FOLDED)}
    ranked = sorted(shown, key=lambda value: (value not in new, -sums[value]))
    big = {
        value
        for value in ranked[: len(COLOURS)]
        if value in new or sums[value] * _SMALLEST_BAND >= whole
    }
    named = [value for value in shown if value in big]
    if table == "v":
        named = named[::-1]
    rest = frozenset(order) - big - {NOT_GIVEN}
    result = [Band(value, frozenset({value}), n) for n, value in enumerate(named, start=1)]
    if any(sums[value] for value in rest):
        result.append(Band(REST_KEY, rest, 0))
    return result


def shares_chart(
    table: str, weeks: Sequence[Week], say: Language, seen: Seen = (), *, narrow: bool = False
) -> Chart:
    """Stacked shares of ``table``; a period that tells none leaves a gap. Beside the chart stand
    the shares of the last one, where it tells them."""
    periods = of_table(table, weeks)
    single = [week for week in weeks if periods and week.week <= periods[-1].week]
    weeks = periods
    series = _series(table, weeks)
    stacked = {week.week: _stack(table, week, series) for week in weeks}
    rows: list[Mapping[str, object]] = []
    for run, part in enumerate(runs(weeks, lambda week: bool(stacked[week.week]), table)):
        stacks = [(monday(week.since(table)), stacked[week.week]) for week in part]
        stacks.append((monday(following(part[-1].week)), stacks[-1][1]))
        rows += banded(run, stacks, series)
    last = stacked[weeks[-1].week] if weeks else {}
    beside = [band for band in series if _height(last.get(band.name, (0, 0))) > _THINNEST_LABEL]
    faded = [band for band in series if band not in beside]
    names = {band: _band_name(table, band, weeks, say) for band in series}
    datasets = {
        "bands": rows,
        "labels": _labels(table, weeks, beside, last, names, say),
        "inside": _inside(table, weeks, stacked, faded, names, narrow=narrow),
        "releases": _marked_releases(seen, weeks, table, narrow=narrow),
        "marks": [{"x": _middle(week)} for week in single if "disturbed" in week.flags],
    }
    chart = Chart("shares", datasets, numbers=say.numbers, narrow=narrow)
    return _timed(chart, weeks, table=table)


def banded(
    run: int, steps: Iterable[tuple[date, Mapping[str, Place]]], series: Sequence[Band]
) -> Rows:
    """The bands of one ``run`` without a gap: where each begins and ends on each of its days."""
    return [
        {
            "x": day.isoformat(),
            "run": run,
            "series": band.name,
            "colour": band.colour,
            "dash": band.dash,
            "bottom": places[band.name][0],
            "top": places[band.name][1],
        }
        for day, places in steps
        for band in series
    ]


def is_empty(table: str, weeks: Sequence[Week]) -> bool:
    """Whether the chart of ``table`` (or ``hits``) would show nothing but its axes."""
    if table == "hits":
        return all(week.hits.missing or week.hits.hidden for week in weeks)
    return not any(tells_shares(table, week) for week in of_table(table, weeks))


def _timed(chart: Chart, weeks: Sequence[Week], offset: int = 0, table: str = "") -> Chart:
    """``chart`` with a time axis from the first to the last of all ``weeks``, and its names."""
    if not weeks:
        return chart
    first, last = weeks[0].since(table), weeks[-1].week
    days, form = ticks(first, last, offset)
    domain = (monday(first).isoformat(), monday(following(last)).isoformat())
    return replace(chart, ticks=days, tick_format=form, domain=domain)


def _middle(week: Week, table: str = "") -> str:
    """The day at which a figure of the whole week, or period of ``table``, stands."""
    first = monday(week.since(table))
    return (first + (monday(following(week.week)) - first) // 2).isoformat()


def _stack(table: str, week: Week, series: Iterable[Band]) -> dict[str, Place]:
    """Bottom and top of each band in one week, as shares of the floored counts; {} where the week
    tells none."""
    if not tells_shares(table, week):
        return {}
    sizes = {
        band.name: sum(row.count.least for row in told(table, week) if row.value in band.values)
        for band in series
    }
    whole = sum(sizes.values())
    edges = accumulate(sizes.values(), initial=0)
    places = [(low / whole, high / whole) for low, high in pairwise(edges)]
    return dict(zip(sizes, places, strict=True))


def _band_name(table: str, band: Band, weeks: Sequence[Week], say: Language) -> str:
    """As the tables name it: the rest is plain ``other`` where it holds nothing else."""
    if band.number:
        return say.short_name(table, band.name)
    held = {row.value for week in weeks for row in told(table, week)}
    return say.name(table, OTHER) if held & band.values == {OTHER} else say.gettext(REST)


def _labels(
    table: str,
    weeks: Sequence[Week],
    shown: Sequence[Band],
    places: dict[str, Place],
    names: Mapping[Band, str],
    say: Language,
) -> Rows:
    """Labels beside the last week's bands, bottom up, moved apart where they would overlap."""
    middles = apart([sum(places[band.name]) / 2 for band in shown])
    rows = given(table, weeks[-1]) if weeks else []
    parts = [row.count for row in rows]
    shares = [
        joint_share((row.count for row in rows if row.value in band.values), parts)
        for band in shown
    ]
    return [
        {
            "y": middle,
            "from": places[band.name][0],
            "to": places[band.name][1],
            "colour": band.colour,
            "text": f"{say.percent(share)} · {names[band]}",
        }
        for band, middle, share in zip(shown, middles, shares, strict=True)
    ]


def apart(middles: Sequence[float]) -> list[float]:
    """The heights of labels (0–1, bottom up), moved as little as keeps them from overlapping."""
    found = list(middles)
    for n in range(1, len(found)):
        found[n] = max(found[n], found[n - 1] + _LABEL_HEIGHT)
    top = 1.0
    for n in reversed(range(len(found))):
        found[n] = min(found[n], top)
        top = found[n] - _LABEL_HEIGHT
    return found


def _inside(
    table: str,
    weeks: Sequence[Week],
    stacked: Mapping[str, Mapping[str, Place]],
    faded: Sequence[Band],
    names: Mapping[Band, str],
    *,
    narrow: bool,
) -> Rows:
    """Names of bands that the last week does not have, each where the band is highest."""
    rows = []
    edge = math.ceil(len(weeks) * _EDGE - 0.5)
    inner = weeks[edge:-edge] or weeks
    for band in faded:
        places = [(week, stacked[week.week].get(band.name, (0.0, 0.0))) for week in inner]
        week, place = max(places, key=lambda each: _height(each[1]))
        if _height(place) >= _LOWEST_NAMED:
            ends = _room(table, weeks, names[band], _LETTER * (_NARROWER if narrow else 1))
            rows.append(
                {
                    "x": min(max(_middle(week, table), ends[0]), ends[1]),
                    "y": sum(place) / 2,
                    "text": names[band],
                    "ink": _DARK_INK if band.colour in _LIGHT_COLOURS else "#ffffff",
                }
            )
    return rows


def _room(table: str, weeks: Sequence[Week], name: str, letter: float) -> tuple[str, str]:
    """The first and the last day around which there is room for ``name``."""
    first, last = monday(weeks[0].since(table)), monday(following(weeks[-1].week))
    half = timedelta(days=math.ceil((last - first).days * min(letter * len(name), 1) / 2))
    return (first + half).isoformat(), (last - half).isoformat()


def _height(place: Place) -> float:
    return place[1] - place[0]


# --- Which days the time axis names: fewer than half a year of weeks one by one, as the tables name
# them; longer stretches by their months, and years by years, so that no name stands twice ---

MOST_LABELS: Final = 8
"""That fit beside each other."""
BY_WEEK: Final = 26
"""Fewer weeks than this are named by week."""
_STEPS: Final = (1, 2, 3, 6, 12, 24, 60, 120)
"""Months between two names."""
_WEEK_FORMAT: Final = "%G-W%V"
_MONTH_FORMAT: Final = "%Y-%m"
_YEAR_FORMAT: Final = "%Y"


def ticks(first: str, last: str, offset: int = 0) -> tuple[list[str], str]:
    """The days (ISO) to name from the week ``first`` to the week ``last``, and their format.

    A week is named at its day ``offset`` (0 is Monday), where the chart puts its figures.
    """
    weeks = list(span(first, last))
    if len(weeks) < BY_WEEK:
        step = -(-len(weeks) // MOST_LABELS)
        days = [monday(week) + timedelta(days=offset) for week in weeks[::step]]
        return [day.isoformat() for day in days], _WEEK_FORMAT
    begin, end = monday(first), monday(following(last))
    days = [begin + timedelta(days=n) for n in range((end - begin).days + 1)]
    months = [day for day in days if day.day == 1]
    for step in _STEPS:
        named = [month for month in months if (month.year * 12 + month.month - 1) % step == 0]
        if len(named) <= MOST_LABELS:
            break
    form = _YEAR_FORMAT if step >= 12 else _MONTH_FORMAT
    return [month.isoformat() for month in named], form
