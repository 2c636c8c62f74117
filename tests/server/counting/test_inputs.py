"""What a name may mean, and that nothing is passed over in silence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from mars.errors import ConfigError
from mars_server.counting.blocks import LINE_BOUND
from mars_server.counting.inputs import expand
from mars_server.storage import open_database
from tests.server.counting.commands import MADE, contract, expected, product, run, run_json, spawned
from tests.server.counting.examples import line


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """One log; beside it a part that still grows, links to both, and one to nothing."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "a.log").write_bytes(line())
    (folder / "b.part").write_bytes(line())
    (tmp_path / "part.log").symlink_to(folder / "b.part")
    (tmp_path / "dangling.log").symlink_to(folder / "none")
    return folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none.log", b"[log-missing]"),
        ("*.nothing", b"[log-missing]"),
        ("dangling.log", b"[log-missing]"),
        ("dangl*", b"[log-missing]"),
        ("logs/*.part", b"[log-missing]"),
        ("logs/b.part", b"[log-unfinished]"),
        ("part.log", b"[log-unfinished]"),
        ("par*.log", b"[log-missing]"),
    ],
)
def test_a_name_that_means_no_log_is_told_and_the_others_are_counted(
    tmp_path: Path, logs: Path, name: str, reason: bytes
) -> None:
    told = ("--product", product(tmp_path), "--dry-run")
    alone = run("count", tmp_path / name, *told, "--json", code=1)
    assert (json.loads(alone.stdout)["reason"], alone.stderr) == (reason.strip(b"[]").decode(), b"")
    beside = run("count", tmp_path / name, logs / "a.log", *told, "--json", code=1)
    assert contract(json.loads(beside.stdout)) == expected(line())
    assert reason in beside.stderr
    stored = (*told[:2], "--db", f"sqlite:///{tmp_path}/c.db")
    assert run_json("count", tmp_path / name, logs, *stored, code=1)["hits"] == 1
    again = run("scrub", tmp_path / name, logs, *stored[2:], code=1)
    assert reason in again.stderr
    assert b"a.log: kept" in again.stdout


def test_a_folder_skips_links_to_parts_and_to_nothing(tmp_path: Path, logs: Path) -> None:
    told = ("--product", product(tmp_path), "--dry-run")
    for name in ("part.log", "dangling.log"):
        (tmp_path / name).rename(logs / name)
    assert contract(run_json("count", logs, *told)) == expected(line())
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run_json("count", empty, *told)["lines"] == 0


