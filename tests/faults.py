"""Faults of the host, one at a time: a system call fails with an error that real machines give.

strace(1) injects them, into calls on the named files alone, so a fault is named by the call, its
number among the calls of that kind, and the error. The program runs in a fork of this process,
which saves its start.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ERRORS = (
    *("EMFILE", "ENOSPC", "EIO", "ESTALE", "EACCES", "EROFS"),
    *("EINTR", "ENOLCK", "EINVAL", "EOPNOTSUPP", "EDQUOT", "ETIMEDOUT"),
)
HARMLESS = frozenset({"close", "munmap", "exit_group", "exit", "lseek", "dup", "ioctl"})
"""Calls whose failure no file system gives, or which strace cannot make fail."""
_CALL = re.compile(r"^(?:([0-9]+) +)?([a-z0-9_]+)\(", re.MULTILINE)
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class Fault:
    """The ``number``-th ``call`` fails with ``error``."""

    call: str
    number: int
    error: str

    def __str__(self) -> str:
        return f"{self.call}-{self.number}-{self.error}"


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    """On stdout and stderr."""
    calls: Counter[str]
    """On the named files, by the process that made most of each: strace counts by process."""

    def is_told(self) -> bool:
        """Whether it ended as agreed, and gave a failure a sentence."""
        known = self.code in (0, 1, 2) and "Traceback" not in self.said
        return known and "defect" not in self.said and (self.code == 0 or self.said != "")


def missing() -> str | None:
    """Why nothing can be injected here, or None."""
    return None if shutil.which("strace") else "strace is not installed"


def run(
    main: Callable[[], None],
    arguments: Sequence[object],
    paths: Iterable[Path],
    out: Path,
    fault: Fault | None = None,
    *,
    alone: bool = False,
) -> Ran:
    """``main`` with ``arguments``, as a process of its own under strace.

    ``paths``: those whose calls count, all where there are none; of a rename or link strace looks
    at the old name alone. ``out``: a folder for what it says. ``alone``: not in its children.
    """
    child = os.fork()
    if child == 0:
        _child(main, arguments, out / "said")
    os.waitpid(child, os.WUNTRACED)
    told = ["strace", "-qq", "-o", str(out / "trace"), "-p", str(child)]
    told += [] if alone else ["-f"]
    for path in paths:
        told += ["-P", str(path)]
    if fault is not None:
        told += ["-e", f"inject={fault.call}:error={fault.error}:when={fault.number}"]
    with subprocess.Popen(told, stderr=subprocess.PIPE, text=True) as tracer:
        _until_traced(child, tracer)
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
    trace = (out / "trace").read_text(errors="replace")
    said = (out / "said").read_text(errors="replace")
    calls: Counter[str] = Counter()
    for (_, call), number in Counter(_CALL.findall(trace)).items():
        calls[call] = max(calls[call], number)
    return Ran(os.waitstatus_to_exitcode(status), said, calls)


def _until_traced(child: int, tracer: subprocess.Popen[str]) -> None:
    status = Path(f"/proc/{child}/status")
    while "TracerPid:\t0\n" in status.read_text():
        if tracer.poll() is not None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise RuntimeError(f"strace ended: {tracer.communicate()[1]}")
        time.sleep(0.002)


def _child(main: Callable[[], None], arguments: Sequence[object], said: Path) -> None:
    code = 99
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1 % 2**64), 0, 0, 0)
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(handle, stream)
        os.close(handle)
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - lives as long as the process
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.argv = ["program", *map(str, arguments)]
        os.kill(os.getpid(), signal.SIGSTOP)
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        gc.collect()  # what the end of a process closes: databases
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


OCCURRENCES = 8
"""Of one call with one error in the whole trial, drawn among all there are."""
SEED = 20261129


def chosen(calls: Counter[str], few: int) -> list[Fault]:
    """Of ``calls``, those of a run without a fault: each with each error, or, but for a long trial
    (``MARS_FAULTS=whole``), ``few`` of them; rare calls as often as common ones."""
    draw = random.Random(SEED)
    kinds = sorted((call, error) for call in calls if call not in HARMLESS for error in ERRORS)
    draw.shuffle(kinds)
    if os.environ.get("MARS_FAULTS") != "whole":
        firsts = {call: (call, error) for call, error in reversed(kinds)}
        kinds = draw.sample(sorted(firsts.values()), min(few, len(firsts)))
        return [Fault(call, draw.randint(1, calls[call]), error) for call, error in kinds]
    return [
        Fault(call, number, error)
        for call, error in kinds
        for number in draw.sample(range(1, calls[call] + 1), min(OCCURRENCES, calls[call]))
    ]
