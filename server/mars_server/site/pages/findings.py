"""What a page says of its weeks: what a chart shows, in one or two sentences with its numbers (alt
text and lead of a page), and tables for the templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from mars.wire.product import is_release
from mars.wire.variables import OTHER
from mars_server.site.charts.data import bands
from mars_server.site.charts.tellable import (
    given,
    label,
    latest,
    of_table,
    tells_shares,
    told,
)
from mars_server.site.language import FOLDED, Language, folded
from mars_server.tables.downloads import NOT_GIVEN, base_of, percents
from mars_server.tables.floor import Percent, Published, joint_share
from mars_server.tables.hit_shares import Between, between
from mars_server.tables.noise import SURE
from mars_server.tables.periods import covered
from mars_server.tables.week import Pair, Row, Week

_NAMED = 4
"""Values that a sentence names at most."""
_NEW_AGES = ("1", "10", folded("10"))
"""At most 31 days."""


def installations(weeks: Sequence[Week], say: Language) -> str:
    """How many, since when, how sure, and what to be careful about."""
    known = [week for week in weeks if week.estimate is not None]
    if not known:
        return say.gettext("There is no data in these weeks.")
    text = active(known[-1], say)
    first = next((week for week in known[:-1] if not week.hits.hidden), None)
    if first is not None:
        text += say.gettext(", after %(installations)s in %(week)s") % {
            "week": first.week,
            "installations": how_many(first, say),
        }
    return f"{text}.{_warnings(weeks, say)}{_bunches(known, say)}"


def active(week: Week, say: Language) -> str:
    """How many installations ``week`` had; of hidden hits nothing but the upper end is known."""
    assert week.estimate is not None
    if not week.hits.hidden:
        return say.gettext(
            "In %(week)s %(installations)s installations were active (95%% interval %(interval)s)"
        ) % {
            "week": week.week,
            "installations": how_many(week, say),
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


def is_bound(week: Week) -> bool:
    """Whether at least so many are active as the lower end of its estimate says: requests came as
    they should, and more than chance and noise explain."""
    doubtful = {"disturbed", "steered"}.intersection(week.flags)
    return bool(week.estimate and week.estimate.low and not week.hits.hidden and not doubtful)


def how_many(week: Week, say: Language) -> str:
    """``at least about 620``; ``about 650`` where that is no bound."""
    assert week.estimate is not None
    if is_bound(week):
        return say.gettext("at least about %(least)s") % {"least": say.number(week.estimate.low)}
    return say.gettext("about %(number)s") % {"number": say.number(week.estimate.installations)}


def shares(table: str, weeks: Sequence[Week], say: Language) -> str:
    """The biggest values of the latest week that tells shares, and how the first has moved."""
    periods = of_table(table, weeks)
    week = latest(periods)
    if week is None:
        return _nothing(table, weeks, say)
    sentences = []
    if not tells_shares(table, week):
        sentences.append(_untold(table, week, say))
    shown = next((week for week in reversed(periods) if tells_shares(table, week)), None)
    if shown is not None:
        sentences += _told(table, shown, periods, say)
    return " ".join(sentences) + _warnings(weeks, say, _lost(table, periods, weeks))


def _nothing(table: str, weeks: Sequence[Week], say: Language) -> str:
    """Why there is nothing to tell: no data, or a period that has not ended."""
    if latest(weeks) is None or weeks[-1].closes(table):
        return say.gettext("There is no data in these weeks.")
    text = say.gettext("The hits of %(weeks)s are published together, when the last week is over.")
    return text % {"weeks": label(table, weeks[-1])}


def period(table: str, weeks: Sequence[Week], say: Language) -> str:
    """How many weeks the latest figures of ``table`` sum, where that is not one."""
    if not weeks or weeks[-1].of_old or table not in weeks[-1].periods:
        return ""
    every = weeks[-1].periods[table].every
    return {
        1: "",
        4: say.gettext(
            "Hits of four weeks (five at the end of a quarter) are added up before they are "
            "rounded down, since too many of a single week would be hidden."
        ),
        13: say.gettext(
            "Hits of a quarter are added up before they are rounded down, since too many of fewer "
            "weeks would be hidden."
        ),
    }[every]


def _untold(table: str, week: Week, say: Language) -> str:
    """Why ``week`` tells no shares."""
    text = say.gettext("In %(week)s no value reached ten hits.")
    if week.noise is not None:
        text = say.gettext("In %(week)s too few hits stand out from the noise to tell shares.")
    elif _ranked(table, week):
        text = say.gettext(
            "In %(week)s too few hits belong to values with ten or more to tell shares."
        )
    return text % {"week": label(table, week)}


def _told(table: str, week: Week, weeks: Sequence[Week], say: Language) -> list[str]:
    rows = _ranked(table, week)
    shares = percents(table, week.tables[table])
    listed = ", ".join(
        f"{say.name(table, row.value)} {say.percent(shares[row.value])}" for row in rows[:_NAMED]
    )
    sentences = [
        say.gettext("Shares in %(week)s: %(values)s.")
        % {"week": label(table, week), "values": listed}
    ]
    first = next(each for each in weeks if tells_shares(table, each))
    before = percents(table, first.tables[table]).get(rows[0].value)
    if first is not week and before is not None and before.value is not None:
        sentences.append(
            say.gettext("In %(week)s %(value)s stood at %(percent)s.")
            % {
                "value": say.name(table, rows[0].value),
                "percent": say.percent(before),
                "week": label(table, first),
            }
        )
    return sentences


def _ranked(table: str, week: Week) -> list[Row]:
    """The rows that can be told, of hits that carry the variable, biggest first."""
    return sorted(told(table, week), key=lambda row: -row.count.least)


def _lost(table: str, periods: Sequence[Week], weeks: Sequence[Week]) -> list[str]:
    """The periods without data though not all of their weeks are: their counts were lost."""
    return [
        label(table, each)
        for each in periods
        if table in each.periods
        and each.hits.missing
        and latest(covered(table, each, weeks)) is not None
    ]


def _warnings(weeks: Sequence[Week], say: Language, lost: Sequence[str] = ()) -> str:
    missing = [week.week for week in weeks if week.hits.missing]
    found = {
        say.gettext("No data: %(weeks)s."): sorted([*missing, *lost]),
        say.gettext("Incomplete: %(weeks)s."): _flagged("incomplete", weeks),
        say.gettext("Disturbed: %(weeks)s."): _flagged("disturbed", weeks),
    }
    return "".join(f" {text}" % {"weeks": few(some, say)} for text, some in found.items() if some)


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
    return " " + text % {"weeks": few(steered, say)}


def few(weeks: Sequence[str], say: Language) -> str:
    """Up to ``_NAMED`` weeks by name, and how many more."""
    shown = ", ".join(weeks[:_NAMED])
    if len(weeks) <= _NAMED:
        return shown
    return say.gettext("%(weeks)s and %(more)s more") % {
        "weeks": shown,
        "more": say.number(len(weeks) - _NAMED),
    }


# --- Tables, whose cells the templates fill in ---


@dataclass(frozen=True)
class Ranking:
    """One period, value by value."""

    week: Week
    name: str
    """Of the period."""
    base: Published
    """What the shares are shares of."""
    rows: Sequence[Row]
    """In table order; "not given" last, even if hidden."""
    shares: Mapping[str, Percent]
    """By value, where the week tells any."""
    between: Mapping[str, Between]
    """Their intervals, and the installations that they mean."""


def ranking(table: str, span: Sequence[Week]) -> Ranking | None:
    """Of the latest week with data; None where it has no value to tell."""
    week = latest(of_table(table, span))
    if week is None or not told(table, week):
        return None
    shares = percents(table, week.tables[table]) if tells_shares(table, week) else {}
    rows = _ordered(table, week.tables[table])
    shown = [row for row in rows if row.value == NOT_GIVEN or week.tells(row.count)]
    known = {row.value: between(table, week, [row.count]) for row in shown if row.value in shares}
    base = base_of(table, week.tables[table])
    return Ranking(week, label(table, week), base, shown, shares, known)


def columns(table: str, weeks: Sequence[Week]) -> tuple[list[str], bool]:
    """The values with a column in the table of ``weeks``, and whether some have none, because they
    have no band in the chart; the files have them."""
    rows = [row for week in of_table(table, weeks) for row in week.tables[table]]
    values = [row.value for row in _ordered(table, list({row.value: row for row in rows}.values()))]
    seen = {row.value for row in rows if row.count.least}
    banded = colours(table, weeks)
    shown = [
        value
        for value in values
        if value in seen and (banded.get(value) or value in (OTHER, NOT_GIVEN))
    ]
    return shown, len(shown) < len(values)


def ages(periods: Sequence[Week]) -> tuple[bool, bool]:
    """Whether some of these tell the two ages that a small crowd says, and some the four of a
    large one."""
    values = {row.value for week in periods for row in week.tables["ia"]} - {OTHER, NOT_GIVEN}
    small = {value for value in values if value.endswith(FOLDED)}
    return bool(small), values > small


def colours(table: str, weeks: Sequence[Week]) -> dict[str, int]:
    """The number of each value's colour in the chart (0–7)."""
    return {value: band.number for band in bands(table, weeks) for value in band.values}


