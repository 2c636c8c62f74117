"""docs/operating.md, as far as a machine without the public network can follow it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from mars.wire.times import week_of
from tests.server.counting import spools
from tests.server.counting.commands import run_json
from tests.server.serving import kit

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "operating.md"


def test_the_way_from_nothing_to_a_published_site(tmp_path: Path) -> None:
    commands = re.findall(r"```sh run\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert len(commands) == 5
    (files,) = re.findall(r"```sh publisher\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    commands.insert(0, files)
    done = followed("\n".join(commands), tmp_path)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    assert '"GET /motd/motd.json?v=' in done.stdout
    assert re.search(r"^ok +lines", done.stdout, re.MULTILINE)
    assert (tmp_path / "site" / "index.html").exists()
    assert (tmp_path / "restored" / "site" / "index.html").exists()
    first, again = re.findall(r"^\d+ lines, (\d+) hits", done.stdout, re.MULTILINE)
    assert f"{first} hits, 1 rejected" in done.stdout
    assert f"{int(first) + 1} lines, {first} hits, 1 rejected" in DOC.read_text()
    assert again == "0", "a restored database counts nothing twice"


DECLARES = '[statistics]\nreleases = ["0.5.1", "0.5.2"]\n'


def followed(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """``script`` as a reader types it in ``folder``."""
    programs = Path(kit.COMMAND).parent
    return subprocess.run(
        ["bash", "-c", "set -eu -o pipefail\n" + script],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_logs_and_spools_are_counted_and_published_on_another_machine(tmp_path: Path) -> None:
    """The worked example: both end in one database. For ``rsync`` over ssh stands ``mv``."""
    section = DOC.read_text().partition("\n## Count on another machine\n")[2].partition("\n## ")[0]
    facing, inner = re.findall(r"^```\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert "disable --now mars-count.timer mars-publish.timer" in facing
    this = week_of(kit.now())
    with kit.served(unix=True, spool=True) as server:
        for _ in range(3):
            server.get("v=0.5.2&os=linux")
        assert b" 204 " in server.ask(kit.post(spools.sealed(week=this)))
        assert server.stop() == 0
        past = spools.spool(spools.many(30, week="2026-W47"), date(2026, 11, 18), "past")
        token = past.split(b"\n")[0].rpartition(b"id=")[2].split()[0].decode()
        written = server.spools / f"spool-2026-11-18-{token}.log"
        written.write_bytes(past)
        written.chmod(0o600)
        home = tmp_path / "inner"
        for name in ("news", "keys"):
            (home / name).mkdir(parents=True)
        spools.product_of(home / "news")
        (home / "news" / "product.toml").write_text(kit.PRODUCT + DECLARES)
        key = spools.keys_of(home / "keys", "2026-W47", this)
        key.rename(key.with_name("intake-2026-W47.secret"))
        (home / "motd.json").write_bytes(kit.document())
        places = {"/var/log/mars/": server.logs, "/var/lib/mars/spool/": server.spools}
        for name, place in places.items():
            carried = re.compile(
                rf"^rsync .*--include='(\S+)' --exclude='\*' SERVER:{name} (\S+)$", re.M
            )
            inner, found = carried.subn(rf"mv {place}/\1 \2", inner)
            assert found == 1
        for _ in range(2):  # as on each day
            done = followed(re.sub("^mv .*", r"\g<0> || true", inner, flags=re.M), home)
            assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
        assert not list(server.spools.glob("*.log"))
    shown = run_json("counts", "show", "--db", f"sqlite:///{home}/counts.db")
    assert shown["hits"] == 3
    assert shown["statistics"] == {**spools.cells(30, "2026-W47"), **spools.cells(1, this)}
    assert (home / "site" / "data" / "statistics-2026-W47.json").exists()
    assert not list((home / "spool").iterdir()), "read to its end"


def test_what_declares_statistics_is_installed_with_the_product() -> None:
    for line in re.findall(r"^(?:install|cp) .*news/product\.toml.*$", DOC.read_text(), re.M):
        assert "news/metrics.toml" in line and "news/errors.toml" in line


def test_the_trial_on_an_empty_debian_follows_every_block() -> None:
    """``make soak ARGS=debian``; a block that it does not know would not be tried."""
    command = [sys.executable, "-m", "bench.debian"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
