"""Opening and migrating, on both databases."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

import mars_server.storage
from mars.errors import ConfigError, StateError
from mars_server.storage import open_database
from mars_server.storage.database import newest
from mars_server.storage.schema import metadata
from tests.server.postgres import missing, postgres
from tests.server.storage.test_told import at_version


def test_a_new_database_has_the_tables_of_the_schema(database_url: str) -> None:
    engine = open_database(database_url)
    assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _in_schema})
        assert compare_metadata(context, metadata) == []
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == newest()


def _in_schema(name: str | None, kind: str, _parents: object) -> bool:
    """Other parts of the server keep tables of their own in the same database."""
    return kind != "table" or name in metadata.tables


def test_opening_again_changes_nothing(database_url: str) -> None:
    open_database(database_url).dispose()
    with open_database(database_url).begin() as connection:
        connection.execute(text("INSERT INTO meta (key, value) VALUES ('a', 'b')"))
    with open_database(database_url).connect() as connection:
        assert connection.scalar(text("SELECT value FROM meta")) == "b"


def test_many_may_open_a_new_database_at_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        engines = list(threads.map(open_database, [database_url] * 4))
    with engines[0].connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM alembic_version")) == 1
    for engine in engines:
        engine.dispose()


REVISIONS = [f"{number:04}" for number in range(8, int(newest()))]


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_older_database_opens_with_the_present_tables(revision: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    at_version(url, revision)
    with open_database(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _in_schema})
        assert compare_metadata(context, metadata) == []


def test_a_database_of_before_these_is_refused_with_a_way_out(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    with open_database(url).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    with pytest.raises(StateError) as error:
        open_database(url)
    assert error.value.reason == "database-old"
    assert "into a new one" in error.value.message


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    folder = Path(mars_server.storage.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == newest()


@pytest.mark.parametrize(
    "url",
    [
        *("mysql://x/y", "nonsense", "", "sqlite:/x y://", "sqlite+nothing:///x.db"),
        "postgresql://me:hunter2@host:port/x",
        "postgresql://me:hunter2@localhost/x?nonsense=1",
    ],
)
def test_other_urls_are_refused_without_their_password(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        open_database(url)
    assert error.value.reason == "database-url"
    assert "hunter2" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_database_out_of_reach_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StateError) as error:
        open_database(f"sqlite:///{tmp_path}/folder")
    assert error.value.reason == "database-unavailable"
    with pytest.raises(StateError):
        open_database(f"postgresql://nobody@/none?host={tmp_path}")


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"hello, this is a letter" * 500)
    with pytest.raises(StateError) as error:
        open_database(f"sqlite:///{tmp_path}/x.db")
    assert error.value.reason == "database-unavailable"


def test_a_server_that_goes_away_says_so() -> None:
    reason = missing()
    if reason is not None:
        # make test installs it; pytest alone names and counts the skip, and with CI set fails.
        pytest.skip(reason)
    with postgres() as server:
        engine = open_database(server.new_database())
    with pytest.raises(StateError) as error, engine.begin() as connection:
        connection.execute(text("SELECT 1"))
    assert error.value.reason == "database-unavailable"
    engine.dispose()


def test_counting_without_a_database_loads_none() -> None:
    """A dry run, and each process of a pool, stays small."""
    script = (
        "import sys, mars_server.cli.count, mars_server.counting.tasks;"
        "print([m for m in ('sqlalchemy', 'alembic', 'dask', 'distributed', 'fsspec', 'psycopg') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
