"""Who has the counts database, and not the key of its marks, learns nothing of a single request."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import sqlite3
from hashlib import blake2b
from itertools import product as combined
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from mars.errors import StateError
from mars_server.counting.foreign.identity import SCALES, digest
from mars_server.counting.foreign.probe import probe
from mars_server.storage import open_database
from mars_server.storage.marks_key import marks_key
from mars_server.storage.schema import archives, meta, sources
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import line
from tests.server.postgres import Postgres

ID = b"# mars access log v1 id=0123456789abcdef0123456789abcdef\n"
MIDNIGHT = b"06/Nov/2026:00:00:00 +0000"
QUERIES = [
    b"?v=%b&os=%b&ia=%b" % one
    for one in combined(
        (b"0.5.1", b"0.5.2"), (b"linux", b"windows", b"macos"), (b"1", b"10", b"100", b"1000")
    )
]
"""All that a request can be; the attacker knows the product."""


def at(second: int, query: bytes = b"") -> bytes:
    clock = b"%02d:%02d:%02d" % (second // 3600, second // 60 % 60, second % 60)
    return line(query, stamp=b"06/Nov/2026:" + clock + b" +0000")


def quiet(query: bytes) -> bytes:
    return line(query, before=b"- - - ", stamp=MIDNIGHT)


def counted(folder: Path, url: str, log: bytes, name: str = "a.log") -> Path:
    path = folder / name
    path.write_bytes(log)
    run("count", path, "--product", product(folder), "--db", url)
    return path


def rows(url: str, *tables: Any) -> list[dict[str, Any]]:
    engine = open_database(url)
    with engine.connect() as connection:
        found = [
            dict(row._mapping) for table in tables for row in connection.execute(select(table))
        ]
    engine.dispose()
    return found


class Attacker:
    """Has every table, every word in them, and our source code."""

    def __init__(self, url: str) -> None:
        everything = rows(url, sources, archives, meta)
        words = [str(value) for row in everything for value in row.values()]
        hexes = {one for word in words for one in re.findall("[0-9a-f]{16,}", word)}
        self.marks = {word[at : at + 16] for word in hexes for at in range(0, len(word), 16)}
        self.keys = [b"", *(word.encode() for word in words if 0 < len(word) <= 64)]
        self.keys += [bytes.fromhex(word) for word in hexes if len(word) % 2 == 0]
        self.keys = [key[:64] for key in self.keys]

    def confirms(self, beginning: bytes, *, keyed: bool = False) -> bool:
        """Whether anything in the database tells that a log begins so."""
        ends = {len(beginning), beginning.find(b"\n") + 1, *SCALES, *range(64, 1024, 32)}
        parts = {beginning[:end] for end in ends}
        parts |= {part.rpartition(b"\n")[0] + b"\n" for part in parts}
        bare = {digest(part) for part in parts}
        return any(map(self._sealed if keyed else self._bare, bare | {one[:16] for one in bare}))

    def _bare(self, value: str) -> bool:
        return value[:16] in self.marks

    def _sealed(self, value: str) -> bool:
        """Under any word of the database for a key."""
        return any(
            blake2b(value.encode(), digest_size=16, key=key, person=kind).hexdigest()[:16]
            in self.marks
            for key, kind in combined(self.keys, (b"rung", b"tail", b""))
        )


def test_the_attacker_confirms_where_hashes_are_bare(tmp_path: Path) -> None:
    """Else the tests below would show nothing."""
    url = f"sqlite:///{tmp_path}/c.db"
    counted(tmp_path, url, at(40_000))
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sources SET ladder = :x"), {"x": digest(at(40_000))[:16]})
    engine.dispose()
    assert Attacker(url).confirms(at(40_000))
    assert not Attacker(url).confirms(at(40_001))


@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("own", [True, False])
def test_no_combination_can_be_guessed(tmp_path: Path, own: bool, size: int) -> None:
    """Line after line, each guess with all that was found before it."""
    url = f"sqlite:///{tmp_path}/c.db"
    log = (ID if own else b"") + b"".join(quiet(one) for one in QUERIES[: size * 3 : 3])
    counted(tmp_path, url, log)
    attacker = Attacker(url)
    found = ID if own else b""
    for at_line in log[len(found) :].splitlines(keepends=True):
        assert not [one for one in QUERIES if attacker.confirms(found + quiet(one))]
        found += at_line  # and he may be told the line by somebody
        assert not attacker.confirms(found)
    assert not attacker.confirms(found, keyed=True)


@pytest.mark.parametrize("how", ["plain", "gzip", "stream", "grown"])
def test_no_time_can_be_guessed(tmp_path: Path, how: str) -> None:
    url, log = f"sqlite:///{tmp_path}/c.db", at(40_000, QUERIES[5])
    told = ("--product", product(tmp_path), "--db", url)
    if how == "gzip":
        path = tmp_path / "a.log.gz"
        path.write_bytes(gzip.compress(log))
        run("count", path, *told)
    elif how == "stream":
        run("count", "-", *told, stdin=log)
    else:
        path = counted(tmp_path, url, log)
        if how == "grown":
            log += at(50_000)
            path.write_bytes(log)
            run("count", path, *told)
    assert run_json("counts", "show", "--db", url)["hits"] == log.count(b"\n")
    attacker = Attacker(url)
    guesses = (at(second, query) for second in range(39_998, 40_003) for query in QUERIES)
    assert not [one for one in guesses if attacker.confirms(one)]
    assert not attacker.confirms(log)
    assert not attacker.confirms(log, keyed=True)


def test_the_marks_of_an_own_log_are_the_same_whatever_its_lines(tmp_path: Path) -> None:
    """So they tell nothing even to who has the key."""
    seen = []
    for number, queries in enumerate((QUERIES[0:2], QUERIES[4:6])):
        url = f"sqlite:///{tmp_path}/{number}.db"
        counted(tmp_path, url, ID + b"".join(quiet(one) for one in (*queries, QUERIES[8])))
        (row,) = rows(url, sources)
        seen.append({name: row[name] for name in ("own", "ladder", "tail", "inode", "lines")})
        assert not Path(f"{tmp_path}/{number}.db.key").exists()
    assert (
        seen[0]
        == seen[1]
        == {"own": ID[24:-1].decode(), "ladder": "", "tail": "own", "inode": None, "lines": 4}
    )


def test_who_has_the_key_too_learns_no_combination_of_a_timed_log(tmp_path: Path) -> None:
    """v=0.5.2 on the first line or on the second: the lengths are equal, and so are the marks."""
    url = f"sqlite:///{tmp_path}/c.db"
    counted(tmp_path, url, at(7, QUERIES[0]) + at(9, QUERIES[12]))
    swapped = at(7, QUERIES[12]) + at(9, QUERIES[0])
    before = rows(url, sources)
    path = counted(tmp_path, url, swapped)  # taken for the same log
    (one,), (other,) = before, rows(url, sources)
    assert (one["ladder"], one["tail"]) == (other["ladder"], other["tail"])
    assert probe(str(path)).ladder == (digest(at(7, QUERIES[0]))[:16], digest(swapped)[:16])


def test_the_time_of_counting_a_foreign_log_is_kept_to_the_day(
    tmp_path: Path, database_url: str
) -> None:
    """A follower counts each line within a second."""
    counted(tmp_path, database_url, at(7))
    counted(tmp_path, database_url, ID + quiet(b""), "own.log")
    foreign, own = rows(database_url, sources)
    assert foreign["counted"] % 86_400 == 0 <= own["counted"] - foreign["counted"] < 2 * 86_400


def test_an_archives_mark_does_not_tell_its_logs_last_time(tmp_path: Path) -> None:
    """gzip gives the archive the time of the log's last change."""
    url, path = f"sqlite:///{tmp_path}/c.db", tmp_path / "a.gz"
    path.write_bytes(gzip.compress(at(7)))
    run("count", path, "--product", product(tmp_path), "--db", url)
    (archive,) = rows(url, archives)
    assert archive["fingerprint"] != probe(str(path)).fingerprint
    (source,) = rows(url, sources)
    assert source["inode"] is None
    before = path.stat().st_atime_ns
    assert run_json("count", path, "--product", product(tmp_path), "--db", url)["lines"] == 0
    assert before <= path.stat().st_atime_ns


