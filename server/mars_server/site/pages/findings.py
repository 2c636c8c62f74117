"""What a page says of its weeks: what a chart shows, in one or two sentences with its numbers (alt
text and lead of a page), and tables for the templates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mars.wire.product import is_release
from mars.wire.variables import OTHER
from mars_server.site.charts.data import bands
from mars_server.site.charts.tellable import latest, tells_shares, told
from mars_server.site.pages.language import Language
from mars_server.tables.downloads import NOT_GIVEN, percents
from mars_server.tables.floor import STEP, Percent, Published
from mars_server.tables.noise import SURE, TOLD
from mars_server.tables.week import Row, Week

_NAMED = 4
"""Values that a sentence names at most."""


def installations(weeks: Sequence[Week], say: Language) -> str:
    """How many, since when, how sure, and what to be careful about."""
    known = [week for week in weeks if week.estimate is not None]
    if not known:
        return say.gettext("There is no data in these weeks.")
    text = _active(known[-1], say)
    first = next((week for week in known[:-1] if not week.hits.hidden), None)
    if first is not None and first.estimate is not None:
        text += say.gettext(", after about %(installations)s in %(week)s") % {
            "week": first.week,
            "installations": say.number(first.estimate.installations),
        }
    return f"{text}.{_warnings(weeks, say)}{_bunches(known, say)}"


def _active(week: Week, say: Language) -> str:
    """How many installations ``week`` had; of hidden hits nothing but the upper end is known."""
    assert week.estimate is not None
    if not week.hits.hidden:
        return say.gettext(
            "In %(week)s about %(installations)s installations were active "
            "(95%% interval %(interval)s)"
        ) % {
            "week": week.week,
            "installations": say.number(week.estimate.installations),
            "interval": say.interval(week.estimate),
        }
    text = say.gettext(
        "In %(week)s fewer than ten hits were counted, so at most %(most)s installations "
        "were active"
    )
    if week.noise is not None:
        text = say.gettext(
            "In %(week)s fewer than ten hits were left with the noise, so at most %(most)s "
            "installations were active"
        )
    return text % {"week": week.week, "most": say.number(week.estimate.high)}


def shares(table: str, weeks: Sequence[Week], say: Language) -> str:
    """The biggest values of the latest week that tells shares, and how the first has moved."""
    week = latest(weeks)
    if week is None:
        return say.gettext("There is no data in these weeks.")
    sentences = []
    if not tells_shares(table, week):
        sentences.append(_untold(table, week, say))
    shown = next((week for week in reversed(weeks) if tells_shares(table, week)), None)
    if shown is not None:
        sentences += _told(table, shown, weeks, say)
    return " ".join(sentences) + _warnings(weeks, say)


def _untold(table: str, week: Week, say: Language) -> str:
    """Why ``week`` tells no shares."""
    text = say.gettext("In %(week)s no value reached ten hits.")
    if week.noise is not None:
        text = say.gettext("In %(week)s too few hits stand out from the noise to tell shares.")
    elif _ranked(table, week):
        text = say.gettext(
            "In %(week)s too few hits belong to values with ten or more to tell shares."
        )
    return text % {"week": week.week}


def _told(table: str, week: Week, weeks: Sequence[Week], say: Language) -> list[str]:
    rows = _ranked(table, week)
    shares = percents(table, week.tables[table])
    listed = ", ".join(
        f"{say.name(table, row.value)} {say.percent(shares[row.value])}" for row in rows[:_NAMED]
    )
    sentences = [
        say.gettext("Shares in %(week)s: %(values)s.") % {"week": week.week, "values": listed}
    ]
    first = next(each for each in weeks if tells_shares(table, each))
    before = percents(table, first.tables[table]).get(rows[0].value)
    if first is not week and before is not None and before.value is not None:
        sentences.append(
            say.gettext("In %(week)s %(value)s stood at %(percent)s.")
            % {
                "value": say.name(table, rows[0].value),
                "percent": say.percent(before),
                "week": first.week,
            }
        )
    return sentences


def _ranked(table: str, week: Week) -> list[Row]:
    """The rows that can be told, of hits that carry the variable, biggest first."""
    return sorted(told(table, week), key=lambda row: -row.count.least)


def _warnings(weeks: Sequence[Week], say: Language) -> str:
    found = {
        say.gettext("No data: %(weeks)s."): [week.week for week in weeks if week.hits.missing],
        say.gettext("Incomplete: %(weeks)s."): _flagged("incomplete", weeks),
        say.gettext("Disturbed: %(weeks)s."): _flagged("disturbed", weeks),
    }
    return "".join(f" {text}" % {"weeks": _few(some, say)} for text, some in found.items() if some)


def _flagged(flag: str, weeks: Sequence[Week]) -> list[str]:
    return [week.week for week in weeks if flag in week.flags]


def _bunches(known: Sequence[Week], say: Language) -> str:
    """In which weeks the estimate swings, because requests did not come evenly."""
    steered = _flagged("steered", known)
    if not steered:
        return ""
    if len(steered) == len(known) > 1:
        return " " + say.gettext("In all these weeks requests came in bunches (other interval).")
    text = say.gettext("Requests in bunches (other interval): %(weeks)s.")
    return " " + text % {"weeks": _few(steered, say)}


def _few(weeks: Sequence[str], say: Language) -> str:
    """Up to ``_NAMED`` weeks by name, and how many more."""
    shown = ", ".join(weeks[:_NAMED])
    if len(weeks) <= _NAMED:
        return shown
    return say.gettext("%(weeks)s and %(more)s more") % {
        "weeks": shown,
        "more": say.number(len(weeks) - _NAMED),
    }


# --- Tables ---

_SHADES = 6
"""Steps of background colour in the cross table."""


@dataclass(frozen=True)
class Ranked:
    """One line of a ranking: name, floored hits, share, and its colour in the chart (0–7)."""

    name: str
    count: Published
    percent: Percent | None
    colour: int | None


@dataclass(frozen=True)
class ShareTable:
    """Weeks × values. A cell is None where the week's table does not list the value."""

    columns: tuple[tuple[str, int | None], ...]
    """Name and colour number."""
    rows: tuple[tuple[Week, tuple[Published | None, ...]], ...]
    """Newest week first; no cells where there is no data."""
    left_out: int
    """Values that have no column, because they have no band in the chart; the files have them."""
    part_of_other: bool
    """Whether a cell is None."""
    ranking: Ranking | None
    """The latest week; None without data."""


