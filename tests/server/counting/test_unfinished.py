"""An open log of our own server counts under no name: its lines come again when it is closed."""

from __future__ import annotations

import gzip
import shutil
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path

import pytest

from mars_server.daylog.crash_recovery import close_leftovers
from mars_server.daylog.format import release_line
from mars_server.daylog.generation import Generation
from tests.server.counting.commands import product, run_json
from tests.server.counting.examples import line

ANSWER = line(before=b"- - - ", stamp=b"21/Nov/2026:00:00:00 +0000")
DAY = 20_778
"""21 November 2026."""


@pytest.fixture
def live(tmp_path: Path) -> Generation:
    logs = tmp_path / "log"
    logs.mkdir()
    live = Generation(logs, DAY, "ab" * 16)
    for _ in range(30):
        assert live.append(ANSWER)
    return live


def renamed(part: Path) -> Path:
    log = part.with_name("X.log")
    shutil.copyfile(part, log)
    return log


def packed(part: Path) -> Path:
    archive = part.with_name("today.gz")
    archive.write_bytes(gzip.compress(part.read_bytes()))
    return archive


def joined(part: Path) -> Path:
    log = part.with_name("all.log")
    log.write_bytes(line() + part.read_bytes())
    return log


def through_an_editor(part: Path) -> Path:
    log = part.with_name("edited.log")
    log.write_bytes(BOM_UTF8 + part.read_bytes().replace(b"\n", b"\r\n"))
    return log


def edited_and_joined(part: Path) -> Path:
    log = through_an_editor(part)
    log.write_bytes(line() + log.read_bytes())
    return log


UNDER = [renamed, packed, joined, through_an_editor, edited_and_joined]


@pytest.mark.parametrize("under", UNDER)
def test_a_part_under_another_name_is_refused_and_counts_once_when_closed(
    tmp_path: Path, live: Generation, under: Callable[[Path], Path]
) -> None:
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    other = under(live.part)
    done = run_json("count", other, *told, code=1)
    assert (done["reason"], done["hits"]) == ("log-unfinished", 0)
    other.unlink()
    live.close_files()
    assert run_json("count", tmp_path / "log", *told)["hits"] == 30


def test_a_part_on_standard_input_is_refused(tmp_path: Path, live: Generation) -> None:
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    for data in (live.part.read_bytes(), bytes(9) + live.part.read_bytes()):
        done = run_json("count", "-", *told, code=1, stdin=data)
        assert (done["reason"], done["hits"], done["lines"]) == ("log-unfinished", 0, 0)
    live.close_files()
    assert run_json("count", tmp_path / "log", *told)["hits"] == 30


def test_a_part_of_before_is_known_by_its_first_release(tmp_path: Path) -> None:
    log = tmp_path / "old.log"
    told = ("--product", product(tmp_path), "--dry-run")
    for data in (BOM_UTF8 + b"# mars release=0.6.0\r\n", release_line("0.6.0") + ANSWER):
        log.write_bytes(data)
        assert run_json("count", log, *told, code=1)["reason"] == "log-unfinished"
    data = log.read_bytes()
    assert run_json("count", "-", *told, code=1, stdin=data)["reason"] == "log-unfinished"


def test_a_closed_log_does_not_say_that_it_is_unfinished(tmp_path: Path) -> None:
    """Closed by its server, written anew by it, and found by the next start."""
    kept, anew, left = (Generation(tmp_path, DAY, digit * 32) for digit in "abc")
    for one in (kept, anew, left):
        assert one.append(ANSWER)
    anew.part.unlink()
    assert anew.restore()
    assert anew.part.read_bytes() == left.part.read_bytes()
    kept.close_files()
    anew.close_files()
    left.abandon()
    assert close_leftovers(tmp_path) == 1
    for log in tmp_path.iterdir():
        first, *rest = log.read_bytes().splitlines(keepends=True)
        assert (first[:8], rest) == (b"# mars a", [ANSWER])


def test_a_closed_log_that_an_editor_kept_counts_no_second_time(
    tmp_path: Path, live: Generation
) -> None:
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    live.close_files()
    (log,) = (tmp_path / "log").iterdir()
    copy = tmp_path / "copy.log"
    copy.write_bytes(BOM_UTF8 + log.read_bytes().replace(b"\n", b"\r\n"))
    assert run_json("count", log, *told)["hits"] == 30
    done = run_json("count", copy, *told, code=1)
    assert (done["reason"], done["hits"]) == ("log-changed", 0)