@pytest.mark.parametrize(
    "url",
    ["sqlite:///", "sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_a_database_that_keeps_nothing_is_refused(tmp_path: Path, logs: Path, url: str) -> None:
    ran = run("count", logs, "--product", product(tmp_path), "--db", url, code=1)
    assert b"[database-url]" in ran.stderr
    assert ran.stdout == b""


@pytest.mark.parametrize("address", ["nonsense", "foo://x:1", "tcp://127.0.0.1", ""])
def test_what_is_no_address_of_a_cluster_is_told_at_once(
    tmp_path: Path, logs: Path, address: str
) -> None:
    told = ("count", logs, "--product", product(tmp_path), "--dry-run", "--cluster", address)
    begin = time.monotonic()
    ran = spawned(*told)
    assert (ran.code, ran.stdout, ran.stderr.count(b"\n")) == (1, b"", 1)
    assert b"tcp://HOST:PORT" in ran.stderr
    assert time.monotonic() - begin < 25  # a hung client takes a minute


def test_a_home_that_no_shell_put_in_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        open_database("sqlite:///~/x.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("password", ["sec@ret", "s@e/cret", "s@e:cret", "s@e?cret", "@secret"])
def test_no_part_of_a_database_password_is_printed(
    tmp_path: Path, logs: Path, password: str
) -> None:
    url = f"postgresql://user:{password}@127.0.0.1:1/name"
    ran = run("count", logs, "--product", product(tmp_path), "--db", url, code=1)
    assert b"[database-url]" in ran.stderr
    assert b"cret" not in ran.stderr
    right = f"postgresql://user:{password.replace('@', '%40')}@127.0.0.1:1/name"
    if not set(password) & set("/?:"):
        ran = run("count", logs, "--product", product(tmp_path), "--db", right, code=1)
        assert b"[database-unavailable]" in ran.stderr
        assert b"ret" not in ran.stderr


def test_the_database_of_a_newer_version_says_so(tmp_path: Path, logs: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9001'"))
    engine.dispose()
    ran = run("count", logs, "--product", product(tmp_path), "--db", url, code=1)
    assert b"[database-newer]" in ran.stderr


@pytest.mark.parametrize("size", [LINE_BOUND - 1, LINE_BOUND, 300 * 1024])
@pytest.mark.parametrize("before", [0, 1000, 100_000, 130_000])
def test_whether_a_long_json_line_is_a_hit_does_not_depend_on_where_it_stands(
    tmp_path: Path, size: int, before: int
) -> None:
    hit = b'{"status":200,"ts":1795219200,"request":"GET /motd/motd.json HTTP/1.1","x":"%s"}'
    long = hit % (b"y" * (size - len(hit % b"")))
    assert len(long) == size
    log = tmp_path / "a.log"
    log.write_bytes(b"{}\n" * (before // 3) + long + b"\n")
    told = ("count", log, "--product", product(tmp_path), "--format", "json", "--dry-run")
    assert run_json(*told)["hits"] == (size < LINE_BOUND)


@pytest.mark.parametrize("digits", [20, 309, 401, 5000])
def test_a_number_beyond_all_floats_is_no_hit_and_stops_nothing(
    tmp_path: Path, digits: int
) -> None:
    good = b'{"status":200,"ts":1795219200,"request":"GET /motd/motd.json HTTP/1.1"}\n'
    bad = good.replace(b"1795219200", b"9" * digits)
    log = tmp_path / "a.log"
    log.write_bytes(good + bad + bad.replace(b"200,", b"9" * digits + b",", 1) + good)
    found = run_json("count", log, "--product", product(tmp_path), "--dry-run")
    assert (found["lines"], found["hits"]) == (4, 2)


def test_a_database_beside_the_logs_is_none_of_them(tmp_path: Path, logs: Path) -> None:
    (logs / "a.log").write_bytes(line() * 3)
    (logs / "errors.log.key").write_bytes(
        line(stamp=b"20/Nov/2026:10:11:12 +0000")
    )  # beside no database
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{logs}/counts")
    for lines in (4, 0, 0):
        ran = run("count", logs, *told)
        assert ran.stdout.startswith(b"%d lines" % lines)
        assert ran.stderr == (MADE % str(logs / "counts").encode() if lines else b"")
    assert {path.name for path in logs.iterdir()} >= {"counts", "counts.key", "counts.lock"}
    assert expand([f"{logs}/*"]) == expand([str(logs)])
    kept = run_json("scrub", logs, "--db", f"sqlite:///{logs}/counts")["kept"]
    assert {Path(name).name for name in kept} == {"a.log", "errors.log.key"}
    for name in ("counts", "counts.key"):
        ran = run("count", logs / name, *told, code=1)
        assert b"belongs to a database" in ran.stderr


def test_folders_within_a_folder_are_not_passed_over_in_silence(tmp_path: Path, logs: Path) -> None:
    for name in ("archive", "older", ".hidden"):
        (logs / name).mkdir()
        (logs / name / "c.log").write_bytes(line())
    due = f"{logs}: not looked into its folder archive and 1 more; name what holds logs."
    told = ("--product", product(tmp_path), "--dry-run")
    ran = run("count", logs, *told, "--json")
    assert ran.stderr.decode() == f"{due}\n"
    assert json.loads(ran.stdout)["notes"] == [due]
    assert (
        due.replace(f"{logs}", f"{logs}/*", 1).encode() in run("count", f"{logs}/*", *told).stderr
    )
    assert b"folder" not in run("count", logs / "a.log", *told).stderr
    assert b"folder" not in run("count", f"{logs}/*.log", *told).stderr


def test_a_new_database_is_said_and_one_that_is_only_read_is_never_made(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line())
    form = ("--product", product(tmp_path))
    mistyped = tmp_path / "conuts.db"
    told = ("--db", f"sqlite:///{mistyped}")
    for command in (
        *(("counts", "show"), ("counts", "weeks"), ("counts", "export")),
        ("counts", "recount", "2026-11-21", tmp_path / "a.log", *form),
        ("publish", "--out", tmp_path / "site", *form),
        ("scrub", tmp_path / "a.log"),
    ):
        for content in (None, b""):
            if content is not None:
                mistyped.write_bytes(content)
            ran = run(*command, *told, code=1)
            assert f"There is no database {mistyped}".encode() in ran.stderr
            assert mistyped.exists() is (content is not None)
            mistyped.unlink(missing_ok=True)
    assert run("count", tmp_path / "a.log", *form, *told).stderr == MADE % str(mistyped).encode()
    assert run("count", tmp_path / "a.log", *form, *told).stderr == b""


def test_a_name_neither_ends_a_line_nor_steers_a_terminal(tmp_path: Path) -> None:
    odd = "a\x1b[31m\nb"
    logs = tmp_path / "logs"
    (logs / odd).mkdir(parents=True)
    (logs / f"{odd}.log").write_bytes(b"PK\x03\x04" + bytes(99))
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    for names in ([logs], [logs / odd / "none"], [logs / f"{odd}.log"]):
        for ran in (
            run("count", *names, *told, code=1),
            run("scrub", *names, *told[2:], code=None),
        ):
            said = ran.stdout + ran.stderr
            assert rb"a\x1b[31m\nb" in said
            assert (b"\x1b" in said, b"\nb" in said) == (False, False)
