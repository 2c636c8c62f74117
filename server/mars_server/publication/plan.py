"""Which weeks are published, and which are left out because a clock was wrong. Pure.

Clients ask again after 33 days at most, so a project that lives has no half year without a hit.
A few hits that lie further back than that come from a machine whose clock was wrong, or from
somebody else's log; publishing them would publish hundreds of empty weeks with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from mars_server.publication.weeks import FIRST_WEEK, following, monday, span

PAUSE_WEEKS: Final = 26
"""More weeks than this without a hit are a pause, not a gap: they are not published one by one."""


@dataclass(frozen=True)
class Plan:
    """What to do with the weeks that are complete; both oldest first."""

    due: tuple[str, ...]
    """Published, or to be published now; weeks without data inside a stretch included."""
    left_out: tuple[str, ...]
    """To be closed without ever being published."""


def plan(counted: Mapping[str, bool], published: Collection[str], last: str, current: str) -> Plan:
    """``counted``: the weeks with hits that are not closed, and whether they have ten or more;
    ``last``: the latest week that is complete; ``current``: the week of now, whose hits already
    show what is a stray.

    Left out are weeks before ``FIRST_WEEK``, pauses, and what lies before a pause while nothing
    of it is published and none of its weeks has ten hits. A week without any data is due only
    where a later one has some: until then its logs may just not have been counted yet.
    """
    old = sorted(week for week in counted if week < FIRST_WEEK)
    known = {week for week in counted if FIRST_WEEK <= week <= max(last, current)}
    stretches = _stretches(known | set(published))
    stray = 0
    while stray < len(stretches) - 1 and not any(
        week in published or counted[week] for week in stretches[stray]
    ):
        stray += 1
    full = [
        [week for week in each if week <= last or week in published] for each in stretches[stray:]
    ]
    due = dict.fromkeys(week for each in full if each for week in span(each[0], each[-1]))
    end = max(due, default=stretches[stray][0] if stray else "")
    whole = span(stretches[0][0], end) if end else ()
    begun = {week for each in stretches[stray:] for week in each}
    return Plan(
        tuple(due), (*old, *(week for week in whole if week not in due and week not in begun))
    )


def _stretches(weeks: Iterable[str]) -> list[list[str]]:
    """``weeks`` in order, cut at every pause."""
    ordered = sorted(weeks)
    result = [ordered[:1]] if ordered else []
    for before, week in pairwise(ordered):
        if (monday(week) - monday(following(before))).days // 7 > PAUSE_WEEKS:
            result.append([])
        result[-1].append(week)
    return result
