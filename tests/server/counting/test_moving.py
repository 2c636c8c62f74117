"""Logs that move while they are read: whatever the moment, each line counts once."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from mars.errors import StateError
from mars.factory import system_clock
from mars.wire.query import AllowList
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.executors import Driver, here
from mars_server.counting.formats import detect
from mars_server.counting.inputs import expand
from mars_server.counting.progress import Progress
from mars_server.counting.store_port import Sizes
from mars_server.counting.tasks import Done, Task
from mars_server.storage import open_database
from mars_server.storage.database import counting_lock
from mars_server.storage.ledger import Ledger
from tests.server.counting.commands import product, run_json
from tests.server.counting.examples import ALLOW, line

SMALL = Sizes(span=700, checkpoint=1500, steps=3)


class Disturbed:
    """The driver of one job, with something that happens before its n-th task."""

    def __init__(self, when: int, happens: Callable[[], None]) -> None:
        self._left = when
        self._happens = happens

    def __call__(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        return here(self._watched(tasks), allow)

    def _watched(self, tasks: Iterable[Task]) -> Iterator[Task]:
        for task in tasks:
            if self._left == 0:
                self._happens()
            self._left -= 1
            yield task


def counted(url: str, folder: Path, driver: Driver) -> Counted:
    engine = open_database(url)
    clock = system_clock()
    try:
        return count_once(
            expand([str(folder)]),
            ALLOW,
            driver,
            Progress(clock, None),
            Ledger(engine),
            clock.now,
            sizes=SMALL,
        )
    finally:
        engine.dispose()


def lines(hour: int, count: int = 30) -> bytes:
    """Of one length each, so that one log's positions fit another's."""
    stamps = (b"21/Nov/2026:%02d:00:%02d +0000" % (hour, n) for n in range(count))
    return b"".join(line(stamp=stamp) for stamp in stamps)


def renamed(folder: Path) -> None:
    (folder / "access.log.2").rename(folder / "access.log.3")
    (folder / "access.log.1").rename(folder / "access.log.2")
    (folder / "access.log").rename(folder / "access.log.1")
    (folder / "access.log").write_bytes(lines(20))


def copied_and_truncated(folder: Path) -> None:
    live = folder / "access.log"
    (folder / "access.log.0").write_bytes(live.read_bytes())
    os.truncate(live, 0)
    with live.open("ab") as file:
        file.write(lines(20, 60))


@pytest.mark.parametrize("when", range(0, 18, 2))
@pytest.mark.parametrize("rotate", [renamed, copied_and_truncated])
def test_rotated_between_a_look_and_the_reading(
    tmp_path: Path, rotate: Callable[[Path], None], when: int
) -> None:
    folder, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    folder.mkdir()
    for number, name in enumerate(("access.log", "access.log.1", "access.log.2")):
        (folder / name).write_bytes(lines(10 - number))
    first = counted(url, folder, Disturbed(when, lambda: rotate(folder)))
    assert first.problems == []
    assert counted(url, folder, here).problems == []
    assert counted(url, folder, here).tally.lines == 0
    truth = sum(path.read_bytes().count(b"\n") for path in folder.iterdir())
    assert run_json("counts", "show", "--db", url)["lines"] == truth


def test_a_replaced_archive_is_not_taken_for_counted(tmp_path: Path) -> None:
    folder, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    folder.mkdir()
    for name, hour in (("a.log.1.gz", 3), ("b.log.1.gz", 4)):
        (folder / name).write_bytes(gzip.compress(lines(hour)))

    def shift() -> None:
        (folder / "b.log.1.gz").rename(folder / "b.log.2.gz")
        (folder / "b.log.1.gz").write_bytes(gzip.compress(lines(5)))

    counted(url, folder, Disturbed(1, shift))
    counted(url, folder, here)
    assert run_json("counts", "show", "--db", url)["lines"] == 90


@pytest.mark.parametrize("name", ["own", "foreign"])
def test_standard_input_and_the_file_are_one_log(tmp_path: Path, name: str) -> None:
    content = lines(9)
    if name == "own":
        content = b"# mars access log v1 id=%032x\n" % 7 + content
    log, url = tmp_path / "a.log", f"sqlite:///{tmp_path}/c.db"
    log.write_bytes(content)
    told = ("--product", product(tmp_path), "--db", url)
    assert run_json("count", "-", log, *told, stdin=content)["hits"] == 30
    assert run_json("count", log, *told)["hits"] == 0
    assert run_json("count", "-", *told, stdin=content)["hits"] == 0
    assert run_json("count", "-", *told, stdin=content + lines(11))["hits"] == 30


def test_the_lock_is_the_files_whatever_it_is_called(tmp_path: Path) -> None:
    real, link = tmp_path / "counts.db", tmp_path / "link.db"
    engine = open_database(f"sqlite:///{real}")
    link.symlink_to(real)
    other = open_database(f"sqlite:///{link}")
    with counting_lock(engine):
        with pytest.raises(StateError) as error, counting_lock(other, patience=0):
            pass
        assert error.value.reason == "database-busy"
    engine.dispose()
    other.dispose()


def test_who_lost_the_lock_stores_nothing_twice(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    folder, url = tmp_path / "logs", new_database()
    folder.mkdir()
    (folder / "a.log").write_bytes(lines(7))
    # No lock is held here, as when its connection was lost: the other one counts in between.
    with pytest.raises(StateError) as error:
        counted(url, folder, Disturbed(1, lambda: void(counted(url, folder, here))))
    assert error.value.reason == "counted-elsewhere"
    assert run_json("counts", "show", "--db", url)["hits"] == 30


def void(outcome: Counted) -> None:
    assert outcome.problems == []


def test_a_logs_format_does_not_change_while_it_grows(tmp_path: Path) -> None:
    text = b"starting the server\n"
    entry = b'{"ts":1795219200.5,"request":{"method":"GET","uri":"/motd/motd.json"},"status":200}\n'
    for log in (text * 2 + entry * 9, entry * 2 + lines(1), lines(1) + entry * 99):
        ends = [at + 1 for at, byte in enumerate(log) if byte == 10 and at > 100]
        assert len({detect(log[:end]) for end in ends if end >= 40 + len(entry)}) == 1
    assert detect(text * 2 + entry) == "json"
    assert detect(b'{"a":"' + b"x" * 70_000) == "json"  # more than is looked at
