"""Homes of gpg that a killed process left, or that another one uses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from mars.adapters.gpg import GnuPG
from mars.adapters.locks import locked
from tests.hostile.openpgp import KEY, MESSAGE, PAST, good
from tests.hostile.test_broken_gpg import SLOW, children_in, program
from tests.waiting import until


def test_d17_what_a_killed_process_leaves_is_removed_on_the_next_start(tools: Path) -> None:
    scratch = tools.parent
    about = scratch / "about"
    program(tools, f"stat -c '%a %n' . > {about}.new; mv {about}.new {about}; exec sleep 600")
    command = [sys.executable, "-c", SLOW, str(tools), str(scratch), KEY.block]
    process = subprocess.Popen(command)
    try:
        until(about.exists)
        assert about.read_text().split()[0] == "700"
        left = list(scratch.glob("mars-gpgv-*"))
        assert len(left) == 1
        assert good(GnuPG(scratch=scratch), KEY.sign(MESSAGE, PAST))
        assert left[0].exists(), "a home in use is left alone"
    finally:
        process.kill()
        process.wait()
    assert left[0].exists()
    orphans = children_in(left[0])
    assert len(orphans) == 1
    assert good(GnuPG(scratch=scratch), KEY.sign(MESSAGE, PAST))
    assert not list(scratch.glob("mars-gpgv-*"))
    for pid in orphans:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_d17_a_home_that_another_process_takes_for_a_left_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken between its making and its lock, and removed when work in it would have begun."""
    swept: list[threading.Thread] = []
    usual = tempfile.mkdtemp

    def sweep(home: Path, lock: int) -> None:
        end = time.monotonic() + 2
        while not (home / "ring.gpg").exists() and time.monotonic() < end:
            time.sleep(0)
        shutil.rmtree(home)
        os.close(lock)

    def made_and_taken(**named: Any) -> str:
        home = str(usual(**named))
        if not swept:
            lock = os.open(f"{home}/in-use.lock", os.O_RDWR | os.O_CREAT)
            fcntl.flock(lock, fcntl.LOCK_EX)
            swept.append(threading.Thread(target=sweep, args=(Path(home), lock)))
            swept[0].start()
        return home

    monkeypatch.setattr(tempfile, "mkdtemp", made_and_taken)
    verdict = GnuPG(scratch=tmp_path).verify(KEY.sign(MESSAGE, PAST), MESSAGE, [KEY.block])
    swept[0].join()
    assert verdict.reason is None
    assert list(tmp_path.iterdir()) == []


def test_d17_who_waited_for_a_lock_that_was_removed_sweeps_nothing(tmp_path: Path) -> None:
    """What lies at the name by then is another's, who holds it."""
    path = tmp_path / "in-use.lock"
    first = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(first, fcntl.LOCK_EX)

    def waiting() -> bool:
        with locked(path, 10) as taken:
            return taken

    with ThreadPoolExecutor() as pool:
        second = pool.submit(waiting)
        while [Path(file.path) for file in psutil.Process().open_files()].count(path) < 2:
            time.sleep(0.01)
        path.unlink()
        with locked(path, 0) as ours:
            os.close(first)
            assert (ours, second.result()) == (True, False)


# Only root can set up what is tried here. CI is root, and fails where a test is skipped.
@pytest.mark.skipif(os.geteuid() != 0, reason="a process namespace needs root")
def test_d17_a_home_in_use_in_another_container_is_left_alone(tools: Path) -> None:
    """With one /tmp and process numbers of its own, of which none runs here."""
    scratch = tools.parent
    begun, go_on = scratch / "begun", scratch / "go-on"
    wait = f"touch {begun}; while [ ! -e {go_on} ]; do sleep 0.05; done"
    program(tools, f'{wait}; exec {shutil.which("gpgv")} "$@"')
    inside = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", INSIDE]
    signature = KEY.sign(MESSAGE, PAST).hex()
    command = [*inside, str(tools), str(scratch), KEY.block, signature, MESSAGE.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while not begun.exists():
            time.sleep(0.02)
        assert good(GnuPG(scratch=scratch), KEY.sign(MESSAGE, PAST))
        go_on.touch()
        assert process.communicate(timeout=30)[0].strip() == "None"
    assert not list(scratch.glob("mars-gpgv-*"))


INSIDE = """
import os, sys
from pathlib import Path
from mars.adapters.gpg import GnuPG
while child := os.fork():
    if os.waitpid(child, 0)[1] == 0:
        sys.exit()
if Path("/proc", str(os.getpid())).exists():
    os._exit(1)  # outside, too, somebody bears this number
tools, scratch, key, *hexes = sys.argv[1:]
made = GnuPG(path=tools, scratch=Path(scratch))
print(made.verify(*map(bytes.fromhex, hexes), [key]).reason)
"""
