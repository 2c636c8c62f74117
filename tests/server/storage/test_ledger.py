"""Two processes at one database: neither stumbles over the other, and nothing is lost."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import insert

from mars.errors import StateError
from mars_server.counting.tally import Tally
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from mars_server.storage.schema import meta
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import line


@pytest.mark.parametrize(("other", "reason"), [("mail", None), ("news", "other-product")])
def test_two_that_begin_at_once_agree_on_the_product(
    database_url: str, other: str, reason: str | None
) -> None:
    first, second = open_database(database_url), open_database(database_url)
    refused: list[str] = []

    def bind() -> None:
        try:
            Ledger(second).bind(other, "stable")
        except StateError as error:
            refused.append(error.reason)

    late = Thread(target=bind)
    with first.begin() as connection:
        connection.execute(insert(meta).values(key="product", value="mail"))
        late.start()
        late.join(0.5)  # it waits by now, or will find the row: both must do
    late.join()
    assert refused == ([reason] if reason else [])
    for engine in (first, second):
        engine.dispose()


def test_a_recount_that_was_overtaken_stores_nothing(tmp_path: Path, database_url: str) -> None:
    """As by a counter whose lock PostgreSQL took away, with its session."""
    log = tmp_path / "a.log"
    log.write_bytes(line())
    told = ("count", log, "--product", product(tmp_path), "--db", database_url)
    run(*told)
    engine = open_database(database_url)
    ledger = Ledger(engine)
    ledger.sources()
    with log.open("ab") as file:
        file.write(line())
    run(*told)
    with pytest.raises(StateError) as error:
        ledger.replace_day("2026-11-21", Tally())
    assert error.value.reason == "counted-elsewhere"
    assert run_json("counts", "show", "--db", database_url)["hits"] == 2
    ledger.sources()
    ledger.replace_day("2026-11-21", Tally())
    assert run_json("counts", "show", "--db", database_url)["days"] == {}
    engine.dispose()
