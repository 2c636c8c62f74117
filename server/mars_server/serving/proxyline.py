"""The PROXY line that tor writes before a stream's first byte, and the cap per circuit.

With ``HiddenServiceExportCircuitID haproxy`` tor sends (tor(1))
``PROXY TCP6 fc00:dead:beef:4dad::AABB:CCDD ::1 <port> <virtual port>`` and CR LF, where the last
32 bits of the address are the circuit's number. The number is kept in memory for at most twenty
minutes, is in no log, and says nothing about a client beyond which streams share a circuit.
"""

from __future__ import annotations

import re

PREFIX = b"PROXY "
LONGEST = 107
"""Bytes of a version 1 line with its CR LF (haproxy, proxy-protocol.txt, section 2.1)."""
ROTATION = 600.0
"""Seconds; a circuit is forgotten after one to two of these."""
MOST_CIRCUITS = 100_000
"""Remembered between two rotations, about 10 MB; more start a new rotation early."""

_LINE = re.compile(
    rb"PROXY (?:TCP[46] (?P<source>[0-9a-fA-F.:]{2,39}) [0-9a-fA-F.:]{2,39} \d{1,5} \d{1,5}"
    rb"|UNKNOWN[ -~]{0,90})\r\n"
)
_CIRCUIT = re.compile(rb"fc00:dead:beef:4dad::([0-9a-f]{1,4}):([0-9a-f]{1,4})")


def strip(data: bytes) -> tuple[int | None, bytes] | None:
    """The circuit's number, None where tor did not write the line, and what follows the line; None
    while it cannot be told yet whether ``data`` begins with one.

    A line that is none is left in place, for the HTTP parser to refuse.
    """
    line = _LINE.match(data)
    if line is None:
        begun = PREFIX.startswith(data[: len(PREFIX)]) and b"\r\n" not in data
        return None if begun and len(data) < LONGEST else (None, data)
    circuit = _CIRCUIT.fullmatch(line["source"] or b"")
    number = int(circuit[1], 16) << 16 | int(circuit[2], 16) if circuit else None
    return number, data[line.end() :]


class CircuitCap:
    """Counts answers per circuit in memory. ``now`` is a monotonic time in seconds."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._recent: dict[int, int] = {}
        self._older: dict[int, int] = {}
        self._turned = 0.0

    def admit(self, circuit: int, now: float) -> bool:
        """Whether one more answer on this circuit is counted."""
        if now - self._turned >= ROTATION or len(self._recent) >= MOST_CIRCUITS:
            self._older, self._recent, self._turned = self._recent, {}, now
        seen = self._recent.get(circuit, 0) + 1
        self._recent[circuit] = seen
        return seen + self._older.get(circuit, 0) <= self._most
