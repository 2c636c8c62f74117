"""Settings are read from regular files: a pipe that nobody writes to holds no command up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from mars_server.storage import open_database
from tests.server.counting.commands import PROGRAM, product
from tests.server.counting.examples import line


def test_a_pipe_in_the_place_of_the_key_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line())
    os.mkfifo(tmp_path / "c.db.key")
    told = ("count", "a.log", "--product", str(product(tmp_path)), "--db", "sqlite:///c.db")
    done = subprocess.run([*PROGRAM, *told], capture_output=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, (tmp_path / "c.db.key").is_file()) == (0, True)


@pytest.mark.parametrize(
    "command",
    [
        ("count", "logs", "--dry-run", "--product", "PIPE"),
        ("counts", "recount", "2026-11-21", "logs", "--db", "DB", "--product", "PIPE"),
        ("check", "--config", "PIPE"),
        ("status", "--config", "PIPE"),
        ("doctor", "--config", "PIPE"),
        ("serve", "--config", "PIPE"),
        ("publish", "--db", "DB", "--out", "site", "--product", "PIPE"),
        ("publish", "--db", "DB", "--out", "site", "--product", "TOML", "--motd", "PIPE"),
        ("publish", "--db", "DB", "--out", "site", "--product", "TOML", "--notes", "PIPE"),
        ("publish", "--db", "DB", "--out", "site", "--product", "TOML", "--sign-key", "PIPE"),
    ],
    ids=" ".join,
)
def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path, command: Sequence[str]) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "logs").mkdir()
    url = f"sqlite:///{tmp_path}/c.db"
    open_database(url).dispose()
    places = {"PIPE": str(tmp_path / "pipe"), "DB": url, "TOML": str(product(tmp_path))}
    told = [*PROGRAM, *(places.get(word, word) for word in command)]
    done = subprocess.run(told, capture_output=True, cwd=tmp_path, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert (done.returncode, "not a regular file" in said) == (1, True), said
