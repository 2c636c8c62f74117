"""What a chart says, in one or two sentences with its numbers: alt text and lead of a page."""

from __future__ import annotations

from collections.abc import Sequence

from mars_server.pages.language import Language
from mars_server.publication.document import Row, Week
from mars_server.publication.files import NOT_GIVEN, percents

NAMED = 4
"""Values that a sentence names at most."""


def latest(weeks: Sequence[Week]) -> Week | None:
    """The newest week with data."""
    return next((week for week in reversed(weeks) if not week.hits.missing), None)


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
    return f"{text}.{_warnings(weeks, say)}"


def _active(week: Week, say: Language) -> str:
    """How many installations ``week`` had; of hidden hits nothing but the upper end is known."""
    assert week.estimate is not None
    if week.hits.hidden:
        return say.gettext(
            "In %(week)s fewer than ten hits were counted, so at most %(most)s installations "
            "were active"
        ) % {"week": week.week, "most": say.number(week.estimate.high)}
    return say.gettext(
        "In %(week)s about %(installations)s installations were active (95%% interval %(interval)s)"
    ) % {
        "week": week.week,
        "installations": say.number(week.estimate.installations),
        "interval": say.interval(week.estimate),
    }


def shares(table: str, weeks: Sequence[Week], say: Language) -> str:
    """The biggest values of the latest week, and how the first of them has moved."""
    week = latest(weeks)
    if week is None:
        return say.gettext("There is no data in these weeks.")
    rows = ranked(table, week)
    if not rows:
        return say.gettext(
            "In %(week)s no value reached ten hits, so there is nothing to show yet."
        ) % {"week": week.week}
    shares_now = percents(table, week.tables[table])
    listed = ", ".join(
        f"{say.name(table, row.value)} {say.percent(shares_now[row.value])}" for row in rows[:NAMED]
    )
    text = say.gettext("Shares in %(week)s: %(values)s.") % {"week": week.week, "values": listed}
    first = next((each for each in weeks if ranked(table, each)), week)
    before = percents(table, first.tables[table]).get(rows[0].value)
    if first is not week and before is not None and before.value is not None:
        text += " " + say.gettext("%(value)s stood at %(percent)s in %(week)s.") % {
            "value": say.name(table, rows[0].value),
            "percent": say.percent(before),
            "week": first.week,
        }
    return text + _warnings(weeks, say)


def ranked(table: str, week: Week) -> list[Row]:
    """The rows with at least ten hits that carry the variable, biggest first."""
    rows = [row for row in week.tables[table] if row.value != NOT_GIVEN and row.count.least]
    return sorted(rows, key=lambda row: -row.count.least)


def _warnings(weeks: Sequence[Week], say: Language) -> str:
    missing = [week.week for week in weeks if week.hits.missing]
    incomplete = [week.week for week in weeks if "incomplete" in week.flags]
    disturbed = [week.week for week in weeks if "disturbed" in week.flags]
    text = ""
    if missing:
        text += " " + say.gettext("No data: %(weeks)s.") % {"weeks": _few(missing, say)}
    if incomplete:
        text += " " + say.gettext("Incomplete: %(weeks)s.") % {"weeks": _few(incomplete, say)}
    if disturbed:
        text += " " + say.gettext("Disturbed: %(weeks)s.") % {"weeks": _few(disturbed, say)}
    return text


def _few(weeks: Sequence[str], say: Language) -> str:
    """Up to ``NAMED`` weeks by name, and how many more."""
    shown = ", ".join(weeks[:NAMED])
    if len(weeks) <= NAMED:
        return shown
    return say.gettext("%(weeks)s and %(more)s more") % {
        "weeks": shown,
        "more": say.number(len(weeks) - NAMED),
    }
