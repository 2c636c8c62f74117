"""Closes weeks: decides which are due, composes them once, and hands out what was kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine

from mars.errors import ConfigError, StateError
from mars.wire.query import NONE, OTHER
from mars_server.publication import rare
from mars_server.publication.compose import Exact, Rules, compose, step
from mars_server.publication.document import Week, decode, encode
from mars_server.publication.served import Served
from mars_server.publication.weeks import settled, span
from mars_server.storage import publication as store

EMPTY = Exact()


def close_weeks(engine: Engine, rules: Rules, now: int) -> list[Week]:
    """Publishes every week that is due at ``now`` and returns all published weeks, oldest first.

    One transaction, with counters kept out: reading the counts, composing, and closing the week
    happen together or not at all. Weeks that were published before are never composed again.
    Raises ``ConfigError`` (``other-product``) where the database belongs to another product.
    """
    with engine.begin() as connection:
        store.lock(connection)
        _check_owner(connection, rules)
        return _close(connection, rules, now)


def published(engine: Engine) -> dict[str, bytes]:
    """The bytes of every published week, by week."""
    with engine.begin() as connection:
        return {entry.week: entry.document for entry in store.kept(connection)}


def documents(engine: Engine, new: Served | None) -> list[Served]:
    """All signed documents that were served, after ``new`` was added."""
    with engine.begin() as connection:
        if new is not None:
            store.keep_served(connection, new)
        return store.served(connection)


def adopt(engine: Engine, documents: Mapping[str, bytes], now: int) -> list[str]:
    """Takes over published weeks that the database does not know, after a loss of the database.

    Returns the weeks taken over. Raises ``WireError`` for a file that is no published week.
    """
    with engine.begin() as connection:
        store.lock(connection)
        known = {entry.week for entry in store.kept(connection)}
        seen = store.late(connection)
        new = sorted(set(documents) - known)
        for week in new:
            decode(documents[week])
            store.keep(connection, store.Kept(week, documents[week], seen), now)
        return new


def _check_owner(connection: Connection, rules: Rules) -> None:
    product, channel = store.owner(connection)
    mine = (rules.product.product, rules.product.channel)
    if product is not None and (product, channel or mine[1]) != mine:
        raise ConfigError(
            "other-product",
            f"The database counts {product} ({channel}), the product file names {mine[0]} "
            f"({mine[1]}); give the database and the product file that belong together.",
        )


def _close(connection: Connection, rules: Rules, now: int) -> list[Week]:
    kept = store.kept(connection)
    done = [decode(entry.document) for entry in kept]
    range_ = store.first_and_last_day(connection)
    if range_ is None:
        return done
    exact = store.exact(connection, *range_)
    late_seen = kept[-1].late_seen if kept else 0
    late_now = store.late(connection)
    published = {week.week: week for week in done}
    listings = _empty_listings()
    for week in _due(exact, published, now):
        counts = exact.get(week, EMPTY)
        listings = step(week, counts, listings, rules)
        if week in published:
            if counts is EMPTY and not published[week].hits.missing:
                listings = _listings_of(published[week])
            continue
        before = [published[each] for each in sorted(published) if each < week]
        fresh = compose(week, counts, listings, before, late_now - late_seen, rules)
        late_seen = late_now
        published[week] = fresh
        store.keep(connection, store.Kept(week, encode(fresh), late_seen), now)
    return [published[week] for week in sorted(published)]


def _empty_listings() -> dict[str, rare.Listing]:
    return {name: rare.Listing() for name in rare.DIMENSIONS}


def _listings_of(week: Week) -> dict[str, rare.Listing]:
    """What a week that was taken over listed; nothing else is known of it."""
    return {
        name: rare.Listing(
            frozenset(row.value for row in week.tables[name]) - {OTHER, NONE},
        )
        for name in rare.DIMENSIONS
    }


def _due(exact: Mapping[str, Exact], published: Mapping[str, Week], now: int) -> Sequence[str]:
    """All weeks from the first with data to the last settled one with data, gaps included.

    A week without any data is published (as "no data") only once a later week has some: until
    then it may be that its logs have just not been counted yet.
    """
    last = settled(now)
    full = [week for week in exact if week <= last] + list(published)
    return list(span(min(full), max(full))) if full else []


def check_untouched(kept: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    """Refuses where a folder holds other bytes for a published week than the database.

    Raises ``StateError``: ``published-differs``, or ``published-unknown`` for a week that the
    database never published.
    """
    for week, data in sorted(found.items()):
        if week not in kept:
            raise StateError(
                "published-unknown",
                f"The folder holds {week}, which this database has not published; publish to "
                "another folder, or take the folder's weeks over with --adopt.",
            )
        if kept[week] != data:
            raise StateError(
                "published-differs",
                f"The folder's file of {week} differs from what the database published; a "
                "published week never changes, so restore the file or the database.",
            )
