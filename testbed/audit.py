"""What this process asks of the network, by Python's own audit events (PEP 578)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class NetworkAudit:
    """Addresses that were connected to, and names that were looked up, in every thread.

    An audit hook cannot be removed, so there is one for the process, asleep between uses.
    """

    def __init__(self) -> None:
        self.connected: set[object] = set()
        self.resolved: list[object] = []
        self._on = False
        sys.addaudithook(self._hear)

    @contextmanager
    def listening(self) -> Iterator[NetworkAudit]:
        """From nothing, for the length of the block."""
        self.connected.clear()
        self.resolved.clear()
        self._on = True
        try:
            yield self
        finally:
            self._on = False

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._on:
            return
        if event == "socket.connect":
            self.connected.add(arguments[1])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
            self.resolved.append(arguments)
