"""Intervals of shares of hits, and what they say of installations; from published figures alone.

Each installation asks about as often as any other, and which variable a request says is drawn anew
for each. So the hits that say a value vary less than those of a lottery with as many draws, and
Wilson's limits are never too narrow. The ends hold for every true count that the floors stand for,
and for the noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mars_server.tables.crowd import tracked
from mars_server.tables.downloads import NOT_GIVEN, weeks_of
from mars_server.tables.estimate import Estimate, significant
from mars_server.tables.floor import STEP, Published
from mars_server.tables.noise import TOLD
from mars_server.tables.shares import Z95, wilson
from mars_server.tables.week import Row, Week


@dataclass(frozen=True)
class Between:
    """A share in whole percent, and the installations that it means among those that send metrics
    (two significant digits), both rounded outward; None where that cannot be told."""

    low: int
    high: int
    installations: tuple[int, int] | None


def between(table: str, week: Week, some: Sequence[Published]) -> Between:
    """Of the hits of ``week`` (or of the period of ``table`` that ends with it) that carry the
    variable, the share whose values are counted in ``some``."""
    rows = [row for row in week.tables[table] if table == "level" or row.value != NOT_GIVEN]
    fewest, largest = _base(table, week, rows)
    noise = TOLD * week.deviation
    of_sum = noise * math.sqrt(max(1, len(rows), weeks_of(table, week) + 1))
    least, most = sum(each.least for each in some), sum(each.most for each in some)
    whole = max(0.0, fewest - of_sum)
    noise *= math.sqrt(len(some))
    low = wilson(max(0.0, least - noise), largest + of_sum, Z95)[0]
    high = wilson(min(most + noise, whole), whole, Z95)[1]
    lowest, highest = math.floor(100 * low), math.ceil(100 * high)
    return Between(lowest, highest, _installations(table, week, low, high))


def _base(table: str, week: Week, rows: Sequence[Row]) -> tuple[int, int]:
    """The fewest and the most hits that can carry the variable: between the sum of the floors, and
    all hits less those that do not."""
    fewest, most = sum(row.count.least for row in rows), sum(row.count.most for row in rows)
    without = next((row.count for row in week.tables[table] if row.value == NOT_GIVEN), None)
    hits = week.hits.least + (STEP - 1) * weeks_of(table, week)
    rest = hits - (without.least if without and table != "level" else 0)
    return fewest, max(fewest, rest if week.deviation else min(most, rest))


def _installations(table: str, week: Week, low: float, high: float) -> tuple[int, int] | None:
    users: Estimate | None = week.estimate if table == "level" else tracked(week)
    if users is None or not users.low:
        return None
    return significant(low * users.low, math.floor), significant(high * users.high, math.ceil)