@dataclass(frozen=True)
class Ranking:
    """One week, value by value."""

    week: Week
    rows: tuple[Ranked, ...]
    """In table order, with shares where the week tells any; "not given" last, even if hidden."""
    untold: int
    """Further values, which are hidden, or not to be told from noise."""
    below: int
    """Hits that each of these stays below."""


def ranking(table: str, span: Sequence[Week], say: Language) -> Ranking | None:
    """Of the latest week with data; None where it has no value to tell."""
    week = latest(span)
    if week is None or not told(table, week):
        return None
    colours = _colours(table, span)
    shares = percents(table, week.tables[table]) if tells_shares(table, week) else {}
    rows = _ordered(table, week.tables[table])
    shown = [row for row in rows if row.value == NOT_GIVEN or week.tells(row.count)]
    ranked = tuple(
        Ranked(say.name(table, row.value), row.count, shares.get(row.value), colours.get(row.value))
        for row in shown
    )
    below = max(STEP, math.ceil(TOLD * week.deviation))
    return Ranking(week, ranked, len(rows) - len(shown), below)


def share_table(table: str, weeks: Sequence[Week], say: Language) -> ShareTable:
    rows = [row for week in weeks for row in week.tables[table]]
    values = [row.value for row in _ordered(table, list({row.value: row for row in rows}.values()))]
    seen = {row.value for row in rows if row.count.least}
    colours = _colours(table, weeks)
    shown = [
        value
        for value in values
        if value in seen and (colours.get(value) or value in (OTHER, NOT_GIVEN))
    ]
    cells = [() if week.hits.missing else [week.count(table, v) for v in shown] for week in weeks]
    return ShareTable(
        columns=tuple((say.name(table, value), colours.get(value)) for value in shown),
        rows=tuple((week, tuple(row)) for week, row in zip(weeks, cells, strict=True))[::-1],
        left_out=len(values) - len(shown),
        part_of_other=any(None in row for row in cells),
        ranking=ranking(table, weeks, say),
    )


@dataclass(frozen=True)
class CrossTable:
    """The latest week's version × platform."""

    week: Week
    platforms: tuple[str, ...]
    rows: tuple[tuple[str, tuple[tuple[Published, int], ...]], ...]
    """Version, then count and shade (0 to ``_SHADES``) by platform."""


def cross_table(weeks: Sequence[Week], say: Language) -> CrossTable | None:
    week = next((week for week in reversed(weeks) if week.pairs), None)
    if week is None:
        return None
    platforms = list(dict.fromkeys(pair.os for pair in week.pairs))
    versions = list(dict.fromkeys(pair.v for pair in week.pairs))
    cells = {(pair.v, pair.os): pair.count for pair in week.pairs}
    most = max(pair.count.least for pair in week.pairs) or 1

    def shaded(count: Published) -> tuple[Published, int]:
        return count, 1 + (_SHADES - 1) * count.least // most if count.least else 0

    ordered = sorted(versions, key=_version_key, reverse=True)
    return CrossTable(
        week,
        tuple(say.name("os", name) for name in platforms),
        tuple(
            (say.name("v", v), tuple(shaded(cells[v, name]) for name in platforms)) for v in ordered
        ),
    )


def newest_release(week: Week) -> Ranked | None:
    """The newest release with at least ten hits, and more than its noise explains, and its share;
    None where the week tells none."""
    rows = [row for row in told("v", week) if week.tells(row.count, SURE)]
    releases = [row for row in rows if is_release(row.value)]
    if not releases or not tells_shares("v", week):
        return None
    row = max(releases, key=lambda each: _version_key(each.value))
    return Ranked(row.value, row.count, percents("v", week.tables["v"])[row.value], None)


def _version_key(value: str) -> tuple[int, ...]:
    """Sorts releases by number, everything else before them."""
    return tuple(int(part) for part in value.split(".")) if is_release(value) else ()


def _ordered(table: str, rows: Sequence[Row]) -> list[Row]:
    """Versions newest first, ``other`` and ``none`` last; other tables as they are."""
    tail = {"other": 1, NOT_GIVEN: 2}
    if table == "v":
        rows = sorted(rows, key=lambda row: _version_key(row.value), reverse=True)
    return sorted(rows, key=lambda row: tail.get(row.value, 0))


def _colours(table: str, weeks: Sequence[Week]) -> dict[str, int]:
    return {value: band.number for band in bands(table, weeks) for value in band.values}
