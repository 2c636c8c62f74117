"""``mars-server scrub``: nothing is forgotten that still lies there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from mars_server.counting.retention import DAY, Known, Policy
from mars_server.storage import open_database
from mars_server.storage.schema import weeks
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import line

OLD = 1_764_000_000
"""24 November 2025, in Unix seconds."""


def day(number: int, query: bytes = b"") -> bytes:
    return line(query, stamp=b"%02d/Nov/2025:10:11:12 +0000" % number)


@pytest.fixture
def site(tmp_path: Path, new_database: Callable[[], str]) -> tuple[str, Path]:
    """Three old logs of a week that is counted and published."""
    url = new_database()
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "access.log").write_bytes(day(19, b"?v=0.5.2") * 3)
    (logs / "access.log.1").write_bytes(day(18, b"?v=0.5.1&ia=1") * 2)
    (logs / "access.log.2").write_bytes(day(17))
    for log in logs.iterdir():
        os.utime(log, (OLD, OLD))
    run("count", logs, "--product", product(tmp_path), "--db", url)
    publish(url)
    return url, logs


def publish(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(insert(weeks).values(week="2025-W47", published=OLD, late=0))
    engine.dispose()


def sources(url: str) -> int:
    engine = open_database(url)
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT count(*) FROM sources"))
    engine.dispose()
    return int(found or 0)


def test_a_log_that_is_not_named_stays_known(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, logs = site
    done = run_json("scrub", logs / "access.log.1", "--db", url, "--keep-days", 0)
    assert (len(done["removed"]), done["forgotten"], sources(url)) == (1, 1, 2)
    again = run_json("count", logs, "--product", product(tmp_path), "--db", url)
    assert (again["lines"], again["late"]) == (0, 0)
    assert run_json("counts", "show", "--db", url)["lines"] == 6


def test_a_log_of_which_a_copy_stays_is_known(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, logs = site
    shutil.copyfile(logs / "access.log.1", logs / "copy.log")  # which was changed just now
    done = run_json("scrub", logs / "access.log.1", logs / "copy.log", "--db", url)
    assert (len(done["removed"]), done["forgotten"]) == (1, 0)
    again = run_json("count", logs, "--product", product(tmp_path), "--db", url)
    assert (again["lines"], again["late"]) == (0, 0)


def test_what_something_else_removed_is_forgotten_when_that_is_said(
    tmp_path: Path, site: tuple[str, Path]
) -> None:
    url, logs = site
    (logs / "access.log.2").unlink()
    os.utime(logs / "access.log")  # stays
    (logs / "new.log").write_bytes(day(20, b"?os=linux"))
    told = ("scrub", logs, "--db", url, "--keep-days", 0)
    unsure = run(*told, "--forget-missing")
    assert b"not known yet" in unsure.stderr
    assert sources(url) == 2  # access.log, and access.log.2 that is gone
    (logs / "new.log").unlink()
    assert run_json(*told)["forgotten"] == 0
    assert run_json(*told, "--forget-missing")["forgotten"] == 1
    again = run_json("count", logs, "--product", product(tmp_path), "--db", url)
    assert (again["lines"], again["late"]) == (0, 0)


def test_a_link_is_not_the_log(site: tuple[str, Path]) -> None:
    url, logs = site
    (logs / "link").symlink_to(logs / "access.log.1")
    done = run_json("scrub", logs / "link", "--db", url, "--keep-days", 0)
    assert (done["removed"], done["forgotten"]) == ([], 0)


def test_a_mistyped_database_is_not_made(tmp_path: Path) -> None:
    ran = run("scrub", tmp_path, "--db", f"sqlite:///{tmp_path}/none.db", code=1)
    assert b"[database-missing]" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_line_of_a_wrong_clock_keeps_no_log(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    log = tmp_path / "a.log"
    log.write_bytes(day(17) + line(stamp=b"31/Dec/9999:10:11:12 +0000"))
    run("count", log, "--product", product(tmp_path), "--db", url)
    publish(url)
    engine = open_database(url)
    with engine.begin() as connection:  # as if it had been counted then
        connection.execute(text("UPDATE sources SET counted = :then"), {"then": OLD})
    engine.dispose()
    os.utime(log, (OLD, OLD))
    assert run_json("scrub", log, "--db", url)["removed"] == [str(log)]
    assert sources(url) == 0


def test_no_line_is_younger_than_its_counting() -> None:
    rule = Policy(frozenset({"2025-W48", "9999-W52"}), "2025-11-30")
    future = "9999-12-31"
    assert rule.spares(Known(1, "2025-11-17", future, OLD - 7 * DAY)) is None
    assert rule.spares(Known(1, future, future, OLD - 7 * DAY)) is None
    assert rule.spares(Known(1, "2025-11-17", future, OLD)) == "week 2025-W48 is not published"
    assert rule.spares(Known(1, "2025-11-17", future, OLD + 30 * DAY)) == "too young"
