"""Faults of disk, clock and processes: the MOTD is served, the operator told, no number wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from mars.adapters.system import SystemChance
from mars.errors import StateError
from mars_server.daylog.crash_recovery import close_leftovers
from mars_server.daylog.format import UNFINISHED
from mars_server.daylog.generation import Generation, lost_in, sorted_lines
from mars_server.daylog.writer import DayLog
from mars_server.serving.logline import log_line
from tests.server.serving import kit
from tests.server.serving.load import Load

DAY = 86_400


@contextmanager
def small_disk(folder: Path, size: str = "64k") -> Iterator[Path]:
    """A file system of its own that fills up soon; needs root, as the build machine has."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", folder], check=True
    )
    try:
        yield folder
    finally:
        while folder.is_mount():  # a test that fails may leave one of its own over it
            subprocess.run(["umount", "-l", folder], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@needs_root
def test_g18_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "log") as log, kit.served(folder=tmp_path, unix=True) as server:
        server.get("os=linux")
        server.settled(1)
        with filled(log):
            for _ in range(300):
                assert kit.body(server.get("os=macos")) == server.body
            server.wait_for("cannot be written; answers are served but not counted")
        (log / "access-filler.part").unlink()
        server.wait_for("can be written again")
        server.get("os=windows")
        assert server.stop() == 0
        lines = server.lines()
        assert all(line.endswith('"-" "-"') for line in lines)
        found = Counter(line.split("os=")[1].split()[0] for line in lines)
        assert found["linux"] == found["windows"] == 1
        (path,) = log.glob("*.log")
        lost = lost_in(path)
        assert lost + found["macos"] == 300
        assert lost > 0


@needs_root
def test_g18_a_line_that_a_full_disk_takes_in_part_is_cut_off(tmp_path: Path) -> None:
    line = b"x" * 89 + b"\n"  # crosses the ends of pages, where a disk is full
    with small_disk(tmp_path / "disk") as disk:
        generation = Generation(disk, 20_000, "a" * 32)
        while generation.append(line):
            pass
        assert generation.part.read_bytes().replace(line, b"") == UNFINISHED
        generation.abandon()


@needs_root
def test_g18_a_disk_that_turns_read_only(tmp_path: Path) -> None:
    """As after an error of the medium: the day's change finds no place for a new log."""
    clock, said = Clock(), list[str]()
    with small_disk(tmp_path / "log") as folder:
        log = DayLog(folder, clock, SystemChance(), said.append, log_line)
        log.open()
        log.add("?os=linux", 200, 1843)
        clock.wall += DAY
        bind = ["mount", "--bind", "-o", "ro", str(folder), str(folder)]
        subprocess.run(bind, check=True)
        try:
            log.add("?os=macos", 200, 1843)
            log.tick()
            assert log.finish() == 1
        finally:
            subprocess.run(["umount", folder], check=True)
        assert (log.written, log.lost) == (1, 1)
        assert "cannot be written" in said[0]
        log.tick()
        log.add("?os=windows", 200, 1843)
        assert log.close() == 0
        assert dates(folder) == ["2026-11-21", "2026-11-22"]


@needs_root
def test_g18_a_disk_that_turns_read_only_when_it_is_full(tmp_path: Path) -> None:
    """The probe for free space must not end the server where even removing it is refused."""
    with small_disk(tmp_path / "log") as log, kit.served(folder=tmp_path, unix=True) as server:
        with filled(log):
            for _ in range(300):
                server.get("os=macos")
            server.wait_for("cannot be written; answers are served but not counted")
            subprocess.run(["mount", "--bind", "-o", "ro", str(log), str(log)], check=True)
        try:
            time.sleep(2.5)  # two rounds of housekeeping
            assert kit.body(server.get()) == server.body
        finally:
            subprocess.run(["umount", log], check=True)
        (log / "access-filler.part").unlink()
        server.wait_for("can be written again")
        assert server.stop() == 0


@needs_root
def test_g18_a_start_on_a_faulty_disk_serves_and_owns_up_later(tmp_path: Path) -> None:
    with small_disk(tmp_path / "log") as log:
        part = log / f"access-2024-10-04-{'d' * 32}.part"
        part.write_bytes(b"left\n")
        subprocess.run(["mount", "--bind", "-o", "ro", str(log), str(log)], check=True)
        with kit.served(folder=tmp_path, unix=True) as server:
            for _ in range(3):
                assert kit.body(server.get("os=linux")) == server.body
            server.wait_for("the log folder cannot be written")
            server.wait_for("cannot be closed yet")
            time.sleep(1.5)  # the answers are accounted for a moment after they were read
            subprocess.run(["umount", log], check=True)
            server.wait_for("can be written again; 3 answer(s) are missing")
            server.get("os=macos")
            server.wait_for("closed 1 log generation(s)")
            assert server.stop() == 0
            assert len(server.lines()) == 2
            noted = [line for path in log.glob("*.log") for line in path.read_text().splitlines()]
            assert sum(line.startswith("# mars lost=3 day=") for line in noted) == 1
        assert "3 answer(s) are missing" in status_of_log(tmp_path)