def cross_tables(weeks: Sequence[Week]) -> list[tuple[Week, list[list[Pair]]]]:
    """Version × platform of each week or period that has it, newest first: a list for each version,
    the newest on top."""
    return [(week, _crossed(week)) for week in reversed(weeks) if week.pairs]


def _crossed(week: Week) -> list[list[Pair]]:
    pairs = sorted(week.pairs, key=lambda each: _version_key(each.v), reverse=True)
    return [list(row) for _, row in groupby(pairs, key=attrgetter("v"))]


def newest_release(week: Week) -> str | None:
    """The newest release with at least ten hits, and more than its noise explains; None where the
    week tells no shares."""
    sure = [row.value for row in told("v", week) if week.tells(row.count, SURE)]
    releases = [version for version in sure if is_release(version)]
    if not releases or not tells_shares("v", week):
        return None
    return max(releases, key=_version_key)


def new_ones(week: Week | None) -> list[Published]:
    """The hits of installations that are new, not continuing: installed at most 31 days ago; none
    where the week tells no shares of them."""
    if week is None or not tells_shares("ia", week):
        return []
    new = [row.count for row in week.tables["ia"] if row.value in _NEW_AGES]
    return new if any(week.tells(count) for count in new) else []


def told_share(table: str, week: Week, some: Sequence[Published], say: Language) -> str:
    """``53% (49–57%, 350–410 installations)``: of the hits that say the variable of ``table``, and
    of the installations that send metrics."""
    share = say.percent(joint_share(some, [row.count for row in given(table, week)]))
    found = between(table, week, some)
    if found.installations is None:
        return f"{share} ({say.percents(found.low, found.high)})"
    text = say.gettext("%(share)s (%(between)s, %(installations)s installations)")
    return text % {
        "share": share,
        "between": say.percents(found.low, found.high),
        "installations": say.numbers_between(*found.installations),
    }


def _version_key(value: str) -> tuple[int, ...]:
    """Sorts releases by number, everything else before them."""
    return tuple(int(part) for part in value.split(".")) if is_release(value) else ()


def _ordered(table: str, rows: Sequence[Row]) -> list[Row]:
    """Versions newest first, ``other`` and ``none`` last; other tables as they are."""
    tail = {"other": 1, NOT_GIVEN: 2}
    if table == "v":
        rows = sorted(rows, key=lambda row: _version_key(row.value), reverse=True)
    return sorted(rows, key=lambda row: tail.get(row.value, 0))
