"""What the pages say of declared statistics: in sentences, and in the cells of their tables."""

from __future__ import annotations

from collections.abc import Sequence

from mars.wire.randomized import other
from mars_server.site.charts.answers import bands, colours, is_drawn, told
from mars_server.site.charts.data import COLOURS, REST_KEY
from mars_server.site.declared import COLLECTED, Declared, Period, count_of, ordered
from mars_server.site.language import Language
from mars_server.site.pages.findings import few
from mars_server.tables.shares import LATE_DAYS, among_all
from mars_server.tables.statistics_week import Share, Value

__all__ = ["LATE_DAYS", "colours", "count_of", "is_drawn"]

_NAMED = 4
"""Values that a sentence names at most."""


def how_many(period: Period | None, say: Language) -> str:
    """``480 (430–540)`` installations; of a hidden total its upper end alone."""
    guess = period.figures.installations if period else None
    if period is None or guess is None:
        return "–"
    if period.figures.total.hidden:
        return f"{say.gettext('at most')} {say.number(guess.high)}"
    return f"{say.number(guess.installations)} ({say.interval(guess)})"


def finding(entry: Declared, say: Language) -> str:
    """How many reported it and what, and how that has moved; else why there is nothing to tell."""
    period = entry.latest
    if period is None:
        return nothing(entry, say)
    sentences = [reported(period, say)]
    shown = told(entry.recent)
    if shown:
        sentences += _moved(entry, shown, say)
    return " ".join([*sentences, *flagged(entry, say)])


def flagged(entry: Declared, say: Language) -> list[str]:
    """Which of its recent periods bear a flag."""
    sentences = []
    for text, flag in (
        ("Incomplete: %(weeks)s.", "incomplete"),
        ("Disturbed: %(weeks)s.", "disturbed"),
    ):
        weeks = [each.name for each in entry.recent if flag in each.flags]
        if weeks:
            sentences.append(say.gettext(text) % {"weeks": few(weeks, say)})
    return sentences


def changed(entry: Declared, say: Language) -> str:
    """Since when its figures are those of other values; empty where they always were the same."""
    if not entry.changed:
        return ""
    return say.gettext(
        "Until %(weeks)s it had other values. Its figures begin anew here; those of before stand "
        "in the files."
    ) % {"weeks": entry.changed}


def nothing(entry: Declared, say: Language) -> str:
    """Why there is nothing to tell of it."""
    if entry.waiting:
        text = say.gettext(
            "The reports of %(weeks)s are published together, when the last week is over."
        )
        return text % {"weeks": entry.waiting}
    if entry.periods:
        return say.gettext("There is no data in these weeks.")
    return say.gettext("Nothing is published of this yet.")


def reported(period: Period, say: Language) -> str:
    """By how many installations, as far as that can be told."""
    guess = period.figures.installations
    if guess is None:
        return say.gettext(
            "In %(weeks)s too few reports came, or none of a whole week, to tell more."
        ) % {"weeks": period.name}
    if period.figures.total.hidden:
        text = say.gettext(
            "In %(weeks)s fewer than ten reports were counted, so at most %(most)s installations "
            "took part."
        )
        if period.deviation:
            text = say.gettext(
                "In %(weeks)s fewer than ten reports were left with the noise, so at most %(most)s "
                "installations took part."
            )
        return text % {"weeks": period.name, "most": say.number(guess.high)}
    text = say.gettext(
        "In %(weeks)s about %(installations)s installations took part (95%% interval "
        "%(interval)s): %(reports)s reports came, and each installation sends one in %(rate)s of "
        "the weeks on average."
    )
    return text % {
        "weeks": period.name,
        "reports": say.count(period.figures.total),
        "rate": say.chance(period.figures.metric.rate),
        "installations": say.number(guess.installations),
        "interval": say.interval(guess),
    }


def _moved(entry: Declared, shown: Sequence[Period], say: Language) -> list[str]:
    """The biggest shares of the latest period that tells any, and where the first of them stood in
    the oldest period without a flag, if chance alone does not explain that it moved."""
    last = shown[-1]
    first = next((each for each in shown if not each.flags), last)
    rows = _ranked(last)
    if not rows:
        return []
    listed = ", ".join(
        f"{_name(entry, row, say)} {percent(row.share, say)}" for row in rows[:_NAMED]
    )
    sentences = [
        say.gettext("Shares in %(week)s: %(values)s.") % {"week": last.name, "values": listed}
    ]
    before = first.answer(rows[0].value)
    if before is not None and first.share(before) and are_apart(before.share, rows[0].share):
        sentences.append(
            say.gettext("In %(week)s %(value)s stood at %(percent)s (%(interval)s).")
            % {
                "value": _name(entry, before, say),
                "percent": percent(before.share, say),
                "interval": between(before.share, say),
                "week": first.name,
            }
        )
    return sentences


