"""The declared statistics (``metrics.toml``) and error names (``errors.toml``), line by line."""

from __future__ import annotations

import tomllib
from pathlib import Path

from mars.wire.registry import read_errors, read_metrics
from mars_motd.messages import Problem, syntax_problem
from mars_motd.tomllines import line_of

_FILES = {"metrics.toml": read_metrics, "errors.toml": read_errors}


def check(root: Path) -> list[Problem]:
    """All problems of the two files under ``root``; a missing file declares nothing."""
    return [
        problem
        for name in _FILES
        if (path := root / name).is_file()
        for problem in problems(path.read_bytes(), str(path))
    ]


def problems(data: bytes, where: str) -> list[Problem]:
    """Those of one file, which its name in ``where`` tells apart."""
    try:
        text = data.decode("utf-8-sig")
        _, faults = _FILES[Path(where).name](tomllib.loads(text))
    except UnicodeDecodeError:
        return [Problem(where, 1, "is not UTF-8")]
    except tomllib.TOMLDecodeError as error:
        return [syntax_problem(where, str(error))]
    return [
        Problem(where, line_of(text, fault.name), f"[{fault.name}] {fault.what}")
        for fault in faults
    ]
