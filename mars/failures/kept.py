"""The file with what is counted of failures: of each domain all of it since one moment. Pure.

What is not understood as a whole counts as nothing kept. A count of which a part is missing would
be told as if it were all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mars.core.records import FAILURES_FILE
from mars.core.state import read, table, text, time
from mars.errors import StateError
from mars.failures.counts import TOLD, Counts, merged, told
from mars.wire.events import Domain
from mars.wire.registry import Metric, is_name
from mars.wire.strictjson import is_deep
from mars.wire.times import DAY

VERSION = 1
LIMIT = 768 * 1024
"""Bytes."""
_DEEPEST = 16


@dataclass(frozen=True)
class Kept:
    """Of one domain."""

    since: int
    """Unix time since when everything that counts is in ``counts``."""
    counts: Counts = field(default_factory=Counts)

    def value(self, domain: Domain, metric: Metric, now: int, agreed: int | None) -> str | None:
        """What a report of ``metric``, an entry of ``domain``, would say at ``now``: of the last
        seven complete days. None while one of these began before the counting did, or before the
        user ``agreed`` (Unix times)."""
        first = now // DAY - TOLD
        if first * DAY < max(self.since, agreed or 0):
            return None
        said = told(self.counts, domain, now)
        return metric.said(said[metric.key])


Everything = Mapping[str, Kept]
"""By the names of the domains."""


@lru_cache(maxsize=2)  # it is asked for at every look
def decode(data: bytes) -> Everything:
    """Raises ``StateError`` (``state-damaged``)."""
    found = read(_everything, data)
    if found is None or encode(found) != data:
        raise StateError(
            "state-damaged",
            f"{FAILURES_FILE} could not be understood, so all that was counted of failures is "
            "forgotten, and nothing of them is told for seven days; check that disk if it goes on.",
        )
    return found


def encode(kept: Everything) -> bytes:
    """Where it would be too large, subjects are forgotten, so that some may count again.

    Raises ``StateError`` (``state-too-large``).
    """
    data = _encoded(kept)
    if len(data) > LIMIT:
        bare = {name: replace(one, counts=Counts(one.counts.days)) for name, one in kept.items()}
        data = _encoded(bare)
    if len(data) > LIMIT:
        raise StateError(
            "state-too-large",
            f"{FAILURES_FILE} would be larger than {LIMIT} bytes, so no more failures are counted; "
            "have the publisher declare fewer.",
        )
    return data


def added(
    kept: Everything, gained: Mapping[str, Counts], counted: Collection[str], now: int
) -> dict[str, Kept]:
    """``kept`` with what a process ``gained``, of the domains that are ``counted`` now; of others
    nothing stays. A beginning that lies ahead is that of a wrong clock."""
    found = {}
    for name in sorted(counted):
        one, more = kept.get(name, Kept(now)), gained.get(name, Counts())
        counts = merged(one.counts, more, now)
        found[name] = Kept(min(_since(one, more, now), now), counts)
    return found


def _since(kept: Kept, more: Counts, now: int) -> int:
    """Where days are dropped as too old, nothing is whole before the oldest that is not: a clock
    that was ahead only then must not leave days that would be told as if nothing had failed."""
    oldest = now // DAY - TOLD
    if any(day < oldest for day in (*kept.counts.days, *more.days)):
        return max(kept.since, oldest * DAY)
    return kept.since


def _encoded(kept: Everything) -> bytes:
    domains = {
        name: {"since": one.since, **one.counts.plain()} for name, one in sorted(kept.items())
    }
    return f"{json.dumps({'version': VERSION, 'domains': domains})}\n".encode("ascii")


def _everything(data: bytes) -> dict[str, Kept]:
    if len(data) > LIMIT or is_deep(data, _DEEPEST):
        raise ValueError
    said = table(json.loads(data.decode("ascii")))
    return {_name(name): _kept(one) for name, one in table(said["domains"]).items()}


def _kept(value: object) -> Kept:
    return Kept(time(table(value)["since"]), Counts.read(value))


def _name(value: object) -> str:
    name = text(value)
    if not is_name(name):
        raise ValueError
    return name
