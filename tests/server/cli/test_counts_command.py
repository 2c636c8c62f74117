"""``mars-server counts``: what the operator sees, and a day counted anew."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from mars_server.storage import open_database
from mars_server.storage.schema import weeks
from tests.server.counting.commands import PROGRAM, expected, product, run, run_json, spawned
from tests.server.counting.examples import line, shuffled


@pytest.fixture
def counted(tmp_path: Path, new_database: Callable[[], str]) -> tuple[str, Path, Path]:
    """A database, its logs, and the product."""
    url = new_database()
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_bytes(shuffled(1, 300) + b"\n")
    (logs / "b.log.gz").write_bytes(gzip.compress(shuffled(2, 300) + b"\n"))
    toml = product(tmp_path)
    run("count", logs, "--product", toml, "--db", url)
    return url, logs, toml


def test_figures_in_every_form(counted: tuple[str, Path, Path]) -> None:
    url, _, _ = counted
    want = expected(shuffled(1, 300) + b"\n", shuffled(2, 300) + b"\n")
    shown = run_json("counts", "show", "--db", url)
    assert shown["days"] == want["days"]
    assert shown["product"] == "examplemail"
    assert shown["logs"] == 2
    text = run("counts", "show", "--db", url).stdout.decode()
    assert f"{want['lines']} lines = {want['hits']} hits + {want['rejected']} rejected" in text
    listed = run_json("counts", "weeks", "--db", url)
    assert sum(week["hits"] for week in listed.values()) == want["hits"]
    assert all(week["published"] is None for week in listed.values())
    rows = run("counts", "export", "--db", url).stdout.decode().splitlines()
    assert rows[0] == "day,variable,value,n"
    assert sum(int(row.rpartition(",")[2]) for row in rows if ",level," in row) == want["hits"]
    text = run(
        "counts", "export", "--db", url, "--format", "json", "--day", "2026-11-01"
    ).stdout.decode()
    assert {row["day"] for row in json.loads(text)} == {"2026-11-01"}


def test_a_day_is_counted_anew(counted: tuple[str, Path, Path]) -> None:
    url, logs, toml = counted
    before = run_json("counts", "show", "--db", url)
    with (logs / "a.log").open("ab") as file:  # not counted yet, so not recounted either
        file.write(line(b"?v=0.5.2", stamp=b"01/Nov/2026:10:11:12 +0000"))
    told = ("--db", url, "--product", toml)
    run("counts", "recount", "2026-11-01", logs, *told)
    assert run_json("counts", "show", "--db", url) == before

    toml.write_text(toml.read_text().replace('"0.5.1", "0.5.2"', '"0.5.1"'))
    run("counts", "recount", "2026-11-01", logs, logs / "a.log", *told)
    after = run_json("counts", "show", "--db", url)["days"]
    assert "0.5.2" not in after["2026-11-01"]["v"]
    for name in ("level", "os", "ia", "lang"):
        assert after["2026-11-01"][name] == before["days"]["2026-11-01"][name]
    assert after["2026-11-02"] == before["days"]["2026-11-02"]

    done = run("counts", "recount", "2026-11-01", logs / "a.log", *told, code=1)
    assert b"[logs-missing]" in done.stderr
    assert b"[day-invalid]" in run("counts", "recount", "x", logs, *told, code=1).stderr
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(insert(weeks).values(week="2026-W44", published=1, late=0))
    engine.dispose()
    done = run("counts", "recount", "2026-11-01", logs, *told, code=1)
    assert b"[week-published]" in done.stderr
    assert run_json("counts", "show", "--db", url)["days"] == after


def test_a_day_is_not_wiped_by_a_wrong_format(tmp_path: Path) -> None:
    """It begins as a combined log, so its format must be given."""
    url, toml, log = f"sqlite:///{tmp_path}/c.db", product(tmp_path), tmp_path / "mixed.log"
    hit = b'{"status":200,"ts":1795219200,"request":"GET /motd/motd.json HTTP/1.1"}\n'
    log.write_bytes(line(request=b"GET /") * 30 + hit * 20)
    told = ("--product", toml, "--db", url)
    assert run_json("count", log, *told, "--format", "json")["hits"] == 20
    before = run_json("counts", "show", "--db", url)
    (day,) = before["days"]
    again = ("counts", "recount", day, log, *told)
    assert b"[day-emptied]" in run(*again, code=1).stderr
    assert run_json("counts", "show", "--db", url) == before
    assert run_json(*again, "--format", "json")["hits"] == 20
    assert run_json("counts", "show", "--db", url) == before
    assert run_json(*again, "--allow-empty")["hits"] == 0
    assert run_json("counts", "show", "--db", url)["days"] == {}
    assert run_json(*again)["hits"] == 0  # it had none, so nothing is lost


def test_a_day_cannot_be_counted_anew_from_standard_input(counted: tuple[str, Path, Path]) -> None:
    url, _, toml = counted
    told = ("counts", "recount", "2026-11-01", "-", "--db", url, "--product", toml)
    assert b"standard input" in run(*told, code=2, stdin=line()).stderr


LESS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""In the place of a user who may not write: root that must keep to the modes of files."""


@pytest.mark.skipif(not LESS, reason="needs files of another user")
@pytest.mark.parametrize("command", [("counts", "show"), ("counts", "weeks"), ("count",)])
def test_the_file_that_another_user_owns_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder, log = tmp_path / "db", tmp_path / "a.log"
    log.write_bytes(line() * 7)
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{folder}/c.db")
    spawned("count", log, *told)
    closed = folder / ("c.db.key" if command == ("count",) else "c.db")
    os.chown(closed, 65534, 65534)
    given = (log, *told) if command == ("count",) else told[2:]
    arguments = [*LESS, *PROGRAM, *command, *map(str, given)]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert f"{closed} belongs to nobody" in done.stderr


@pytest.mark.skipif(not LESS, reason="needs files of another user")
@pytest.mark.parametrize("folder", [False, True])
def test_a_log_that_is_closed_to_this_user_says_what_to_do(tmp_path: Path, folder: bool) -> None:
    log = tmp_path / "logs/a.log"
    log.parent.mkdir()
    log.write_bytes(line())
    closed = log.parent if folder else log
    os.chown(closed, 65534, 65534)
    closed.chmod(0o600)
    arguments = [*LESS, *PROGRAM, "count", str(closed), "--dry-run", "--product"]
    done = subprocess.run([*arguments, product(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{closed} cannot be read (Permission denied; count it as a user" in done.stderr


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_reader_needs_no_right_to_write(tmp_path: Path, open_elsewhere: bool) -> None:
    folder = tmp_path / "db"
    url = f"sqlite:///{folder}/c.db"
    log = tmp_path / "a.log"
    log.write_bytes(line() * 7)
    spawned("count", log, "--product", product(tmp_path), "--db", url)
    counter = open_database(url) if open_elsewhere else None
    assert (folder / "c.db-wal").exists() == open_elsewhere
    for path in folder.iterdir():
        path.chmod(0o440)
    folder.chmod(0o550)
    try:
        for command in (("show", "--json"), ("weeks",), ("export",)):
            told = [*LESS, *PROGRAM, "counts", *command, "--db", url]
            done = subprocess.run(told, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
            assert "7" in done.stdout
        told = [*LESS, *PROGRAM, "scrub", str(log), "--db", url]
        done = subprocess.run(told, capture_output=True, text=True)
        assert done.returncode == 1
        assert re.search("Permission denied|readonly database", done.stderr)
    finally:
        folder.chmod(0o750)
        if counter is not None:
            counter.dispose()
