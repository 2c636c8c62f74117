"""What a chart says, in one or two sentences with its numbers: alt text and lead of a page."""

from __future__ import annotations

from collections.abc import Sequence

from mars_server.site.charts.tellable import latest, tells_shares, told
from mars_server.site.pages.language import Language
from mars_server.tables.downloads import percents
from mars_server.tables.week import Row, Week

NAMED = 4
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
    elif ranked(table, week):
        text = say.gettext(
            "In %(week)s too few hits belong to values with ten or more to tell shares."
        )
    return text % {"week": week.week}


def _told(table: str, week: Week, weeks: Sequence[Week], say: Language) -> list[str]:
    rows = ranked(table, week)
    shares_now = percents(table, week.tables[table])
    listed = ", ".join(
        f"{say.name(table, row.value)} {say.percent(shares_now[row.value])}" for row in rows[:NAMED]
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


def ranked(table: str, week: Week) -> list[Row]:
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
    """Up to ``NAMED`` weeks by name, and how many more."""
    shown = ", ".join(weeks[:NAMED])
    if len(weeks) <= NAMED:
        return shown
    return say.gettext("%(weeks)s and %(more)s more") % {
        "weeks": shown,
        "more": say.number(len(weeks) - NAMED),
    }
