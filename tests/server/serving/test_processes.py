"""Several processes: one that dies, hangs or cannot start does not take the others along."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from mars_server.daylog.generation import lost_in
from mars_server.serving.supervisor import (
    HUNG,
    LONGEST_PAUSE,
    MOST_FAILURES,
    PAUSE,
    STABLE,
    Place,
)
from tests.server.daylog.test_faults import needs_root, small_disk
from tests.server.serving import kit


def children(server: kit.Served) -> list[int]:
    """Process ids, oldest first."""
    pid = server.process.pid
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def both(server: kit.Served) -> list[int]:
    end = time.monotonic() + kit.STARTUP
    while len(found := children(server)) < 2:
        assert time.monotonic() < end, server.stderr
        time.sleep(0.02)
    return found


def test_a_process_that_dies_again_and_again_leaves_the_other_serving() -> None:
    with kit.served("--workers", "2", unix=True) as server:
        steady, victim = both(server)
        for times in range(1, 4):
            os.kill(victim, signal.SIGKILL)
            server.wait_for("ended with -9", times=times)
            assert kit.body(server.get()) == server.body
            victim = next(pid for pid in both(server) if pid != steady)
        assert server.stop() == 0


def test_who_starts_it_may_ignore_the_ends_of_children() -> None:
    prefix = ("env", "--ignore-signal=CHLD")
    with kit.served("--workers", "2", unix=True, prefix=prefix) as server:
        _, victim = both(server)
        os.kill(victim, signal.SIGKILL)
        server.wait_for("ended with -9", seconds=6)
        both(server)
        assert server.stop(timeout=8) == 0


def test_new_starts_come_slower_and_slower_but_never_end() -> None:
    place = Place(0, lambda: 1)
    waits = []
    for number in range(12):
        place.started(0.0)
        place.ended(1.0)
        waits.append(place.due - 1.0)
        assert place.failures == number + 1
    assert waits[:4] == [0.0, PAUSE, 2 * PAUSE, 4 * PAUSE]
    assert waits[-1] == LONGEST_PAUSE
    place.started(0.0)
    place.ended(STABLE)
    assert (place.failures, place.due) == (0, STABLE)
    assert len(waits) > MOST_FAILURES


def test_a_process_hangs_when_its_sign_of_life_stands_still() -> None:
    beats = [0]
    place = Place(0, lambda: beats[0])
    place.started(0.0)
    assert not any(place.hangs(1.0) for _ in range(500)), "it may take long to start"
    beats[0] = 7
    assert not any(place.hangs(1.0) for _ in range(int(HUNG)))
    beats[0] = 8
    assert not place.hangs(1.0)
    assert [place.hangs(1.0) for _ in range(int(HUNG))][-1]
    place.started(0.0)
    assert not place.hangs(HUNG), "a new process in the place has its own time"


@pytest.mark.slow
def test_a_hanging_process_is_ended_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with kit.served("--workers", "2", unix=True, folder=tmp_path) as server:
        hanging, _ = both(server)
        end = time.monotonic() + kit.STARTUP
        while sum(part.stat().st_size > 0 for part in server.logs.glob("*.part")) < 2:
            assert kit.status(server.get()) == 200
            assert time.monotonic() < end, "one process answers everything"
        time.sleep(4.0)  # both have given a sign of life
        os.kill(hanging, signal.SIGSTOP)
        for _ in range(20):
            assert kit.status(server.get()) == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(HUNG + 60) == 1, "its log is not complete, and we say so"
        assert "process 0 hangs; it is ended by force" in server.stderr
    with kit.served(unix=True, folder=tmp_path) as again:
        again.wait_for("closed 1 log generation(s)")


@needs_root
def test_a_process_is_replaced_while_the_disk_is_read_only(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "log") as log,
        kit.served("--workers", "2", folder=tmp_path, unix=True) as server,
    ):
        _, victim = both(server)
        subprocess.run(["mount", "--bind", "-o", "ro", str(log), str(log)], check=True)
        try:
            os.kill(victim, signal.SIGKILL)
            server.wait_for("the log folder cannot be written")
            for _ in range(20):
                assert kit.body(server.get()) == server.body
        finally:
            subprocess.run(["umount", log], check=True)
        server.wait_for("can be written again")
        assert server.stop() == 0
        lost = sum(map(lost_in, log.glob("*.log")))
        assert len(server.lines()) + lost == 20


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_wrong_log_folder_ends_the_start_before_anything_is_served(
    tmp_path: Path, workers: str
) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "motd.json").write_bytes(kit.document())
    (tmp_path / "log").write_text("in the way")
    done = subprocess.run(
        kit.command(tmp_path, f"unix:{tmp_path}/s", "--workers", workers),
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "[log-unwritable]" in done.stderr
    assert "serving" not in done.stderr
    assert not (tmp_path / "s").exists()
