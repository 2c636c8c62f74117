"""A release is known as soon as the served document names it, to whoever reads the log later."""

from __future__ import annotations

import gzip
import json
import signal
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from mars.adapters.system import SystemChance
from mars.wire.product import parse_product
from mars.wire.query import AllowList
from mars_server.common.config import Config
from mars_server.daylog.format import declared
from mars_server.daylog.writer import DayLog
from mars_server.operate.doctor import Finding, examine
from mars_server.operate.status import examine as look
from mars_server.serving.logline import log_line
from tests import waiting
from tests.server.cli.test_ops import run
from tests.server.daylog.test_faults import DAY, Clock
from tests.server.publication import kit as figures
from tests.server.serving import kit

ALLOW = AllowList.of(parse_product(kit.PRODUCT.encode()))
ASKED = "v={}&os=linux&ia=10"
INSTALL = "install the publisher's product.toml"


def until(server: kit.Served, release: str, known: bool = True) -> None:
    """Returns when the server writes ``release`` as it is, or as ``other``."""
    end = time.monotonic() + waiting.PATIENCE
    while True:
        before = kit.counted(server)
        server.get(ASKED.format(release))
        server.settled(before + 1)
        (part,) = server.logs.glob("*.part")
        if (f"v={release}&" in part.read_text().splitlines()[-1]) is known:
            return
        assert time.monotonic() < end, server.stderr


def counted(server: kit.Served, *words: str) -> dict[str, int]:
    done = run("count", str(server.logs), "--product", str(server.folder / "product.toml"),
               "--json", *words)  # fmt: skip
    (day,) = json.loads(done.stdout)["days"].values()
    versions: dict[str, int] = day["v"]
    return versions


def broken(server: kit.Served) -> list[Finding]:
    found = examine(server.logs, None, date(*time.gmtime()[:3]), 30, ALLOW)
    return [entry for entry in found if not entry.ok]


def test_the_newest_release_of_the_document_is_known_at_once() -> None:
    named = kit.document(newest_version="0.6.0")
    with kit.served(motd_file=named, unix=True) as server:
        server.wait_for(INSTALL)
        server.get(ASKED.format("0.6.0"))
        server.get(ASKED.format("0.6.1"))
        server.settled(2)
        assert broken(server) == []
        assert server.stop() == 0
        assert [line.split('"')[1].split()[1] for line in server.lines()] == [
            "/motd/motd.json?v=0.6.0&os=linux&ia=10",
            "/motd/motd.json?v=other&os=linux&ia=10",
        ]
        assert broken(server) == []
        # Both ways of counting, one in spans and one from a packed copy.
        assert counted(server, "--dry-run") == {"0.6.0": 1, "other": 1}
        assert counted(server, "--db", f"sqlite:///{server.folder}/x.db") == {
            "0.6.0": 1,
            "other": 1,
        }
        (log,) = server.logs.glob("*.log")
        (server.logs / "a.gz").write_bytes(gzip.compress(log.read_bytes()))
        log.unlink()
        assert counted(server, "--dry-run") == {"0.6.0": 1, "other": 1}


@pytest.mark.parametrize("named", ["0.6.0rc1", "192.0.2.7", "", "0.5.2"])
def test_only_a_release_that_is_missing_is_declared(named: str) -> None:
    with kit.served(motd_file=kit.document(newest_version=named), unix=True) as server:
        server.get(ASKED.format(named or "9.9"))
        server.settled(1)
        assert INSTALL not in server.stderr
        assert server.stop() == 0
        (log,) = server.logs.glob("*.log")
        assert declared(log.read_bytes()) == frozenset()
        assert ("v=0.5.2&" in log.read_text()) is (named == "0.5.2")


