"""What the disk refused is owned up to: in a log of its day, or at least on stderr."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mars.adapters.system import SystemChance
from mars_server.daylog.crash_recovery import close_leftovers
from mars_server.daylog.generation import Generation, lost_in, parse_part
from mars_server.daylog.writer import DayLog
from mars_server.serving.logline import log_line
from tests.server.daylog.test_faults import DAY, Clock, filled, needs_root, small_disk
from tests.server.serving import kit

TOKEN = "a" * 32


def everything(logs: Path) -> tuple[int, int]:
    """Lines in the closed logs, and answers of which they say that they do not hold them."""
    closed = list(logs.glob("*.log"))
    lines = sum(line[:1] == "-" for path in closed for line in path.read_text().splitlines())
    return lines, sum(map(lost_in, closed))


@needs_root
@pytest.mark.parametrize("ended", [signal.SIGTERM, signal.SIGKILL])
def test_g18_lost_lines_are_told_though_the_server_ends_before_the_disk_is_well(
    tmp_path: Path, ended: signal.Signals
) -> None:
    """What an operator does first on a full disk: stop, make room, start."""
    with small_disk(tmp_path / "log") as log:
        with kit.served(folder=tmp_path, unix=True) as server:
            server.get("os=linux")
            server.settled(1)
            with filled(log):
                for _ in range(300):
                    server.get("os=macos")
                server.wait_for(f"{log}: No space left on device; make room on that disk")
                time.sleep(1.5)  # the last answers are accounted for
                assert server.stop(ended) == (1 if ended == signal.SIGTERM else -9)
            if ended == signal.SIGTERM:
                assert "answer(s) are missing in it; the next start closes access-" in server.stderr
        (log / "access-filler.part").unlink()
        with kit.served(folder=tmp_path, unix=True) as again:
            again.wait_for("closed 1 log generation(s) left by a crash")
            assert again.stop() == 0
        lines, lost = everything(log)
        assert lines + lost == 301
        assert lost > 0


@needs_root
def test_g18_a_disk_that_is_full_over_midnight_and_until_the_end(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    with small_disk(tmp_path / "log") as folder:
        log = DayLog(folder, clock, SystemChance(), said.append, log_line)
        log.open()
        log.add("", 200, 1)
        with filled(folder):
            clock.wall += DAY
            for _ in range(7):
                log.add("", 200, 1)
            assert log.close() == 2
        lost = [parse_part(path.name).lost for path in folder.glob("*-lost*.part")]  # type: ignore[union-attr]
        assert lost == [7]
        (folder / "access-filler.part").unlink()
        assert close_leftovers(folder) == 2
        assert everything(folder) == (1, 7)
        assert not list(folder.glob("*.part"))


def test_g18_answers_of_which_no_file_tells_are_told_at_the_end(tmp_path: Path) -> None:
    folder, said = tmp_path / "a" / "log", list[str]()
    log = DayLog(folder, Clock(), SystemChance(), said.append, log_line)
    log.open()
    for _ in range(60):
        log.add("?os=linux", 200, 1)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a").write_text("in the way")
    log.tick()
    assert log.close() == 2
    assert f"{folder}: Not a directory; put the folder back" in said[0]
    assert "60 answer(s) of 2026-11-21 are in no log, and no file says so" in said[-1]
    assert str(folder) in said[-1]


@needs_root
def test_g18_a_disk_that_stays_read_only_until_the_end(tmp_path: Path) -> None:
    """Not even a name can be changed there, so only stderr can tell."""
    clock, said = Clock(), list[str]()
    with small_disk(tmp_path / "log") as folder:
        log = DayLog(folder, clock, SystemChance(), said.append, log_line)
        log.open()
        log.add("?os=linux", 200, 1)
        clock.wall += DAY
        subprocess.run(["mount", "--bind", "-o", "ro", str(folder), str(folder)], check=True)
        try:
            for _ in range(3):
                log.add("?os=macos", 200, 1)
            assert log.close() == 2
        finally:
            subprocess.run(["umount", folder], check=True)
        assert "the log of 2026-11-21 is not closed, and 0 answer(s) are missing" in said[1]
        assert "3 answer(s) of 2026-11-22 are in no log" in said[2]
        assert said[2].endswith("Read-only file system; mount it for writing again")
        assert close_leftovers(folder) == 1
        assert everything(folder) == (1, 0)


def test_a_part_that_vanished_is_written_anew_with_what_is_lost(tmp_path: Path) -> None:
    live = Generation(tmp_path, 20_000, TOKEN)
    live.append(b"line\n")
    live.part.unlink()
    live.lose(2)
    assert live.untold == 3
    assert live.restore()
    assert live.untold == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"access-2024-10-04-{TOKEN}-lost2.part"]
    half = tmp_path / f"access-2024-10-04-{TOKEN}.log.part"
    half.write_bytes(b"# mars")  # as while it is being closed
    assert close_leftovers(tmp_path) == 0
    assert half.exists(), "its part is live"
    live.close_files()
    assert everything(tmp_path) == (0, 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".log"]


def test_a_crash_while_a_log_with_losses_was_written(tmp_path: Path) -> None:
    (tmp_path / f"access-2024-10-04-{TOKEN}-lost5.part").write_bytes(b"- b\n- a\ntorn")
    (tmp_path / f"access-2024-10-04-{TOKEN}.log.part").write_bytes(b"# mars")
    (tmp_path / f".access-2024-10-05-{TOKEN}.part").touch()  # made, and not yet named
    assert close_leftovers(tmp_path) == 1
    (path,) = tmp_path.iterdir()
    assert path.name == f"access-2024-10-04-{TOKEN}.log"
    assert everything(tmp_path) == (2, 5)


SEARCH = """
import pathlib, sys
from mars_server.daylog.crash_recovery import close_leftovers
print("searching", flush=True)
while not (pathlib.Path(sys.argv[1]) / "end").exists():
    close_leftovers(pathlib.Path(sys.argv[1]))
"""


def test_a_search_for_leftovers_leaves_new_parts_alone(tmp_path: Path) -> None:
    """Between its making and its lock a new part looks like a leftover."""
    command = [sys.executable, "-c", SEARCH, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        taken = 0
        try:
            for number in range(4000):
                live = Generation(tmp_path, 20_000, f"{number:032x}")
                taken += not live.in_place
                live.close_files()
            assert other.poll() is None
        finally:
            (tmp_path / "end").touch()
            assert other.wait(30) == 0
    assert taken == 0
    assert [path.name for path in tmp_path.iterdir()] == ["end"]
