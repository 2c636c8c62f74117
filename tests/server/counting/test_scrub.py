"""``mars-server scrub``: nothing is forgotten that still lies there."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from mars.wire.times import DAY
from mars_server.counting.foreign.identity import Source
from mars_server.counting.scrub import Fate, Policy, forgettable, judge, policy, remove
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger, open_weeks
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


def test_nothing_is_left_in_the_write_ahead_log_of_a_counter_that_follows(tmp_path: Path) -> None:
    url, log = f"sqlite:///{tmp_path}/c.db", tmp_path / "a.log"
    log.write_bytes(day(17))
    run("count", log, "--product", product(tmp_path), "--db", url)
    publish(url)
    os.utime(log, (OLD, OLD))
    follower = open_database(url)
    with follower.begin() as connection:
        (mark,) = connection.scalars(text("SELECT ladder FROM sources")).all()
        connection.execute(text("UPDATE sources SET lines = lines"))
    kept = [path for path in tmp_path.glob("c.db*") if mark.encode() in path.read_bytes()]
    assert tmp_path / "c.db-wal" in kept
    assert run_json("scrub", log, "--db", url, "--keep-days", 0)["forgotten"] == 1
    assert not any(mark.encode() in path.read_bytes() for path in tmp_path.glob("c.db*"))
    follower.dispose()


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


def dated(first: str, last: str, counted: int) -> Source:
    return Source(1, None, (), 0, "", None, first_day=first, last_day=last, counted=counted)


def test_no_line_is_younger_than_its_counting() -> None:
    rule = Policy(frozenset({"2025-W48", "9999-W52"}), "2025-11-30")
    future = "9999-12-31"
    assert rule.spares(dated("2025-11-17", future, OLD - 7 * DAY)) is None
    assert rule.spares(dated(future, future, OLD - 7 * DAY)) is None
    assert rule.spares(dated("2025-11-17", future, OLD)) == "week 2025-W48 is not published"
    assert rule.spares(dated("2025-11-17", future, OLD + 30 * DAY)) == "too young"


def judged(url: str, *logs: Path) -> Iterator[Fate]:
    """As the command judges them, one after another."""
    engine = open_database(url)
    rule = policy(open_weeks(engine), OLD + 30 * DAY, 0)
    yield from judge(map(str, logs), Ledger(engine), rule)
    engine.dispose()


def test_a_log_that_takes_the_name_of_a_judged_one_stays(
    tmp_path: Path, site: tuple[str, Path]
) -> None:
    """Rotated while another is read: the name leads to what was never counted."""
    url, logs = site
    first, second = logs / "access.log", logs / "access.log.2"
    fates = judged(url, first, second)
    fate = next(fates)
    assert fate.reason is None
    for log in (first, second):  # one is judged by now, the other is not
        log.rename(log.with_suffix(".old"))
        log.write_bytes(day(20, b"?os=linux"))
        os.utime(log, (OLD, OLD))
    for one in (remove(fate), *map(remove, fates)):
        assert "rotated" in str(one.reason)
    assert len(list(logs.iterdir())) == 5
    again = run_json("count", logs, "--product", product(tmp_path), "--db", url)
    assert (again["lines"], again["late"]) == (1, 1)  # the new one alone, of which two lie here


def test_a_log_that_is_renamed_while_it_is_judged_stays_known(site: tuple[str, Path]) -> None:
    url, logs = site
    (fate,) = judged(url, logs / "access.log.2")
    (logs / "access.log.2").rename(logs / "access.log.3")
    gone = remove(fate)
    assert "renamed" in str(gone.reason)
    engine = open_database(url)
    rule = policy(open_weeks(engine), OLD + 30 * DAY, 0)
    assert forgettable([fate], Ledger(engine).sources(), rule, missing=False)
    assert not forgettable([gone], Ledger(engine).sources(), rule, missing=False)
    engine.dispose()


def counted_and_published(folder: Path, url: str, **contents: bytes) -> Path:
    """A folder of old logs, ``a_gz`` as ``a.gz``."""
    logs = folder / "more"
    logs.mkdir()
    for name, content in contents.items():
        log = logs / name.replace("_", ".")
        log.write_bytes(gzip.compress(content) if log.suffix == ".gz" else content)
        os.utime(log, (OLD, OLD))
    run("count", logs, "--product", product(folder), "--db", url)
    publish(url)
    return logs


def test_an_unfinished_last_line_keeps_an_archive_as_it_keeps_a_log(
    tmp_path: Path, database_url: str
) -> None:
    logs = counted_and_published(
        tmp_path,
        database_url,
        a_log=day(17) + day(18)[:-1],
        b_gz=day(19) + day(20)[:-1],
        c_gz=day(21),
    )
    done = run_json("scrub", logs, "--db", database_url, "--keep-days", 0)
    assert done["removed"] == [str(logs / "c.gz")]
    assert set(done["kept"].values()) == {"not counted to its end"}


@pytest.mark.parametrize("suffix", ["log", "gz"])
def test_a_timeless_twin_that_was_never_counted_stays(
    tmp_path: Path, database_url: str, suffix: str
) -> None:
    dated = line(stamp=b"17/Nov/2025:00:00:00 +0000") * 3
    logs = counted_and_published(tmp_path, database_url, **{f"b_{suffix}": dated})
    counted, twin = logs / f"b.{suffix}", logs / f"a.{suffix}"
    shutil.copy2(counted, twin)
    done = run_json("scrub", logs, "--db", database_url, "--keep-days", 0)
    assert done["removed"] == [str(counted)]
    assert done["kept"] == {str(twin): "never counted"}


def test_what_is_too_short_to_be_known_stays_and_hides_nothing(
    tmp_path: Path, database_url: str
) -> None:
    """A passphrase, a log that a server holds open, an id without a line: nobody counted them."""
    own = b"# mars access log v1 id=" + b"cd" * 16 + b"\n"
    short = {
        "empty_log": b"",
        "own_log": own,
        "none_gz": b"",
        "torn": b"x",
        "office_phrase": b"a b\n",
    }
    logs = counted_and_published(tmp_path, database_url, gone_log=day(17), **short)
    (logs / "gone.log").unlink()
    told = ("scrub", logs, "--db", database_url, "--keep-days", 0, "--forget-missing")
    done = run_json(*told)
    assert done["removed"] == []
    assert {Path(name).name for name in done["kept"]} == {one.replace("_", ".") for one in short}
    assert set(done["kept"].values()) == {"too short to be known, so it was never counted"}
    assert (done["forgotten"], sources(database_url)) == (1, 0)


def test_what_was_counted_and_is_no_log_stays(tmp_path: Path, database_url: str) -> None:
    """Comments fit every format, and a log of other requests alone is one."""
    other, more = (day(n).replace(b"/motd/motd.json", b"/") * 2 for n in (17, 18))
    notes = b"# how this folder is kept\n" * 9
    logs = counted_and_published(
        tmp_path, database_url, a_log=other, b_txt=notes, c_gz=more, d_gz=b"#!" + notes
    )
    (logs / "never.txt").write_bytes(b"x" * 99 + b"\n")
    engine = open_database(database_url)
    with engine.begin() as connection:  # as if they had been counted then
        connection.execute(text("UPDATE sources SET counted = :then"), {"then": OLD})
    engine.dispose()
    done = run_json("scrub", logs, "--db", database_url, "--keep-days", 0)
    assert {Path(name).name for name in done["removed"]} == {"a.log", "c.gz"}
    assert sorted(done["kept"].values())[:2] == [
        "never counted",
        "no line of it is one of an access log: remove it by hand",
    ]
    assert len(done["kept"]) == 3


@pytest.mark.parametrize("suffix", ["log", "gz"])
def test_all_names_of_a_file_go_or_none(tmp_path: Path, database_url: str, suffix: str) -> None:
    logs = counted_and_published(tmp_path, database_url, **{f"a_{suffix}": day(17)})
    first, second = logs / f"a.{suffix}", logs / f"b.{suffix}"
    second.hardlink_to(first)
    told = ("--db", database_url, "--keep-days", 0)
    for named in ([first], [second], [first, f"{logs}/../more/a.{suffix}"]):
        done = run_json("scrub", *named, *told)
        assert (done["removed"], done["forgotten"], sources(database_url)) == ([], 0, 1)
        assert "hard link" in done["kept"][str(named[0])]
    done = run_json("scrub", logs, *told)
    assert (done["removed"], done["forgotten"]) == ([str(first), str(second)], 1)
    again = run_json("count", logs, "--product", product(tmp_path), "--db", database_url)
    assert (again["lines"], again["late"]) == (0, 0)


def test_the_log_that_is_not_known_is_named(tmp_path: Path, site: tuple[str, Path]) -> None:
    url, logs = site
    (logs / "new.log").write_bytes(day(20))
    ran = run("scrub", logs, "--db", url, "--keep-days", 0, "--forget-missing")
    assert f"{logs}/new.log is not known yet, never counted, so".encode() in ran.stderr


def test_a_line_of_a_week_to_come_is_not_counted_again(tmp_path: Path, database_url: str) -> None:
    """The log may go; what it is known by stays for as long as its lines could be added again."""
    near = line(stamp=b"20/Dec/2025:10:11:12 +0000")
    logs = counted_and_published(tmp_path, database_url, a_log=day(17) + near)
    shutil.copy2(logs / "a.log", tmp_path / "copy.log")
    engine = open_database(database_url)
    with engine.begin() as connection:  # as if it had been counted then
        connection.execute(text("UPDATE sources SET counted = :then"), {"then": OLD})
    engine.dispose()
    done = run_json("scrub", logs, "--db", database_url, "--keep-days", 0, "--forget-missing")
    assert (done["removed"], done["forgotten"]) == ([str(logs / "a.log")], 0)
    toml = product(tmp_path)
    again = run_json("count", tmp_path / "copy.log", "--product", toml, "--db", database_url)
    assert (again["hits"], again["late"]) == (0, 0)
