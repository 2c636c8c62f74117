"""Which days the time axis of a chart names, and how.

Fewer than half a year of weeks are named one by one, as the tables name them; longer stretches by
their months, and years by years, so that no name stands twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

from mars_server.common.calendar import following, monday, span

MOST_LABELS: Final = 8
"""That fit beside each other."""
BY_WEEK: Final = 26
"""Fewer weeks than this are named by week."""
STEPS: Final = (1, 2, 3, 6, 12, 24, 60, 120)
"""Months between two names."""
WEEK_FORMAT: Final = "%G-W%V"
MONTH_FORMAT: Final = "%Y-%m"
YEAR_FORMAT: Final = "%Y"


def ticks(first: str, last: str, offset: int = 0) -> tuple[list[str], str]:
    """The days (ISO) to name from the week ``first`` to the week ``last``, and their format.

    A week is named at its day ``offset`` (0 is Monday), where the chart puts its figures.
    """
    weeks = list(span(first, last))
    if len(weeks) < BY_WEEK:
        step = -(-len(weeks) // MOST_LABELS)
        days = [monday(week) + timedelta(days=offset) for week in weeks[::step]]
        return [day.isoformat() for day in days], WEEK_FORMAT
    months = _months(monday(first), monday(following(last)))
    for step in STEPS:
        named = [month for month in months if (month.year * 12 + month.month - 1) % step == 0]
        if len(named) <= MOST_LABELS:
            break
    form = YEAR_FORMAT if step >= 12 else MONTH_FORMAT
    return [month.isoformat() for month in named], form


def _months(first: date, end: date) -> Sequence[date]:
    """The first days of all months that begin from ``first`` to ``end``."""
    numbers = range(first.year * 12 + first.month - 1, end.year * 12 + end.month)
    days = [date(number // 12, number % 12 + 1, 1) for number in numbers]
    return [day for day in days if first <= day <= end]