def status_of_log(folder: Path) -> str:
    """What ``mars-server status`` says of the log while a server runs in ``folder``."""
    names = {"bind": f"unix:{folder}/s", "motd": "motd.json", "product": "product.toml"}
    text = "".join(f'{name} = "{value}"\n' for name, value in names.items())
    (folder / "server.toml").write_text(f'{text}log = "{folder}/log"\n')
    with kit.served(folder=folder, unix=True):
        done = subprocess.run(
            [kit.COMMAND, "status"], cwd=folder, capture_output=True, text=True, timeout=60
        )
    return next(line for line in done.stdout.splitlines() if line.split()[1] == "log")


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """A disk without a free byte; the file that fills it stays."""
    with (disk / "access-filler.part").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 512)
    yield


@needs_root
def test_g18_a_part_that_could_not_be_written_anew_is_tried_again(tmp_path: Path) -> None:
    chance, clock, said = SystemChance(), Clock(), list[str]()
    with small_disk(tmp_path / "disk") as disk:
        log = DayLog(disk / "log", clock, chance, said.append, log_line)
        log.open()
        for _ in range(100):
            log.add("?os=linux", 200, 1843)
        (part,) = (disk / "log").iterdir()
        part.unlink()
        with filled(disk):
            log.tick()
        assert not part.exists()
        assert "cannot be written" in said[0]
        (disk / "access-filler.part").unlink()
        log.tick()
        assert len(kit.answers_in(part)) == 100
        assert log.healthy
        assert log.close() == 0


def test_g18_a_log_folder_that_vanishes_is_made_again(tmp_path: Path) -> None:
    with kit.served(folder=tmp_path, unix=True) as server:
        for _ in range(5):
            server.get("os=linux")
        server.settled(5)
        shutil.rmtree(server.logs)
        assert kit.body(server.get("os=macos")) == server.body
        server.wait_for("had vanished")
        server.get("os=windows")
        assert server.stop() == 0
        assert len(server.lines()) == 7


def test_g18_a_log_folder_that_is_gone_for_good(tmp_path: Path) -> None:
    with kit.served("--log", str(tmp_path / "a" / "log"), folder=tmp_path, unix=True) as server:
        server.get("os=linux")
        shutil.rmtree(tmp_path / "a")
        (tmp_path / "a").write_text("in the way")
        server.wait_for("the log folder is gone")
        assert kit.body(server.get("os=macos")) == server.body
        assert server.stop() == 1


def test_g18_an_unwritable_log_folder_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    log = DayLog(tmp_path / "file" / "log", Clock(), SystemChance(), print, log_line)
    with pytest.raises(StateError) as refused:
        log.open()
    assert refused.value.reason == "log-unwritable"


class Clock:
    """A wall clock that jumps when a test says so."""

    def __init__(self, wall: int = 1_795_219_200) -> None:
        self.wall = wall

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return float(self.wall)


def dates(folder: Path) -> list[str]:
    return sorted(path.name[7:17] for path in folder.glob("*.log"))


