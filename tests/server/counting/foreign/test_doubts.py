"""Logs that could be copies of others: what is counted, and what a person is told."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from sqlalchemy import update

from mars.factory import system_clock
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.executors import here
from mars_server.counting.foreign.same_file import birth, inode
from mars_server.counting.progress import Progress
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from mars_server.storage.schema import sources
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import ALLOW, line

DATED = line(before=b"- - - ", stamp=b"21/Nov/2026:00:00:00 +0000")


def at(day: int, second: int, size: int) -> bytes:
    """A JSON line of ``size`` bytes whose time stands last."""
    form = (
        b'{"request":"GET /motd/motd.json?v=0.5.2 HTTP/1.1","status":200,"http_user_agent":"%b",'
        b'"time_iso8601":"2026-09-%02dT10:00:%02d+00:00"}\n'
    )
    return form % (b"x" * (size - len(form % (b"", day, second))), day, second)


@pytest.mark.parametrize("size", range(170, 330, 20))
def test_a_log_of_one_line_counts_wherever_its_time_stands(tmp_path: Path, size: int) -> None:
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    first, second = logs / "access.log.1", logs / "access.log"
    first.write_bytes(at(1, 1, size) + at(1, 2, size))
    assert b"no time of day" not in run(*told).stderr
    second.write_bytes(at(5, 40, size))
    assert run(*told).stderr == b""
    assert run_json("counts", "show", "--db", url)["hits"] == 3


@pytest.mark.parametrize("packed", [False, True])
def test_a_log_that_waits_is_named(tmp_path: Path, packed: bool) -> None:
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    (logs / "access.log").write_bytes(at(1, 1, 200) + at(1, 2, 200))
    run(*told)
    cut = gzip.compress(at(1, 1, 200)) if packed else at(1, 1, 200)
    (logs / "copy").write_bytes(cut)
    said = run(*told).stderr.decode()
    assert f"{logs / 'copy'} begins as a longer log that is counted" in said
    assert run_json("counts", "show", "--db", url)["hits"] == 2


def test_a_log_too_short_for_a_hit_is_not_named(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    url = f"sqlite:///{tmp_path}/c.db"
    told = ("--product", product(tmp_path), "--db", url)
    open_database(url).dispose()
    for content in (b"", b"starting\n", b"no line yet"):
        log.write_bytes(content)
        assert run("count", log, *told).stderr == b""


def test_a_file_with_the_inode_of_a_removed_one_is_another(tmp_path: Path) -> None:
    """The inode alone would tell them apart on no file system that uses it again at once."""
    log, seen = tmp_path / "a.log", set()
    for _ in range(20):
        log.write_bytes(DATED)
        with log.open("rb") as raw:
            assert birth(raw.fileno()) is not None
            seen.add(inode(raw))
            assert inode(raw) in seen
        log.rename(tmp_path / "b.log")
        with (tmp_path / "b.log").open("rb") as raw:
            assert inode(raw) in seen
        (tmp_path / "b.log").unlink()
    assert len(seen) > 1
    assert birth(10_000) is None


def test_lines_taken_for_those_of_a_removed_log_are_told(tmp_path: Path) -> None:
    """Three generations of equal lines on one day, the first removed."""
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    live, old = logs / "access.log", logs / "access.log.1"
    live.write_bytes(DATED * 5)
    assert b"holds no time of day" in run(*told).stderr
    live.rename(old)
    live.write_bytes(DATED * 3)
    assert run(*told).stderr == b""
    old.unlink()
    live.rename(old)
    live.write_bytes(DATED * 6)
    said = run(*told).stderr.decode()
    assert f"{live} begins as a counted log that is no longer here" in said
    assert f"its first {len(DATED) * 5} bytes were not counted" in said
    assert run(*told).stderr == b""
    assert run_json("counts", "show", "--db", url)["hits"] == 9


def test_joined_and_trimmed_copies_are_new_logs(tmp_path: Path) -> None:
    """As the documentation warns."""
    url = f"sqlite:///{tmp_path}/c.db"
    told = ("--product", product(tmp_path), "--db", url)
    one, other = at(1, 1, 200) + at(1, 2, 200), at(2, 1, 200) + at(2, 2, 200)
    run("count", "-", *told, stdin=one)
    run("count", "-", *told, stdin=other)
    assert run_json("count", "-", *told, stdin=one + other)["hits"] == 2
    assert run_json("count", "-", *told, stdin=other[200:])["hits"] == 1


def test_nuls_after_a_member_of_gzip_are_no_damage(tmp_path: Path) -> None:
    log = tmp_path / "a.log.gz"
    log.write_bytes(gzip.compress(DATED) + bytes(512) + gzip.compress(DATED))
    told = ("--product", product(tmp_path), "--dry-run")
    assert run_json("count", log, *told)["hits"] == 2
    log.write_bytes(gzip.compress(DATED) + b"x" + gzip.compress(DATED))
    assert b"damaged" in run("count", log, *told, code=1).stderr


def counted_in(boot: str, url: str, *logs: Path) -> Counted:
    clock, paths = system_clock(), [str(log) for log in logs]
    ledger = Ledger(open_database(url))
    progress = Progress(clock, None)
    return count_once(paths, ALLOW, here, progress, ledger, clock.now, boot=boot)


def test_where_a_power_cut_may_have_taken_equal_lines_it_is_said(tmp_path: Path) -> None:
    """Two of five counted lines were lost, and two equal ones written since: the same bytes."""
    url, log, other = f"sqlite:///{tmp_path}/c.db", tmp_path / "a.log", tmp_path / "b.log"
    log.write_bytes(DATED * 5)
    other.write_bytes(at(1, 1, 200) * 5)
    for boot in ("first", "second"):
        notes = counted_in(boot, url, log, other).notes
        said = [note for note in notes if "power cut came" in note]
        assert len(said) == (boot == "second")
        assert all(note.startswith(f"{log} holds no time of day and was") for note in said)
        assert counted_in(boot, url, log, other).notes == []
        with log.open("ab") as file:
            file.write(DATED)
        assert counted_in(boot, url, log, other).notes == []


def test_the_command_knows_that_the_computer_was_started_since(tmp_path: Path) -> None:
    url, log = f"sqlite:///{tmp_path}/c.db", tmp_path / "a.log"
    log.write_bytes(DATED * 5)
    told = ("count", log, "--product", product(tmp_path), "--db", url)
    assert b"power cut came" not in run(*told).stderr
    assert run(*told).stderr == b""
    with open_database(url).begin() as connection:
        connection.execute(update(sources).values(boot="another"))
    assert b"power cut came" in run(*told).stderr
    assert run(*told).stderr == b""


def dated(query: str) -> bytes:
    stamp = b"21/Nov/2026:00:00:00 +0000"
    return line(b"?" + query.encode(), before=b"- - - ", stamp=stamp)


def test_what_a_log_without_a_time_of_day_cannot_tell_is_said_once(tmp_path: Path) -> None:
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    for number, due in ((1, 1), (2, 0)):
        for name in ("a", "b"):
            (tmp_path / f"{name}{number}.log").write_bytes(DATED * number + dated(name))
        said = run("count", tmp_path / "*.log", *told).stderr
        assert said.count(b"holds no time of day") == due


def test_a_log_that_is_equal_to_what_a_power_cut_took_is_told(tmp_path: Path) -> None:
    """Of the first log nothing is left but what is known of it."""
    url, first, second = f"sqlite:///{tmp_path}/c.db", tmp_path / "a.log", tmp_path / "b.log"
    first.write_bytes(DATED * 20)
    counted_in("one", url, first)
    with first.open("r+b") as file:
        file.truncate(len(DATED) * 10 + 9)
        file.seek(0, 2)
        file.write(DATED * 30)
    [problem] = counted_in("one", url, first).problems
    assert problem.reason == "log-changed"
    second.write_bytes(DATED * 25)
    [said] = counted_in("one", url, first, second).notes
    assert f"{second} begins as a counted log that is no longer here" in said


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("how", ["partial", "whole"])
def test_a_timeless_log_that_is_being_packed_counts_once(
    tmp_path: Path, how: str, known: bool
) -> None:
    """While gzip runs its input and its output are both there; whichever a run meets."""
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    log, archive = logs / "access.log.1", logs / "access.log.1.gz"
    content = b"".join(
        line(before=b"- - - ", stamp=b"%02d/Nov/2026:00:00:00 +0000" % (day % 28 + 1))
        for day in range(2000)
    )
    if known:
        log.write_bytes(content[: content.find(b"\n", len(content) // 3) + 1])
        run(*told)
    with log.open("ab") as more:
        more.write(content[log.stat().st_size :])
    whole = gzip.compress(content)
    archive.write_bytes(whole if how == "whole" else whole[: len(whole) // 2])
    for _ in range(2):
        said = run(*told).stderr.decode()
        assert f"{archive} begins as the log beside it" in said
        assert run_json("counts", "show", "--db", url)["hits"] == 2000
    archive.write_bytes(whole)
    log.unlink()
    assert "beside it" not in run(*told).stderr.decode()
    assert run_json("counts", "show", "--db", url)["hits"] == 2000


def test_an_archive_of_another_generation_beside_a_timeless_log_counts(tmp_path: Path) -> None:
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    (logs / "access.log").write_bytes(DATED * 9)
    (logs / "access.log.gz").write_bytes(gzip.compress(DATED.replace(b"21/Nov", b"1/Nov") * 9))
    done = run_json("count", logs, "--product", product(tmp_path), "--db", url)
    assert done["lines"] == 18


def test_an_archive_that_holds_more_than_the_timeless_log_beside_it_is_a_problem(
    tmp_path: Path,
) -> None:
    """As after ``gzip -c access.log > access.log.gz`` and a truncation: it is no copy of what is
    there now, and who rotates so would lose its lines in silence."""
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    log, archive = logs / "access.log", logs / "access.log.gz"
    archive.write_bytes(gzip.compress(DATED * 900))
    log.write_bytes(DATED * 899)
    said = run(*told, code=1).stderr.decode()
    assert f"{archive}: It begins as the log beside it" in said
    assert "log-doubtful" in said
    log.write_bytes(DATED * 899 + DATED[:-1])  # a line that is still being written
    run(*told, code=1)
    log.write_bytes(DATED * 900)
    assert f"{archive} begins as the log beside it" in run(*told).stderr.decode()
    assert run_json("counts", "show", "--db", url)["hits"] == 900
    archive.write_bytes(gzip.compress(DATED * 950))
    run(*told, code=1)
    archive.rename(logs / "older.gz")
    run(*told)
    assert run_json("counts", "show", "--db", url)["hits"] == 900 + 950