def test_a_log_declares_a_release_once(tmp_path: Path) -> None:
    clock, said = Clock(), list[str]()
    log = DayLog(tmp_path, clock, SystemChance(), said.append, log_line)
    log.open()
    for releases in (["0.6.0"], ["0.6.0"], [], ["0.6.1", "0.6.0"]):
        log.declare(releases)
        log.add("", 200, 530)
    clock.wall += DAY
    log.add("", 200, 530)
    assert log.close() == 0
    for path in tmp_path.iterdir():
        text = path.read_text()
        assert [text.count(f"# mars release={one}\n") for one in ("0.6.0", "0.6.1")] == [1, 1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_release_stays_known_when_a_newer_one_comes_and_over_a_crash(workers: str) -> None:
    first = kit.document(newest_version="0.6.0", age=10)
    with kit.served("--workers", workers, motd_file=first, unix=True) as server:
        newer = kit.document(newest_version="0.6.1")
        (server.folder / "motd.json").write_bytes(newer)
        server.wait_for("0.6.1 the newest")
        looks = 16  # so many that both processes are among those that answer
        waiting.until(lambda: all(kit.body(server.get()) == newer for _ in range(looks)))
        before = kit.counted(server)
        for release in ("0.6.0", "0.6.1"):
            server.get(ASKED.format(release))
        server.settled(before + 2)
        assert server.stop() == 0
        assert broken(server) == []
        found = counted(server, "--dry-run")
        assert found.pop("none") >= looks
        assert found == {"0.6.0": 1, "0.6.1": 1}


def test_a_kill_loses_no_declaration(tmp_path: Path) -> None:
    named = kit.document(newest_version="0.6.0")
    with kit.served(motd_file=named, unix=True, folder=tmp_path) as server:
        server.get(ASKED.format("0.6.0"))
        server.settled(1)
        server.process.kill()
        server.process.wait()
    with kit.served(motd_file=kit.document(), unix=True, folder=tmp_path) as server:
        server.wait_for("closed 1 log generation(s)")
        server.stop()
        assert broken(server) == []
        assert counted(server, "--dry-run") == {"0.6.0": 1}


def hang_up(server: kit.Served) -> None:
    server.process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize("tell", [hang_up, lambda _: None], ids=["SIGHUP", "by itself"])
def test_the_product_file_is_read_again(tell: Callable[[kit.Served], None]) -> None:
    with kit.served(unix=True) as server:
        until(server, "0.7", known=False)
        product = server.folder / "product.toml"
        product.write_text(kit.PRODUCT.replace('"0.5.2"]', '"0.5.2", "0.7"]'))
        tell(server)
        until(server, "0.7")
        product.write_text("nonsense")
        tell(server)
        server.wait_for("the MOTD stays as it is")
        until(server, "0.7")
        product.write_text(kit.PRODUCT.replace("examplemail", "another"))
        tell(server)
        server.wait_for("wrong-product")
        until(server, "0.7")
        named = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
        product.write_text(f'servers = ["http://{named}"]\n' + kit.PRODUCT)
        tell(server)
        until(server, "0.7", known=False)
        waiting.until(lambda: kit.status(server.get(host="elsewhere.example")) == 404)
        assert kit.status(server.get(host=named)) == 200


def test_status_warns_where_document_and_product_disagree(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    config = Config(motd=str(tmp_path / "motd.json"), product=str(tmp_path / "product.toml"))
    for release, warned in (("0.6.0", True), ("0.5.2", False), ("0.5.1", False)):
        (tmp_path / "motd.json").write_bytes(kit.document(newest_version=release))
        check = look(config, int(time.time()))["motd"]
        assert (INSTALL in check.text, check.state) == (warned, "warn")
        assert check.facts.get("unlisted") == (release if warned else None)


def test_publish_knows_the_release_of_the_document_that_it_is_given(tmp_path: Path) -> None:
    figures.database(tmp_path, figures.usual_weeks(1)).dispose()
    (tmp_path / "product.toml").write_text(figures.PRODUCT_TOML)
    (tmp_path / "motd.json").write_bytes(kit.document(newest_version="0.6.0"))
    url, out = f"sqlite:///{tmp_path}/counts.db", tmp_path / "site"
    done = run("publish", "--db", url, "--out", str(out), "--motd", str(tmp_path / "motd.json"),
               "--product", str(tmp_path / "product.toml"))  # fmt: skip
    assert done.returncode == 0, done.stderr
    (week,) = json.loads((out / "data/v.json").read_bytes())["weeks"]
    assert {"value": "0.6.0", "count": "<10"}.items() <= week["rows"][3].items()