def test_g18_the_clock_jumps_and_every_line_keeps_a_day(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    log = DayLog(tmp_path, clock, SystemChance(), said.append, log_line)
    log.open()
    for step in (0, 1, -400, 20_000, -19_600):
        clock.wall += step * DAY
        log.add("?os=linux", 200, 1843)
        log.tick()
    assert log.close() == 0
    assert dates(tmp_path) == ["2025-10-18", "2026-11-21", "2026-11-22", "2026-11-22", "2080-07-21"]
    for path in tmp_path.glob("*.log"):
        _, line = path.read_text().splitlines()
        year, month, day = path.name[7:17].split("-")
        assert line.startswith(f"- - - [{day}/") and f"/{year}:00:00:00 +0000]" in line, month
    assert log.written == 5
    assert log.lost == 0


def test_a_day_turns_while_nobody_asks(tmp_path: Path) -> None:
    clock = Clock()
    log = DayLog(tmp_path, clock, SystemChance(), print, log_line)
    log.open()
    log.add("", 200, 1)
    clock.wall += DAY
    log.tick()
    assert log.finish() == 0
    assert dates(tmp_path) == ["2026-11-21"]
    assert [path.name[7:17] for path in tmp_path.glob("*.part")] == ["2026-11-22"]
    log.close()


def test_a_live_part_is_left_alone_and_a_half_written_log_removed(tmp_path: Path) -> None:
    live = Generation(tmp_path, 20_000, "a" * 32)
    live.append(b"line\n")
    half = tmp_path / f"access-2024-10-04-{'b' * 32}.log.part"
    half.write_bytes(b"# mars")
    part = tmp_path / f"access-2024-10-04-{'b' * 32}.part"
    part.write_bytes(b"b\na\ntorn")
    assert close_leftovers(tmp_path) == 1
    assert live.part.exists()
    assert not half.exists()
    assert part.with_suffix(".log").read_bytes() == (
        b"# mars access log v1 id=" + b"b" * 32 + b"\na\nb\n"
    )
    live.close_files()
    assert close_leftovers(tmp_path) == 0


def test_a_crash_between_log_and_part_counts_nothing_twice(tmp_path: Path) -> None:
    part = tmp_path / f"access-2024-10-04-{'c' * 32}.part"
    part.write_bytes(b"a\n")
    log = part.with_suffix(".log")
    log.write_bytes(b"# mars access log v1 id=" + b"c" * 32 + b"\na\n")
    before = log.read_bytes()
    assert close_leftovers(tmp_path) == 0 or log.read_bytes() == before
    assert not part.exists()
    assert log.read_bytes() == before


@pytest.mark.parametrize("what", ["link", "dangling", "pipe", "folder", "device"])
def test_what_somebody_put_in_the_place_of_a_part_is_not_read(tmp_path: Path, what: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root:hash\n")
    log = tmp_path / "log"
    log.mkdir()
    part = log / f"access-2024-10-04-{'e' * 32}.part"
    if what == "pipe":
        os.mkfifo(part)
    elif what == "folder":
        part.mkdir()
    else:
        targets = {"link": secret, "dangling": tmp_path / "none", "device": Path("/dev/zero")}
        part.symlink_to(targets[what])
    half = log / f"access-2024-10-04-{'f' * 32}.log.part"
    half.symlink_to(secret)
    with kit.served(folder=tmp_path, unix=True) as server:
        assert kit.status(server.get()) == 200
        assert server.stop() == 0
    assert secret.read_text() == "root:hash\n"
    assert [*log.glob("access-2024*.log")] == []
    assert sum(path.read_bytes().count(b"hash") for path in log.glob("*.log")) == 0


def test_a_long_stretch_of_nothing_in_a_leftover_is_left_out(tmp_path: Path) -> None:
    part = tmp_path / f"access-2024-10-04-{'a' * 32}.part"
    part.write_bytes(b"b\n" + bytes(20_000_000) + b"\na\n" + bytes(3_000_000))
    assert close_leftovers(tmp_path) == 1
    assert part.with_suffix(".log").read_bytes().split(b"\n")[1:] == [b"a", b"b", b""]


def test_the_open_part_is_for_the_server_alone(tmp_path: Path) -> None:
    """It has the order of the answers, and its time of change that of the last one."""
    live = Generation(tmp_path, 20_000, "a" * 32)
    assert live.part.stat().st_mode & 0o777 == 0o600
    live.close_files()


def test_sorting_needs_no_memory_for_the_log(tmp_path: Path) -> None:
    path = tmp_path / "part"
    lines = [b"%06d\n" % (n * 7919 % 250_000) for n in range(250_000)]
    path.write_bytes(b"".join(lines) + b"torn")
    fd = os.open(path, os.O_RDONLY)
    try:
        found = list(sorted_lines(fd, path.stat().st_size, tmp_path))
    finally:
        os.close(fd)
    assert found == sorted(Counter(lines).items())


@pytest.mark.slow
def test_a_server_killed_under_load_loses_only_what_was_in_flight(tmp_path: Path) -> None:
    """A slice of ``make soak``: a few kills; there it is a hundred."""
    load, document = Load(connections=8), kit.document()
    for _ in range(4):
        with kit.served(folder=tmp_path, unix=True, motd_file=document) as server:
            load.start(server.path, server.body)
            time.sleep(0.4)
            server.stop(signal.SIGKILL)
            load.stop()
    with kit.served(folder=tmp_path, unix=True) as server:
        server.stop()
        lines = server.lines()
    assert load.wrong == 0
    assert all(line.endswith('"-" "-"') for line in lines)
    counted = sum(" 200 " in line for line in lines)
    # For each kill and client: its last connection, and one more where it was back at once.
    assert abs(load.complete - counted) <= 4 * 2 * load.connections
    assert load.complete > 100
