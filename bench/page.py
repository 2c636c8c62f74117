"""What a bench says on the screen, and where it writes that between its two marks in docs/."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol, TypeVar

DOCS = Path(__file__).parent.parent / "docs"
PAGE, PRIVACY = DOCS / "performance.md", DOCS / "privacy.md"
One = TypeVar("One")
Other = TypeVar("Other")


class Run(Protocol):
    """Does some work for each item, in order."""

    def __call__(self, work: Callable[[One], Other], items: Iterable[One], /) -> list[Other]: ...


def machine() -> str:
    """In words; the load tells whether other work shared the cores."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


class Told:
    """What one bench says, and the limits that are not met."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.failed: list[str] = []

    def say(self, text: str) -> None:
        print(text, flush=True)
        self.out.append(text)

    def hold(self, what: str, holds: bool) -> None:
        """Says whether a limit is met."""
        self.say(f"* {'met' if holds else '**not met**'}: {what}")
        if not holds:
            self.failed.append(what)


def main(name: str, what: str, measured: Callable[[], Told], arguments: Sequence[str]) -> int:
    """Measures ``what`` and, if asked to, writes it where the docs name it. 1 where a limit is not
    met."""
    parser = argparse.ArgumentParser(prog=f"bench.{name}", description=f"Measures {what}.")
    parser.add_argument("--write", action="store_true", help="put what is measured into the docs")
    options = parser.parse_args(arguments)
    told = measured()
    for missed in told.failed:
        print(f"NOT MET: {missed}", file=sys.stderr)
    if options.write:
        write(name, told.out)
    return int(bool(told.failed))


def simulated(name: str, report: Callable[[Run], Iterator[str]]) -> None:
    """Prints what two processes make for docs/privacy.md, as it comes, and writes it there."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of each of the two
    lines = []
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for text in report(partial(_mapped, pool)):
            print(text, flush=True)
            lines.append(text)
    write(name, lines, PRIVACY)


def _mapped(
    pool: ProcessPoolExecutor, work: Callable[[One], Other], items: Iterable[One]
) -> list[Other]:
    """In order; tells how far it is."""
    wanted, begin, name = list(items), time.monotonic(), getattr(work, "__name__", "work")
    found = []
    for one in pool.map(work, wanted):
        found.append(one)
        told = f"{len(found)} of {len(wanted)}, {time.monotonic() - begin:.0f} s"
        print(f"\r{name}: {told}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return found


def write(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Replaces what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no marks for {name}")
    text = "\n".join(lines)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
