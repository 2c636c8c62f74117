"""A log on its way through a pass: what is known of it, and what this pass read of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from mars_server.counting.foreign.identity import Verdict
from mars_server.counting.foreign.probe import Probe
from mars_server.counting.spools import Opened
from mars_server.counting.streams import shown
from mars_server.counting.tally import UNREAD, is_unread


@dataclass
class Job:
    """One log."""

    probe: Probe
    verdict: Verdict = field(default=Verdict(None, 0))
    position: int = 0
    stopped: bool = False
    lines: int = 0
    unread: int = 0
    packed: bool = False
    """An archive stands among its lines."""
    opened: Opened = field(default_factory=Opened)

    @property
    def name(self) -> str:
        """As a message may name it."""
        return shown(self.probe.path)

    @property
    def is_unread(self) -> bool:
        """Whether too much of what this pass read, or of all that was read, fits no format."""
        return self.unread > 0 and (
            # A part of a log may be as short as a line.
            (self.unread > UNREAD and is_unread(self.lines, self.unread)) or is_unread(*self._whole)
        )

    @property
    def stays(self) -> str | None:
        """Why it must not be removed. The first few lines alone say nothing of a log."""
        if self.verdict.changed:
            return "changed"
        unread = self.packed or (self.is_unread and self._whole[1] > UNREAD)
        return "unread" if unread else None

    @property
    def _whole(self) -> tuple[int, int]:
        known = self.verdict.source
        if known is None:
            return self.lines, self.unread
        return known.lines + self.lines, known.unread + self.unread
