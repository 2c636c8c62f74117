"""Runs ``mars-server`` as an operator does: as a process."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mars_server.cli import main
from mars_server.counting.tally import COUNTED
from tests.server.counting import reference
from tests.server.counting.examples import ALLOWED, PRODUCT

PROGRAM = (sys.executable, "-c", "from mars_server.cli import main; main()")
"""The same as the ``mars-server`` script, wherever that is installed."""


MADE = b"Made a new database, %b, which knows no log yet.\n"
"""Said by the first ``count`` of a database, with its file."""


@dataclass(frozen=True)
class Ran:
    code: int
    stdout: bytes
    stderr: bytes


def run(*arguments: object, code: int | None = 0, stdin: bytes = b"") -> Ran:
    """The program in this process, with streams of its own; starting one takes half a second.

    ``code`` None: any.
    """
    streams = [io.TextIOWrapper(io.BytesIO(data), "utf-8") for data in (stdin, b"", b"")]
    before = sys.stdin, sys.stdout, sys.stderr, sys.argv
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.argv = ["mars-server", *map(str, arguments)]
    try:
        main()
    except SystemExit as end:
        found = int(end.code or 0)
    finally:
        sys.stdin, sys.stdout, sys.stderr, sys.argv = before
    for stream in streams:
        stream.flush()
    _, out, err = (stream.detach().getvalue() for stream in streams)
    assert b"Traceback" not in err, err.decode()
    assert code in (None, found), (found, err.decode(), out.decode()[-500:])
    return Ran(found, out, err)


def completed(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The program in this process, whatever its exit code, with what it said as text."""
    ran = run(*arguments, code=None)
    said = (each.decode() for each in (ran.stdout, ran.stderr))
    return subprocess.CompletedProcess([*map(str, arguments)], ran.code, *said)


def spawned(*arguments: object) -> Ran:
    """The program as a process."""
    done = subprocess.run([*PROGRAM, *map(str, arguments)], capture_output=True, timeout=120)
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def running(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The program as a process that goes on, ended with the body."""
    told = [*PROGRAM, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(told, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(stream: IO[str] | None) -> str:
    """The next line of a running program."""
    assert stream is not None
    return stream.readline()


def run_json(*arguments: object, code: int = 0, stdin: bytes = b"") -> Any:
    return json.loads(run(*arguments, "--json", code=code, stdin=stdin).stdout)


def product(folder: Path) -> Path:
    path = folder / "product.toml"
    path.write_text(PRODUCT)
    return path


def expected(*contents: bytes, as_json: bool = False) -> dict[str, Any]:
    """What a dry run must print, by the slow reference."""
    lines = hits = 0
    days: dict[str, dict[str, dict[str, int]]] = {}
    for content in contents:
        truth = reference.count(content, ALLOWED, as_json=as_json)
        lines, hits = lines + truth.lines, hits + truth.hits
        for (day, variable, value), n in truth.cells.items():
            values = days.setdefault(day, {name: {} for name in COUNTED})[variable]
            values[value] = values.get(value, 0) + n
    return {"lines": lines, "hits": hits, "rejected": lines - hits, "days": days}


def contract(document: dict[str, Any]) -> dict[str, Any]:
    """The agreed members of a printed document."""
    return {name: document[name] for name in ("lines", "hits", "rejected", "days")}
