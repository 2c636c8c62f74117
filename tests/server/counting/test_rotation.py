"""Every line once: random histories of a log that is written, rotated and counted.

After every count the database must equal the slow reference over all that was ever written.
``MARS_ROTATIONS`` sets how many histories are tried on each database.
"""

from __future__ import annotations

import gzip
import lzma
import os
import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, select

from mars.factory import system_clock
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.executors import here
from mars_server.counting.inputs import expand
from mars_server.counting.progress import Progress
from mars_server.counting.store_port import Sizes
from mars_server.counting.tally import Cell
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from mars_server.storage.schema import counts, pairs
from tests.server.counting import reference
from tests.server.counting.dying import CrashError, Dying
from tests.server.counting.examples import ALLOW, ALLOWED, HITS, NO_HITS, line
from tests.server.postgres import Postgres

HISTORIES = int(os.environ.get("MARS_ROTATIONS", "25"))
SMALL = Sizes(span=700, checkpoint=1500, steps=3)
"""So that logs of some kilobytes cross many spans and transactions."""
SETTINGS = settings(max_examples=HISTORIES, stateful_step_count=25, deadline=None)
QUERIES = (b"", b"?v=0.5.2&os=linux&ia=100", b"?v=0.5.1", b"?lang=is", b"?x=1")


def stored(engine: Engine) -> tuple[dict[Cell, int], dict[Cell, int]]:
    with engine.connect() as connection:
        cells = {(a, b, c): n for a, b, c, n in connection.execute(select(counts))}
        cross = {(a, b, c): n for a, b, c, n in connection.execute(select(pairs))}
    return cells, cross


