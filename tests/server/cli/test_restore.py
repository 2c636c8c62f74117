"""A backup put back elsewhere: the same pages, no hit twice, and no second truth for a week."""

from __future__ import annotations

import re
import shutil
import sqlite3
from pathlib import Path

from tests.server.cli.test_ops import _old_log, run
from tests.server.serving import kit


def test_a_restored_machine_goes_on_where_the_first_one_was(tmp_path: Path) -> None:
    first, second, log = tmp_path / "first", tmp_path / "second", tmp_path / "log"
    for folder in (first, second, log):
        folder.mkdir(mode=0o750)
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    _old_log(log, 20, 57)
    assert _count(tmp_path, first, log) == 57
    _publish(tmp_path, first)
    _backup(first, second / "counts.db")

    # Everything that was published comes out again, from the database alone.
    _publish(tmp_path, second)
    assert _files(second / "site") == _files(first / "site")
    assert any(name.startswith("data/") for name in _files(second / "site"))

    # What was counted before the backup is not counted again, under whatever name it comes.
    for path in log.iterdir():
        path.rename(path.with_name("renamed.log"))
    assert _count(tmp_path, second, log) == 0


def test_an_older_database_cannot_change_a_published_week(tmp_path: Path) -> None:
    """A backup from before the publication, with lines that the published week never had."""
    first, log = tmp_path / "first", tmp_path / "log"
    for folder in (first, log):
        folder.mkdir(mode=0o750)
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    _old_log(log, 20, 57)
    _count(tmp_path, first, log)
    _backup(first, tmp_path / "early.db")
    _publish(tmp_path, first)
    published = _files(first / "site")
    for leftover in first.glob("counts.db*"):  # a foreign counts.db-wal would be replayed into it
        leftover.unlink()
    shutil.copy(tmp_path / "early.db", first / "counts.db")
    _old_log(log, 21, 40)
    _count(tmp_path, first, log)
    done = run("publish", *_where(tmp_path, first))
    assert done.returncode == 1, done.stdout
    assert "[" in done.stderr, done.stderr  # a reason, no defect of ours
    assert "[internal]" not in done.stderr
    assert _files(first / "site") == published


def _where(tmp_path: Path, folder: Path) -> list[str]:
    return [
        "--db", f"sqlite:///{folder}/counts.db", "--out", str(folder / "site"),
        "--product", str(tmp_path / "product.toml"),
    ]  # fmt: skip


def _publish(tmp_path: Path, folder: Path) -> None:
    done = run("publish", *_where(tmp_path, folder))
    assert done.returncode == 0, done.stderr


def _count(tmp_path: Path, folder: Path, log: Path) -> int:
    """Hits that were counted."""
    product = ("--product", str(tmp_path / "product.toml"))
    done = run("count", str(log), *product, "--db", f"sqlite:///{folder}/counts.db")
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) hits", done.stdout)
    assert found is not None, done.stdout
    return int(found[1])


def _backup(folder: Path, target: Path) -> None:
    """The line of docs/operating.md."""
    source, copy = sqlite3.connect(folder / "counts.db"), sqlite3.connect(target)
    try:
        source.backup(copy)
    finally:
        source.close()
        copy.close()


def _files(site: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()
    }
