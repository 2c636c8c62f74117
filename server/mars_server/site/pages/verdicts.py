"""What a reader asks first, and the answers in one or two sentences each; for pages and for the
picture of the page for people in a hurry. Made from published figures alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from mars.wire.product import Product, is_release
from mars.wire.variables import OTHER
from mars_server.common.calendar import monday, week_of
from mars_server.site.charts.tellable import label, latest, of_table
from mars_server.site.language import FOLDED, N_, Language
from mars_server.site.pages import findings
from mars_server.site.pages.events import Event, Note, events
from mars_server.tables.arrival import Arrival, arrivals
from mars_server.tables.downloads import NOT_GIVEN, base_of
from mars_server.tables.estimate import DEFAULT
from mars_server.tables.floor import STEP
from mars_server.tables.noise import TOLD
from mars_server.tables.signed_documents import Served
from mars_server.tables.week import Week

CHANGE_WEEKS: Final = 4
"""Weeks back to the one that the latest is compared with."""
_DOUBTS: Final = {"disturbed", "steered", "incomplete"}
_RAREST: Final = 3
"""Values that an answer names of those that might be dropped."""
_RARE: Final = 20
"""Percent; who has more is named only where nobody has less."""
_FEWEST: Final = 6
"""Values that are named of those with hardly any hits."""
_EVENTS: Final = 3
_KINDS: Final = {
    "release": N_("version %(version)s was first seen"),
    "gap": N_("no data"),
    "pause": N_("the first week after a pause"),
    "incomplete": N_("incomplete"),
    "disturbed": N_("disturbed"),
    "steered": N_("another interval between requests"),
    "late": N_("hits of earlier weeks came too late"),
    "note": N_("a note of the publisher"),
}


@dataclass(frozen=True)
class Verdict:
    """A question, its answer, and where the figures stand."""

    question: str
    text: str
    section: str
    """Of the site."""
    anchor: str = ""


def verdicts(
    product: Product,
    weeks: Sequence[Week],
    documents: Sequence[Served],
    notes: Sequence[Note],
    say: Language,
) -> list[Verdict]:
    """The questions in the order in which they are asked; none where nothing is published."""
    week = latest(weeks)
    if week is None:
        return []
    of_news = arrivals(documents, weeks)
    named = say.gettext("The operator names no signed news here.")
    return [
        Verdict(say.gettext("How many use it?"), _use(week, weeks, say), "hits"),
        Verdict(
            say.gettext("Is the newest version in use?"), _newest(latest_of("v", weeks), say), "v"
        ),
        Verdict(say.gettext("How many are new?"), _new(latest_of("ia", weeks), say), "ia"),
        Verdict(
            say.gettext("Has the last news arrived?"),
            arrived(of_news[0], say) if of_news else named,
            "events",
            "news",
        ),
        *(
            Verdict(say.gettext(question), dropping(table, weeks, product, say), table)
            for table, question in (
                ("v", N_("May we drop an old version?")),
                ("os", N_("May we drop a platform?")),
                ("py", N_("May we drop a Python version?")),
            )
        ),
        Verdict(
            say.gettext("What happened lately?"),
            lately(events(weeks, notes, say.code), say),
            "events",
        ),
        Verdict(say.gettext("How sure is this?"), sure(week, say), "method"),
    ]


def latest_of(table: str, weeks: Sequence[Week]) -> Week | None:
    """The newest period of ``table`` with data."""
    return latest(of_table(table, weeks))


def _use(week: Week, weeks: Sequence[Week], say: Language) -> str:
    moved = change(week, weeks, say)
    return findings.active(week, say) + "." + (f" {moved}" if moved else "")


def change(week: Week, weeks: Sequence[Week], say: Language) -> str:
    """How the estimate moved in four weeks, and whether chance explains it; empty where one of the
    two says too little."""
    name = week_of(monday(week.week) - timedelta(weeks=CHANGE_WEEKS))
    then = next((each for each in weeks if each.week == name), None)
    if then is None or not _tells(week) or not _tells(then):
        return ""
    assert week.estimate is not None
    assert then.estimate is not None
    if week.estimate.low <= then.estimate.high and then.estimate.low <= week.estimate.high:
        text = say.gettext("Against four weeks before (%(week)s) nothing moved beyond chance.")
        return text % {"week": name}
    percent = round(100 * week.hits.middle / then.hits.middle) - 100  # under one law
    text = say.gettext("Against four weeks before (%(week)s) it is %(percent)s more.")
    if percent < 0:
        text = say.gettext("Against four weeks before (%(week)s) it is %(percent)s less.")
    return text % {"week": name, "percent": say.whole(abs(percent))}


def _tells(week: Week) -> bool:
    guess = week.estimate
    return bool(guess and guess.low and not week.hits.hidden and not _DOUBTS & set(week.flags))


def _newest(week: Week | None, say: Language) -> str:
    newest = findings.newest_release(week) if week else None
    if week is None or newest is None:
        return say.gettext("Too few hits give a version to tell.")
    count = week.count("v", newest)
    assert count is not None
    text = say.gettext(
        "%(version)s, the newest version seen, has %(share)s of the %(base)s hits that give a "
        "version (%(weeks)s)."
    )
    return text % {
        "version": newest,
        "share": findings.told_share("v", week, [count], say),
        "base": say.count(base_of("v", week.tables["v"])),
        "weeks": label("v", week),
    }


def _new(week: Week | None, say: Language) -> str:
    new = findings.new_ones(week)
    if week is None or not new:
        return say.gettext("Too few hits give an age to tell.")
    text = say.gettext(
        "Installed in the last 31 days: %(share)s of the %(base)s hits that give their age "
        "(%(weeks)s)."
    )
    return text % {
        "share": findings.told_share("ia", week, new, say),
        "base": say.count(base_of("ia", week.tables["ia"])),
        "weeks": label("ia", week),
    }


# --- Has the news arrived? ---


def arrived(arrival: Arrival, say: Language) -> str:
    """When installations ask for a document, and how many did."""
    text = say.gettext(
        "The last signed news is of %(day)s: of the installations that always run half have asked "
        "by %(half)s, nine in ten by %(most)s, all by %(all)s."
    )
    days = {
        "day": arrival.signed,
        "half": arrival.asked_by(0.5),
        "most": arrival.asked_by(0.9),
        "all": arrival.asked_by(1.0),
    }
    text = text % {name: say.date(day) for name, day in days.items()}
    return f"{text} {_did(arrival, say)}"


def _did(arrival: Arrival, say: Language) -> str:
    if arrival.had_time is None:
        text = say.gettext("It is younger than %(week)s, the last published week.")
        return text % {"week": arrival.until}
    if arrival.low is None or arrival.high is None:
        text = say.gettext(
            "By the end of %(week)s %(time)s have had time; how many did ask, these weeks do not "
            "tell."
        )
        return text % {"week": arrival.until, "time": say.whole(arrival.had_time)}
    text = say.gettext(
        "By the end of %(week)s %(time)s have had time, and by the hits since %(did)s of those "
        "that asked before did ask."
    )
    return text % {
        "week": arrival.until,
        "time": say.whole(arrival.had_time),
        "did": say.percents(arrival.low, arrival.high),
    }


# --- May we drop it? ---


def dropping(table: str, weeks: Sequence[Week], product: Product, say: Language) -> str:
    """The rarest values that can be told, and those that cannot."""
    ranking = findings.ranking(table, weeks)
    sentences = []
    if ranking and ranking.shares:
        rows = [row for row in ranking.rows if _is_named(table, row.value)]
        rows.sort(key=lambda row: row.count.least)
        common = [row for row in rows[1:] if (ranking.shares[row.value].value or 0) > _RARE]
        rarest = [row for row in rows if row not in common][:_RAREST]
        text = say.gettext("The rarest in %(weeks)s: %(values)s.")
        values = [
            f"{say.name(table, row.value)} "
            f"{findings.told_share(table, ranking.week, [row.count], say)}"
            for row in rarest
        ]
        sentences.append(text % {"weeks": ranking.name, "values": "; ".join(values)})
    sentences += unseen(table, weeks, product, say, _FEWEST)
    return " ".join(sentences) or say.gettext("Too few hits give it to tell.")


def _is_named(table: str, value: str) -> bool:
    """Whether it is something that could be dropped."""
    return is_release(value) if table == "v" else value not in (OTHER, NOT_GIVEN)


def unseen(
    table: str, weeks: Sequence[Week], product: Product, say: Language, most: int | None = None
) -> list[str]:
    """A sentence for each group of values that have no row of their own in the ranking of the last
    of ``weeks``: since when they have been too rare, or that they are not counted yet. With
    ``most``, each names no more values than that, and how many more there are."""
    week = latest_of(table, weeks)
    if week is None:
        return []
    rows = [row for row in week.tables[table] if row.value != NOT_GIVEN]
    hidden = [row.value for row in rows if row.value != OTHER and not week.tells(row.count)]
    since = _rare_since(table, hidden, weeks)
    found = []
    for when in dict.fromkeys(since.values()):
        text = say.gettext(
            "Fewer than %(hits)s hits in every published week or period: %(values)s."
        )
        if when:
            text = say.gettext(
                "Fewer than %(hits)s hits in each week or period with data since %(since)s: "
                "%(values)s."
            )
        values = [value for value in since if since[value] == when]
        found.append(
            text
            % {
                "hits": _below(weeks, say),
                "since": when,
                "values": _names(table, values, say, most),
            }
        )
    known = {row.value for row in rows}
    new = [each for each in product.releases if each not in known] if table == "v" else []
    if new:
        text = say.gettext("Not counted by name in %(week)s, since not known then: %(values)s.")
        found.append(text % {"week": label(table, week), "values": _names(table, new, say, most)})
    return found


def _names(table: str, values: Sequence[str], say: Language, most: int | None) -> str:
    shown = ", ".join(say.name(table, value) for value in values[:most])
    if most is None or len(values) <= most:
        return shown
    text = say.gettext("%(values)s and %(more)s more")
    return text % {"values": shown, "more": say.number(len(values) - most)}


def _rare_since(table: str, hidden: Sequence[str], weeks: Sequence[Week]) -> dict[str, str]:
    """Of each of ``hidden`` the name of the first period after the last in which it could be told;
    empty where it never could."""
    left = {value.removesuffix(FOLDED): value for value in hidden}
    since = dict.fromkeys(hidden, "")
    later = ""
    for week in reversed(weeks):
        if not left:
            break
        if not week.closes(table) or not week.tables[table]:
            continue
        for row in week.tables[table]:
            if row.value in left and week.tells(row.count):
                since[left.pop(row.value)] = later
        later = label(table, week)
    return since


def _below(weeks: Sequence[Week], say: Language) -> str:
    """What hits have to reach to be told, with the most noise that a week has."""
    return say.number(max(STEP, *(math.ceil(TOLD * week.deviation) for week in weeks)))


# --- What happened, and how sure all this is ---


def lately(found: Sequence[Event], say: Language) -> str:
    """The newest events, in a few words each."""
    if not found:
        return say.gettext("Nothing out of the ordinary.")
    told = (
        f"{each.when}: {say.gettext(_KINDS[each.kind]) % {'version': each.version}}"
        for each in found[:_EVENTS]
    )
    return "; ".join(told) + "."


def sure(week: Week, say: Language) -> str:
    """What the numbers are and are not."""
    if "disturbed" in week.flags:
        return say.gettext("This week is disturbed; do not trust its figures.")
    if week.interval != DEFAULT or "steered" in week.flags:
        return say.gettext(
            "Requests came in bunches, so the estimate swings around the truth; all hits are "
            "rounded down to tens."
        )
    return say.gettext(
        "Installations are a lower bound: computers that are off ask less often, and who asks for "
        "nothing is not counted. Intervals hold in 19 of 20 cases, and nobody can prove that a "
        "request is genuine."
    )
