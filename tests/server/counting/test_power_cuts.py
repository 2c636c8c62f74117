"""Every line at most once, and no line left out in silence: histories of rotation with power cuts.

After a power cut the end of a log is lost, or NULs are in its place, and the server writes on. What
was counted before stays counted. These ten histories are always the same; ``bench.soak`` draws a
thousand.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mars_server.counting.count_pass import Counted
from mars_server.counting.tally import Cell
from mars_server.storage.ledger import Ledger
from tests.server.counting.dying import Dying
from tests.server.counting.test_rotation import QUERIES, Rotation, stored

SETTINGS = settings(max_examples=10, stateful_step_count=25, deadline=None, derandomize=True)
JSON = (
    b'{"level":"info","ts":%d.5,"request":{"remote_ip":"203.0.113.%d","proto":"HTTP/1.1",'
    b'"method":"GET","uri":"/motd/motd.json%b"},"status":200}\n'
)
KINDS = ("timed", "json", "own", "timeless", "alike")
NO_TIMES = ("timeless", "alike")
"""Lines that are equal before and after a power cut cannot be told apart, which is said."""
ODD_JSON = (b"{}\n", b'{"ts":1,"status":404}\n', b'{"msg":"motd.json"}\n')


class PowerCuts(Rotation):
    """Our own server begins a new log after a power cut; all others write on in the old one."""

    seen: ClassVar[Counter[str]] = Counter()
    """What happened in all histories."""

    def __init__(self) -> None:
        super().__init__()
        self.upto = 0
        """Bytes of the live log that were counted and are still there."""
        self.known = 0
        """As many as there were when they were counted."""
        self.sure = True
        """Whether no counter died since."""
        self.counted_in = self.boots
        """The computer's start in which a count last came to its end."""
        self.restarted = False
        """Whether the last count was the first after a power cut."""
        self.cut = self.deep = self.ever_cut = False
        """Since the last count; and so that little of the log is left."""
        self.hole = 0
        """NULs before the next line: the writer goes on where it was before a truncation."""
        self.left_out: tuple[Counter[Cell], Counter[Cell]] = Counter(), Counter()
        """Lines that a count did not take, and said so."""
        self.put_off: tuple[Counter[Cell], Counter[Cell]] = Counter(), Counter()
        """The same, of a log that begins as another: they count once it differs, or never."""

    @initialize(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
    def begin(self, kind: str, seed: int) -> None:
        self.start(kind, seed)

    def fresh(self) -> None:
        self.upto = self.known = 0
        super().fresh()

    def write(self, data: bytes) -> None:
        if self.hole:
            os.truncate(self.live, self.hole)
            self.now, self.hole = bytes(self.hole), 0
        super().write(data)

    def one_line(self) -> bytes:
        if self.kind != "json":
            return super().one_line()
        self.number += self.draw.randint(0, 2)
        odd = self.draw.choice(ODD_JSON) if self.draw.random() < 0.1 else b""
        when = 1795219200 + self.number
        return JSON % (when, self.draw.randint(0, 255), self.draw.choice(QUERIES)) + odd

    @rule(data=st.data(), nuls=st.booleans(), little=st.booleans(), whole=st.booleans())
    @precondition(lambda self: self.sure and self.now)
    def power_cut(self, data: st.DataObject, *, nuls: bool, little: bool, whole: bool) -> None:
        """``whole``: a server that writes one line at a time loses whole ones."""
        size = len(self.now)
        keep = size - data.draw(st.integers(1, min(size, 300) if little else size))
        keep = self.now.rfind(b"\n", 0, keep) + 1 if whole else keep
        rest = self.now[:keep]
        start = rest.rfind(b"\n") + 1
        if self.upto > start:
            self.past.append(self.now[start : self.upto])
            self.upto = start
            self.cut = True
        lines = self.now[: self.known].count(b"\n")
        self.deep |= 2 * start < self.known or 2 * rest.count(b"\n") < max(lines, 4)
        self.now = rest + bytes(size - keep if nuls else 0)
        os.truncate(self.live, keep)
        os.truncate(self.live, len(self.now))
        self.seen["cuts"] += 1
        self.ever_cut = True
        self.boots += 1
        if self.kind == "own":
            self.rotate_by_rename()

    @property
    def traceable(self) -> bool:
        """Whether a copy of what is left still tells what it was."""
        return not self.cut or (not self.deep and self.kind not in NO_TIMES)

    @precondition(lambda self: self.kind not in NO_TIMES and self.traceable)
    @rule(appends=st.booleans())
    def rotate_by_copytruncate(self, *, appends: bool) -> None:
        """Where the writer does not append it leaves NULs before its next line."""
        self.past.append(self.now)
        if self.live.stat().st_size:
            shutil.copyfile(self.live, self.shift())
        self.hole = 0 if appends else len(self.now)
        os.truncate(self.live, 0)
        self.fresh()

    @precondition(lambda self: self.traceable)
    @rule(data=st.data(), how=st.sampled_from(["gz", "xz", "zst"]))
    def compress(self, data: st.DataObject, how: str) -> None:
        self.pack(data, how)

    @precondition(lambda self: self.kind not in NO_TIMES and self.counted and not self.cut)
    @rule(data=st.data())
    def copy_elsewhere(self, data: st.DataObject) -> None:
        """Of lines that are counted: lost lines that a backup holds are there."""
        self.copy(data)

    @precondition(lambda self: self.kind != "alike" and not self.cut)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        self.remove(data)

    def run(self, ledger: Ledger | Dying) -> Counted | None:
        outcome = super().run(ledger)
        self.sure = outcome is not None
        self.restarted = self.boots != self.counted_in
        if outcome is not None:
            self.counted_in = self.boots
        return outcome

    @rule(dies=st.integers(0, 6), after=st.booleans())
    @precondition(lambda self: not self.cut)
    def count_and_die(self, dies: int, *, after: bool) -> None:
        """What was said dies with the counter, so not right after a power cut."""
        outcome = self.run(Dying(Ledger(self.engine), dies, after=after))
        if outcome is not None:  # it had no more to store
            self.check(outcome)

    def truth(self) -> tuple[Counter[Cell], Counter[Cell]]:
        both = zip(super().truth(), self.left_out, strict=True)
        cells, cross = (written - left for written, left in both)
        return cells, cross

    def check(self, outcome: Counted) -> None:
        short = [t - Counter(s) for t, s in zip(self.truth(), stored(self.engine), strict=True)]
        lacks = [now - before for now, before in zip(short, self.put_off, strict=True)]
        doubts = [note for note in outcome.notes if "begins as" in note or "power cut came" in note]
        loud = [*outcome.problems, *doubts]
        assert self.ever_cut or not outcome.problems
        assert self.restarted or not any("power cut came" in note for note in doubts)
        assert {error.reason for error in outcome.problems} <= {"log-changed", "log-doubtful"}
        if any(lacks):
            assert loud, "short in silence"
        alike = any("begins as" in note for note in doubts)
        still = [off & now for off, now in zip(self.put_off, short, strict=True)]
        for left, off, lack in zip(self.left_out, still, lacks, strict=True):
            (off if alike else left).update(lack)
        self.put_off = still[0], still[1]
        self.seen["told" if any(lacks) else "exact"] += 1
        self.seen["doubted"] += bool(loud and not any(lacks))
        self.upto = self.known = self.now.rfind(b"\n") + 1
        self.cut = self.deep = False


TestPowerCuts = PowerCuts.TestCase
TestPowerCuts.settings = SETTINGS
