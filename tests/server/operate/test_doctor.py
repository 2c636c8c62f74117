"""``mars-server doctor``: what it proves, by planting what it has to find."""

from __future__ import annotations

import os
import stat
import struct
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mars.wire.product import parse_product
from mars.wire.query import AllowList
from mars_server.operate.doctor import Finding, examine
from mars_server.operate.status import counted
from mars_server.storage import open_database
from tests.server.cli.test_ops import run
from tests.server.serving import kit

TODAY = date(2026, 11, 22)
TOKEN = "0" * 32
ALLOW = AllowList.of(parse_product(kit.PRODUCT.encode(), "product.toml"))
LINE = '- - - [22/Nov/2026:00:00:00 +0000] "GET /motd/motd.json{} HTTP/1.1" 200 530 "-" "-"\n'
GOOD = (
    "",
    "?v=0.5.2&os=linux&ia=100",
    "?other",
    "?v=other&os=other&ia=other",
    "?cc=IS",
    "?py=3.11",
)
PLANTED = {
    "an address in front": LINE.format("").replace("- - -", "192.0.2.7 - -", 1),
    "an address for a user": LINE.format("").replace("- - -", "- 192.0.2.7 -", 1),
    "an address as a version": LINE.format("?v=192.0.2.7"),
    "an address of version 6": LINE.format("?v=2001:db8::7"),
    "an address after a version": LINE.format("?v=0.5.2&os=192.0.2.7"),
    "an address as another variable": LINE.format("?ip=192.0.2.7"),
    "an address in another path": LINE.format("").replace("/motd/motd.json", "/192.0.2.7"),
    "an address as the referrer": LINE.format("").replace('"-" "-"', '"192.0.2.7" "-"'),
    "an address as the user agent": LINE.format("").replace('"-" "-"', '"-" "192.0.2.7"'),
    "an address in a comment": "# 192.0.2.7\n",
    "an address behind the id": f"# mars access log v1 id={TOKEN} 192.0.2.7\n",
    "an address without an end of line": "192.0.2.7",
    "a name": LINE.format("?v=alice"),
    "a time of day": LINE.format("").replace("00:00:00", "10:11:12"),
    "a variable twice": LINE.format("?v=0.5.2&v=0.5.1"),
    "variables in a client's own order": LINE.format("?os=linux&v=0.5.2"),
    "a finer age": LINE.format("?ia=37"),
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    folder = tmp_path / "log"
    folder.mkdir(mode=0o700)
    text = f"# mars access log v1 id={TOKEN}\n" + "".join(map(LINE.format, GOOD))
    path = folder / f"access-2026-11-22-{TOKEN}.log"
    path.write_text(text + "# mars lost=3 day=2026-11-22\n")
    path.chmod(0o640)
    return folder


def broken(log: Path, allow: AllowList | None) -> list[Finding]:
    return [entry for entry in examine(log, None, TODAY, 30, allow) if not entry.ok]


@pytest.mark.parametrize("allow", [ALLOW, None], ids=["product", "no product"])
def test_our_own_lines_pass(log: Path, allow: AllowList | None) -> None:
    assert broken(log, allow) == []


@pytest.mark.parametrize("allow", [ALLOW, None], ids=["product", "no product"])
@pytest.mark.parametrize("line", PLANTED.values(), ids=PLANTED)
def test_m40_whatever_is_planted_is_found_and_not_repeated(
    log: Path, line: str, allow: AllowList | None
) -> None:
    (path,) = log.iterdir()
    with path.open("a") as file:
        file.write(line)
    (found,) = broken(log, allow)
    assert found.name == "lines"
    assert "1 of 9 lines" in found.text
    assert "192" not in found.text


def test_m40_a_value_of_the_right_form_is_found_with_the_allow_list_only(log: Path) -> None:
    (path,) = log.iterdir()
    with path.open("a") as file:
        file.write(LINE.format("?v=9.8.7"))
    assert broken(log, None) == []
    assert [entry.name for entry in broken(log, ALLOW)] == ["lines"]


@pytest.mark.parametrize("name", ["access-{}.part", "access-{}-lost7.part", ".access-{}.part",
                                  "access-{}.log.part", ".probe-01234567.part"])  # fmt: skip
def test_the_names_that_a_server_gives_are_known(log: Path, name: str) -> None:
    (log / name.format(f"2026-11-22-{TOKEN}")).touch(mode=0o600)
    assert broken(log, ALLOW) == []


@pytest.mark.parametrize("name", ["access-192.0.2.7.log", "access.log", "error.log.gz", "nginx/",
                                  f"access-2026-11-22-{TOKEN}-lost7.log"])  # fmt: skip
def test_m40_other_files_and_folders_are_named_by_number(log: Path, name: str) -> None:
    path = log / name
    path.mkdir(mode=0o700) if name.endswith("/") else path.touch(mode=0o600)
    (found,) = broken(log, ALLOW)
    assert (found.name, found.text[:2]) == ("files", "1 ")


def test_m40_a_link_to_elsewhere_is_not_ours(log: Path) -> None:
    (log / f"access-2026-11-21-{TOKEN}.log").symlink_to(os.devnull)
    assert "files" in [entry.name for entry in broken(log, ALLOW)]


@pytest.mark.parametrize(("suffix", "folder"), [("", 0o755), ("-wal", 0o711)])
def test_counts_that_every_user_may_read_are_found(
    log: Path, tmp_path: Path, suffix: str, folder: int
) -> None:
    place = tmp_path / "counts"
    place.mkdir()
    place.chmod(folder)
    (place / "c.db").touch(0o600)
    assert modes(log, place / "c.db").ok
    (place / f"c.db{suffix}").touch()
    (place / f"c.db{suffix}").chmod(0o644)
    found = modes(log, place / "c.db")
    assert (found.ok, found.text[:2]) == (False, "1 ")
    place.chmod(0o700)
    assert modes(log, place / "c.db").ok


def test_a_group_that_may_watch_the_open_log_is_found(log: Path) -> None:
    """By its size and time of change it knows when each answer went out, and how long its query."""
    log.chmod(0o750)
    assert broken(log, ALLOW) == []
    (log / f"access-2026-11-22-{'1' * 32}.part").touch(mode=0o600)
    (found,) = broken(log, ALLOW)
    assert (found.name, "chmod 700" in found.text) == ("modes", True)
    log.chmod(0o700)
    assert broken(log, ALLOW) == []


ENTRIES = [(0x01, 6, -1), (0x02, 4, 12345), (0x04, 4, -1), (0x10, 4, -1), (0x20, 0, -1)]
"""The owner, a user by name, the group, the most that both may, others: acl(5)."""


def give(path: Path, entries: list[tuple[int, int, int]]) -> None:
    """Sets an access list; the test is left out where the file system has none."""
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *one) for one in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", listed)
    except OSError as error:
        pytest.skip(f"no access lists here: {error}")


