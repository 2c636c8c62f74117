"""What the counter asks the database to store, and what it asks of it. No database is imported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from mars_server.counting.foreign.identity import Source
from mars_server.counting.tally import Tally
from mars_server.daylog.format import Gap


@dataclass(frozen=True)
class Advance:
    """A source that was counted further: from ``before`` to ``position``.

    ``ladder``, ``tail``, ``inode`` and ``fingerprint`` are marks
    (``mars_server.counting.foreign.known_logs``).
    """

    source: int | None
    """None: a new one."""
    own: str | None
    ladder: tuple[str, ...]
    before: int
    position: int
    tail: str
    inode: str | None
    timeless: bool
    tally: Tally
    fingerprint: str | None = None
    """Of a compressed file that was counted to its end."""
    format: str | None = None
    """The one it is read in; None where that is not known."""
    stays: str | None = None
    """``unread`` or ``changed``: why it must not be removed."""
    gap: Gap | None = None
    """Of a new source, what its server could not write."""


class Ledger(Protocol):
    """See ``mars_server.storage.ledger.Ledger``."""

    def sources(self) -> list[Source]: ...

    def key(self) -> bytes: ...

    def archived(self, fingerprint: str) -> int | None: ...

    def commit(self, advances: Iterable[Advance], now: int) -> tuple[list[int], int]: ...