def test_the_key_is_nobody_elses_and_not_in_the_database(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/c.db", tmp_path / "c.db.key"
    counted(tmp_path, url, at(7))
    assert file.stat().st_mode & 0o777 == 0o600
    key = file.read_text().strip()
    backup = tmp_path / "backup.db"
    with sqlite3.connect(tmp_path / "c.db") as one, sqlite3.connect(backup) as other:
        one.backup(other)
    one.close()
    other.close()
    content = backup.read_bytes()
    assert len(key) == 64
    assert key.encode() not in content
    assert bytes.fromhex(key) not in content


def test_a_restored_database_without_its_key_counts_nothing_twice(tmp_path: Path) -> None:
    url, key = f"sqlite:///{tmp_path}/c.db", tmp_path / "c.db.key"
    log = counted(tmp_path, url, at(7))
    told = ("--product", product(tmp_path), "--db", url)
    kept = key.rename(tmp_path / "elsewhere")
    for content in (None, "00" * 32, "no key"):
        if content is not None:
            key.write_text(content)
        said = run("count", log, *told, code=1).stderr
        assert b"marks-key" in said
        assert b"c.db.key" in said
        assert run_json("counts", "show", "--db", url)["hits"] == 1
    kept.replace(key)
    assert run_json("count", log, *told)["hits"] == 0


def test_our_own_logs_need_no_key(tmp_path: Path) -> None:
    url, key = f"sqlite:///{tmp_path}/c.db", tmp_path / "c.db.key"
    counted(tmp_path, url, at(7))
    key.unlink()
    own = counted(tmp_path, url, ID + quiet(b"") * 2, "own.log")
    assert run_json("counts", "show", "--db", url)["hits"] == 3
    with own.open("ab") as file:
        file.write(quiet(b""))
    (tmp_path / "own.log.gz").write_bytes(gzip.compress(own.read_bytes()))
    told = ("--product", product(tmp_path), "--db", url)
    assert run_json("count", own, tmp_path / "own.log.gz", *told)["hits"] == 1


def test_where_no_foreign_log_is_known_a_lost_key_is_replaced(
    tmp_path: Path, database_url: str, state_home: Path
) -> None:
    engine = open_database(database_url)
    first = marks_key(engine)
    assert marks_key(engine) == first
    for key in (*tmp_path.glob("*.key"), *state_home.rglob("*.key")):
        key.unlink()
    second = marks_key(engine)
    assert second != first
    assert marks_key(engine) == second
    engine.dispose()


@pytest.mark.postgres
def test_a_second_machine_asks_for_the_first_ones_key(
    tmp_path: Path, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.new_database()
    log = counted(tmp_path, url, at(7))
    told = ("--product", product(tmp_path), "--db", url)
    first, second = Path(os.environ["XDG_STATE_HOME"]), tmp_path / "second"
    monkeypatch.setenv("XDG_STATE_HOME", str(second))
    assert b"marks-key" in run("count", log, *told, code=1).stderr
    shutil.copytree(first / "mars-server", second / "mars-server")
    assert run_json("count", log, *told)["hits"] == 0
    monkeypatch.setenv("STATE_DIRECTORY", f"{second}/mars-server:/elsewhere")
    assert run_json("count", log, *told)["hits"] == 0


LATER = (
    *("statistics", "statistics_weeks", "statistics_publications"),
    *("faults_publications", "dropped", "openings", "intake_keys"),
)
"""Tables that a database of then had not."""


def old(url: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        for name in LATER:
            connection.execute(text(f"DROP TABLE {name}"))
        for name in ("unread", "format", "stays", "boot", "waiting", "keys", "day", "catalogue"):
            connection.execute(text(f"ALTER TABLE sources DROP COLUMN {name}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0007'"))
    engine.dispose()


def test_a_database_of_before_with_foreign_logs_is_refused(
    tmp_path: Path, database_url: str
) -> None:
    counted(tmp_path, database_url, at(7))
    old(database_url)
    with pytest.raises(StateError) as error:
        open_database(database_url)
    assert error.value.reason == "database-old"
    assert "Count the logs that are left into a new one" in error.value.message


def test_of_own_logs_a_database_of_before_keeps_the_ids(tmp_path: Path, database_url: str) -> None:
    log = counted(tmp_path, database_url, ID + quiet(b""))
    engine = open_database(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE sources SET ladder = 'aa', tail = 'bb', inode = '1:2'"))
    engine.dispose()
    old(database_url)
    (row,) = rows(database_url, sources)
    assert (row["ladder"], row["tail"], row["inode"]) == ("", "own", None)
    told = ("--product", product(tmp_path), "--db", database_url)
    assert run_json("count", log, *told)["hits"] == 0
