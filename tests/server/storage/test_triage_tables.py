"""The tables of error reports are made by their history, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from mars.errors import StateError
from mars_server.storage import open_database
from mars_server.storage.triage.schema import metadata
from mars_server.storage.triage.store import bind, open_triage


def test_a_new_database_has_the_tables_of_the_schema(database_url: str) -> None:
    engine = open_triage(database_url, create=True)
    with engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
    open_triage(database_url).dispose()


def test_counts_and_reports_never_share_a_database(new_database: Callable[[], str]) -> None:
    counts, reports = new_database(), new_database()
    open_database(counts).dispose()
    open_triage(reports, create=True).dispose()
    for url, opening in ((counts, open_triage), (reports, open_database)):
        with pytest.raises(StateError) as refused:
            opening(url)
        assert refused.value.reason == "database-other"


def test_another_product_needs_another_database(database_url: str) -> None:
    engine = open_triage(database_url, create=True)
    bind(engine, "examplemail", "stable")
    with pytest.raises(StateError) as refused:
        bind(engine, "othermail", "stable")
    assert refused.value.reason == "other-product"