class Rotation(RuleBasedStateMachine):
    """One log, its rotated generations, and a counter that is run and killed."""

    kinds = ("timed", "own", "timeless", "alike")
    """``alike``: timeless, and all lines are equal, so that each log begins as any other does."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mars-rotation-"))
        self.logs = self.folder / "logs"
        self.logs.mkdir()
        self.live = self.logs / "access.log"
        self.past: list[bytes] = []
        self.now = b""
        self.number = 0
        self.ended = 0
        self.counted = True
        self.boots = 1
        """How often the computer was started."""
        self.engine = open_database(url or f"sqlite:///{self.folder}/counts.db")

    @initialize(kind=st.sampled_from(kinds), seed=st.integers(0, 2**32))
    def begin(self, kind: str, seed: int) -> None:
        self.start(kind, seed)

    def start(self, kind: str, seed: int) -> None:
        self.kind = kind
        self.draw = random.Random(seed)
        self.fresh()

    def fresh(self) -> None:
        """A new generation."""
        self.now = b""
        self.number += 1  # no log is rotated in its first second
        self.live.touch()
        if self.kind == "own":
            self.write(b"# mars access log v1 id=%032x\n" % self.draw.getrandbits(128))

    def write(self, data: bytes) -> None:
        self.now += data
        with self.live.open("ab") as file:
            file.write(data)
        self.counted = False

    def one_line(self) -> bytes:
        query = b"" if self.kind == "alike" else self.draw.choice(QUERIES)
        if self.kind != "timed":
            return line(query, before=b"- - - ", stamp=b"21/Nov/2026:00:00:00 +0000")
        self.number += self.draw.randint(0, 2)  # often two in one second
        clock = b"%02d:%02d:%02d" % (self.number // 3600, self.number // 60 % 60, self.number % 60)
        odd = self.draw.choice(HITS + NO_HITS) if self.draw.random() < 0.1 else b""
        address = b"203.0.113.%d - - " % self.draw.randint(0, 255)
        return line(query, before=address, stamp=b"21/Nov/2026:" + clock + b" +0000") + odd

    @rule(lines=st.integers(1, 40), rest=st.integers(0, 60))
    def append(self, lines: int, rest: int) -> None:
        """Some lines, the last one perhaps only begun."""
        self.write(b"".join(self.one_line() for _ in range(lines)) + self.one_line()[:-1][:rest])

    @rule()
    def end_line(self) -> None:
        self.write(b"\n")

    def shift(self) -> Path:
        """Where the live log goes: the next number, or a date."""
        self.ended += 1
        return self.logs / f"access.log-{20261121 + self.ended}"

    @rule()
    def rotate_by_rename(self) -> None:
        self.past.append(self.now)
        self.live.rename(self.shift())
        self.fresh()

    @precondition(lambda self: self.kind == "timed" or self.kind == "own")
    @rule()
    def rotate_by_copytruncate(self) -> None:
        self.past.append(self.now)
        shutil.copyfile(self.live, self.shift())
        os.truncate(self.live, 0)
        self.fresh()

    @rule(data=st.data(), how=st.sampled_from(["gz", "xz", "zst"]))
    def compress(self, data: st.DataObject, how: str) -> None:
        self.pack(data, how)

    def pack(self, data: st.DataObject, how: str) -> None:
        plain = [p for p in sorted(self.logs.glob("access.log-*")) if p.name[-1].isdigit()]
        if not plain:
            return
        chosen = data.draw(st.sampled_from(plain))
        archive = chosen.with_name(f"{chosen.name}.{how}")
        archive.write_bytes(packed(chosen.read_bytes(), how))
        chosen.unlink()

    @precondition(lambda self: self.kind == "timed" or self.kind == "own")
    @rule(data=st.data())
    def copy_elsewhere(self, data: st.DataObject) -> None:
        self.copy(data)

    def copy(self, data: st.DataObject) -> None:
        """A backup lies beside the logs, whole or cut."""
        chosen = data.draw(st.sampled_from(sorted(self.logs.glob("access.log*"))))
        content = chosen.read_bytes()
        keep = data.draw(st.integers(0, len(content)))
        copy = self.logs / f"backup-{len(list(self.logs.iterdir()))}{chosen.suffix}"
        if not copy.exists():
            copy.write_bytes(content if data.draw(st.booleans()) else content[:keep])

    @precondition(lambda self: self.kind != "alike")
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        self.remove(data)

    def remove(self, data: st.DataObject) -> None:
        """An old log that was counted is deleted."""
        old = sorted(self.logs.glob("access.log-*"))
        if self.counted and old:
            data.draw(st.sampled_from(old)).unlink()

    @rule(dies=st.integers(0, 6), after=st.booleans())
    def count_and_die(self, dies: int, after: bool) -> None:
        self.run(Dying(Ledger(self.engine), dies, after=after))

    @rule()
    def count(self) -> None:
        outcome = self.run(Ledger(self.engine))
        assert outcome is not None
        self.counted = True
        self.check(outcome)

    def run(self, ledger: Ledger | Dying) -> Counted | None:
        """None: the counter died."""
        clock = system_clock()
        names = expand([str(self.logs)])
        progress = Progress(clock, None)
        try:
            return count_once(
                names, ALLOW, here, progress, ledger, clock.now, sizes=SMALL, boot=str(self.boots)
            )
        except CrashError:
            return None

    def truth(self) -> tuple[Counter[Cell], Counter[Cell]]:
        """What was ever written, by the slow reference."""
        cells: Counter[Cell] = Counter()
        cross: Counter[Cell] = Counter()
        for content in [*self.past, self.now]:
            found = reference.count(content, ALLOWED, as_json=self.kind == "json")
            cells.update(found.cells)
            cross.update(found.pairs)
        return cells, cross

    def check(self, outcome: Counted) -> None:
        assert outcome.problems == []
        assert stored(self.engine) == self.truth()

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        for found, truth in zip(stored(self.engine), self.truth(), strict=True):
            assert Counter(found) <= truth

    def teardown(self) -> None:
        try:
            self.count()
            again = stored(self.engine)
            self.count()
            assert stored(self.engine) == again
        finally:
            self.engine.dispose()
            shutil.rmtree(self.folder)


def packed(content: bytes, how: str) -> bytes:
    if how == "gz":
        return gzip.compress(content, mtime=0)
    if how == "xz":
        return lzma.compress(content)
    from backports import zstd

    return zstd.compress(content)


TestRotation = Rotation.TestCase
TestRotation.settings = SETTINGS


@pytest.mark.postgres
def test_every_line_counts_once_on_postgresql(postgres_server: Postgres) -> None:
    class OnPostgres(Rotation):
        def __init__(self) -> None:
            super().__init__(postgres_server.new_database())

    run_state_machine_as_test(OnPostgres, settings=SETTINGS)
