"""What publication asks of the database; no database is imported here."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from mars_server.tables.compose import Exact
from mars_server.tables.signed_documents import Served


@dataclass(frozen=True)
class Entry:
    """One published week as it is kept: the bytes of ``WEEK.json``, and the exact number of late
    hits that was known, and so reported, by then."""

    week: str
    document: bytes
    late_seen: int


class Kept(Protocol):
    """Exact counts and what was published, within one transaction."""

    def lock(self) -> None:
        """Keeps counters out until the transaction ends, so that a week closes exactly once."""
        ...

    def owner(self) -> tuple[str | None, str | None]:
        """Product and channel that the database belongs to, None where nothing was counted yet."""
        ...

    def hits_by_day(self) -> dict[str, int]:
        """All hits of each day that has some."""
        ...

    def last_counted(self) -> int | None:
        """When logs were last counted (Unix seconds), None where no log is remembered."""
        ...

    def note_foreign(self) -> bool:
        """Whether a log was counted that our own server did not write; noted, so that it stays
        known when the log is forgotten."""
        ...

    def exact(self, first: str) -> dict[str, Exact]:
        """Exact counts by week, for all weeks with data from the day ``first`` on."""
        ...

    def kept(self) -> list[Entry]:
        """All published weeks, oldest first."""
        ...

    def late(self) -> int:
        """The exact number of hits dropped because their week was published."""
        ...

    def keep(self, week: Entry, now: int) -> None:
        """Records ``week`` as published at ``now`` (Unix seconds) and closes it to the counter."""
        ...

    def closed(self) -> set[str]:
        """All weeks that take no more hits: published ones, and those that were left out."""
        ...

    def leave_out(self, names: Iterable[str], now: int) -> None:
        """Closes these weeks at ``now`` (Unix seconds) without publishing them."""
        ...

    def served(self) -> list[Served]:
        """All documents that were ever named to ``publish``, oldest first."""
        ...

    def keep_served(self, document: Served) -> None:
        """Records a document; where it is known, only what it asks for, if nobody noted that."""
        ...


class Publications(Protocol):
    """Where all of it is kept."""

    def begin(self) -> AbstractContextManager[Kept]:
        """One transaction; undone where the body raises."""
        ...
