"""Puts what a bench printed between its two marks in a page of docs/."""

from __future__ import annotations

import os
import platform
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs/performance.md"


def machine() -> str:
    """In words; the load tells whether other work shared the cores."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, CPython {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def write(name: str, lines: list[str], page: Path = PAGE) -> None:
    """Replaces what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{page} has no marks for {name}")
    text = "\n".join(lines)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
