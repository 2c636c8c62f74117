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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ERRORS = (
    *("EMFILE", "ENOSPC", "EIO", "ESTALE", "EACCES", "EROFS"),
    *("EINTR", "ENOLCK", "EINVAL", "EOPNOTSUPP", "EDQUOT", "ETIMEDOUT"),
)
HARMLESS = frozenset({"close", "munmap", "exit_group", "exit", "lseek", "dup", "ioctl"})
"""Calls whose failure no file system gives, or which strace cannot make fail."""
WRITING = frozenset(
    {"chmod", "fsync", "link", "linkat", "mkdir", "openat", "rename", "rmdir", "unlink", "write"}
)
_CALL = re.compile(
    r"^(?:([0-9]+) +)?([a-z0-9_]+)\((?:(?:[0-9]+|AT_FDCWD)<([^>\n]*)>(?:, )?)?(?:\"([^\"\n]*)\")?",
    re.MULTILINE,
)
"""Process, call, and the file: that of a descriptor, or a name, maybe within one."""
_CHANGING = re.compile(r"[0-9a-f]{16,}|(?<=[.-])[a-z0-9_]{8}$|[0-9]+")
"""In a name, what differs from run to run."""
_PR_SET_PTRACER = 0x59616D61


@dataclass(frozen=True)
class Fault:
    """The ``number``-th ``call`` fails with ``error``."""

    call: str
    number: int
    error: str

    def __str__(self) -> str:
        return f"{self.call}-{self.number}-{self.error}"


Sites = dict[tuple[str, str], list[int]]
"""By call and kind of file: the numbers of the first and the last call in each process."""


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    """On stdout and stderr."""
    trace: str = field(default="", repr=False)
    """strace's, of the calls on the named files."""

    @property
    def is_met(self) -> bool:
        """Whether a fault was injected."""
        return "(INJECTED)" in self.trace

    def is_told(self) -> bool:
        """Whether it ended as agreed, and gave a failure a sentence."""
        known = self.code in (0, 1, 2) and "Traceback" not in self.said
        return known and "defect" not in self.said and (self.code == 0 or self.said != "")

    def count(self, call: str) -> int:
        """The most of one process."""
        return max((number for _, name, number, _ in self._calls() if name == call), default=0)

    def sites(self) -> Sites:
        """Where one of its calls may fail."""
        return self._sites(lambda call, path: call not in HARMLESS)

    def writes(self, folder: Path) -> Sites:
        """As ``sites``, of what changes files in ``folder``, whatever their names are."""
        return self._sites(
            lambda call, path: call in WRITING and path.is_relative_to(folder.resolve())
        )

    def _sites(self, concerns: Callable[[str, Path], bool]) -> Sites:
        ends: dict[tuple[str, str, str], list[int]] = {}
        for process, call, number, path in self._calls():
            if concerns(call, path):
                ends.setdefault((process, call, kind(path)), [])[1:] = [number]
        sites: Sites = {}
        for (_, call, name), numbers in sorted(ends.items(), key=lambda item: item[0][1:]):
            known = sites.setdefault((call, name), [])
            known += [number for number in numbers if number not in known]
        return sites

    def _calls(self) -> Iterator[tuple[str, str, int, Path]]:
        """Process, call, its number there (strace counts by process), file."""
        made: Counter[tuple[str, str]] = Counter()
        for process, call, opened, name in _CALL.findall(self.trace):
            made[process, call] += 1
            path = Path(opened, name if call.endswith("at") or not opened else "")
            yield process, call, made[process, call], path


def kind(path: Path) -> str:
    """What files that are made for the same end have in common: the folder and the suffix.

    Pages and charts of a site have only the suffix in common.
    """
    parts = [_CHANGING.sub("#", part) for part in path.parts]
    folder, name = ("", "", *parts)[-2:]
    suffix = Path(name.lstrip(".")).suffix
    if "out" in parts[:-1]:
        folder = "out"
        name = name if suffix else "folder"
    return f"{folder}/{'*' + suffix if suffix else name}"


