"""What the counter asks the database to store, and when. No database is imported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from mars_server.counting.foreign.identity import Source
from mars_server.counting.reports import Reports
from mars_server.counting.tally import Tally, merge
from mars_server.daylog.format import Gap

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Sizes:
    """How much is done at once. The defaults fit every log; tests make them small."""

    span: int = 32 * _MIB
    """Bytes of a plain log that make one task."""
    checkpoint: int = 256 * _MIB
    """Bytes of log after which is stored: a crash costs seconds, a transaction milliseconds."""
    steps: int = 500
    """Logs after which is stored."""


@dataclass(frozen=True)
class Advance:
    """A source that was counted further, from ``before`` to the position of ``now``."""

    now: Source
    """Its hashes are marks (``mars_server.counting.foreign.known_logs``); numbers, days and time of
    counting follow from the tally."""
    before: int
    tally: Tally
    fingerprint: str | None = None
    """The mark of a compressed file that was counted to its end."""
    gap: Gap | None = None
    """Of a new source, what its server could not write."""
    again: int = 0
    """Bytes that were read again, as for keys of a spool that came later."""
    opened: Mapping[str, str] = field(default_factory=dict)
    """Where a spool was read to its end with keys: their weeks, by their ids in hex."""


class Stored(NamedTuple):
    """What a transaction stored."""

    ids: list[int]
    """Of the sources."""
    late: int
    """Hits that were dropped because their week is published."""
    reports: Reports


class Ledger(Protocol):
    """See ``mars_server.storage.ledger.Ledger``."""

    def sources(self) -> list[Source]: ...

    def key(self) -> bytes: ...

    def archived(self, fingerprint: str) -> int | None: ...

    def commit(self, advances: Iterable[Advance], now: int) -> Stored: ...


class Checkpoints:
    """What is counted and not yet stored, by log; stored now and then, counts with positions."""

    def __init__(
        self,
        ledger: Ledger,
        stored: Callable[[int, Advance], None],
        now: Callable[[], int],
        sizes: Sizes,
    ) -> None:
        """``stored`` is told each source's id and what the database now knows of it."""
        self._sizes = sizes
        self._ledger = ledger
        self._stored = stored
        self._now = now
        self._pending: dict[str, Advance] = {}
        self._ids: dict[str, int] = {}
        self._bytes = 0
        self.late = 0
        """Hits dropped so far because their week is published."""
        self.reports = Reports()

    def add(self, path: str, step: Advance) -> None:
        """The next step of the log at ``path``; raises like ``flush``."""
        if path in self._ids:
            step = replace(step, now=replace(step.now, id=self._ids[path]))
        size = step.now.position - step.before + step.again
        before = self._pending.get(path)
        if before is not None:
            stays = before.now.stays or step.now.stays
            step = Advance(
                replace(step.now, id=before.now.id, stays=stays),
                before.before,
                merge((before.tally, step.tally)),
                step.fingerprint,
                before.gap,
                step.again,
                {**before.opened, **step.opened},
            )
        self._pending[path] = step
        self._bytes += size
        if len(self._pending) >= self._sizes.steps or self._bytes >= self._sizes.checkpoint:
            self.flush()

    def flush(self) -> None:
        """Stores all of it in one transaction. Raises ``StateError``; then nothing is stored."""
        if not self._pending:
            return
        done = self._ledger.commit(self._pending.values(), self._now())
        self.late += done.late
        self.reports.add(done.reports)
        for number, (path, step) in zip(done.ids, self._pending.items(), strict=True):
            self._ids[path] = number
            self._stored(number, step)
        self._pending.clear()
        self._bytes = 0
