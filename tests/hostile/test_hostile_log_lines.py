"""What a log may hold, and what the numbers make of it."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from mars_server.counting.tally import GROUPS_BOUND, Counting
from mars_server.storage import open_database
from mars_server.storage.schema import weeks
from tests.server.conftest import database_url, new_database, postgres_server
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import ALLOW, line, tally

__all__ = ["database_url", "new_database", "postgres_server"]

DISTINCT = 2 * GROUPS_BOUND // 1000 * 1000


def day(number: int, query: bytes = b"") -> bytes:
    return line(query, stamp=b"%02d/Nov/2025:10:11:12 +0000" % number)


def publish(url: str, week: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(insert(weeks).values(week=week, published=1795219200, late=0))
    engine.dispose()


def values(data: bytes, variable: str) -> dict[str, int]:
    found = tally(data, ALLOW).days()
    return {value: n for one in found.values() for value, n in one[variable].items()}


@pytest.mark.parametrize(
    "query", [b"?v=1&v=2", b"?v=0.5.2&v=0.5.2", b"?v=", b"?v", b"?v=0.5.2.", b"?v=" + b"1" * 250]
)
def test_g04_repeated_and_odd_values_are_other(query: bytes) -> None:
    assert values(line(query), "v") == {"other": 1}
    assert values(line(query), "level") == {"tracked": 1}


def test_g04_unknown_parameters_count_with_nothing_known() -> None:
    assert values(line(b"?a=1&b=2&v.x=0.5.2"), "v") == {"none": 1}


def test_g05_all_distinct_values_are_one_counter_in_constant_memory() -> None:
    """The measured run over millions is in bench/counting.py."""
    counting = Counting(ALLOW)
    tracemalloc.start()
    try:
        for start in range(0, DISTINCT, 1000):
            counting.add(b"\n" + b"".join(line(b"?v=%d" % n) for n in range(start, start + 1000)))
            if start <= GROUPS_BOUND:
                bounded = tracemalloc.get_traced_memory()[1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    found = counting.take()
    assert found.days()["2026-11-21"]["v"] == {"other": DISTINCT}
    assert len(found.cells) == 7  # level, v, os, ia, lang, py, cc
    assert peak < 1.5 * bounded < 16 * 1024 * 1024


@pytest.mark.parametrize("value", ["١.٠", "０.5.2", "0.5.2\u200b", "0.5.２"])
def test_g06_only_ascii_is_counted(value: str) -> None:
    assert tally(line(b"?v=" + value.encode()), ALLOW).hits == 0  # raw in a foreign log
    assert values(line(b"?v=0.5.2&os=Linux"), "os") == {"other": 1}


@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"PUT", b"get", b"GET "])
def test_g08_other_methods_are_not_counted(method: bytes) -> None:
    assert tally(line(request=method + b" /motd/motd.json"), ALLOW).hits == 0


@pytest.mark.parametrize("status", [b"499", b"206", b"304", b"404", b"500", b"2000", b"-"])
def test_h01_an_answer_that_a_cap_excludes_is_not_counted(status: bytes) -> None:
    """The server writes 499 where a circuit has had its share, or left before the end."""
    assert tally(line(after=b'" ' + status + b' 0 "-" "-"'), ALLOW).hits == 0


def test_g18_a_partial_line_is_counted_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    told = ("count", log, "--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    log.write_bytes(line() + line()[:60])
    assert run_json(*told)["lines"] == 1
    with log.open("ab") as file:
        file.write(line()[60:])
    assert run_json(*told)["hits"] == 1
    assert run_json(*told)["lines"] == 0


def test_h09_a_line_for_a_published_week_is_dropped_and_numbered(
    tmp_path: Path, database_url: str
) -> None:
    log = tmp_path / "access.log"
    told = ("count", log, "--product", product(tmp_path), "--db", database_url)
    log.write_bytes(day(17) * 3 + day(24))
    assert run_json(*told)["late"] == 0
    publish(database_url, "2025-W47")  # 17 to 23 November
    before = run_json("counts", "show", "--db", database_url)["days"]["2025-11-17"]
    with log.open("ab") as file:
        file.write(day(17) * 5 + day(23, b"?v=0.5.2") + day(24) * 2)
    assert run_json(*told)["late"] == 6
    shown = run_json("counts", "show", "--db", database_url)
    assert shown["days"]["2025-11-17"] == before
    assert "2025-11-23" not in shown["days"]
    assert shown["days"]["2025-11-24"]["level"] == {"plain": 3}
    assert shown["weeks"]["2025-W47"]["late"] == 6
    assert shown["late"] == 6
    assert shown["lines"] == shown["hits"] + shown["rejected"] == 12


@pytest.mark.usefixtures("one_day")
def test_h13_logs_go_once_they_are_counted_and_published(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    logs = tmp_path / "logs"
    logs.mkdir()
    contents = {
        "old.log": day(17) * 3,
        "open-week.log": day(17) + day(24),
        "young.log": day(18, b"?v=0.5.2"),
        "new.log": day(19, b"?os=linux"),
        "unended.log": day(20) + b"x",
    }
    for name, content in contents.items():
        (logs / name).write_bytes(content)
        os.utime(logs / name, (1_764_000_000, 1_764_000_000))
    (logs / "new.log").rename(tmp_path / "new.log")
    run("count", logs, "--product", product(tmp_path), "--db", url)
    (tmp_path / "new.log").rename(logs / "new.log")
    os.utime(logs / "young.log")
    publish(url, "2025-W47")

    told = ("scrub", logs, "--db", url, "--keep-days", 0)
    would = run_json(*told, "--dry-run")
    assert would["would_remove"] == [str(logs / "old.log")]
    assert len(list(logs.iterdir())) == 5
    reasons = {Path(name).name: why for name, why in would["kept"].items()}
    assert reasons == {
        "new.log": "never counted",
        "open-week.log": "week 2025-W48 is not published",
        "unended.log": "not counted to its end",
        "young.log": "changed lately",
    }
    kept = run_json("counts", "show", "--db", url)
    done = run_json(*told)
    assert done["removed"] == [str(logs / "old.log")]
    assert done["left"] == []
    assert not (logs / "old.log").exists()
    after = run_json("counts", "show", "--db", url)
    for name in ("lines", "hits", "rejected", "late", "days"):
        assert after[name] == kept[name]
    # What identified the log is gone too, and its lines could not come back as numbers.
    engine = open_database(url)
    with engine.connect() as connection:
        # What stays is still known: open-week.log, young.log and unended.log.
        assert connection.scalar(text("SELECT count(*) FROM sources")) == 3
    engine.dispose()
    (logs / "backup.log").write_bytes(contents["old.log"])
    again = run_json("count", logs / "backup.log", "--product", product(tmp_path), "--db", url)
    assert again["late"] == 3
    assert run_json("counts", "show", "--db", url)["days"] == kept["days"]


def test_h14_a_development_build_is_other() -> None:
    assert values(line(b"?v=0.5.3.dev7"), "v") == {"other": 1}
    assert values(line(b"?v=0.5.3"), "v") == {"other": 1}
    assert values(line(b"?v=dev"), "v") == {"dev": 1}
