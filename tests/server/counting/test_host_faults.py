"""Whatever the host refuses while logs are counted or removed: nothing is lost, nothing doubled.

A few faults of ``tests.faults``; ``make soak ARGS=faults`` tries each system call with each error.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import mars_server.counting.jsonlines
import mars_server.storage.ledger  # noqa: F401 - loaded here, not by each of the forks
from mars_server.cli import main
from mars_server.daylog.format import id_line
from tests import faults
from tests.faults import Fault
from tests.server.counting.commands import expected, product, run
from tests.server.counting.examples import line, shuffled
from tests.server.counting.test_scrub import OLD, day, publish

BESIDE = ("", "-wal", "-shm", "-journal", ".lock", ".key", ".key.new")
OWN = b"# mars access log v1 id=" + b"ab" * 16 + b"\n"
TIMELESS = line(stamp=b"21/Nov/2026:00:00:00 +0000") * 20
JSON_LINES = b'{"ts":1795255200,"status":200,"request":"GET /motd/motd.json HTTP/1.1"}\n' * 20


def database(folder: Path) -> str:
    return f"sqlite:///{folder}/c.db"


def touched(folder: Path) -> list[Path]:
    """What a command may open."""
    logs = folder / "logs"
    beside = [folder / f"c.db{suffix}" for suffix in BESIDE]
    return [folder, folder / "product.toml", logs, *sorted(logs.iterdir()), *beside]


def contents() -> dict[str, bytes]:
    return {
        "a.log": shuffled(1, 200) + b"\n",
        "b.log": OWN + shuffled(2, 200) + b"\n",
        "c.log.gz": shuffled(3, 200) + b"\n",
        "d.log": TIMELESS,
        "e.json": JSON_LINES,
    }


def fresh(folder: Path, counted: bool) -> None:
    """Logs; where ``counted``, the first halves of some of them are in a database already."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "logs").mkdir(parents=True)
    toml = product(folder)
    for turn in range(2 if counted else 1):
        for name, content in contents().items():
            cut = content.find(b"\n", len(content) // 2) + 1 if counted and turn == 0 else None
            packed = gzip.compress(content, mtime=0) if name.endswith(".gz") else content[:cut]
            with (folder / "logs" / name).open("r+b" if turn else "wb") as file:
                file.write(packed)
        if counted and turn == 0:
            run("count", folder / "logs", "--product", toml, "--db", database(folder))


def shown(folder: Path) -> dict[str, Any]:
    """What the database says, which may not be there yet."""
    said = run("counts", "show", "--db", database(folder), "--json", code=None)
    found: dict[str, Any] = json.loads(said.stdout)
    if found.get("reason") == "database-missing":  # nor is one in which no table was made yet
        return {"days": {}, "lines": 0}
    assert "days" in found, found
    return found


def cells(days: dict[str, Any]) -> dict[tuple[str, str, str], int]:
    return {
        (date, variable, value): n
        for date, variables in days.items()
        for variable, values in variables.items()
        for value, n in values.items()
    }


@pytest.mark.parametrize("counted", [False, True], ids=["new", "known"])
def test_whatever_fails_while_counting_the_counts_become_exact(
    counted: bool, tmp_path: Path
) -> None:
    folder, out = tmp_path / "site", faults.room(tmp_path)
    json_lines = expected(JSON_LINES, as_json=True)
    want = expected(*(text for name, text in contents().items() if name != "e.json"))
    truth = cells(want["days"])
    for cell, n in cells(json_lines["days"]).items():
        truth[cell] = truth.get(cell, 0) + n
    named = ("count", folder / "logs", "--product", folder / "product.toml")
    told = (*named, "--db", database(folder))
    fresh(folder, counted)
    whole = faults.run(main, told, touched(folder), out)
    assert cells(shown(folder)["days"]) == truth

    def attempt(fault: Fault) -> faults.Ran:
        fresh(folder, counted)
        ran = faults.run(main, told, touched(folder), out, fault)
        assert ran.is_told(), (fault, ran)
        found = cells(shown(folder)["days"])
        assert all(n <= truth.get(cell, 0) for cell, n in found.items()), (fault, "doubled")
        if found != truth:
            assert ran.code or len(ran.said.splitlines()) > 1, (fault, "not told", ran)
        run(*told)
        after = shown(folder)
        assert cells(after["days"]) == truth, (fault, ran)
        assert after["lines"] == want["lines"] + json_lines["lines"], (fault, ran)
        return ran

    assert whole.code == 0, whole
    faults.trial(f"counting {'known' if counted else 'new'} logs", whole.sites(), 3, attempt)


def test_whatever_fails_while_logs_are_removed_none_is_lost_uncounted(tmp_path: Path) -> None:
    folder, out = tmp_path / "site", faults.room(tmp_path)
    told = ("scrub", folder / "logs", "--db", database(folder), "--keep-days", 0)

    def old() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "logs").mkdir(parents=True)
        for number in (17, 18, 19):
            log = folder / "logs" / f"{number}.log"
            log.write_bytes(day(number) * number)
            os.utime(log, (OLD, OLD))
        run("count", folder / "logs", "--product", product(folder), "--db", database(folder))
        publish(database(folder))
        (folder / "logs" / "new.log").write_bytes(day(24) * 5)

    old()
    whole = faults.run(main, told, touched(folder), out)
    assert [log.name for log in (folder / "logs").iterdir()] == ["new.log"]

    def attempt(fault: Fault) -> faults.Ran:
        old()
        ran = faults.run(main, told, touched(folder), out, fault)
        assert ran.is_told(), (fault, ran)
        assert (folder / "logs" / "new.log").exists(), (fault, ran)
        run(*told)
        assert [log.name for log in (folder / "logs").iterdir()] == ["new.log"], (fault, ran)
        run("count", folder / "logs", "--product", folder / "product.toml", *told[2:4])
        after = shown(folder)
        assert (after["lines"], after["hits"], after["late"]) == (59, 59, 0), (fault, ran)
        return ran

    assert whole.code == 0, whole
    faults.trial("scrub", whole.sites(), 2, attempt)


