"""The spool through crashes, changes of the day and faults of the disk; nothing torn, all told."""

from __future__ import annotations

import os
import random
import signal
import tracemalloc
from base64 import b64decode, b64encode
from collections import Counter
from pathlib import Path

import pytest

from mars.adapters.system import SystemChance
from mars.wire.sealed import LARGE, SMALL
from mars_server.daylog.crash_recovery import close_leftovers, held, parts
from mars_server.daylog.format import SPOOL, UNFINISHED_SPOOL, Gap, gap, spool_of
from mars_server.daylog.generation import Generation, lost_in, sorted_lines
from mars_server.daylog.writer import DayLog
from mars_server.serving.fast_request import taken
from mars_server.serving.logline import sealed_line
from tests.server.daylog.test_faults import DAY, Clock, filled, needs_root, small_disk
from tests.server.serving import kit
from tests.server.serving.load import Reports
from tests.waiting import until

CHANCE = random.Random(20261130)


def body(size: int = SMALL) -> bytes:
    return CHANCE.randbytes(size)


def opened(folder: Path, clock: Clock, said: list[str]) -> DayLog:
    log = DayLog(folder, clock, SystemChance(), said.append, sealed_line, SPOOL)
    log.open()
    return log


def bodies(path: Path) -> list[bytes]:
    lines = path.read_bytes().split(b"\n")[:-1]
    return [b64decode(line, validate=True) for line in lines if line[:1] != b"#"]


def test_each_day_has_a_spool_that_says_so(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    log = opened(tmp_path, clock, said)
    days = []
    for _ in range(3):
        days.append(body())
        assert log.add(days[-1])
        clock.wall += DAY
    assert log.close() == 0
    found = sorted(tmp_path.iterdir())
    assert [path.name[:16] for path in found] == [
        "spool-2026-11-21", "spool-2026-11-22", "spool-2026-11-23",
    ]  # fmt: skip
    for path, report in zip(found, days, strict=True):
        spool = spool_of(path.read_bytes())
        assert spool is not None
        assert path.name == f"spool-{spool.day}-{spool.id}.log"
        assert bodies(path) == [report]
    assert said == []


def test_a_leftover_is_closed_without_what_is_torn_or_none_of_ours(tmp_path: Path) -> None:
    """NULs are what a power cut leaves where the disk had not written yet."""
    good = [body(), body(LARGE), body()]
    one, two, three = (b64encode(each) + b"\n" for each in good)
    part = tmp_path / f"spool-2024-10-04-{'a' * 32}-lost5.part"
    nuls = bytes(8192)
    part.write_bytes(UNFINISHED_SPOOL + one + one + nuls + two + b"AAAA\n" + two + three + one[:99])
    assert [name.lost for name in parts(tmp_path, SPOOL)] == [5]
    assert held(tmp_path, SPOOL) == []
    assert close_leftovers(tmp_path, SPOOL) == 1
    (path,) = tmp_path.iterdir()
    assert path.name == f"spool-2024-10-04-{'a' * 32}.log"
    assert gap(path.read_bytes()) == Gap("2024-10-04", 5)
    assert Counter(bodies(path)) == Counter([good[0], good[0], good[1], good[2]])


def test_leftovers_of_one_kind_are_no_matter_of_the_other(tmp_path: Path) -> None:
    spool = tmp_path / f"spool-2024-10-04-{'a' * 32}.part"
    spool.write_bytes(UNFINISHED_SPOOL + b64encode(body()) + b"\n")
    assert close_leftovers(tmp_path) == 0
    assert spool.exists()


def test_sorting_reports_takes_the_same_memory_however_many_there_are(tmp_path: Path) -> None:
    """Several runs in one file without a name, merged; each line as often as it came."""
    path = tmp_path / "part"
    lines = [b64encode(body()) + b"\n" for _ in range(60_000)]
    path.write_bytes(UNFINISHED_SPOOL + b"".join([*lines, *lines[:10]]))
    fd = os.open(path, os.O_RDONLY)
    tracemalloc.start()
    try:
        before, times, count = b"", 0, 0
        for line, n in sorted_lines(fd, path.stat().st_size, tmp_path, SPOOL):
            assert before < line
            before, times, count = line, times + n, count + 1
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        os.close(fd)
    assert (times, count) == (60_011, 60_001)
    assert most < path.stat().st_size - 20_000_000
    assert [one.name for one in tmp_path.iterdir()] == ["part"]


@needs_root
def test_g18_a_full_disk_refuses_reports_and_says_how_many(tmp_path: Path) -> None:
    with small_disk(tmp_path / "spool") as folder:
        with kit.served(folder=tmp_path, unix=True, spool=True) as server:
            first = body()
            assert kit.status(server.ask(kit.post(first))) == 204
            with filled(folder):
                answers = Counter(
                    kit.status(server.ask(kit.post(body(), fields=fields)))
                    for fields in ("", "X-Other: a\r\n") * 40
                )
                assert answers[503] > 0
                assert answers[204] + answers[503] == 80
                assert kit.body(server.get()) == server.body, "news are served all the same"
                server.wait_for("the spool cannot be written; reports are refused")
            (folder / "access-filler.part").unlink()
            server.wait_for("the spool can be written again")
            assert kit.status(server.ask(kit.post(body()))) == 204
            assert server.stop() == 0
        (path,) = folder.glob("*.log")
        assert lost_in(path) == answers[503]
        found = bodies(path)
        assert len(found) == answers[204] + 2
        assert first in found


@needs_root
def test_both_ways_refuse_alike_on_a_full_disk(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "spool") as folder,
        kit.served(folder=tmp_path, unix=True, spool=True) as server,
        filled(folder),
    ):
        seen = {
            answer
            for fields in ("", "X-Other: a\r\n") * 40
            if kit.status(answer := server.ask(kit.post(body(), fields=fields))) == 503
        }
        assert len(seen) == 1


def test_a_spool_that_vanishes_is_written_anew(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    log = opened(tmp_path, clock, said)
    log.add(report := body())
    (part,) = tmp_path.iterdir()
    part.unlink()
    log.tick()
    assert said == ["the open part of the spool had vanished; it was written anew"]
    assert log.close() == 0
    (path,) = tmp_path.iterdir()
    assert bodies(path) == [report]


def test_an_open_part_is_for_the_server_alone(tmp_path: Path) -> None:
    live = Generation(tmp_path, 20_000, "a" * 32, SPOOL)
    assert live.part.stat().st_mode & 0o777 == 0o600
    assert [name.token for name in held(tmp_path, SPOOL)] == ["a" * 32]
    live.close_files()
    assert list(tmp_path.iterdir()) == [], "an empty spool is no file"


@pytest.mark.slow
def test_a_server_killed_under_load_keeps_every_report_that_it_answered(tmp_path: Path) -> None:
    """A slice of ``make soak ARGS=intake``: a few kills; there it is fifty."""
    load = Reports(connections=4)
    for _ in range(3):
        with kit.served(folder=tmp_path, unix=True, spool=True) as server:
            load.start(server.path, taken(close=True))
            wanted = len(load.kept) + 20
            until(lambda wanted=wanted: len(load.kept) >= wanted)  # type: ignore[misc]
            server.stop(signal.SIGKILL)
            load.stop()
    with kit.served(folder=tmp_path, unix=True, spool=True) as server:
        server.stop()
        reports = server.reports()
    assert load.wrong == 0
    assert len(reports) == len(set(reports))
    assert load.kept <= set(reports)
    assert len(set(reports) - load.kept) <= 3 * 2 * load.connections
