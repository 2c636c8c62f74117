"""What is said of a database that cannot be used: which one, and what to do next."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from mars.errors import StateError
from mars_server.storage import open_database, reading
from mars_server.storage.database import COUNTS, counting_lock
from tests.server.daylog.test_faults import needs_root
from tests.server.serving import kit

NOBODY = 65534


def at_version(url: str, version: str) -> None:
    """A database with the tables of an older program."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "mars_server:storage/migrations")
        config.attributes |= {"connection": connection, "noted": COUNTS.noted}
        command.upgrade(config, version)
    engine.dispose()


def break_tables(url: str, *statements: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE archives", "DROP TABLE sources"],
        ["ALTER TABLE sources ADD COLUMN timeless BOOLEAN"],
        ["DROP TABLE alembic_version"],
    ],
    ids=["a table is missing", "a column is there already", "the version is missing"],
)
def test_tables_that_are_not_as_they_should_be_are_told(
    database_url: str, statements: list[str]
) -> None:
    at_version(database_url, "0003")
    break_tables(database_url, *statements)
    with pytest.raises(StateError) as refusal:
        open_database(database_url)
    assert refusal.value.reason == "database-old"
    assert database_url.rpartition("/")[2] in refusal.value.message
    assert "into a new one" in refusal.value.message


def test_a_table_that_is_gone_later_is_told(database_url: str) -> None:
    engine = open_database(database_url)
    break_tables(database_url, "DROP TABLE archives", "DROP TABLE sources")
    with pytest.raises(StateError) as refusal:
        reading.totals(engine)
    engine.dispose()
    assert refusal.value.reason == "database-old"


def zeroed(path: Path) -> None:
    """Some pages in the middle are lost."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 40_000)


@pytest.mark.parametrize("damage", [zeroed, lambda path: path.write_bytes(b"a letter" * 900)])
def test_a_damaged_file_is_named_with_the_next_step(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    path = tmp_path / "counts.db"
    open_database(f"sqlite:///{path}").dispose()
    damage(path)
    done = subprocess.run(
        [kit.COMMAND, "counts", "show", "--db", f"sqlite:///{path}", "--json"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert (done.returncode, told["reason"]) == (1, "database-unavailable")
    assert str(path) in told["message"]
    assert "put back a backup" in told["message"]
    assert "publish --adopt" in told["message"]


def count(folder: Path) -> subprocess.CompletedProcess[str]:
    """As a user who may not do everything: root is one without these two capabilities."""
    ordinary = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    arguments = [str(folder / "log"), "--product", str(folder / "product.toml")]
    arguments += ["--db", f"sqlite:///{folder}/counts.db"]
    return subprocess.run(
        [*ordinary, kit.COMMAND, "count", *arguments], capture_output=True, text=True, timeout=60
    )


@needs_root
@pytest.mark.parametrize("left", ["counts.db", "counts.db.lock", "counts.db-wal"])
def test_a_file_that_another_user_left_is_told_with_whose_it_is(tmp_path: Path, left: str) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "log").mkdir()
    first = count(tmp_path)
    assert first.returncode == 0, first.stderr
    (tmp_path / left).touch()
    (tmp_path / left).chmod(0o600)
    os.chown(tmp_path / left, NOBODY, -1)
    done = count(tmp_path)
    assert done.returncode == 1, done.stdout
    assert f"{tmp_path / left} belongs to nobody" in done.stderr, done.stderr
    assert "run this as nobody, or give all files" in done.stderr


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/counts.db")
    (tmp_path / "counts.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError) as refusal, counting_lock(engine):
        raise AssertionError
    engine.dispose()
    assert refusal.value.reason == "database-unavailable"
    assert not (tmp_path / "elsewhere").exists()
