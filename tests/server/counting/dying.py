"""A counter that dies between two transactions, or in the middle of one."""

from __future__ import annotations

from collections.abc import Iterable

from mars_server.counting.foreign.identity import Source
from mars_server.counting.store_port import Advance, Ledger, Stored


class CrashError(Exception):
    """The counter dies here."""


class Dying:
    """A real ledger whose process dies before or after the n-th transaction."""

    def __init__(self, ledger: Ledger, dies: int, *, after: bool) -> None:
        self._ledger = ledger
        self._left = dies
        self._after = after

    def sources(self) -> list[Source]:
        return self._ledger.sources()

    def key(self) -> bytes:
        return self._ledger.key()

    def archived(self, fingerprint: str) -> int | None:
        return self._ledger.archived(fingerprint)

    def commit(self, advances: Iterable[Advance], now: int) -> Stored:
        self._left -= 1
        if self._left < 0 and not self._after:
            raise CrashError
        done = self._ledger.commit(advances, now)
        if self._left < 0:
            raise CrashError
        return done
