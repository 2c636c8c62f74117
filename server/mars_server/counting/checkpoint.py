"""Collects what was counted and stores it now and then, counts and positions together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.sizes import Sizes
from mars_server.counting.store_port import Advance, Ledger
from mars_server.counting.tally import merge


class Checkpoints:
    """What is counted and not yet stored, by log."""

    def __init__(
        self, ledger: Ledger, register: Register, now: Callable[[], int], sizes: Sizes
    ) -> None:
        self._sizes = sizes
        self._ledger = ledger
        self._register = register
        self._now = now
        self._pending: dict[str, Advance] = {}
        self._ids: dict[str, int] = {}
        self._bytes = 0
        self.late = 0
        """Hits dropped so far because their week is published."""

    def add(self, path: str, step: Advance) -> None:
        """The next step of the log at ``path``; raises like ``flush``."""
        if path in self._ids:
            step = replace(step, source=self._ids[path])
        before = self._pending.get(path)
        if before is not None:
            tally = merge((before.tally, step.tally))
            step = replace(
                step,
                source=before.source,
                before=before.before,
                tally=tally,
                stays=before.stays or step.stays,
                gap=before.gap,
            )
        self._pending[path] = step
        self._bytes += step.position - step.before
        if len(self._pending) >= self._sizes.steps or self._bytes >= self._sizes.checkpoint:
            self.flush()

    def flush(self) -> None:
        """Stores all of it in one transaction. Raises ``StateError``; then nothing is stored."""
        if not self._pending:
            return
        ids, late = self._ledger.commit(self._pending.values(), self._now())
        self.late += late
        for number, (path, step) in zip(ids, self._pending.items(), strict=True):
            self._ids[path] = number
            self._register.moved(number, step)
        self._pending.clear()
        self._bytes = 0
