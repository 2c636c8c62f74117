"""Which CPythons are installed on this machine, so that a test can run the same thing in each."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
"""Minor versions that the client is meant for (setup.cfg: python_requires)."""


@dataclass(frozen=True)
class Interpreter:
    version: str
    """Minor version, such as ``3.12``."""
    executable: Path


@cache
def found() -> tuple[Interpreter, ...]:
    """One interpreter per supported minor version: from pyenv's folder, else from the PATH."""
    return tuple(
        Interpreter(version, path) for version in SUPPORTED if (path := _find(version)) is not None
    )


def not_found() -> tuple[str, ...]:
    """The supported versions that are not installed here: to be listed as not run."""
    here = {interpreter.version for interpreter in found()}
    return tuple(version for version in SUPPORTED if version not in here)


def _find(version: str) -> Path | None:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True)
    on_path = shutil.which(f"python{version}")
    if on_path is not None:
        candidates.append(Path(on_path))
    return next((path for path in candidates if _is(path, version)), None)


def _is(path: Path, version: str) -> bool:
    """Asks it: a pyenv shim has the name of a version that need not be there."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.split() == [version, "cpython"]
