"""Hooks for error reports beside those of sentry-sdk, IPython, faulthandler, pytest, Tk, PySide6
and PyQt6, real ones, in every order of installing and removing.

``hooks()`` makes a throw-away environment with these packages; what no index has is named and left
out. Each try is a process of its own, compared with the same without us: it must print the same,
end the same, and what the other library has seen must be the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.hook_programs import COMMON, FILES, PYTEST, PYTEST_TESTS, QT, RUN, TK, TOOLS
from tests import applications

ROOT = Path(__file__).parent.parent
PACKAGES = ("sentry-sdk", "ipython", "pytest", "PySide6-Essentials", "PyQt6")
SECONDS = 60
FAULTS = ("main", "thread", "logged", "finalizer", "task")
ORDERS = (
    *("T M", "M T", "T M -M", "M T -M", "M T -M M"),
    *("T M -T", "M T -T", "T M -T -M", "T M -M -T", "M T -T -M", "M T -M -T"),
)
"""T the other library, M our hooks; a sign takes them away. All orders of these words in which
either is put in before it is taken away, and one that puts ours in again."""


@dataclass(frozen=True)
class Try:
    code: int
    said: str
    """Without addresses and times."""
    taken: tuple[str, ...]
    seen: int


class Bench:
    """The environment and what is run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = str(folder / "venv/bin/python")
        self.versions: dict[str, str] = {}
        applications.write(folder, FILES)

    def make(self) -> None:
        venv.create(self.folder / "venv", with_pip=True)
        for package in PACKAGES:
            install = [self.python, "-m", "pip", "install", "--quiet", package]
            if subprocess.run(install, capture_output=True).returncode == 0:
                show = [self.python, "-m", "pip", "show", package]
                shown = subprocess.run(show, capture_output=True, text=True, check=True).stdout
                self.versions[package] = re.findall(r"^Version: (.+)$", shown, re.MULTILINE)[0]

    def run(self, *parts: str, **names: str) -> Try:
        head = "\n".join(f"{name} = {value!r}" for name, value in names.items())
        script = self.folder / "run.py"
        script.write_text("\n".join((f"ROOT = {str(ROOT)!r}", head, COMMON, *parts)), "utf-8")
        return self.tried(self.python, str(script))

    def tried(self, *command: str) -> Try:
        environment = {
            **os.environ,
            "QT_QPA_PLATFORM": "offscreen",
            "PYTHONPATH": f"{self.folder}:{ROOT}",
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        told: dict[str, Any] = {"taken": [], "seen": 0}
        for line in re.findall(r'^\{"taken".*\}$', done.stdout, re.MULTILINE):
            told = json.loads(line)
        said = re.sub(r'\n?^\{"taken".*\}\n', "", done.stdout, flags=re.MULTILINE) + done.stderr
        plain = re.sub(r"0x[0-9a-f]+|in [0-9.]+s|line \d+", "", said)
        return Try(done.returncode, plain.strip(), (*told["taken"],), told["seen"])


def hooks() -> list[str]:
    """Prints a line for each library; returns what did not hold."""
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mars-hooks-") as name:
        bench = Bench(Path(name))
        bench.make()
        missing = [package for package in PACKAGES if package not in bench.versions]
        for tool in TOOLS:
            if tool.lower() not in map(str.lower, missing):
                failed += _chained(bench, tool)
        failed += _pytest(bench)
        for binding in ("PySide6", "PyQt6"):
            if not [it for it in missing if it.startswith(binding)]:
                failed += _qt(bench, binding)
        with _display():
            failed += _tk(bench)
        if missing:
            print(f"no index has {', '.join(missing)}: left out")
    return failed


def _chained(bench: Bench, tool: str) -> list[str]:
    failed, tries, seen = list[str](), 0, 0
    for fault in FAULTS:
        without = {
            alone: bench.run(TOOLS[tool], RUN, ORDER=alone, FAULT=fault) for alone in ("T", "T -T")
        }
        for order in ORDERS:
            tries += 1
            got, bare = (
                bench.run(TOOLS[tool], RUN, ORDER=order, FAULT=fault),
                without[_alone(order)],
            )
            seen += got.seen
            wanted = _reached(order, replaced=tool == "IPython" and fault == "main")
            same = (got.code, got.said, got.seen) == (bare.code, bare.said, bare.seen)
            if not same or got.taken != ("ValueError",) * wanted:
                failed.append(f"{tool}, {order}, {fault}: taken {got.taken}, as without us: {same}")
    _say(bench, tool, tries, failed, f"; it saw {seen} itself")
    return failed


def _alone(order: str) -> str:
    """The steps of the other library."""
    return " ".join(step for step in order.split() if "T" in step)


def _reached(order: str, *, replaced: bool) -> bool:
    """Whether our hooks are to take a fault after these steps; ``replaced``: the other library
    calls nothing that it found, and puts it back when it goes."""
    place, found, on = "", {"T": "", "M": ""}, False
    for step in order.split():
        who = step[-1]
        on = on if who == "T" else step == "M"
        if step == who != place:
            found[who], place = place, who
        elif step != who and (place == who or who == "T"):
            place = found[who]
    return on and (place == "M" or not replaced)


def _qt(bench: Bench, binding: str) -> list[str]:
    """Where ``qt`` is not asked for, PyQt ends the process as without us."""
    failed, tries = list[str](), 0
    for fault in ("slot", "method", "thread", "main"):
        without = bench.run(QT, WAY="none", BINDING=binding, FAULT=fault)
        for way in ("install", "qt", "install qt", "install qt removed"):
            tries += 1
            got = bench.run(QT, WAY=way, BINDING=binding, FAULT=fault)
            asked = "qt" in way and "removed" not in way and fault != "main"
            right = "went on" in got.said if asked else got.code == without.code
            if not right or len(got.taken) != ("removed" not in way):
                failed.append(f"{binding}, {way}, {fault}: {got}")
    _say(bench, binding, tries, failed)
    return failed


def _tk(bench: Bench) -> list[str]:
    failed, tries = list[str](), 0
    alone = {order: bench.run(TK, ORDER=order) for order in ("", "T", "T -T")}
    for order in ("M", "M -M", *ORDERS):
        tries += 1
        got, without = bench.run(TK, ORDER=order), alone[_alone(order)]
        same = (got.code, got.said, got.seen) == (without.code, without.said, without.seen)
        if not same or got.taken != ("ValueError",) * _reached(order, replaced=True):
            failed.append(f"Tk, {order}: taken {got.taken}, as without us: {same}")
    _say(bench, "Tk", tries, failed)
    return failed


def _pytest(bench: Bench) -> list[str]:
    """Its own hooks call nothing that they found: what fails in a test is its alone."""
    folder = bench.folder / "suite"
    folder.mkdir()
    folder.joinpath("test_suite.py").write_text(PYTEST_TESTS, "utf-8")
    command = (bench.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "suite")
    tries = []
    for on in (False, True):
        folder.joinpath("conftest.py").write_text(f"ON = {on}\n{PYTEST}", "utf-8")
        tries.append(bench.tried(*command))
    without, got = tries
    same = (got.code, got.said) == (without.code, without.said)
    failed = [] if same and not got.taken else [f"pytest: {got}"]
    _say(bench, "pytest", 1, failed)
    return failed


def _say(bench: Bench, tool: str, tries: int, failed: list[str], more: str = "") -> None:
    versions = [it for name, it in bench.versions.items() if name.lower().startswith(tool.lower())]
    name = " ".join([tool, *versions[:1]])
    print(f"beside {name} {tries - len(failed)} of {tries} tries as they should be{more}")


@contextmanager
def _display() -> Iterator[None]:
    """An X server of our own where there is none."""
    if os.environ.get("DISPLAY"):
        yield
        return
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as told:
        os.environ["DISPLAY"] = f":{told.readline().strip()}"
    try:
        yield
    finally:
        del os.environ["DISPLAY"]
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(bool([print(f"NOT MET: {each}", file=sys.stderr) for each in hooks()]))
