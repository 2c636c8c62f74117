"""Which share of the installations met a failure, by what was published of its entry. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from mars.wire.events import FAILED_SHARE, FEW, NO_FAILURE, NONE
from mars.wire.registry import BUCKET, EVENTS, Metric
from mars_server.tables.floor import Published
from mars_server.tables.shares import ALL, Sampling
from mars_server.tables.statistics_week import Release, Share, Value

_ZERO: Final = "0"


def spared(metric: Metric) -> Collection[str]:
    """The values of an entry of error events that tell of no failure; none of other entries."""
    if metric.purpose != EVENTS:
        return ()
    if metric.key == FAILED_SHARE:
        return FEW, NO_FAILURE
    return (_ZERO if metric.type == BUCKET else NONE,)


def failing(metric: Metric, values: Sequence[Value], total: Published) -> Share | None:
    """Of the installations that send ``metric``, a count of failures, those that had any: what the
    interval of none leaves. The percentage is that of the middles of two numbers, and is told where
    they differ by so much that some did; None where there is nothing to divide by."""
    none = next((row for row in values if row.value in spared(metric)), None)
    if none is None or none.share is None:
        return None
    low, high = ALL - none.share.high, ALL - none.share.low
    if none.count.most >= total.least:
        return Share(None, low, high)
    part = round(ALL * float(1 - none.count.middle / total.middle))
    return Share(min(max(part, low), high), low, high)


def of_release(metric: Metric, weeks: int, deviation: float, release: Release) -> Sequence[Value]:
    """Its values with their shares among the installations of that release, by the same rules as
    those of the entry, from the numbers that are published of it. ``deviation`` is that of the
    noise in each number."""
    sampling = Sampling(metric.rate, weeks, metric.epsilon, len(metric.values_known), deviation)
    shares = sampling.shares([row.count for row in release.values], release.total)
    pairs = zip(release.values, shares, strict=True)
    return [replace(row, share=share) for row, share in pairs]
