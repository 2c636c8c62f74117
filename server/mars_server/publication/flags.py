"""Warnings beside a week, computed from published figures, so they leak nothing; and whether
answers are missing, which is told under the rules of every other figure (``Rules.lacks``)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from mars_server.publication.document import Week
from mars_server.publication.estimate import DEFAULT, Interval
from mars_server.publication.floor import Published

LOOK_BACK: Final = 6
"""Weeks with data that a week is compared with."""
FACTOR: Final = 2
"""A week with more than twice, or less than half, the usual hits is disturbed."""
LEAST_CHANGE: Final = 100
"""Hits; smaller changes are the ordinary noise of small projects."""
SETTLING_DAYS: Final = 66
"""Twice the longest interval that clients accept (30 days, and 3 drawn): how long it takes until
requests have spread out again after the publisher has gone back to the default interval. Under any
other interval they spread so slowly that all its weeks are flagged."""


def flags(
    hits: Published, lacks: bool, laws: Sequence[Interval], before: Sequence[Week]
) -> tuple[str, ...]:
    """The flags of a week with ``hits``, which ``lacks`` answers that the server gave, and in which
    installations may have followed ``laws``, given the weeks published ``before`` it, oldest
    first."""
    found = []
    if lacks:
        found.append("incomplete")
    if _disturbed(hits, before):
        found.append("disturbed")
    if _steered(laws, before):
        found.append("steered")
    return tuple(found)


def _disturbed(hits: Published, before: Sequence[Week]) -> bool:
    usual = [week.hits.least for week in before if not week.hits.missing][-LOOK_BACK:]
    if hits.missing or len(usual) < 2:
        return False
    middle = median(usual)
    change = abs(hits.least - middle)
    far = hits.least > FACTOR * middle or FACTOR * hits.least < middle
    return far and change >= LEAST_CHANGE


def _steered(laws: Sequence[Interval], before: Sequence[Week]) -> bool:
    recent = before[-(SETTLING_DAYS // 7 + 1) :]
    return any(each != DEFAULT for each in (*laws, *(week.interval for week in recent)))
