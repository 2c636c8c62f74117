"""What one pass leaves for the next: days, positions and gaps."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from mars.factory import system_clock
from mars.wire.query import AllowList
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.executors import Driver, here
from mars_server.counting.progress import Progress
from mars_server.counting.store_port import Sizes
from mars_server.counting.tasks import Done, Task, perform
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from mars_server.storage.schema import counts
from tests.server.counting import reference
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import ALLOW, ALLOWED, line


def at(day: int, second: int, query: bytes = b"") -> bytes:
    return line(query, stamp=b"%02d/Nov/2026:10:11:%02d +0000" % (day, second))


def test_the_days_of_a_log_widen_and_never_move(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """Else scrubbing would remove logs of weeks that are not published."""
    url, log = new_database(), tmp_path / "a.log"
    told = ("count", log, "--product", product(tmp_path), "--db", url)
    seen = []
    for second, number in enumerate((10, 12, 5, 8)):
        with log.open("ab") as file:
            file.write(at(number, second) * 2)
        run(*told)
        engine = open_database(url)
        (one,) = Ledger(engine).sources()
        engine.dispose()
        seen.append((one.first_day, one.last_day))
    assert seen == [
        ("2026-11-10", "2026-11-10"),
        ("2026-11-10", "2026-11-12"),
        ("2026-11-05", "2026-11-12"),
        ("2026-11-05", "2026-11-12"),
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_a_recount_stops_where_the_count_has_stopped(tmp_path: Path, packed: bool) -> None:
    url, log = f"sqlite:///{tmp_path}/c.db", tmp_path / "a.log"
    told = ("--product", product(tmp_path), "--db", url)
    log.write_bytes(b"".join(at(10, second) for second in range(5)))
    run("count", log, *told)
    with log.open("ab") as file:  # not counted yet
        file.write(b"".join(at(10, second) for second in range(5, 20)))
    if packed:
        (tmp_path / "a.log.gz").write_bytes(gzip.compress(log.read_bytes()))
        log = tmp_path / "a.log.gz"
    assert run_json("counts", "recount", "2026-11-10", log, *told)["hits"] == 5
    assert run_json("count", log, *told)["hits"] == 15
    assert run_json("counts", "show", "--db", url)["hits"] == 20


class Shrinking:
    """A real driver; while the n-th task runs, the log is shorter than it was before and after."""

    def __init__(self, log: Path, number: int) -> None:
        self._log = log
        self._number = number

    def __call__(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        for number, task in enumerate(tasks):
            if number != self._number:
                yield perform(task, allow)
                continue
            content, times = self._log.read_bytes(), self._log.stat()
            os.truncate(self._log, 100)
            yield perform(task, allow)
            self._log.write_bytes(content)
            os.utime(self._log, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("number", [0, 1, 4])
def test_what_follows_a_gap_waits_for_the_next_pass(
    tmp_path: Path, new_database: Callable[[], str], number: int
) -> None:
    log = tmp_path / "a.log"
    content = b"".join(at(1 + n % 7, n % 60, b"?x=%d" % n) for n in range(60))
    log.write_bytes(content)
    url = new_database()
    hits = one_pass(url, log, Shrinking(log, number)).tally.hits
    assert hits < 60
    assert hits + one_pass(url, log, here).tally.hits == 60
    engine = open_database(url)
    with engine.connect() as connection:
        cells = {(a, b, c): n for a, b, c, n in connection.execute(select(counts))}
    engine.dispose()
    assert cells == dict(reference.count(content, ALLOWED).cells)


def one_pass(url: str, log: Path, driver: Driver) -> Counted:
    engine, clock = open_database(url), system_clock()
    out = count_once(
        [str(log)], ALLOW, driver, Progress(clock, None), Ledger(engine), clock.now, sizes=SMALL
    )
    engine.dispose()
    return out


SMALL = Sizes(span=700, checkpoint=1500, steps=3)


def timeless(query: bytes = b"") -> bytes:
    return line(query, before=b"- - - ", stamp=b"21/Nov/2026:00:00:00 +0000")


def test_a_counted_archive_is_not_taken_for_the_next_log_that_begins_alike(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """Lines without a time of day: one plain request in each of two generations of one day."""
    url, logs = new_database(), tmp_path / "logs"
    logs.mkdir()
    live = logs / "access.log"
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    live.write_bytes(timeless())
    assert run_json(*told)["hits"] == 1
    (logs / "access.log.1.gz").write_bytes(gzip.compress(live.read_bytes()))
    live.unlink()
    assert run_json(*told)["hits"] == 0
    live.write_bytes(timeless())
    assert run_json(*told)["hits"] == 1
    assert run_json(*told)["hits"] == 0


def test_an_archive_cut_short_is_known_before_the_next_log_that_begins_alike(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """Once the next log has taken its place, what is left of it looks like a part of that one."""
    url, logs = new_database(), tmp_path / "logs"
    logs.mkdir()
    live = logs / "access.log"
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    live.write_bytes(timeless() * 10)
    run(*told)
    live.unlink()
    (logs / "access.log.1.gz").write_bytes(gzip.compress(timeless() * 40)[:-8])
    live.write_bytes(timeless() * 50)
    ran = run(*told)
    assert b"access.log.1.gz ends in the middle" in ran.stderr
    assert run_json("counts", "show", "--db", url)["hits"] == 40 + 50
    assert run_json(*told)["hits"] == 0
