"""What ``doctor`` proves of spools, what ``retain`` deletes, what ``scrub`` and ``status`` say."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mars.wire.sealed import LARGE, SMALL, Opener, seal
from mars.wire.times import DAY
from mars_server.common.config import load_config
from mars_server.daylog.format import UNFINISHED_SPOOL, lost_line, spool_line
from mars_server.operate import spools
from mars_server.operate.doctor import Finding
from mars_server.operate.status import Check, examine
from tests.server.cli.test_ops import config, run
from tests.server.serving import kit

TODAY = date(2026, 11, 30)
NOW = int(datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp())
ISO = "2026-11-29"
TOKEN = "0" * 32
KEY = Opener.of(b"k" * 32).public
SEALED = [seal(b"{}", KEY, bytes([n]) * 32, size) for n, size in enumerate((SMALL, LARGE, SMALL))]


def written(body: bytes) -> bytes:
    return b64encode(body) + b"\n"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    path = folder / f"spool-{ISO}-{TOKEN}.log"
    head = spool_line(TOKEN, ISO) + lost_line(3, ISO)
    path.write_bytes(head + b"".join(sorted(map(written, SEALED))))
    path.chmod(0o640)
    os.utime(path, (NOW, NOW))
    part = folder / f"spool-2026-11-30-{'1' * 32}.part"
    part.write_bytes(UNFINISHED_SPOOL + written(SEALED[0]) + b"AYY")
    part.chmod(0o600)
    return folder


def broken(folder: Path) -> list[Finding]:
    return [one for one in spools.examine(folder, [], TODAY, 35) if not one.ok]


def test_our_own_spools_pass(spool: Path) -> None:
    assert broken(spool) == []


@pytest.mark.parametrize(
    "line",
    [
        b"192.0.2.7\n",
        b"192.0.2.7 " + written(SEALED[0]),
        written(SEALED[0])[:-1] + b" 192.0.2.7\n",
        written(b"x" * 1023),
        written(b"x" * 1025),
        written(SEALED[0]).replace(b"=", b""),
        b"-" + written(SEALED[0])[1:],
        written(SEALED[0])[:-4] + b"B==\n",  # bits that say nothing and could say something
        b"# 192.0.2.7\n",
        spool_line(TOKEN, ISO)[:-1] + b" 192.0.2.7\n",
        b"\n",
    ],
)
def test_m40_whatever_else_a_spool_holds_is_found_and_not_repeated(
    spool: Path, line: bytes
) -> None:
    with next(spool.glob("*.log")).open("ab") as file:
        file.write(line)
    (found,) = broken(spool)
    assert (found.name, found.text[:5]) == ("spool-lines", "1 of ")
    assert "192" not in found.text


def test_what_strangers_post_is_told_and_breaks_no_promise(spool: Path) -> None:
    """Anybody may post 1,024 bytes of anything, and must not make the doctor cry wolf."""
    with next(spool.glob("*.log")).open("ab") as file:
        file.write(written(b"\x02" + SEALED[0][1:]))
    (lines,) = [one for one in spools.examine(spool, [], TODAY, 35) if one.name == "spool-lines"]
    assert lines.ok
    assert "1 are not sealed as ours are" in lines.text


@pytest.mark.parametrize("name", ["access-2026-11-29-{}.log", "spool-2026-11-29-192.log", "x/"])
def test_m40_other_files_among_spools_are_named_by_number(spool: Path, name: str) -> None:
    path = spool / name.format(TOKEN)
    path.mkdir(mode=0o700) if name.endswith("/") else path.touch(mode=0o600)
    assert [(one.name, one.text[:2]) for one in broken(spool)] == [("spool-files", "1 ")]


def test_spools_that_others_may_read_or_watch_are_found(spool: Path) -> None:
    spool.chmod(0o750)
    assert [one.name for one in broken(spool)] == ["spool-modes"]
    spool.chmod(0o700)
    next(spool.glob("*.log")).chmod(0o644)
    assert [one.name for one in broken(spool)] == ["spool-modes"]


def test_a_spool_goes_when_it_is_read_or_when_it_was_closed_long_ago(spool: Path) -> None:
    (path,) = spool.glob("*.log")
    size = path.stat().st_size

    def due(read: dict[str, int], days: int = 0) -> int:
        today = date.fromordinal(TODAY.toordinal() + days)
        return len(spools.retain(spool, [read], today, 35, remove=False))

    assert due({}) == due({TOKEN: size - 1}) == due({}, 35) == 0
    assert due({TOKEN: size}) == due({}, 36) == 1
    assert [
        one.name for one in spools.examine(spool, [{TOKEN: size}], TODAY, 35) if not one.ok
    ] == ["spool-retention"]
    path.write_bytes(path.read_bytes().replace(TOKEN.encode(), b"2" * 32))
    assert due({TOKEN: size}) == 0, "its first line is another's"


def test_what_a_crash_left_is_as_old_as_its_closing(spool: Path) -> None:
    (path,) = spool.glob("*.log")
    old = path.rename(spool / f"spool-2026-09-01-{TOKEN}.log")
    assert spools.retain(spool, [{}], TODAY, 35, remove=False) == []
    os.utime(old, (NOW - 36 * DAY, NOW - 36 * DAY))
    assert [one.path for one in spools.retain(spool, [{}], TODAY, 35)] == [old]
    assert not old.exists()
    assert list(spool.glob("*.part")), "what is still written stays"


def test_commands_know_spools_with_a_database_and_without(spool: Path, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir(mode=0o700)
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (path,) = spool.glob("*.log")
    settings = str(config(tmp_path, f"unix:{tmp_path}/s", spool=str(spool)))
    done = run("doctor", "--config", settings)
    assert (done.returncode, done.stdout.count("ok  ")) == (0, 8), done.stdout
    os.utime(path, (NOW - 99 * DAY, NOW - 99 * DAY))
    path.rename(spool / f"spool-2025-11-29-{TOKEN}.log")
    kept = run("retain", "--config", settings, "--dry-run", "--json")
    assert json.loads(kept.stdout)["spools"] == [f"spool-2025-11-29-{TOKEN}.log"]
    assert run("retain", "--config", settings).stdout == "1 spool was deleted\n"
    assert run("retain", "--config", settings, "--spool", str(tmp_path / "no")).returncode == 1


def test_scrub_leaves_spools_alone(spool: Path, tmp_path: Path) -> None:
    """Whatever they are called, and though the database knows none of their lines."""
    (path,) = spool.glob("*.log")
    renamed = path.rename(tmp_path / "access.log.1")
    db = f"sqlite:///{tmp_path}/counts.db"
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "empty.log").write_text("")
    product = str(tmp_path / "product.toml")
    run("count", str(tmp_path / "empty.log"), "--product", product, "--db", db)
    done = run("scrub", str(renamed), "--db", db, "--keep-days", "0")
    assert "a spool of reports: mars-server retain removes it" in done.stdout
    assert renamed.exists()


def status_of(server: kit.Served, spool: str | None = None) -> Check:
    file = config(server.folder, f"unix:{server.path}")
    where = str(server.spools) if spool is None else spool
    return examine(replace(load_config(file), spool=where), kit.now())["spool"]


def test_status_tells_how_many_spools_are_open_and_what_is_lost(tmp_path: Path) -> None:
    with kit.served(unix=True, spool=True, folder=tmp_path) as server:
        for report in SEALED:
            assert kit.status(server.ask(kit.post(report))) == 204
        found = status_of(server)
        assert (found.state, found.facts["open"], found.facts["closed"]) == ("ok", 1, 0)
        assert found.facts["reports_at_most"] == 17  # the large one is as long as 15 others
        assert status_of(server, spool="").state == "not-set"
        server.spools.chmod(0o711)
        assert status_of(server).state == "warn"
        server.spools.chmod(0o700)
        (server.spools / f"spool-2026-11-29-{TOKEN}-lost2.part").write_bytes(b"")
        assert "2 report(s) are missing" in status_of(server).text
        assert server.stop() == 0
        assert status_of(server).text == "no open spool: no server is writing one"
