"""Closes weeks: decides which are due, composes them once, and hands out what was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

from mars.errors import ConfigError, StateError
from mars.wire.catalogue import Catalogue
from mars.wire.query import NONE
from mars.wire.variables import OTHER
from mars_server.common.calendar import (
    FIRST_WEEK,
    following,
    iso_week,
    monday,
    settled,
    span,
    week_of,
)
from mars_server.common.calendar import days as days_of
from mars_server.publication.folder import HITS
from mars_server.storage import Engine
from mars_server.storage.publication import StoredReports, StoredWeek, StoredWeeks, stored
from mars_server.tables import signed_documents, statistics
from mars_server.tables.compose import RARE, STABLE_WEEKS, Exact, FloorRules, Listing, compose, step
from mars_server.tables.fetch_intervals import periods_of
from mars_server.tables.quarters import LONGEST
from mars_server.tables.signed_documents import Served, unknown
from mars_server.tables.statistics import Known, Listings, Reports
from mars_server.tables.statistics_week import decode as decode_statistics
from mars_server.tables.statistics_week import encode as encode_statistics
from mars_server.tables.week import Week, decode, encode

# --- Which weeks are published, and which are left out because a clock was wrong ---

PAUSE_WEEKS: Final = 26
"""More weeks than this without a hit are a pause, not a gap: they are not published one by one."""


@dataclass(frozen=True)
class DueWeeks:
    """What to do with the weeks that are complete; both oldest first."""

    due: tuple[str, ...]
    """Published, or to be published now; weeks without data inside a stretch included."""
    left_out: tuple[str, ...]
    """To be closed without ever being published."""


def due_weeks(
    counted: Mapping[str, bool], published: Collection[str], last: str, current: str
) -> DueWeeks:
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
    return DueWeeks(
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


_LAST_WEEK: Final = "9999-W52"
"""After all weeks."""
_WEEK_DAYS: Final = 7
_LEAST_A_DAY: Final = 10
"""Hits a day on average, from which on a day without any is no chance (e^-10, one in 22,000)."""


def close_weeks(
    engine: Engine,
    rules: FloorRules,
    now: int,
    *,
    chosen: bool = False,
    catalogue: Catalogue | None = None,
) -> list[Week]:
    """Publishes every week that is due at ``now`` and returns all published weeks of hits, oldest
    first. Of statistics and error events too, where the ``catalogue`` declares any.

    One transaction, with counters kept out: reading the counts, composing, and closing the week
    happen together or not at all. Weeks that were published before are never composed again.
    ``chosen``: the operator gave ``now`` by hand, so it alone says which weeks are complete.
    Raises ``ConfigError`` (``other-product``) where the database belongs to another product.
    """
    with stored(engine) as kept:
        kept.lock()
        check_owner(kept, rules)
        weeks = _close(kept, rules, now, chosen=chosen)
        if catalogue is not None and catalogue.entries:
            news = {week.week: week for week in weeks}
            _close_reports(kept.statistics, Known(rules, catalogue, news=news), now, chosen=chosen)
        return weeks


def partial(kept: StoredWeeks, weeks: Collection[str]) -> list[str]:
    """Those of ``weeks`` that have days without a hit, though they have so many hits on the others
    that chance does not explain it: logs may be missing, or the server was away."""
    days = kept.hits_by_day()
    found = []
    for week in weeks:
        hits = [days[day] for day in days_of(week) if day in days]
        if 0 < len(hits) < _WEEK_DAYS and sum(hits) >= _LEAST_A_DAY * len(hits):
            found.append(week)
    return found


def check_owner(kept: StoredWeeks, rules: FloorRules) -> None:
    """Raises ``ConfigError`` (``other-product``) where the database belongs to another product."""
    product, channel = kept.owner()
    mine = (rules.product.product, rules.product.channel)
    if product is not None and (product, channel or mine[1]) != mine:
        raise ConfigError(
            "other-product",
            f"The database counts {product} ({channel}), the product file names {mine[0]} "
            f"({mine[1]}); give the database and the product file that belong together.",
        )


def _close(kept: StoredWeeks, rules: FloorRules, now: int, *, chosen: bool) -> list[Week]:
    entries = kept.kept()
    published = {entry.week: decode(entry.document) for entry in entries}
    days = kept.hits_by_day()
    last = settled(now) if chosen else min(settled(now), _counted_until(kept, days))
    current = week_of(datetime.fromtimestamp(now, UTC).date())
    weeks = due_weeks(_open_weeks(kept, days, rules), published, last, current)
    kept.leave_out(weeks.left_out, now)
    standing = published[max(published)].interval if published else None
    late_seen = max((entry.late_seen for entry in entries), default=0)
    late_now = kept.late()
    periods = periods_of(kept.served())
    first = _first_needed(weeks.due, published)
    exact = kept.exact(first) if first else {}
    listings: Mapping[str, Listing] = {name: Listing() for name in RARE}
    for week in weeks.due:
        counts = exact.get(week, Exact())
        if week in published:
            listings = _after(published[week], counts, listings, rules)
            continue
        listings = step(week, counts, listings, rules)
        before = [published[each] for each in sorted(published) if each < week]
        fresh = compose(
            week, counts, listings, before, late_now - late_seen, rules, standing, periods, exact
        )
        late_seen = late_now
        published[week] = fresh
        kept.keep(StoredWeek(week, encode(fresh), late_seen), now)
    return [published[week] for week in sorted(published)]


def _close_reports(kept: StoredReports, known: Known, now: int, *, chosen: bool) -> None:
    entries, sums = kept.kept(), kept.by_week()
    published = {entry.week: decode_statistics(entry.document) for entry in entries}
    last = settled(now) if chosen else min(settled(now), _opened_until(kept, sums))
    current = week_of(datetime.fromtimestamp(now, UTC).date())
    pending = sums.keys() - kept.closed()
    counted = replace(known, reports=kept.exact(min(pending)) if pending else {})
    still_open = {week: statistics.is_full(week, counted) for week in pending}
    weeks = due_weeks(still_open, published, last, current)
    if held := [] if chosen else kept.locked(set(weeks.due) - published.keys(), now):
        last = week_of(monday(held[0]) - timedelta(days=7))
        weeks = due_weeks(still_open, published, last, current)
    kept.leave_out(weeks.left_out, now)
    fresh = [week for week in weeks.due if week not in published]
    late_seen, late_now = max((entry.late_seen for entry in entries), default=0), kept.late()
    if fresh:
        needed = [week for week in sorted(sums) if week < fresh[0]][-LONGEST - STABLE_WEEKS :]
        exact = kept.exact([*needed, fresh[0]][0])
        known = replace(known, reports=exact, uncertain=kept.uncertain())
    listings: Listings = {}
    for week in weeks.due if fresh else ():
        listings = statistics.step(week, listings, known)
        if week in published:
            whole = bool(known.reports.get(week, Reports()).counts)
            listings = statistics.after(published[week], listings, whole=whole)
            continue
        before = [published[each] for each in sorted(published) if each < week]
        made = statistics.compose(week, listings, before, late_now - late_seen, known)
        late_seen, published[week] = late_now, made
        kept.keep(StoredWeek(week, encode_statistics(made), late_seen), now)


def _opened_until(kept: StoredReports, sums: Collection[str]) -> str:
    """The latest week whose reports can all be opened: it was over when a spool was last opened, or
    there are reports of a later week, as ``_counted_until`` has it of hits. ``sums``: the weeks
    with reports."""
    opened = kept.last_opened()
    if opened is None:
        return _LAST_WEEK
    moment = datetime.fromtimestamp(opened, UTC).date()
    past = [week for week in sums if week <= week_of(moment)]
    if not past:
        return _LAST_WEEK
    before = week_of(monday(max(past)) - timedelta(days=7))
    return max(before, week_of(moment - timedelta(days=7)))


def waiting_reports(kept: StoredReports, now: int) -> list[str]:
    """Weeks with reports that are old enough at ``now`` and still open: not opened to their end, or
    nothing is declared."""
    still_open = kept.by_week().keys() - kept.closed()
    return sorted(week for week in still_open if week <= settled(now))


def locked_reports(kept: StoredReports, now: int) -> list[str]:
    """The weeks that others wait for at ``now``: their reports may be in spools that no key of
    theirs was given for."""
    behind = waiting_reports(kept, now)
    if not behind:
        return []
    published = kept.published()
    first = following(max(published)) if published else behind[0]
    return kept.locked(set(span(min(first, behind[0]), behind[-1])) - kept.closed(), now)


def waiting(kept: StoredWeeks, now: int) -> list[str]:
    """Weeks that are old enough at ``now`` but have not been counted to their end."""
    days = kept.hits_by_day()
    last = _counted_until(kept, days)
    still_open = {iso_week(day) for day in days} - kept.closed()
    return sorted(week for week in still_open if last < week <= settled(now))


def left_out(kept: StoredWeeks) -> set[str]:
    """Weeks with hits that were closed without being published."""
    gone = kept.closed() - kept.published().keys()
    return gone & {iso_week(day) for day in kept.hits_by_day()}


def _open_weeks(kept: StoredWeeks, days: Mapping[str, int], rules: FloorRules) -> dict[str, bool]:
    """The weeks with hits that are not closed, and whether their total is ten or more."""
    closed = kept.closed()
    hits: Counter[str] = Counter()
    for day, n in days.items():
        hits[iso_week(day)] += n
    return {week: not rules.total(week, n).hidden for week, n in hits.items() if week not in closed}


def _counted_until(kept: StoredWeeks, days: Collection[str]) -> str:
    """The latest week whose hits can all be counted: it was over when logs were last counted, or
    hits of a later day are counted. ``days`` are those with hits.

    A day after the counting says nothing, since its clock was wrong. Where there are no others
    the logs follow another clock (a simulation); then, and where nobody noted the time of
    counting, the clock of ``publish`` has to do.
    """
    counted = kept.last_counted()
    if counted is None:
        return _LAST_WEEK
    moment = datetime.fromtimestamp(counted, UTC).date()
    past = [day for day in days if day <= (moment + timedelta(days=1)).isoformat()]
    if not past:
        return _LAST_WEEK
    return week_of(max(moment, date.fromisoformat(max(past))) - timedelta(days=7))


def _first_needed(due: Sequence[str], published: Mapping[str, Week]) -> str | None:
    """The first day whose exact counts matter for the weeks that are not published yet, or None.

    Of published weeks these are the few that a table's period may sum, and those that may have
    begun a rare value's streak before it.
    """
    fresh = [week for week in due if week not in published]
    if not fresh:
        return None
    before = [week for week in due if week < fresh[0] and not published[week].hits.missing]
    return monday([*before, fresh[0]][-LONGEST - STABLE_WEEKS :][0]).isoformat()


def _after(
    week: Week, counts: Exact, listings: Mapping[str, Listing], rules: FloorRules
) -> Mapping[str, Listing]:
    """The listings after a published week: what it listed stands, whatever is known by now. Of a
    week that was taken over nothing else is known."""
    stepped = step(week.week, counts, listings, rules)
    found = dict(stepped)
    for name in RARE:
        rows = {row.value for row in week.tables[name]}
        if rows:
            listed = Listing(frozenset(rows - {OTHER, NONE}))
            streaks = {} if counts.hits is None else stepped[name].streaks
            found[name] = listed.with_streaks(streaks)
    return found


def check_untouched(
    kept: Mapping[str, bytes], found: Mapping[str, bytes], kind: str = HITS
) -> None:
    """Refuses where a folder holds other bytes for a published week than the database. ``kind``
    begins the names of its files.

    Raises ``StateError``: ``published-differs``, or ``published-unknown`` for a week that the
    database never published.
    """
    for week, data in sorted(found.items()):
        name = f"{kind}{week}"
        if week not in kept:
            raise StateError(
                "published-unknown",
                f"The folder holds {name}, which this database has not published; publish to "
                "another folder, or take the folder's weeks over with --adopt.",
            )
        if kept[week] != data:
            raise StateError(
                "published-differs",
                f"The folder's file of {name} differs from what the database published, and a "
                f"published week never changes. If the file was changed, delete {name}.json: the "
                "next run writes it as it was. If the database is another one, give the right one.",
            )


def check_documents(known: Sequence[Served], found: Sequence[Served]) -> None:
    """Refuses where a folder names a signed document that the database does not know, since the
    list would lose it. Raises ``StateError`` (``documents-unknown``)."""
    if missing := unknown(found, known):
        raise StateError(
            "documents-unknown",
            f"The folder's {signed_documents.FILE} names {len(missing)} signed document(s) that "
            "this database does not know, and they would be lost; name them with --motd, or take "
            "them over with --adopt.",
        )