def room(folder: Path) -> Path:
    """A folder in ``folder`` for what a program says; skips the test without strace."""
    if shutil.which("strace") is None:
        # make test installs it; pytest alone names and counts the skip, and with CI set fails.
        pytest.skip("strace is not installed")
    (folder / "out").mkdir()
    return folder / "out"


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
    told = ["strace", "-qq", "-y", "-o", str(out / "trace"), "-p", str(child)]
    told += [] if alone else ["-f"]
    for path in paths:
        told += ["-P", str(path)]
    if fault is not None:
        told += ["-e", f"inject={fault.call}:error={fault.error}:when={fault.number}"]
    with subprocess.Popen(told, stderr=subprocess.PIPE, text=True) as tracer:
        _until_traced(child, tracer)
        os.kill(child, signal.SIGCONT)
        _, status = os.waitpid(child, 0)
    return _ran(status, out, (out / "trace").read_text(errors="replace"))


def _ran(status: int, out: Path, trace: str = "") -> Ran:
    said = (out / "said").read_text(errors="replace")
    return Ran(os.waitstatus_to_exitcode(status), said, trace)


def untraced(main: Callable[[], None], arguments: Sequence[object], out: Path) -> Ran:
    """As ``run`` without strace: several times as fast."""
    child = os.fork()
    if child == 0:
        _child(main, arguments, out / "said")
    os.waitpid(child, os.WUNTRACED)
    os.kill(child, signal.SIGCONT)
    _, status = os.waitpid(child, 0)
    return _ran(status, out)


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


SEED = 20261129
EVERY = 50
"""Faults between two lines of progress."""


def chosen(sites: Sites, few: int) -> list[Fault]:
    """Of the sites of a run without a fault: in a long trial (``MARS_FAULTS``) each site with each
    error, at its first and its last call in turn; else ``few`` with an error each."""
    if not os.environ.get("MARS_FAULTS"):
        draw = random.Random(SEED)
        return [
            Fault(call, draw.choice(ends), draw.choice(ERRORS))
            for (call, _), ends in draw.sample(sorted(sites.items()), min(few, len(sites)))
        ]
    faults = [
        Fault(call, ends[(place + turn) % len(ends)], error)
        for place, ((call, _), ends) in enumerate(sites.items())
        for turn, error in enumerate(ERRORS)
    ]
    return list(dict.fromkeys(faults))


def trial(name: str, sites: Sites, few: int, attempt: Callable[[Fault], Ran]) -> None:
    """Each chosen fault by itself. ``attempt`` meets it and asserts what holds afterwards.

    A long trial goes on after one that does not hold, says on stderr how far it is, and adds a line
    to the file that ``MARS_FAULTS`` names.
    """
    faults, begun, wrong, met = chosen(sites, few), time.monotonic(), list[str](), 0
    for number, fault in enumerate(faults, 1):
        try:
            met += attempt(fault).is_met
        except Exception as error:
            if not os.environ.get("MARS_FAULTS"):
                raise
            wrong.append(f"{fault}: {error!r}")
            _say(f"{name}: {wrong[-1]}")
        if number % EVERY == 0:
            _say(f"{name}: {number} of {len(faults)} faults")
    _tell(
        f"{name}: {len(faults):,} faults at {len(sites)} calls by kind of file, {met:,} met, "
        f"{len(wrong)} left what they should not, {time.monotonic() - begun:.0f} s"
    )
    assert not wrong, "\n".join(wrong)
    assert met


def _tell(line: str) -> None:
    if told := os.environ.get("MARS_FAULTS"):
        with Path(told).open("a") as file:
            file.write(f"{line}\n")


def _say(text: str) -> None:
    if os.environ.get("MARS_FAULTS"):
        sys.stderr.write(f"{text}\n")
