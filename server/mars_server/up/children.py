"""Commands of ours as processes, which end with the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

_SET_PDEATHSIG = 1
"""prctl(2)."""
_PROGRAM = (
    "from mars_server.up.children import become; become(); from mars_server.cli import main; main()"
)
_NICE = "MARS_UP_NICE"


def become() -> None:
    """What a child does first: it ends with its parent, and has a lower priority where that was
    asked for."""
    parent, nice = (int(each) for each in os.environ.pop(_NICE).split())
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was faster
        sys.exit(1)
    os.nice(nice)


def start(words: Sequence[str], nice: int = 0) -> subprocess.Popen[bytes]:
    """``mars-server`` with ``words``. What it says goes to our stderr; Ctrl-C in our terminal is
    for us to handle."""
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *words],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        env={**os.environ, _NICE: f"{os.getpid()} {nice}"},
        start_new_session=True,
    )


def end(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> list[int]:
    """Their exit codes, once all have ended; after ``seconds`` by force."""
    for process in processes:
        process.terminate()
    codes = []
    for process in processes:
        try:
            codes.append(process.wait(seconds))
        except subprocess.TimeoutExpired:
            process.kill()
            codes.append(process.wait())
    return codes
