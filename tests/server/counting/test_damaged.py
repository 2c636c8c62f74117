"""Logs that ``copytruncate`` or a power cut left with NULs, or without their end."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from mars_server.counting.blocks import LINE_BOUND
from mars_server.counting.streams import CHUNK
from mars_server.counting.tally import Counting
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import ALLOW, line

Write = Callable[[int], bytes]


def combined(number: int) -> bytes:
    clock = b"%02d:%02d:%02d" % (number // 3600, number // 60 % 60, number % 60)
    return line(b"?v=0.5.2", stamp=b"21/Nov/2026:" + clock + b" +0000")


def as_json(number: int) -> bytes:
    request = b'{"proto":"HTTP/1.1","method":"GET","uri":"/motd/motd.json"}'
    return b'{"ts":%d.5,"request":%b,"status":200}\n' % (1795219200 + number, request)


def lines(write: Write, first: int, count: int) -> bytes:
    return b"".join(map(write, range(first, first + count)))


BOTH = pytest.mark.parametrize("write", [combined, as_json])


@BOTH
@pytest.mark.parametrize("nuls", [1, 65_536, LINE_BOUND + CHUNK + 3])
@pytest.mark.parametrize("way", ["plain", "gz", "stdin"])
def test_nuls_before_the_first_line_cost_no_hit(
    tmp_path: Path, write: Write, nuls: int, way: str
) -> None:
    content = bytes(nuls) + lines(write, 0, 3)
    log, url = tmp_path / "a.log", f"sqlite:///{tmp_path}/c.db"
    log.write_bytes(gzip.compress(content) if way == "gz" else content)
    name, stdin = ("-", content) if way == "stdin" else (log, b"")
    told = ("count", name, "--product", product(tmp_path), "--db", url)
    found = run_json(*told, stdin=stdin)
    assert (found["lines"], found["hits"]) == (3, 3)
    assert run_json(*told, stdin=stdin)["hits"] == 0


@BOTH
@pytest.mark.parametrize("nuls", [2, 4096, LINE_BOUND + 1])
def test_nuls_within_a_log_cost_only_the_line_that_they_tore(
    tmp_path: Path, write: Write, nuls: int
) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(write(1) + write(2)[:40] + bytes(nuls) + write(3) + write(4) + bytes(nuls))
    found = run_json("count", log, "--product", product(tmp_path), "--dry-run")
    assert (found["lines"], found["hits"]) == (3, 3)


@BOTH
def test_a_logs_first_line_tells_its_format_behind_nuls(tmp_path: Path, write: Write) -> None:
    log, told = tmp_path / "a.log", ("--product", product(tmp_path), "--dry-run")
    log.write_bytes(b"torn" + bytes(50) + write(1))
    assert run_json("count", log, *told)["hits"] == 1


@BOTH
def test_nuls_are_skipped_however_the_pieces_fall(write: Write) -> None:
    chance = random.Random(7)
    name = "json" if write is as_json else "combined"
    for _ in range(60):
        parts = [write(1), write(2)[:30], b"\0", bytes(2), bytes(9), b"x" * LINE_BOUND, b"\n"]
        log = b"".join(chance.choices(parts, k=12)) + b"\n"
        whole, pieces = Counting(ALLOW, name), Counting(ALLOW, name)
        whole.feed(log)
        at = 0
        while at < len(log):
            step = chance.choice((1, 2, 5, 40, LINE_BOUND))
            pieces.feed(log[at : at + step])
            at += step
        assert whole.take() == pieces.take()


@pytest.mark.parametrize("kind", ["combined", "json", "own"])
def test_copytruncate_under_a_writer_that_does_not_append(tmp_path: Path, kind: str) -> None:
    """As ``logrotate`` does it three times; each line counts once, also from the archives."""
    write = as_json if kind == "json" else combined
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    live = logs / "access.log"
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    with live.open("wb", buffering=0) as server:
        for turn in range(4):
            if kind == "own":
                server.write(b"# mars access log v1 id=%032x\n" % turn)
            server.write(lines(write, 1000 * turn, 900))
            assert run_json(*told)["hits"] == 900
            copy = logs / f"access.log.{turn}"
            copy.write_bytes(live.read_bytes())
            os.truncate(live, 0)
            if turn % 2:
                copy.with_suffix(".gz").write_bytes(gzip.compress(copy.read_bytes()))
                copy.unlink()
    assert run(*told).stderr == b""
    assert run_json("counts", "show", "--db", url)["hits"] == 3600


class Cut:
    """A log of ten lines or more that is counted, and then damaged."""

    def __init__(self, folder: Path, write: Write, count: int = 10) -> None:
        self.folder = folder / "logs"
        self.folder.mkdir()
        self.log = self.folder / "access.log"
        self.url = f"sqlite:///{folder}/c.db"
        self.told = (self.folder, "--product", product(folder), "--db", self.url)
        self.write, self.count = write, count
        self.log.write_bytes(lines(write, 0, count))
        assert run_json("count", *self.told)["hits"] == count

    def lose(self, keep: int, *, nuls: bool, then: int) -> None:
        """Whole lines that stay, and lines that are written on."""
        size, left = self.log.stat().st_size, len(lines(self.write, 0, keep))
        os.truncate(self.log, left)
        if nuls:
            os.truncate(self.log, size)
        with self.log.open("ab") as server:
            server.write(lines(self.write, 50_000, then))

    @property
    def hits(self) -> int:
        hits: int = run_json("counts", "show", "--db", self.url)["hits"]
        return hits


@BOTH
def test_a_log_with_nuls_for_its_end_counts_what_is_new_and_is_told(
    tmp_path: Path, write: Write
) -> None:
    cut = Cut(tmp_path, write)
    cut.lose(8, nuls=True, then=3)
    found = run_json("count", *cut.told, code=1)
    assert found["hits"] == 3
    [problem] = found["problems"]
    assert problem["reason"] == "log-changed"
    assert str(cut.log) in problem["message"]
    after = run("count", *cut.told)  # it is known now
    assert (after.stdout, after.stderr) == (b"0 lines, 0 hits, 0 rejected\n", b"")
    assert cut.hits == 13


@BOTH
@pytest.mark.parametrize("keep", [1, 5, 9])
@pytest.mark.parametrize("then", [0, 1, 30])
def test_a_log_that_lost_its_end_counts_nothing_twice_and_is_told(
    tmp_path: Path, write: Write, keep: int, then: int
) -> None:
    cut = Cut(tmp_path, write)
    cut.lose(keep, nuls=False, then=then)
    assert b"[log-changed]" in run("count", *cut.told, code=1).stderr
    assert 10 <= cut.hits <= 10 + then
    before = cut.hits
    with cut.log.open("ab") as server:
        server.write(lines(write, 60_000, 2))
    assert run("count", *cut.told).stderr == b""
    assert cut.hits == before + 2


@pytest.mark.parametrize("nuls", [False, True])
@pytest.mark.parametrize("way", ["in place", "renamed", "copied", "packed"])
def test_a_long_log_is_known_wherever_it_was_put_since(
    tmp_path: Path, nuls: bool, way: str
) -> None:
    """With a beginning that is known up to its last mark."""
    cut = Cut(tmp_path, combined, 2000)
    cut.lose(1500, nuls=nuls, then=800)
    old = cut.folder / "access.log.1"
    if way == "renamed":
        cut.log.rename(old)
    elif way != "in place":
        content = cut.log.read_bytes()
        old.write_bytes(gzip.compress(content) if way == "packed" else content)
        cut.log.write_bytes(lines(combined, 70_000, 5))
    found = run_json("count", *cut.told, code=1)
    [problem] = found["problems"]
    if way in ("copied", "packed"):  # told each time, and never removed
        assert problem["reason"] == "log-doubtful"
        assert "--new" in problem["message"]
        assert run_json("count", *cut.told, code=1)["problems"] == [problem]
        assert cut.hits == 2005
        return
    assert problem["reason"] == "log-changed"
    assert 2000 <= cut.hits <= 2800
    if nuls:
        assert cut.hits == 2800
    before = cut.hits
    assert run("count", *cut.told).stderr == b""
    assert cut.hits == before


def test_a_backup_of_what_a_log_was_counts_nothing_twice(tmp_path: Path) -> None:
    cut = Cut(tmp_path, combined, 100)
    whole = cut.log.read_bytes()
    cut.lose(60, nuls=False, then=0)
    run("count", *cut.told, code=1)
    for end in (70, 100):
        (cut.folder / f"backup-{end}").write_bytes(whole[: len(lines(combined, 0, end))])
    run("count", *cut.told)
    assert cut.hits == 100


def test_a_changed_log_is_not_removed_without_a_word(tmp_path: Path) -> None:
    cut = Cut(tmp_path, combined)
    cut.lose(8, nuls=True, then=3)
    os.utime(cut.log, (0, 0))
    found = run_json("scrub", cut.folder, "--db", cut.url, "--keep-days", "0")
    assert found["removed"] == []
    assert found["kept"][str(cut.log)].startswith("changed after it had been counted")
    run("count", *cut.told, code=1)
    found = run_json("scrub", cut.folder, "--db", cut.url, "--keep-days", "0", "--dry-run")
    assert "remove it by hand" in found["kept"][str(cut.log)]


def test_logs_of_two_servers_that_begin_alike_are_two(tmp_path: Path) -> None:
    cut = Cut(tmp_path, combined, 50)
    other = cut.folder / "other.log"
    other.write_bytes(lines(combined, 0, 3) + lines(combined, 90, 40))
    assert run("count", *cut.told).stderr == b""
    assert cut.hits == 93


BANNER = b"".join(b"/docker-entrypoint.sh: Launching script %d\n" % n for n in range(19))
CRON = b"".join(line(b"", stamp=b"21/Nov/2026:00:00:%02d +0000" % n) for n in range(20))


@pytest.mark.parametrize("start", [BANNER, CRON], ids=["banner", "monitor"])
@pytest.mark.parametrize("together", [False, True])
def test_a_log_that_only_begins_as_another_is_counted_or_told_each_time(
    tmp_path: Path, start: bytes, together: bool
) -> None:
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    first, other = logs / "a.log", logs / "b.log"
    asked = start.count(b"motd.json")
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    first.write_bytes(start + lines(combined, 3000, 30))
    if not together:
        assert run_json(*told)["hits"] == asked + 30
    other.write_bytes(start + lines(combined, 9000, 40))
    found = run(*told)  # the first is still there, so this is another
    assert b"[log-" not in found.stderr
    assert run_json("counts", "show", "--db", url)["hits"] == 2 * asked + 70
    third = tmp_path / "c.log"
    third.write_bytes(start + lines(combined, 20_000, 50))
    alone = ("count", third, *told[2:])
    for _ in range(2):  # whatever it may be like is not seen in this run
        problems = run_json(*alone, code=1)["problems"]
        assert [one["reason"] for one in problems] == ["log-doubtful"]
    os.utime(third, (0, 0))
    kept = run_json("scrub", third, "--db", url, "--keep-days", "0")["kept"]
    assert "--new" in kept[str(third)]
    assert run_json(*alone, "--new")["hits"] == asked + 50
    assert run(*alone).stdout == b"0 lines, 0 hits, 0 rejected\n"


def test_where_a_log_became_an_archive_what_begins_as_it_did_is_told(tmp_path: Path) -> None:
    """Three days of a server that writes the same lines at its start, rotated and packed."""
    logs, banner = tmp_path / "logs", b"".join(BANNER.splitlines(keepends=True)[:3])
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    log, before, packed = logs / "a.log", logs / "a.log.1", logs / "a.log.2.gz"
    log.write_bytes(banner + lines(combined, 3000, 2))
    assert run_json(*told)["hits"] == 2
    log.rename(before)
    log.write_bytes(banner + lines(combined, 9000, 2))
    assert run_json(*told)["hits"] == 2
    packed.write_bytes(gzip.compress(before.read_bytes()))
    log.rename(before)
    log.write_bytes(banner + lines(combined, 20_000, 40))
    (problem,) = run_json(*told, code=1)["problems"]
    assert problem["reason"] == "log-doubtful"
    assert "an archive" in problem["message"]
    assert run_json("count", log, *told[2:], "--new")["hits"] == 40
    assert run_json(*told)["hits"] == 0


@pytest.mark.parametrize("copy", ["archive", "archive made later", "plain"])
def test_a_copy_beside_a_log_that_lost_its_end_lets_nothing_count_twice(
    tmp_path: Path, copy: str
) -> None:
    logs, url = tmp_path / "logs", f"sqlite:///{tmp_path}/c.db"
    logs.mkdir()
    told = ("count", logs, "--product", product(tmp_path), "--db", url)
    log, whole = logs / "a.log", lines(combined, 3000, 40)
    log.write_bytes(whole)
    beside = logs / ("copy" if copy == "plain" else "copy.gz")
    content = whole if copy == "plain" else gzip.compress(whole)
    if copy != "archive made later":
        beside.write_bytes(content)
    assert run_json(*told)["hits"] == 40
    beside.write_bytes(content)
    with log.open("r+b") as server:
        server.truncate(len(lines(combined, 3000, 35)))
        server.seek(0, 2)
        server.write(lines(combined, 9000, 21))
    run("count", *told[1:], code=1)
    assert run_json("counts", "show", "--db", url)["hits"] <= 61


def test_a_copy_of_what_a_log_was_takes_no_file_from_it(tmp_path: Path) -> None:
    """Made after the count, so that it holds more than was counted; then the power was cut."""
    cut = Cut(tmp_path, combined, 100)
    with cut.log.open("ab") as server:
        server.write(lines(combined, 100, 50))
    (cut.folder / "a-copy").write_bytes(cut.log.read_bytes())
    cut.lose(60, nuls=False, then=30)
    for _ in range(2):
        run("count", *cut.told, code=None)
        assert 150 <= cut.hits <= 180


@pytest.mark.parametrize("hole", [300, 4096])
def test_a_beginning_that_became_nuls_doubles_nothing(tmp_path: Path, hole: int) -> None:
    cut = Cut(tmp_path, combined, 264)
    content = cut.log.read_bytes()
    cut.log.write_bytes(bytes(hole) + content[hole:] + lines(combined, 50_000, 1))
    [problem] = run_json("count", *cut.told, code=1)["problems"]
    assert problem["reason"] == "log-changed"
    assert cut.hits == 265
    assert run("count", *cut.told).stderr == b""
    assert cut.hits == 265


def test_lines_without_a_time_of_day_are_known_by_their_file(tmp_path: Path) -> None:
    dated = line(before=b"- - - ", stamp=b"21/Nov/2026:00:00:00 +0000")
    cut = Cut(tmp_path, lambda _: dated)
    cut.lose(8, nuls=True, then=3)
    assert b"[log-changed]" in run("count", *cut.told, code=1).stderr
    assert cut.hits == 13
