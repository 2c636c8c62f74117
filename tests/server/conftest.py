"""Databases for the server's tests: a SQLite file, and a PostgreSQL server started here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.postgres import Postgres, missing, postgres


@pytest.fixture(autouse=True)
def _one_day(one_day: None) -> None:
    """Of all tests here."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """One server per test process; ``new_database()`` gives a URL."""
    reason = missing()
    if reason is not None:
        # make test installs it; pytest alone names and counts the skip, and with CI set fails.
        pytest.skip(reason)
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes URLs of fresh databases; the test runs on SQLite and on PostgreSQL."""
    if request.param == "postgresql":
        server: Postgres = request.getfixturevalue("postgres_server")
        return server.new_database
    numbers = iter(range(1000))
    return lambda: f"sqlite:///{tmp_path}/counts{next(numbers)}.db"


@pytest.fixture
def database_url(new_database: Callable[[], str]) -> str:
    return new_database()
