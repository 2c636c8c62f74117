"""Whatever happens to spools, keys and counters, in whichever order: each report counts once."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from pathlib import Path

import pytest

from mars_server.counting.inputs import expand
from mars_server.storage import Engine, open_database, reading
from mars_server.storage import ledger as storage
from tests.server.counting.dying import CrashError, Dying
from tests.server.counting.spools import NEXT, WEEK, many, spool, written
from tests.server.counting.test_spools import one_pass, opening_of

SEEDS = range(4)
STEPS = 14
CHOICES: tuple[tuple[str, ...], ...] = ((), (WEEK,), (NEXT,), (WEEK, NEXT))


class History:
    """Spools come, are copied, packed and removed; counts run with some keys, and die."""

    def __init__(self, folder: Path, engine: Engine, draw: random.Random) -> None:
        self.folder = folder
        self.engine = engine
        self.draw = draw
        self.posted: set[tuple[str, int]] = set()
        """Week and number of every body in a spool that is there or was counted."""
        self.sure: set[tuple[str, int]] = set()
        """Those that a count which came to its end has opened."""

    def spool(self) -> None:
        """A new one; some of its bodies stood in others."""
        week, first = self.draw.choice((WEEK, NEXT)), self.draw.randrange(30)
        numbers = range(first, first + 8)
        content = [*many(8, first, week), *many(3, 100, NEXT)]
        name = str(len(list(self.folder.iterdir())) + 1000 * self.draw.random())
        written(self.folder / f"{name}.log", spool(content, name=name))
        self.posted |= {(week, n) for n in numbers} | {(NEXT, n) for n in range(100, 103)}

    def copy(self) -> None:
        if files := sorted(self.folder.glob("*.log")):
            path = self.draw.choice(files)
            written(self.folder / f"{path.stem}-copy.log", path.read_bytes())

    def pack(self) -> None:
        if files := sorted(self.folder.glob("*.log")):
            path = self.draw.choice(files)
            written(self.folder / f"{path.name}.gz", gzip.compress(path.read_bytes()))
            path.unlink()

    def count(self) -> None:
        weeks = self.draw.choice(CHOICES)
        self.count_with(storage.Ledger(self.engine), weeks)
        self.sure |= {one for one in self.posted if one[0] in weeks}

    def die(self) -> None:
        dying = Dying(
            storage.Ledger(self.engine), self.draw.randrange(3), after=self.draw.random() < 0.5
        )
        try:
            self.count_with(dying, self.draw.choice(CHOICES))
        except CrashError:
            return

    def count_with(self, ledger: storage.Ledger | Dying, weeks: tuple[str, ...]) -> None:
        opening = opening_of(self.folder.parent, *weeks) if weeks else None
        one_pass(ledger, expand([str(self.folder)]), opening)

    def counted(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for cell, n in reading.reports(self.engine).counted.items():
            found[cell.week] += n
        return found


def sums(ones: set[tuple[str, int]]) -> Counter[str]:
    return Counter(week for week, _ in ones)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_every_history_each_report_counts_once(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    engine = open_database(f"sqlite:///{tmp_path}/c.db")
    folder = tmp_path / "spools"
    folder.mkdir()
    history = History(folder, engine, draw)
    acts = [history.spool, history.spool, history.copy, history.pack, history.count, history.die]
    for _ in range(STEPS):
        draw.choice(acts)()
        found = history.counted()
        assert sums(history.sure) <= found <= sums(history.posted)
    for weeks in ((WEEK,), (NEXT,), (WEEK, NEXT)):
        history.count_with(storage.Ledger(engine), weeks)
    assert history.counted() == sums(history.posted)
    assert reading.waiting(engine) == 0
    engine.dispose()
