"""What the server's commands print: no name of a file steers a terminal or begins a line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mars_server.cli
from tests.server.cli.test_ops import run
from tests.server.serving import kit

EVIL = "a\x1b[31mb\nmars-server: all is well\u202e"
ESCAPED = "a\\x1b[31mb\\nmars-server: all is well\\u202e"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "motd.json").write_bytes(kit.document())
    (tmp_path / EVIL).mkdir()
    return tmp_path


def commands(here: Path) -> dict[str, list[str]]:
    product, db = ["--product", str(here / "product.toml")], ["--db", f"sqlite:///{here}/c.db"]
    log, evil, missing = ["--log", str(here / "log")], here / EVIL, str(here / EVIL / "none")
    return {
        "count": ["count", missing, "--dry-run", *product],
        "recount": ["counts", "recount", "2026-11-21", missing, *product, *db],
        "counts": ["counts", "show", "--db", f"sqlite:///{missing}"],
        "serve": ["serve", "--bind", "127.0.0.1:0", "--motd", missing, *log, *product],
        "status": ["status", "--config", missing],
        "check": ["check", "--config", missing],
        "doctor": ["doctor", "--log", missing],
        "init": ["init", str(evil)],
        "restore": ["onion", "restore", "--dir", str(here / "key"), "--from", missing],
        "address": ["onion", "address", "--dir", str(evil)],
    }  # fmt: skip


def test_no_name_of_a_file_reaches_the_terminal_as_it_is(here: Path) -> None:
    run("count", str(here / "motd.json"), "--product", str(here / "product.toml"),
        "--db", f"sqlite:///{here}/c.db")  # fmt: skip
    for name, arguments in commands(here).items():
        done = run(*arguments)
        said = done.stdout + done.stderr
        assert ESCAPED in said, name
        assert not {"\x1b", "\u202e"} & set(said), name
        assert not any(line.startswith("mars-server: all is") for line in said.splitlines()), name


def test_every_line_goes_through_the_one_door() -> None:
    """Whole documents (``nl=False``) that others read are no lines."""
    for path in Path(mars_server.cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "echo" and path.name != "options.py":
                assert [word.arg for word in node.keywords] == ["nl"], f"{path}:{node.lineno}"
