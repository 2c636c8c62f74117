"""A spool goes once every database that is named has read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mars_server.daylog.format import spool_of
from tests.server.counting import spools
from tests.server.counting.commands import run_json
from tests.server.counting.spools import DAY, WEEK
from tests.server.triage.kit import RELEASE, Triage


@pytest.fixture
def folder(triage: Triage, tmp_path: Path) -> Path:
    """With one spool of both kinds of report."""
    content = spools.spool([*spools.many(2), *triage.sender.direct(range(2))])
    said = spool_of(content[:200])
    assert said is not None
    return spools.written(tmp_path / f"spools/spool-{DAY}-{said.id}.log", content).parent


def retain(triage: Triage, folder: Path, *more: object) -> Any:
    told = ("--spool", folder, "--triage-db", triage.url, "--dry-run")
    return len(run_json("retain", *told, *more)["spools"])


def count(triage: Triage, folder: Path, url: str) -> None:
    product = spools.product_of(folder.parent)
    keys, _ = triage.keys([WEEK], [RELEASE])
    run_json("count", folder, "--product", product, "--keys", keys, "--db", url)


def test_it_stays_until_both_have_read_it(triage: Triage, folder: Path, tmp_path: Path) -> None:
    counts = f"sqlite:///{tmp_path}/numbers.db"
    count(triage, folder, counts)
    if triage.url.startswith("sqlite"):
        assert retain(triage, folder, "--db", counts) == 0  # before triage has a database
    lacking = Triage(triage.folder, triage.url, releases=("0.5.1",))
    assert lacking.read(folder)["waiting"] == 2
    assert retain(triage, folder, "--db", counts) == 0
    assert triage.read(folder)["direct"] == 2
    assert retain(triage, folder, "--db", counts) == 1
    assert retain(triage, folder) == 1


def test_another_spool_of_the_same_id_stays(triage: Triage, folder: Path) -> None:
    triage.read(folder)
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    assert retain(triage, folder) == 0


def test_a_database_of_counts_is_refused(triage: Triage, folder: Path, tmp_path: Path) -> None:
    counts = f"sqlite:///{tmp_path}/numbers.db"
    count(triage, folder, counts)
    told = Triage(triage.folder, counts).read(folder, code=1)
    assert told["reason"] == "database-other"