def are_apart(one: Share | None, other: Share | None) -> bool:
    """Whether their intervals have nothing in common."""
    assert one is not None and other is not None
    return one.high < other.low or other.high < one.low


def _ranked(period: Period) -> list[Value]:
    """The values that can be told, biggest share first."""
    known = [row for row in period.figures.values if period.share(row)]
    return sorted(known, key=lambda row: -period.share(row))


def _name(entry: Declared, row: Value, say: Language) -> str:
    return say.said(entry.metric, row.value)


def commonest(entries: Sequence[Declared]) -> Declared | None:
    """The entry that most installations are known to send; None where that can be told of none. It
    is still collected, and its newest period has data and no flag: what was once, or what somebody
    may have forged, says nothing of today."""
    known = [
        (period.figures.consenting, entry)
        for entry in entries
        if entry.state == COLLECTED and (period := entry.latest) and not period.flags
        if period is entry.periods[-1] and period.figures.consenting and _ranked(period)
    ]
    return max(known, key=lambda each: each[0])[1] if known else None


def of_all(entry: Declared, say: Language) -> str:
    """How many of all installations send ``entry``, which is one of ``commonest``, and what its
    shares then say of all of them: from c·p₁ to 1 − c·(1 − p₂)."""
    period = entry.latest
    assert period is not None
    row, share = _ranked(period)[0], _ranked(period)[0].share
    known = period.figures.consenting
    assert share is not None and known is not None
    low, high = among_all(known, share)
    return say.gettext(
        "These shares are of those who agreed: very likely at least %(known)s of all that fetch "
        "the news. About the others nothing is known; among all, the share of “%(value)s” could be "
        "from %(low)s to %(high)s."
    ) % {
        "known": say.whole(known),
        "value": _name(entry, row, say),
        "low": say.chance(low / 100),
        "high": say.chance(high / 100),
    }


def flags(entry: Declared) -> set[str]:
    """Those of its recent periods."""
    return {flag for period in entry.recent for flag in period.flags}


# --- Cells ---


def rows(entry: Declared, period: Period) -> list[Value]:
    """Of the table of one period."""
    found = {row.value: row for row in period.figures.values}
    return [found[value] for value in ordered(entry.metric, found)]


def columns(entry: Declared) -> list[str]:
    """The values with a column in a table of several periods or releases: those that have a band
    in the chart, or would have; where nothing is known well enough to be drawn, the first ones."""
    told = [band.name for band in bands(entry) if band.name != REST_KEY]
    latest = entry.latest
    return told or ([row.value for row in rows(entry, latest)][: len(COLOURS)] if latest else [])


def percent(share: Share | None, say: Language) -> str:
    """A dash where nothing can be told."""
    return "–" if share is None or share.percent is None else say.whole(share.percent)


def between(share: Share | None, say: Language) -> str:
    """``43–49%``."""
    return "–" if share is None else say.percents(share.low, share.high)


def told_between(share: Share | None, say: Language) -> str:
    """``46% (43–49%)``; of a hidden count the interval alone."""
    if share is None or share.percent is None:
        return between(share, say)
    return f"{percent(share, say)} ({between(share, say)})"


def remarks(period: Period, say: Language) -> str:
    """Its flags."""
    return ", ".join(say.gettext(flag) for flag in period.flags)


def possible(entry: Declared, say: Language) -> str:
    """All values that a report of it can say."""
    known = [
        say.said(entry.metric, value) for value in ordered(entry.metric, entry.metric.values_known)
    ]
    return ", ".join(known) or say.gettext("a version, its first two numbers")


def disguise(entry: Declared, say: Language) -> str:
    """How many of the answers are random, of an entry that has an epsilon."""
    values = len(entry.metric.values_known)
    share = values * other(entry.metric.epsilon, values)
    text = say.gettext(
        "%(percent)s of the answers are drawn at random from all values, whatever is true, so that "
        "none proves anything."
    )
    return text % {"percent": say.whole(round(100 * share))}
