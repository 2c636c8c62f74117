"""``mars-server status``: each part that may fail, broken in turn."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from mars.testing.publisher import Publisher
from mars.wire.reports.status import Status
from mars.wire.times import DAY
from mars_server.common.config import Config, OnionConfig
from mars_server.onion.folder import address
from mars_server.operate.status import Check, examine
from mars_server.storage import open_database
from mars_server.storage.schema import sources, weeks
from mars_server.triage.broadcast import sign
from tests.server.cli.test_ops import run
from tests.server.daylog.test_faults import filled, needs_root, small_disk
from tests.server.operate.watched import NOW, PUBLISHER, watched
from tests.server.serving import kit
from tests.waiting import until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    with watched(tmp_path_factory.mktemp("s")) as config:
        yield config


def one(config: Config, name: str, now: int = NOW) -> Check:
    found = examine(config, now)[name]
    assert found.text
    return found


def test_a_running_server_is_well(served: Config) -> None:
    states = {name: check.state for name, check in examine(served, NOW).items()}
    del states["disk"]
    assert states == {
        "motd": "ok", "answers": "not-set",
        "server": "ok", "tor": "not-set", "onion": "not-set", "log": "ok",
        "spool": "not-set",
        "count": "warn", "publication": "warn", "doctor": "warn",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("days", "state", "said"),
    [(30, "ok", "14 days"), (40, "warn", "expires in 4 days"), (50, "fail", "[expired]")],
)
def test_the_end_of_a_document_comes_nearer(
    served: Config, days: int, state: str, said: str
) -> None:
    found = one(served, "motd", NOW + days * DAY)
    assert (found.state, said in found.text) == (state, True), found


def test_a_document_that_clients_refuse_fails(served: Config, tmp_path: Path) -> None:
    other = tmp_path / "motd.json"
    other.write_bytes(Publisher().document(NOW - 10))
    found = one(replace(served, motd=str(other)), "motd")
    assert (found.state, found.facts["reason"]) == ("fail", "signature-threshold")
    assert one(replace(served, trust=""), "motd").state == "warn"
    none = "/proc/none"
    for gone in (
        replace(served, motd=none),
        replace(served, product=none),
        replace(served, trust=none),
    ):
        assert one(gone, "motd").state == "fail"


REPORTS = """product = "examplemail"
channel = "stable"
releases = ["0.5.2"]
[reports]
releases = ["0.5.2"]
"""


def test_answers_to_error_reports_that_are_missing_or_end_are_told(
    served: Config, tmp_path: Path
) -> None:
    """From the first release that takes reports on clients ask for them."""
    for name, data in (
        ("product.toml", REPORTS.encode()),
        ("motd.json", Path(served.motd).read_bytes()),
    ):
        (tmp_path / name).write_bytes(data)
    config = replace(
        served, product=str(tmp_path / "product.toml"), motd=str(tmp_path / "motd.json")
    )
    assert one(served, "answers").state == "not-set"
    none = one(config, "answers")
    assert (none.state, none.facts["reason"]) == ("warn", "answers-missing")
    empty = Status("examplemail", "stable", 1, NOW, NOW, NOW + 45 * DAY)
    path = tmp_path / "status.json"
    path.write_bytes(sign(empty, PUBLISHER.seeds_of("status")[0]))
    found = one(config, "answers")
    assert (found.state, found.facts["days_left"]) == ("ok", 45)
    assert one(config, "answers", NOW + 40 * DAY).state == "warn"
    assert one(config, "answers", NOW + 45 * DAY).facts["reason"] == "expired"
    path.write_bytes(sign(empty, PUBLISHER.seeds[0]))
    assert one(config, "answers").facts["reason"] == "signature-threshold"
    path.write_bytes(b"{}")
    assert one(config, "answers").state == "fail"


def test_a_server_that_serves_something_else_is_told(served: Config, tmp_path: Path) -> None:
    other = tmp_path / "motd.json"
    other.write_bytes(PUBLISHER.document(NOW - 5))
    assert one(replace(served, motd=str(other)), "server").state == "warn"


def test_a_server_that_is_gone_or_hangs_is_told(served: Config, tmp_path: Path) -> None:
    gone = one(replace(served, bind=f"unix:{tmp_path}/s"), "server")
    assert (gone.state, "is mars-server serve running?" in gone.text) == ("fail", True)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        port = silent.getsockname()[1]
        hangs = one(replace(served, bind=f"127.0.0.1:{port}"), "server")
    assert (hangs.state, hangs.facts["reason"]) == ("fail", "server-unreachable")


def test_a_tor_that_is_gone_and_an_address_that_is_closed_to_us_are_told(
    served: Config, tmp_path: Path
) -> None:
    onion = OnionConfig(folder=str(tmp_path / "onion"), control=f"unix:{tmp_path}/control")
    config = replace(served, onion=onion, socks="127.0.0.1:1")
    assert one(config, "tor").facts["reason"] == "tor-control"
    closed = one(config, "onion")
    assert (closed.state, "404" in closed.text) == ("fail", True)
    (tmp_path / "onion").mkdir()
    (tmp_path / "onion" / "hostname").write_text("a" * 56 + ".onion\n")
    assert one(config, "onion").state == "fail"  # no onion address: its checksum is wrong
    named = replace(
        config, hosts=("2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion",)
    )
    assert one(named, "onion").facts["reason"] == "tor-unavailable"


def test_a_log_that_nobody_writes_is_told(served: Config, tmp_path: Path) -> None:
    assert one(served, "log", NOW + DAY).state == "ok"  # the moment after midnight
    assert "hangs" in one(served, "log", NOW + 3 * DAY).text
    empty = replace(served, log=str(tmp_path))
    assert one(empty, "log").state == "fail"
    gone = replace(served, log=str(tmp_path / "none"))
    assert [one(gone, name).state for name in ("log", "disk")] == ["fail", "fail"]
    mode = Path(served.log).stat().st_mode
    Path(served.log).chmod(0o710)
    try:
        assert one(served, "log").state == "warn"
    finally:
        Path(served.log).chmod(mode)


def test_what_was_never_counted_or_long_ago_is_told(served: Config, tmp_path: Path) -> None:
    path = tmp_path / "counts.db"
    config = replace(served, db=f"sqlite:///{path}")
    assert [one(config, name).state for name in ("count", "publication")] == ["warn", "warn"]
    assert not path.exists()  # made by root it would be closed to the counter
    engine = open_database(config.db)
    assert "mars-server count" in one(config, "count").text
    assert "mars-server publish" in one(config, "publication").text
    with engine.begin() as connection:
        source = {
            "ladder": "", "position": 1, "tail": "", "lines": 1, "hits": 1, "counted": NOW,
        }  # fmt: skip
        connection.execute(sources.insert().values(source))
        connection.execute(weeks.insert().values(week="2026-W46", published=NOW))
    engine.dispose()
    later = {0: "ok", 3 * DAY: "warn"}
    assert {ahead: one(config, "count", NOW + ahead).state for ahead in later} == later
    later = {9 * DAY: "ok", 11 * DAY: "warn"}
    assert {ahead: one(config, "publication", NOW + ahead).state for ahead in later} == later
    path.write_bytes(b"no database" * 100)
    assert [one(config, name).state for name in ("count", "publication")] == ["fail", "fail"]


def test_a_count_and_a_publication_that_found_nothing_have_run_all_the_same(
    served: Config, tmp_path: Path
) -> None:
    """On the first days, and where nobody asks."""
    config = replace(served, db=f"sqlite:///{tmp_path}/counts.db")
    (tmp_path / "empty").mkdir()
    options = ("--db", config.db, "--product", served.product)
    assert run("count", str(tmp_path / "empty"), *options).returncode == 0
    assert one(config, "count").state == "ok"
    assert one(config, "publication").state == "warn"
    assert run("publish", "--out", str(tmp_path / "site"), *options).returncode == 0
    told = one(config, "publication")
    assert (told.state, "no week is due yet" in told.text) == ("ok", True)
    assert one(config, "count", NOW + 4 * DAY).state == "warn"
    assert one(config, "publication", NOW + 12 * DAY).state == "warn"


@needs_root
@pytest.mark.parametrize(
    ("name", "reason"),
    [("product", "file-unreadable"), ("trust", "file-unreadable"), ("motd", "motd-unreadable")],
)
def test_what_may_not_be_read_is_not_called_missing(
    served: Config, tmp_path: Path, name: str, reason: str
) -> None:
    closed = tmp_path / "closed"
    closed.touch(mode=0o600)
    os.chown(closed, 65534, -1)
    file = tmp_path / "server.toml"
    names = ("bind", "motd", "log", "product", "trust")
    paths = {each: getattr(served, each) for each in names} | {name: str(closed)}
    file.write_text("".join(f'{each} = "{path}"\n' for each, path in paths.items()))
    ordinary = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    command = [*ordinary, kit.COMMAND, "status", "--config", str(file), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)["checks"]["motd"]
    assert (found["state"], found["reason"]) == ("fail", reason)
    assert "belongs to nobody" in found["text"]
    os.chown(file, 65534, -1)
    file.chmod(0o600)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout)["reason"] == "config-unreadable"


def test_a_database_of_a_newer_program_is_left_alone(served: Config, tmp_path: Path) -> None:
    config = replace(served, db=f"sqlite:///{tmp_path}/counts.db")
    engine = open_database(config.db)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for name in ("count", "publication"):
        assert one(config, name).facts["reason"] == "database-newer"


def test_the_exit_code_and_the_json_say_the_same(served: Config, tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    names = ("bind", "motd", "log", "product", "trust", "db")
    for product, code in ((served.product, 0), ("/proc/none", 1)):
        config = replace(served, product=product)
        file.write_text("".join(f'{name} = "{getattr(config, name)}"\n' for name in names))
        done = run("status", "--config", str(file), "--json")
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["ok"]) == (code, not code), sys.stderr
        failed = [name for name, check in answer["checks"].items() if check["state"] == "fail"]
        assert failed == ["motd"][:code]


def test_a_crash_s_leftover_is_no_open_log(served: Config, tmp_path: Path) -> None:
    today = datetime.fromtimestamp(NOW, UTC).date().isoformat()
    (tmp_path / f"access-{today}-{'a' * 32}-lost2.part").write_bytes(b"line\n")
    found = one(replace(served, log=str(tmp_path)), "log")
    assert (found.state, found.facts["open"], found.facts["lost"]) == ("fail", 0, 2)
    assert "no server is writing one" in found.text


@needs_root
def test_a_log_disk_that_is_read_only_is_told(tmp_path: Path) -> None:
    with small_disk(tmp_path / "log") as log, kit.served(folder=tmp_path, unix=True) as server:
        config = Config(bind=f"unix:{server.path}", log=str(log))
        assert one(config, "log").state == "ok"
        subprocess.run(["mount", "--bind", "-o", "ro", str(log), str(log)], check=True)
        try:
            found = one(config, "log")
        finally:
            subprocess.run(["umount", log], check=True)
        assert (found.state, "read-only" in found.text) == ("fail", True)


@needs_root
def test_a_server_that_says_that_it_cannot_write_is_believed(tmp_path: Path) -> None:
    metrics = str(tmp_path / "m")
    options = ("--metrics", metrics)
    with (
        small_disk(tmp_path / "log") as log,
        kit.served(*options, folder=tmp_path, unix=True) as server,
    ):
        config = Config(bind=f"unix:{server.path}", log=str(log), metrics=metrics)
        server.get()
        server.settled(1)
        with filled(log):
            for _ in range(200):
                server.get()
            server.wait_for("answers are served but not counted")
            # After a round of housekeeping, and on a busy machine not at every look.
            until(lambda: "cannot write its log" in one(config, "log").text)
            unasked = one(replace(config, metrics=""), "log")
            assert (unasked.state, "missing in the logs" in unasked.text) == ("warn", True)
        (log / "access-filler.part").unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks with another user's eyes")
def test_root_sees_what_the_server_s_user_sees(served: Config) -> None:
    """A restored folder of the key, closed to all but tor: root reads it, the server does not."""
    folder = Path(tempfile.mkdtemp(prefix="mars-eyes-"))  # pytest's own are closed to nobody
    folder.chmod(0o755)
    key, log, nobody = folder / "key", folder / "log", pwd.getpwnam("nobody")
    key.mkdir(mode=0o700)
    (key / "hostname").write_text(f"{address(b'a' * 32)}\n")
    log.mkdir(mode=0o750)
    file = folder / "server.toml"
    file.write_text(
        f'bind = "{served.bind}"\nmotd = "{served.motd}"\nlog = "{log}"\n'
        f'product = "{served.product}"\n[onion]\nfolder = "{key}"\n'
    )
    said = []
    for user in (0, nobody.pw_uid):
        os.chown(log, user, nobody.pw_gid)
        checks = json.loads(run("status", "--config", str(file), "--json").stdout)["checks"]
        said.append(checks["onion"])
    assert said[0]["state"] == "not-set"
    assert said[1]["state"] == "fail"
    assert f"{key} is closed to us (root:root, mode 700)" in said[1]["text"]
    assert f"chmod g+rx {key}" in said[1]["text"]
    shutil.rmtree(folder)