def test_whatever_fails_while_logs_are_retained_none_goes_that_was_not_read(
    tmp_path: Path,
) -> None:
    folder, out = tmp_path / "site", faults.room(tmp_path)
    logs, told = folder / "logs", ("--db", database(folder))
    count = ("count", logs, "--product", folder / "product.toml", *told)
    retain = ("retain", "--log", logs, *told)
    own = {number: logs / f"access-2025-11-{number}-{number:032x}.log" for number in range(17, 22)}
    grown, unread = own[20], own[21]

    def written(number: int, lines: int) -> None:
        own[number].write_bytes(id_line(f"{number:032x}") + day(number) * lines)

    def closed() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        logs.mkdir(parents=True)
        product(folder)
        for number in (17, 18, 19, 20):
            written(number, number)
        run(*count)
        publish(database(folder))
        written(20, 30)
        written(21, 21)

    closed()
    whole = faults.run(main, retain, touched(folder), out)
    assert set(logs.iterdir()) == {grown, unread}

    def attempt(fault: Fault) -> faults.Ran:
        closed()
        ran = faults.run(main, retain, touched(folder), out, fault)
        assert ran.is_told(), (fault, ran)
        left = set(logs.iterdir())
        assert {grown, unread} <= left, (fault, ran)
        assert left == {grown, unread} or ran.code, (fault, "not told", ran)
        run(*retain)
        assert set(logs.iterdir()) == {grown, unread}, (fault, ran)
        run(*count)
        assert shown(folder)["hits"] == sum((17, 18, 19, 30, 21)), (fault, ran)
        run(*retain)
        assert not any(logs.iterdir()), (fault, ran)
        return ran

    assert whole.code == 0, whole
    faults.trial("retain", whole.sites(), 2, attempt)