def test_who_may_read_by_an_access_list_is_found(log: Path, tmp_path: Path) -> None:
    """The mode is that of a log that its group may read."""
    (path,) = log.iterdir()
    give(path, ENTRIES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    (found,) = broken(log, ALLOW)
    assert (found.name, found.text[:2], "setfacl -b" in found.text) == ("modes", "1 ", True)
    path.chmod(0o600)  # takes it from all of them
    assert broken(log, ALLOW) == []
    place = tmp_path / "counts"
    place.mkdir(0o700)
    for name in ("c.db", "c.db.key"):
        (place / name).touch(0o600)
    give(place / "c.db.key", ENTRIES)
    assert modes(log, place / "c.db").ok, "nobody else gets that far"
    give(place, [(tag, allowed | 1, who) for tag, allowed, who in ENTRIES])
    assert modes(log, place / "c.db").text[:2] == "1 "


def modes(log: Path, database: Path | None) -> Finding:
    findings = examine(log, None, TODAY, 30, ALLOW, database)
    return next(entry for entry in findings if entry.name == "modes")


def test_to_look_makes_no_database(log: Path, tmp_path: Path) -> None:
    """Made by root it would be closed to the server's user, and every count would fail."""
    url = f"sqlite:///{tmp_path}/counts.db"
    (log / f"access-2026-11-22-{TOKEN}.log").rename(
        log / f"access-{datetime.now(UTC).date()}-{TOKEN}.log"
    )
    for command in ("doctor", "retain"):
        done = run(command, "--log", str(log), "--db", url)
        assert (done.returncode, "[database-missing]" in done.stderr) == (1, True)
    settings = tmp_path / "server.toml"
    settings.write_text(f'log = "{log}"\ndb = "{url}"\n')
    assert run("retain", "--config", str(settings)).returncode == 1
    done = run("doctor", "--config", str(settings))  # as on the first day
    assert (done.returncode, "(no database)" in done.stdout) == (0, True), done.stderr
    assert not (tmp_path / "counts.db").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_root_writes_nothing_into_the_counts_of_another(log: Path, tmp_path: Path) -> None:
    """Or their owner could open them no more; the owner's own look is remembered."""
    url = f"sqlite:///{tmp_path}/counts.db"
    open_database(url).dispose()
    for owner, remembered in ((65534, False), (0, True)):
        os.chown(tmp_path / "counts.db", owner, -1)
        run("doctor", "--log", str(log), "--db", url)
        assert (counted(url).doctor_ran is not None) == remembered
        assert {path.stat().st_uid for path in tmp_path.glob("counts.db*")} == {owner}
