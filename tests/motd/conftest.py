"""An example folder, made once a worker with real gpg, and the command as users run it."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mars_motd.cli import main

COMMAND = str(Path(sys.executable).with_name("mars-motd"))
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
HOLDER = ("--role", "root", "--role", "motd", "--role", "release")


@dataclass(frozen=True)
class Done:
    """One finished run of the command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _shell(*arguments: object, **environment: str) -> Done:
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    return _sane(Done(done.returncode, done.stdout, done.stderr))


def _sane(done: Done) -> Done:
    """Whatever happens, a user sees neither a traceback nor a defect of ours."""
    assert "Traceback" not in done.err, done.err
    assert "[internal]" not in done.err, done.err
    return done


def _run(*arguments: object, **environment: str) -> Done:
    """In this process, which saves time; as a command where the environment differs."""
    if environment:
        return _shell(*arguments, **environment)
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["mars-motd", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = before
    return _sane(Done(code, out.getvalue(), err.getvalue()))


def _ok(*arguments: object, **environment: str) -> Done:
    done = _run(*arguments, **environment)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="session")
def motd() -> Callable[..., Done]:
    """Runs the command; any exit code."""
    return _run


@pytest.fixture(scope="session")
def shell() -> Callable[..., Done]:
    """Runs the installed command in a process of its own; any exit code."""
    return _shell


@pytest.fixture(scope="session")
def ok() -> Callable[..., Done]:
    """Runs the command, which must succeed."""
    return _ok


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product folder with one unprotected pair of keys, nothing signed yet. Do not change it."""
    folder = tmp_path_factory.mktemp("made") / "product"
    _ok("init", folder, "--product", "examplemail")
    _ok("key", "new", folder, "--no-passphrase")
    return folder


@pytest.fixture
def wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a shell script in gpg's place; the real one is ``$REAL``."""

    real = shlex.quote(shutil.which("gpg") or "")

    def wrap(script: str) -> None:
        folder = tmp_path / "programs"
        folder.mkdir()
        (folder / "gpg").write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
        (folder / "gpg").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return wrap


@pytest.fixture
def product(made: Path, tmp_path: Path) -> Path:
    """A copy of ``made`` to work on."""
    return Path(shutil.copytree(made, tmp_path / "product"))


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "product.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three holders, threshold two, nothing signed yet. Do not change it."""
    folder = tmp_path_factory.mktemp("trio") / "product"
    _ok("init", folder, "--product", "examplemail")
    edit(folder, "threshold = 1", "threshold = 2")
    _ok("key", "new", folder, "--name", "ada", "--no-passphrase")
    for name in ("bob", "cleo"):
        _ok("key", "new", folder, "--name", name, *HOLDER, "--no-passphrase")
    return folder


@pytest.fixture
def three(trio: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trio, tmp_path / "three"))


def holder(folder: Path, target: Path, name: str) -> Path:
    """The machine of one holder: everybody's public records, own secrets, all OpenPGP keyrings."""
    shutil.copytree(folder, target)
    for secret in (*target.glob("keys/*.secret"), *target.glob("root/*.secret")):
        if not secret.stem.startswith(name):
            secret.unlink()
    return target


def names(folder: Path, state: str, ok: Callable[..., Done]) -> list[str]:
    rows = ok("key", "list", folder, "--json").json
    return [row["name"] for row in rows if row["state"] == state]


@pytest.fixture
def verdict(tmp_path: Path) -> Callable[..., Any]:
    """What ``verify --json`` says of a document, with the trust file of a folder."""

    def judge(document: Path, folder: Path, now: str = NEXT_DAY, *more: object) -> Any:
        trust = tmp_path / "trust.json"
        _ok("trust", folder, "--out", trust, "--now", now)
        done = _run("verify", document, "--trust", trust, "--now", now, "--json", *more)
        assert done.code == (0 if done.json["ok"] else 1)
        return done.json

    return judge
