"""Takes each protection out, one at a time, and looks whether the test of its row notices.

``python scripts/remove_protections.py [ROW…]`` works on copies of the project. What stands where,
and which rows have nothing of one line, is in ``protections.toml`` beside this file. A test that
passes without its protection, or needs more than ten seconds to fail, is told; then the exit code
is 1. ``JOBS=n`` takes out n at a time.
"""

from __future__ import annotations

import ast
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("protections.toml")
PACKAGES = ("mars", "mars_server", "mars_motd")
MOST_SECONDS = 10.0
"""For a test to fail in, without what its fixtures take."""
HANGS = 60
"""Seconds after which pytest ends a test that does not mark a shorter time."""
PATIENCE = 300.0
"""Seconds after which a whole run of one row is killed; that of all rows has an hour."""
HASTY = {"MARS_TEST_PATIENCE": "5"}
"""Seconds that a test waits for what will not come, since its protection is out."""
NOTICED = "noticed"
MOST_SHOWN = 90
"""Characters of a guard or a test's name."""
LATER = 10.0
"""Seconds by which a changed file is younger, so that no compiled copy of it is taken."""

_TEST = re.compile(r"def test_((?:[a-l][0-9]{2}_)+)(\w+)")
_CONDITION = re.compile(r"(?:el)?if [^\n]*:")
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "*_cache", "*.egg-info", "mutants", "build", "dist", ".hypothesis"
)
"""Compiled files come along: in a copy they are as good."""


class RottenError(Exception):
    """The table does not fit the project any more; the text says where."""


@dataclass(frozen=True)
class Protection:
    """What guards a row: texts of one file that stand there once, and what takes their place."""

    row: str
    """Such as ``A3``."""
    file: str
    """Its path in the project."""
    changes: tuple[tuple[str, str], ...]
    """Each text with its replacement. More than one where two layers guard against the same."""

    def removed(self, source: str) -> str:
        """``source`` without the protection. Raises ``RottenError``."""
        for text, without in self.changes:
            found = source.count(text)
            if found != 1:
                raise RottenError(f"{self.row}: {text!r} stands {found} times in {self.file}")
            source = source.replace(text, without)
        if self.file.endswith(".py"):
            try:
                ast.parse(source)
            except SyntaxError as error:
                raise RottenError(f"{self.row}: {self.file} is no Python then: {error}") from None
        return source


@dataclass(frozen=True)
class Table:
    """All of ``protections.toml``."""

    protections: tuple[Protection, ...]
    tests: dict[str, list[str]]
    """By row the files with its tests, where they are not those of ``tests/hostile``."""
    none: dict[str, str]
    """Rows without a guard of one line, with the reason."""

    @property
    def rows(self) -> set[str]:
        return {each.row for each in self.protections} | set(self.none)


@dataclass(frozen=True)
class Noticed:
    """What a run of a row's tests said."""

    code: int
    """Of pytest: 0 passed, 1 failed, else it did not come to the tests."""
    seconds: float
    """Of the test that failed, without its fixtures."""
    test: str
    """Its name, or the last words of pytest."""

    @property
    def verdict(self) -> str:
        if self.code == 0:
            return "DOES NOT BITE"
        if self.code != 1:
            return "BREAKS THE RUN"
        return NOTICED if self.seconds <= MOST_SECONDS else "TOO SLOW"


@dataclass(frozen=True)
class Result:
    """What became of one protection."""

    protection: Protection
    noticed: Noticed

    def __str__(self) -> str:
        taken, found = self.protection, self.noticed
        where = f"{taken.row:<4}{found.verdict:<16}{found.seconds:5.1f} s  {taken.file}"
        return f"{where}: {_short(taken.changes[0][0])}\n    {_short(found.test)}"


def load(path: Path = TABLE) -> Table:
    """Raises ``RottenError`` where an entry has an odd form."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    found = [_protection(row, each) for row, many in table["protections"].items() for each in many]
    return Table(tuple(found), table["tests"], table["none"])


def _protection(row: str, entry: Sequence[str]) -> Protection:
    file, *texts = entry
    if len(texts) == 1 and _CONDITION.fullmatch(texts[0]):
        texts.append(f"{texts[0].partition('if ')[0]}if False:")
    if not texts or len(texts) % 2:
        raise RottenError(f"{row}: a guard needs a text and what takes its place")
    return Protection(row, file, tuple(zip(texts[::2], texts[1::2], strict=True)))


def check(table: Table, root: Path = ROOT) -> None:
    """Raises ``RottenError`` unless every guard is found and every numbered row of the tests is in
    the table."""
    for each in table.protections:
        if not (root / each.file).is_file():
            raise RottenError(f"{each.row}: there is no {each.file}")
        each.removed((root / each.file).read_text(encoding="utf-8"))
    tested = set(numbered(root))
    if missing := sorted(tested - table.rows):
        raise RottenError(f"these rows have tests and are not in the table: {', '.join(missing)}")
    if unknown := sorted(table.rows - tested - set(table.none)):
        raise RottenError(f"no test bears the number of {', '.join(unknown)}")


def attempts(root: Path = ROOT) -> dict[str, list[tuple[str, str]]]:
    """By row the tests that bear its number: the file, and the words of the test's name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        file = path.relative_to(root).as_posix()
        for numbers, words in _TEST.findall(path.read_text(encoding="utf-8")):
            for number in numbers.rstrip("_").upper().split("_"):
                row = f"{number[0]}{int(number[1:])}"
                found.setdefault(row, []).append((file, words.replace("_", " ")))
    return found


