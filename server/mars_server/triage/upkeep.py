"""What is done after every run: weeks are closed, what is over its time or the quota goes."""

from __future__ import annotations

from datetime import date, timedelta

from mars_server.common.calendar import utc_day, week_of
from mars_server.storage import Engine
from mars_server.storage.openings import KEPT_DAYS as DIGESTS_KEPT_DAYS
from mars_server.storage.triage import deleting, groups, store
from mars_server.storage.triage.deleting import Gone, Limits, Quota
from mars_server.triage import trends
from mars_server.triage.grouping import Lists

KEPT_DAYS = 90
"""Of a direct report after it came and after the last change by a person; of a share, read or not;
of a tombstone."""
SPOOLS_KEPT_DAYS = 120
"""Of the note that a spool was read; the spool itself is gone long before."""
QUOTA = Quota(reports=10_000, shares=50_000, tombstones=10_000)
"""As many reports as the status document has room for; shares take up to 0.5 GB."""
_LISTS = "lists"


def limits(today: date) -> Limits:
    """First days that stay."""
    kept = today - timedelta(days=KEPT_DAYS)
    spools = today - timedelta(days=SPOOLS_KEPT_DAYS)
    week = week_of(today - timedelta(days=DIGESTS_KEPT_DAYS))
    return Limits(kept.isoformat(), spools.isoformat(), week)


def tidy(engine: Engine, now: int, quota: Quota = QUOTA) -> tuple[Gone, Gone]:
    """What went for its age, and for the quota. ``now``: Unix seconds."""
    trends.close(engine, now)
    today = utc_day(now)
    with engine.begin() as connection:
        old = deleting.expire(connection, limits(today))
        over = deleting.shrink(connection, quota)
        deleting.note_quota(connection, over, week_of(today))
    store.wiped(engine)
    return old, over


def regroup(engine: Engine, lists: Lists) -> bool:
    """Makes the groups anew where they were made by other lists; whether that was so."""
    with engine.begin() as connection:
        held = store.noted(connection, _LISTS)
        if held not in (None, lists.digest):
            groups.regroup(connection, lists.title)
        store.note(connection, _LISTS, lists.digest)
    return held not in (None, lists.digest)
