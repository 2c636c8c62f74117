"""What the pages say of error events: in sentences, and in the cells of their tables."""

from __future__ import annotations

from collections.abc import Sequence

from mars.wire.events import BELOW_1, BELOW_10, FEW, MORE, NO_FAILURE, OTHER
from mars_server.site.charts.answers import told
from mars_server.site.declared import Declared, Period
from mars_server.site.failures import MOST_OTHER, Cause, Domain, by_release, met, met_in
from mars_server.site.language import N_, Language
from mars_server.site.pages import answers
from mars_server.tables.statistics_week import Release, Share, Value

_VERSIONS = 4
"""Of the program, in the table of causes; the files have all."""


def finding(domain: Domain, say: Language) -> str:
    """Of how many installations how much failed, and how that has moved; else why there is nothing
    to tell."""
    period = domain.failed.latest
    if period is None:
        return answers.nothing(domain.failed, say)
    sentences = [_took_part(period, say)]
    if parts := _parts(period, say):
        text = say.gettext("Of them, in seven days: %(parts)s.")
        sentences.append(text % {"parts": "; ".join(parts)})
        sentences += _moved(domain.failed, say)
    return " ".join([*sentences, *answers.flagged(domain.failed, say)])


def _took_part(period: Period, say: Language) -> str:
    guess = period.figures.installations
    if guess is None or period.figures.total.hidden:
        return say.gettext("In %(weeks)s too few reports came to tell more.") % {
            "weeks": period.name
        }
    text = say.gettext(
        "In %(weeks)s about %(installations)s installations took part (95%% interval %(interval)s)."
    )
    return text % {
        "weeks": period.name,
        "installations": say.number(guess.installations),
        "interval": say.interval(guess),
    }


def _parts(period: Period, say: Language) -> list[str]:
    """What is known well enough, the worst first."""
    shares = {row.value: period.share(row) for row in period.figures.values}
    some = shares.get(BELOW_1, 0) + shares.get(BELOW_10, 0)
    sizes = {
        N_("%(percent)s had a tenth or more of their tries fail"): shares.get(MORE, 0),
        N_("%(percent)s had fewer fail, but some"): some,
        N_("%(percent)s had none fail"): shares.get(NO_FAILURE, 0),
        N_("%(percent)s tried fewer than 20 times, too few for a share"): shares.get(FEW, 0),
    }
    return [say.gettext(text) % {"percent": say.whole(n)} for text, n in sizes.items() if n]


def _moved(entry: Declared, say: Language) -> list[str]:
    """Where the worst share stood in the oldest period without a flag, if chance alone does not
    explain that it moved."""
    shown = told(entry.recent)
    before = next((each for each in shown if not each.flags), None)
    row = before.answer(MORE) if before else None
    now = shown[-1].answer(MORE) if shown else None
    if before is None or row is None or now is None or now.share is None:
        return []
    if not before.share(row) or not answers.are_apart(row.share, now.share):
        return []
    text = say.gettext("In %(week)s a tenth or more failed for %(percent)s (%(interval)s).")
    return [
        text
        % {
            "week": before.name,
            "percent": answers.percent(row.share, say),
            "interval": answers.between(row.share, say),
        }
    ]


def resolved(domain: Domain, say: Language) -> str:
    """How many installations had failures that resolved late."""
    period = domain.late.latest
    share = met(period)
    if period is None or share is None:
        return answers.nothing(domain.late, say)
    text = say.gettext(
        "In %(weeks)s %(share)s of the installations had failures that resolved later than that, "
        "up to %(late)s after they began."
    )
    return text % {
        "weeks": period.name,
        "share": answers.told_between(share, say),
        "late": say.duration(domain.terms.late),
    }


def unnamed(domain: Domain, say: Language) -> str:
    """That too much has no cause of its own; empty where that is not so."""
    if not domain.unnamed:
        return ""
    text = say.gettext(
        "It makes up %(percent)s of what fails here, more than %(most)s: causes without a name, of "
        "which nobody can tell what to mend. The publisher should name more of them."
    )
    return text % {"percent": say.whole(domain.unnamed), "most": say.whole(MOST_OTHER)}


def name(cause: Cause, say: Language) -> str:
    """For people; ``other`` in their language."""
    return say.gettext("other") if cause.name == OTHER else cause.entry.metric.label


def about(entry: Declared) -> str:
    """The name of a dimension."""
    return entry.metric.key.rpartition(".")[2].replace("_", " ")


def shares(period: Period, release: Release, rows: Sequence[Value]) -> list[Share | None]:
    """Of the installations of ``release``, of each of ``rows`` of its period."""
    found = {row.value: row.share for row in by_release(period, release)}
    return [found.get(row.value) for row in rows]


def versions(causes: Sequence[Cause]) -> list[str]:
    """The releases with a column in the table of ``causes``, newest first, ``other`` last."""
    found = dict.fromkeys(
        each.release
        for cause in causes
        if cause.entry.latest
        for each in cause.entry.latest.releases
        if not each.total.hidden
    )
    return list(found)[:_VERSIONS]


def in_version(cause: Cause, version: str) -> Share | None:
    """Of the installations of one release that met ``cause``."""
    period = cause.entry.latest
    release = _of(period, version)
    return met_in(period, release) if period and release else None


def _of(period: Period | None, version: str) -> Release | None:
    releases = period.releases if period else []
    return next((each for each in releases if each.release == version), None)
