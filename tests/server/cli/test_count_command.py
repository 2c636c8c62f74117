"""``mars-server count`` as an operator runs it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.counting.commands import (
    PROGRAM,
    contract,
    expected,
    product,
    run,
    run_json,
    running,
    said,
    spawned,
)
from tests.server.counting.examples import UNENDED, line, shuffled
from tests.server.counting.test_rotation import packed


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def test_a_dry_run_prints_the_contract(tmp_path: Path, logs: Path) -> None:
    content = shuffled(1, 500)
    (logs / "a.log").write_bytes(content)
    found = run_json("count", logs / "a.log", "--product", product(tmp_path), "--dry-run")
    assert contract(found) == expected(content)
    assert list(found["days"]["2026-11-01"]) == ["level", "v", "os", "ia", "lang", "py", "cc"]
    assert {path.name for path in tmp_path.iterdir()} == {"logs", "product.toml"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_way_to_name_logs_gives_the_same(tmp_path: Path, logs: Path, jobs: int) -> None:
    parts = [shuffled(seed, 300) for seed in range(4)]
    (logs / "a.log").write_bytes(parts[0])
    (logs / "b.log.gz").write_bytes(packed(parts[1], "gz"))
    (logs / "c.log.xz").write_bytes(packed(parts[2], "xz"))
    (logs / "d.log.zst").write_bytes(packed(parts[3], "zst"))
    (logs / "access-2026-11-21-00.part").write_bytes(shuffled(9, 9))
    (logs / ".hidden").write_bytes(shuffled(9, 9))
    told = ("--product", product(tmp_path), "--dry-run", "--jobs", jobs)
    want = expected(*parts)
    assert contract(run_json("count", logs, *told)) == want
    assert contract(run_json("count", f"{logs}/*", *told)) == want
    assert contract(run_json("count", *sorted(logs.glob("*.log*")), *told)) == want
    assert contract(run_json("count", logs, logs / "a.log", *told)) == want  # the same file
    first = ("count", "-", *told)
    assert contract(run_json(*first, stdin=parts[0])) == expected(parts[0])
    assert contract(run_json(*first, stdin=packed(parts[1], "gz"))) == expected(parts[1])


def test_the_program_is_one(tmp_path: Path, logs: Path) -> None:
    """As a process: results on stdout, all else on stderr, and an exit code."""
    (logs / "a.log").write_bytes(line() + b"junk\n")
    told = ("count", logs, "--product", product(tmp_path), "--dry-run")
    done = spawned(*told)
    assert (done.code, done.stdout, done.stderr) == (0, b"2 lines, 1 hit, 1 rejected\n", b"")
    failed = spawned("count", logs / "none", *told[2:])
    assert (failed.code, failed.stdout) == (1, b"")
    assert failed.stderr.endswith(b"[log-missing]\n")


def test_a_part_that_is_named_is_refused(tmp_path: Path, logs: Path) -> None:
    part = logs / "access-2026-11-21-00.part"
    part.write_bytes(line())
    done = run("count", part, "--product", product(tmp_path), "--dry-run", code=1)
    assert b"[log-unfinished]" in done.stderr
    assert done.stdout == b""


def test_wrong_usage_exits_2_and_refusals_1(tmp_path: Path, logs: Path) -> None:
    toml = product(tmp_path)
    log = logs / "a.log"
    log.write_bytes(line())
    run("count", log, "--product", toml, code=2)
    run("count", log, "--product", toml, "--dry-run", "--db", "sqlite:///x.db", code=2)
    run("count", log, "--dry-run", code=2)
    run("count", "--product", toml, "--dry-run", code=2)
    run("count", log, "--product", toml, "--dry-run", "--jobs", 0, code=2)
    run("count", log, "--product", toml, "--dry-run", "--follow", code=2)
    assert (
        b"[log-missing]"
        in run("count", logs / "none", "--product", toml, "--dry-run", code=1).stderr
    )
    assert b"[database-url]" in run("count", log, "--product", toml, "--db", "x", code=1).stderr


def test_a_damaged_archive_is_refused_and_the_others_counted(tmp_path: Path, logs: Path) -> None:
    content = shuffled(3, 200)
    (logs / "a.log").write_bytes(content)
    broken = bytearray(gzip.compress(shuffled(4, 3000)))
    broken[len(broken) // 2] ^= 0xFF
    (logs / "b.log.gz").write_bytes(broken)
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    done = run("count", logs, *told, "--json", code=1)
    assert b"[log-unreadable]" in done.stderr
    assert contract(json.loads(done.stdout)) == expected(content)


def test_a_cut_archive_counts_now_and_its_rest_later(tmp_path: Path, logs: Path) -> None:
    content = b"".join(line(b"?x=%d" % n, before=b"%d - - " % n) for n in range(5000))
    archive = gzip.compress(content)
    path = logs / "a.log.gz"
    told = ("count", path, "--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    path.write_bytes(archive[: len(archive) // 2])
    done = run(*told, "--json")
    first = json.loads(done.stdout)["hits"]
    assert 0 < first < 5000
    assert b"ends in the middle" in done.stderr
    path.write_bytes(archive)
    assert run_json(*told)["hits"] == 5000 - first
    assert run_json(*told)["hits"] == 0


def test_only_what_is_new_is_counted(
    tmp_path: Path, logs: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    log = logs / "access.log"
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    content = shuffled(5, 300) + b"\n"
    log.write_bytes(content + UNENDED)
    assert contract(run_json(*told)) == expected(content)
    with log.open("ab") as file:
        file.write(b"\n" + line(b"?v=0.5.2"))
    log.rename(logs / "access.log.1")
    log.write_bytes(line(b"?lang=is", stamp=b"22/Nov/2026:00:00:01 +0000"))
    assert run_json(*told)["hits"] == 3
    (logs / "access.log.1.gz").write_bytes(packed((logs / "access.log.1").read_bytes(), "gz"))
    (logs / "access.log.1").unlink()
    assert run_json(*told)["lines"] == 0
    shown = run_json("counts", "show", "--db", url)
    whole = expected(content + UNENDED + b"\n" + line(b"?v=0.5.2"), log.read_bytes())
    assert shown["days"] == whole["days"]
    assert (shown["lines"], shown["hits"]) == (whole["lines"], whole["hits"])
    assert shown["lines"] == shown["hits"] + shown["rejected"]


def test_a_database_belongs_to_one_product(tmp_path: Path, logs: Path) -> None:
    (logs / "a.log").write_bytes(line())
    url = f"sqlite:///{tmp_path}/c.db"
    toml = product(tmp_path)
    run("count", logs, "--product", toml, "--db", url)
    toml.write_text(toml.read_text().replace("examplemail", "another"))
    done = run("count", logs, "--product", toml, "--db", url, code=1)
    assert b"[other-product]" in done.stderr


def test_bad_lines_are_never_quoted(tmp_path: Path, logs: Path) -> None:
    """No address reaches the output, the database or an error message."""
    secret = b"198.51.100.77"
    content = b"".join(secret + b" - - x\n" + line(before=secret + b" - - ") for _ in range(50))
    (logs / "a.log").write_bytes(content)
    (logs / "b.log.gz").write_bytes(gzip.compress(content * 2)[:-20])
    (logs / "c.log.gz").write_bytes(b"\x1f\x8b" + secret * 10)
    database = tmp_path / "c.db"
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{database}")
    done = run("count", logs, *told, "--json", code=1)
    for data in (done.stdout, done.stderr, database.read_bytes()):
        assert secret not in data
    for path in tmp_path.glob("c.db*"):
        assert secret not in path.read_bytes()


def test_following_counts_what_is_added_until_sigterm(tmp_path: Path, logs: Path) -> None:
    url = f"sqlite:///{tmp_path}/c.db"
    log = logs / "access.log"
    log.write_bytes(line())
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    with running(*told, "--follow", "--interval", 0.1) as counter:
        assert said(counter.stdout).startswith("1 line, 1 hit")
        with log.open("ab") as file:
            file.write(line(b"?v=0.5.2") * 2)
        assert said(counter.stdout).startswith("2 lines, 2 hits")
        log.rename(logs / "access.log.1")
        log.write_bytes(line(stamp=b"22/Nov/2026:00:00:00 +0000"))
        assert said(counter.stdout).startswith("1 line, 1 hit")
        counter.send_signal(signal.SIGTERM)
        assert counter.wait(60) == 0
    assert run_json("counts", "show", "--db", url)["hits"] == 4


def test_following_names_what_it_waits_for_once(tmp_path: Path, logs: Path) -> None:
    later = logs / "later.log"
    told = ("count", later, "--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    with running(*told, "--follow", "--interval", 0.1) as counter:
        assert said(counter.stderr).startswith("Made a new database")
        assert said(counter.stderr) == f"There is no log {later}. Waiting for it.\n"
        time.sleep(0.5)  # some looks
        later.write_bytes(line())
        assert said(counter.stdout).startswith("1 line, 1 hit")
        counter.send_signal(signal.SIGTERM)
        assert counter.wait(60) == 0
        assert said(counter.stderr) == ""


@pytest.mark.parametrize("name", ["a-copy.log", "copy.log"])
def test_a_copy_cut_within_the_lines_of_midnight_counts_once(
    tmp_path: Path, logs: Path, new_database: Callable[[], str], name: str
) -> None:
    url = new_database()
    midnight = line(stamp=b"21/Nov/2026:00:00:00 +0000") * 4
    whole = midnight + line(stamp=b"21/Nov/2026:00:00:01 +0000")
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    for copy in (f"1{name}", f"2{name}"):  # alone it looks like a log without any time
        (logs / copy).write_bytes(midnight[: len(midnight) // 2])
    (logs / "b.log").write_bytes(whole)
    assert run_json(*told)["hits"] == 5
    (logs / name).write_bytes(midnight)
    (logs / f"{name}.gz").write_bytes(packed(midnight[: len(midnight) // 4 * 3], "gz"))
    assert run_json(*told)["hits"] == 0
    (logs / "b.log").unlink()
    assert run_json(*told)["hits"] == 0


def test_two_counters_at_once_count_once(
    tmp_path: Path, logs: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    parts = [shuffled(seed, 400) for seed in range(6)]
    for number, content in enumerate(parts):
        (logs / f"{number}.log").write_bytes(content + b"\n")
    toml = product(tmp_path)
    told = [*PROGRAM, "count", str(logs), "--product", str(toml), "--db", url, "--json"]
    running = [subprocess.Popen(told, stdout=subprocess.PIPE) for _ in range(3)]
    found = [json.loads(one.communicate(timeout=120)[0]) for one in running]
    assert [one.returncode for one in running] == [0, 0, 0]
    want = expected(*(content + b"\n" for content in parts))
    assert sum(one["hits"] for one in found) == want["hits"]
    assert run_json("counts", "show", "--db", url)["days"] == want["days"]


def test_a_pool_ends_with_its_parent(tmp_path: Path, logs: Path) -> None:
    """kill -9 of the counter leaves no process behind."""
    fifo = logs / "slow"
    os.mkfifo(fifo)
    (logs / "a.log").write_bytes(line() * 1000)
    toml = product(tmp_path)
    told = ("count", str(logs / "a.log"), "-", "--product", str(toml), "--dry-run", "--jobs", "2")
    with subprocess.Popen([*PROGRAM, *told], stdin=subprocess.PIPE) as counter:
        deadline = time.monotonic() + 60
        while len(children(counter.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        pids = children(counter.pid)
        assert len(pids) >= 2
        counter.kill()
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in pids)


def children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except FileNotFoundError:
        return []
    return [int(one) for one in text.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