def numbered(root: Path = ROOT) -> dict[str, list[str]]:
    """By row the files with tests that bear its number: those in ``tests/hostile``, else all."""
    found = {row: list(dict(tests)) for row, tests in attempts(root).items()}
    own = {row: [name for name in files if "/hostile/" in name] for row, files in found.items()}
    return {row: own[row] or files for row, files in found.items()}


class Copy:
    """A copy of the project in which protections are taken out, one after the other."""

    def __init__(self, folder: Path) -> None:
        """Raises ``RottenError`` where the copy is not what would be tested."""
        self.root = folder / "project"
        shutil.copytree(ROOT, self.root, ignore=_LEFT_OUT, symlinks=True)
        (self.root / ".venv").symlink_to(Path(sys.prefix).absolute())
        self._report = folder / "report.xml"
        paths = (self.root, self.root / "server", self.root / "motd")
        own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
        # What a test without its protection leaves behind goes with the copy.
        scratch = folder / "tmp"
        scratch.mkdir()
        own |= {"TMPDIR": str(scratch), "PYTEST_ADDOPTS": ""}
        self._environment = os.environ | own
        self._check()

    def _check(self) -> None:
        names = ", ".join(PACKAGES)
        command = [sys.executable, "-c", f"import {names}; print({names})"]
        done = subprocess.run(
            command, cwd="/", env=self._environment, capture_output=True, text=True, check=True
        )
        if done.stdout.count(str(self.root)) != len(PACKAGES):
            raise RottenError(f"not the copy would be tested but {done.stdout}")

    @contextmanager
    def without(self, protection: Protection) -> Iterator[None]:
        path = self.root / protection.file
        source, times = path.read_text(encoding="utf-8"), path.stat()
        path.write_text(protection.removed(source), encoding="utf-8")
        os.utime(path, (times.st_atime, times.st_mtime + LATER))
        try:
            yield
        finally:
            path.write_text(source, encoding="utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def test(
        self,
        files: Sequence[str],
        rows: Sequence[str],
        *options: str,
        patience: float = PATIENCE,
        environment: Mapping[str, str] = HASTY,
    ) -> Noticed:
        """Runs the tests of ``rows`` in ``files``."""
        names = " or ".join(f"_{row[0].lower()}{int(row[1:]):02d}_" for row in rows)
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
        command += ["-k", names, f"--timeout={HANGS}", "-o", "timeout_func_only=true"]
        command += [f"--junitxml={self._report}", "-o", "junit_duration_report=call", *options]
        self._report.unlink(missing_ok=True)
        process = subprocess.Popen(
            [*command, *files],
            cwd=self.root,
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            told, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            return Noticed(1, patience, "never ended")
        finally:
            _end(process)
        return _read(self._report, process.returncode, told)


def _end(process: subprocess.Popen[str]) -> None:
    """With all that it has started and left behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _read(report: Path, code: int, told: str) -> Noticed:
    cases = list(ET.parse(report).iter("testcase")) if report.exists() else []
    failed = [case for case in cases if not {"failure", "error"}.isdisjoint(x.tag for x in case)]
    seconds = sum(float(case.get("time", "0")) for case in failed or cases)
    names = " ".join(dict.fromkeys(case.get("name", "") for case in failed))
    return Noticed(code, seconds, names or told.strip().rpartition("\n")[2])


def trial(rows: Sequence[str] = (), tell: Callable[[str], Any] = print) -> list[Result]:
    """Takes out the protections of ``rows``, or all, and tells each result as it comes.

    Raises ``RottenError`` where the table does not fit.
    """
    table = load()
    check(table)
    files = numbered() | table.tests
    wanted = [each for each in table.protections if not rows or each.row in rows]
    jobs = max(1, int(os.environ.get("JOBS", "2")))
    results = []
    with tempfile.TemporaryDirectory(prefix="mars-bite-", ignore_cleanup_errors=True) as name:
        free: queue.Queue[Copy] = queue.Queue()
        for number in range(min(jobs, len(wanted))):
            free.put(Copy(Path(name, str(number))))
        _require_passing(free.queue[0], wanted, files, jobs)

        def noticed(protection: Protection) -> Noticed:
            copy = free.get()
            try:
                with copy.without(protection):
                    return copy.test(files[protection.row], [protection.row], "-x")
            finally:
                free.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            for each in zip(wanted, pool.map(noticed, wanted), strict=True):
                results.append(Result(*each))
                tell(str(results[-1]))
    return results


def _require_passing(
    copy: Copy, wanted: Sequence[Protection], files: dict[str, list[str]], jobs: int
) -> None:
    """A test that fails anyway notices nothing. Raises ``RottenError``."""
    rows = list(dict.fromkeys(each.row for each in wanted))
    every = list(dict.fromkeys(name for row in rows for name in files[row]))
    spread = ("-n", str(jobs if len(rows) > jobs else 0), "--dist", "loadgroup")
    done = copy.test(every, rows, *spread, patience=3600.0, environment={})
    if done.code != 0:
        raise RottenError(f"with all protections in place: {done.test}")


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= MOST_SHOWN else f"{words[:MOST_SHOWN]}…"


def main(rows: list[str]) -> int:
    try:
        results = trial(rows)
    except RottenError as error:
        print(error, file=sys.stderr)
        return 1
    complaints = [str(each) for each in results if each.noticed.verdict != NOTICED]
    for line in complaints:
        print(line, file=sys.stderr)
    return min(1, len(complaints))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
