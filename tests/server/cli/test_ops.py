"""What an operator uses from day to day, run as commands."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mars.wire.times import DAY
from mars_server.common.config import Config, Limits, parse_config, template
from tests.server.counting.commands import completed
from tests.server.serving import kit

HALF_A_DAY = DAY // 2
"""Seconds: as far from either number of whole days as the clock can be."""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A process of its own for ``status``, which as root becomes another user."""
    if arguments[0] != "status":
        return completed(*arguments)
    done = subprocess.run([kit.COMMAND, *arguments], capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr
    return done


def config(folder: Path, bind: str, **more: str) -> Path:
    """A server.toml for the files of ``kit``."""
    values = {
        "bind": bind,
        "motd": str(folder / "motd.json"),
        "log": str(folder / "log"),
        "product": str(folder / "product.toml"),
        **more,
    }
    path = folder / "server.toml"
    path.write_text("".join(f'{name} = "{value}"\n' for name, value in values.items()))
    return path


def test_init_writes_a_file_that_says_what_is_default_and_never_overwrites(tmp_path: Path) -> None:
    assert run("init", str(tmp_path)).returncode == 0
    written = tmp_path / "server.toml"
    assert written.read_text() == template()
    again = run("init", str(written))
    assert again.returncode == 1
    assert "[exists]" in again.stderr
    parsed = parse_config(template().encode())
    assert parsed.limits == Limits()
    quoted = dict(re.findall(r"^# (\w+) = ([\d.]+) ", template(), re.MULTILINE))
    for name, value in quoted.items():
        assert getattr(Limits(), name) == float(value), name


@pytest.mark.parametrize(
    "text",
    ["bnd = 1", "workers = 0", "workers = true", "hosts = 'a'", "[limits]\nidle = 'x'", "a = ",
     "[onion]\nfolder = 1", "limits = 3", "[limits]\nlimits = 1"],
)  # fmt: skip
def test_a_wrong_entry_is_named(text: str) -> None:
    with pytest.raises(Exception, match="config-invalid"):
        parse_config(text.encode())


def test_check_finds_what_serve_would_refuse(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "motd.json").write_bytes(kit.document())
    good = config(tmp_path, f"unix:{tmp_path}/s")
    assert run("check", "--config", str(good)).returncode == 0
    (tmp_path / "motd.json").write_bytes(kit.document(age=50 * 86_400))
    public = config(tmp_path, "0.0.0.0:80")
    done = run("check", "--config", str(public), "--json")
    assert done.returncode == 1
    problems = " ".join(json.loads(done.stdout)["problems"])
    assert "[bind-public]" in problems
    assert "[expired]" in problems


def test_check_notes_that_there_are_no_answers_to_reports(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT + '[reports]\nreleases = ["0.5.2"]\n')
    (tmp_path / "motd.json").write_bytes(kit.document())
    file = str(config(tmp_path, f"unix:{tmp_path}/s"))
    notes = " ".join(json.loads(run("check", "--config", file, "--json").stdout)["notes"])
    assert "status.json is not there" in notes
    (tmp_path / "status.json").write_text("{}")
    notes = " ".join(json.loads(run("check", "--config", file, "--json").stdout)["notes"])
    assert "status.json is not there" not in notes


def test_status_joins_what_there_is_and_fails_when_the_server_is_gone(tmp_path: Path) -> None:
    good = kit.document(lifetime=45 * DAY - HALF_A_DAY)
    with kit.served(unix=True, folder=tmp_path, motd_file=good) as server:
        file = config(tmp_path, f"unix:{server.path}", db=f"sqlite:///{tmp_path}/counts.db")
        done = run("status", "--config", str(file), "--json")
        assert done.returncode == 0, done.stdout
        checks = json.loads(done.stdout)["checks"]
        assert {name: check["state"] for name, check in checks.items()} == {
            "motd": "warn", "answers": "not-set",
            "server": "ok", "tor": "not-set", "onion": "not-set", "log": "ok",
            "spool": "not-set",
            "count": "warn", "publication": "warn", "doctor": "warn",
            "disk": checks["disk"]["state"],
        }  # fmt: skip
        assert checks["motd"]["days_left"] == 44
        server.stop()
        assert server.lines() == [], "a look at ourselves is no hit"
    done = run("status", "--config", str(file))
    assert done.returncode == 1
    assert re.search(r"^fail +server", done.stdout, re.MULTILINE)


def test_doctor_reads_every_line(tmp_path: Path) -> None:
    with kit.served(folder=tmp_path) as server:
        server.get("v=0.5.2&os=linux")
        server.get("v=%00evil")
        server.stop()
    log = tmp_path / "log"
    assert run("doctor", "--log", str(log)).returncode == 0
    (path,) = log.glob("*.log")
    with path.open("a") as file:
        file.write('192.0.2.7 - - [22/Nov/2026:10:11:12 +0000] "GET / HTTP/1.1" 200 1 "-" "x"\n')
    done = run("doctor", "--log", str(log), "--json")
    assert done.returncode == 1
    broken = [entry["name"] for entry in json.loads(done.stdout)["findings"] if not entry["ok"]]
    assert broken == ["lines"]
    assert "192.0.2.7" not in done.stdout + done.stderr
    path.chmod(0o644)
    (log / "nginx.log").write_text("x\n")
    done = run("doctor", "--log", str(log), "--json")
    broken = [entry["name"] for entry in json.loads(done.stdout)["findings"] if not entry["ok"]]
    assert broken == ["files", "lines", "modes"]


def _old_log(folder: Path, days: int, lines: int) -> Path:
    day = datetime.now(UTC) - timedelta(days=days)
    token = f"{days:032x}"
    path = folder / f"access-{day.date().isoformat()}-{token}.log"
    stamp = day.strftime("[%d/%b/%Y:00:00:00 +0000]")
    line = f'- - - {stamp} "GET /motd/motd.json?v=0.5.2&os=linux HTTP/1.1" 200 530 "-" "-"\n'
    path.write_text(f"# mars access log v1 id={token}\n" + line * lines)
    path.chmod(0o640)
    return path


def test_logs_go_once_they_are_counted_and_published(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    log = tmp_path / "log"
    log.mkdir(mode=0o750)
    old, fresh = _old_log(log, 20, 100), _old_log(log, 0, 100)
    options = ("--db", f"sqlite:///{tmp_path}/counts.db")
    product = ("--product", str(tmp_path / "product.toml"))

    def retained() -> list[str]:
        done = run("retain", "--log", str(log), *options, "--json")
        assert done.returncode == 0, done.stderr
        names: list[str] = json.loads(done.stdout)["logs"]
        return names

    assert run("count", str(log), *product, *options).returncode == 0
    assert retained() == []
    done = run("publish", *options, "--out", str(tmp_path / "site"), *product)
    assert done.returncode == 0, done.stderr
    before = run("doctor", "--log", str(log), *options)
    assert before.returncode == 1
    assert "mars-server retain" in before.stdout
    content = old.read_bytes()
    old.write_bytes(content.replace(b"id=0", b"id=f"))
    assert retained() == []  # another log under its name
    old.write_bytes(content)
    assert retained() == [old.name]
    assert run("doctor", "--log", str(log), *options).returncode == 0
    assert [path.name for path in log.iterdir()] == [fresh.name]


def test_systemd_is_told_and_the_watchdog_fed(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "motd.json").write_bytes(kit.document())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        manager.settimeout(20)
        process = subprocess.Popen(
            kit.command(tmp_path, f"unix:{tmp_path}/s", "--workers", "2"),
            stderr=subprocess.DEVNULL,
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(tmp_path / "n"),
                "WATCHDOG_USEC": "10000000",
            },
        )
        try:
            assert manager.recv(1000).startswith(b"READY=1\nSTATUS=serving serial ")
            assert manager.recv(1000) == b"WATCHDOG=1"
            process.send_signal(signal.SIGTERM)
            while manager.recv(1000) != b"STOPPING=1":
                pass
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()


def test_the_published_site_is_served_from_a_fixed_table(tmp_path: Path) -> None:
    with kit.served("--site", str(tmp_path / "site"), unix=True) as server:
        answer = server.ask(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert kit.status(answer) == 200
        assert b"Content-Security-Policy: default-src 'none'" in answer
        assert b"Server:" not in answer
        assert b"Date:" not in answer
        assert kit.body(server.get("os=linux")) == server.body
        assert server.stop() == 0
        assert len(server.lines()) == 1


def test_defaults_of_a_config_are_those_of_an_empty_file() -> None:
    assert parse_config(b"") == Config()
