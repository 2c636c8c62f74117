"""Runs the sections one after the other; ``python -m bench trust serving`` runs some of them."""

from __future__ import annotations

import ast
import os
import platform
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

SECTIONS = (
    "trust",
    "fetch",
    "idle",
    "crowd",
    "linking",
    "starts",
    "failures",
    "counting",
    "opening",
    "crash",
    "triage",
    "publication",
    "coverage",
    "hidden",
    "shares",
    "serving",
    "intake",
)


def sections() -> str:
    """Each section and what it measures, read without loading it."""
    folder = Path(__file__).parent
    told = {
        name: ast.get_docstring(ast.parse(folder.joinpath(f"{name}.py").read_text("utf-8"))) or ""
        for name in SECTIONS
    }
    first = {name: " ".join(text.partition("\n\n")[0].split()) for name, text in told.items()}
    lines = [f"  {name:12} {text}" for name, text in first.items()]
    return "\n".join(["python -m bench [SECTION ...]; without a name all of them:", *lines])


def main(names: list[str]) -> int:
    """Returns the number of sections that failed."""
    if {"-h", "--help"}.intersection(names):
        print(sections())
        return 0
    unknown = sorted(set(names) - set(SECTIONS))
    if unknown:
        print(f"no such section: {unknown[0]}; there are {', '.join(SECTIONS)}", file=sys.stderr)
        return 2
    print(f"# {os.cpu_count()} cores, {platform.machine()}, {platform.python_version()}")
    failed = 0
    for name in names or SECTIONS:
        if find_spec(f"bench.{name}") is None:
            print(f"\n## {name}: not written yet")
            continue
        print(f"\n## {name}", flush=True)
        failed += _run(name)
    return failed


def _run(name: str) -> int:
    code = import_module(f"bench.{name}").main()
    return int(bool(code))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
