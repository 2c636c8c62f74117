"""What a bench says on the screen, and where it writes that between its two marks in docs/."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs/performance.md"


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


def write(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Replaces what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no marks for {name}")
    text = "\n".join(lines)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
