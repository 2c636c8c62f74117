"""A database that moves holds the same afterwards, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from mars_server.storage import open_database, schema
from mars_server.storage.triage import schema as triage_schema
from mars_server.storage.triage.store import open_triage
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import shuffled


@pytest.fixture
def other(tmp_path: Path, request: pytest.FixtureRequest, new_database: Callable[[], str]) -> str:
    """A new database of the other kind."""
    if new_database().startswith("sqlite"):
        server = request.getfixturevalue("postgres_server")
        return str(server.new_database())
    return f"sqlite:///{tmp_path}/other.db"


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Foreign ones, by times of day; what knows them lies in a folder of this test."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_bytes(shuffled(1, 300) + b"\n")
    product(tmp_path)
    return folder


def test_counts_are_equal_and_nothing_counts_twice(
    logs: Path, database_url: str, other: str
) -> None:
    count = ("count", logs, "--product", logs.parent / "product.toml", "--db")
    run(*count, database_url)
    before = run_json("counts", "show", "--db", database_url)
    moved = run_json("db", "move", "--from", database_url, "--to", other)
    assert moved["rows"]["counts"] > 10
    assert run_json("counts", "show", "--db", other) == before
    assert run_json(*count, other)["hits"] == 0
    (logs / "b.log").write_bytes(shuffled(2, 300) + b"\n")
    more = run_json(*count, other)["hits"]
    assert run_json("counts", "show", "--db", other)["hits"] == before["hits"] + more
    assert run_json("counts", "show", "--db", database_url) == before
    refused = run("db", "move", "--from", database_url, "--to", other, code=1)
    assert b"database-not-empty" in refused.stderr
    assert run_json("counts", "show", "--db", other)["hits"] == before["hits"] + more


def test_error_reports_move_too_and_new_groups_get_numbers_of_their_own(
    database_url: str, other: str
) -> None:
    row = {"title": "ValueError | mail:load", "changed": "", "id": 7}
    engine = open_triage(database_url, create=True)
    with engine.begin() as connection:
        connection.execute(insert(triage_schema.groups).values(row))
    engine.dispose()
    assert run_json("db", "move", "--from", database_url, "--to", other)["rows"]["groups"] == 1
    engine = open_triage(other)
    with engine.begin() as connection:
        connection.execute(insert(triage_schema.groups).values(title="other", changed=""))
        found = connection.execute(select(triage_schema.groups.c.id, triage_schema.groups.c.title))
        assert {title: number for number, title in found} == {row["title"]: 7, "other": 8}
    engine.dispose()


def test_one_that_is_not_there_is_said(tmp_path: Path) -> None:
    gone = f"sqlite:///{tmp_path}/no.db"
    done = run("db", "move", "--from", gone, "--to", f"sqlite:///{tmp_path}/new.db", code=1)
    assert b"database-missing" in done.stderr
    assert not (tmp_path / "new.db").exists()


def test_the_key_of_the_marks_must_be_there(logs: Path, tmp_path: Path) -> None:
    old, new = (f"sqlite:///{tmp_path}/{name}.db" for name in ("old", "new"))
    run("count", logs, "--product", tmp_path / "product.toml", "--db", old)
    (tmp_path / "old.db.key").rename(tmp_path / "kept")
    assert b"marks-key" in run("db", "move", "--from", old, "--to", new, code=1).stderr
    with open_database(new).connect() as connection:
        assert not connection.execute(select(schema.meta)).all()
