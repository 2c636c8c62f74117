"""How much is done at once. The defaults fit every log; tests make them small."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Sizes:
    span: int = 32 * MIB
    """Bytes of a plain log that make one task."""
    checkpoint: int = 256 * MIB
    """Bytes of log after which is stored: a crash costs seconds, a transaction milliseconds."""
    steps: int = 500
    """Logs after which is stored."""
