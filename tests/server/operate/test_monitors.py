"""What monitors get of ``status``: a plugin's line, a textfile, a port on loopback."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mars.errors import ConfigError
from mars.wire.times import DAY
from mars_server.common.config import Config
from mars_server.operate import monitors
from mars_server.operate.status import Check, examine
from mars_server.serving.bind import Bind, parse_metrics
from mars_server.serving.disk import Usage, hundredths
from tests.server.cli.test_ops import run
from tests.server.operate.watched import NOW, database, watched
from tests.server.serving import kit
from tests.waiting import until

SHOWN = r"'\w+'=-?[\d.]+[s%]?;[\d.:]*;[\d.:]*"
LINE = re.compile(rf"MARS (OK|WARNING|CRITICAL) - [^|\n]+ \| {SHOWN}(?: {SHOWN})*")
"""monitoring-plugins.org, "Plugin Output for Nagios" and "Performance data"."""
CODES = {"OK": 0, "WARNING": 1, "CRITICAL": 2}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    with watched(tmp_path_factory.mktemp("s")) as config:
        yield config


def settings(folder: Path, config: Config) -> Path:
    names = ("bind", "motd", "log", "product", "trust", "db")
    path = folder / "server.toml"
    path.write_text("".join(f'{name} = "{getattr(config, name)}"\n' for name in names))
    return path


@pytest.mark.parametrize(
    ("days", "gone", "word"),
    [(0, False, "OK"), (12, False, "WARNING"), (12, True, "CRITICAL")],
)
def test_a_plugin_says_by_its_exit_code_how_everything_is(
    served: Config, tmp_path: Path, days: int, gone: bool, word: str
) -> None:
    config = replace(served, db=database(tmp_path / "counts.db", counted=NOW - days * DAY))
    config = replace(config, bind=f"unix:{tmp_path}/s") if gone else config
    done = run("status", "--nagios", "--config", str(settings(tmp_path, config)))
    first, *rest = done.stdout.splitlines()
    found = LINE.fullmatch(first)
    assert found is not None, first
    assert (found[1], done.returncode) == (word, CODES[word])
    assert (f"last counted {days} days ago" in first) == bool(days)
    assert first.index("server: nobody") < first.index("count: last") if gone else True
    assert len(rest) == len(examine(config, NOW)), "a line for each check"
    age = re.search(r"'count_age'=(\d+)s;172800;", first)
    assert age is not None
    assert int(age[1]) // DAY == days


def test_what_a_plugin_cannot_look_at_is_unknown(tmp_path: Path) -> None:
    none = str(tmp_path / "none.toml")
    for arguments in (["--config", none], ["--json"], ["--what"], ["--config"]):
        done = run("status", "--nagios", *arguments)
        assert done.returncode == 3, arguments
        assert done.stdout.startswith("MARS UNKNOWN - ")
        assert len(done.stdout.splitlines()) == 1
    assert run("status", "--config", none).returncode == 1
    assert run("status", "--what").returncode == 2


def test_a_bar_in_a_text_does_not_become_performance_data() -> None:
    checks = {"motd": Check("warn", "a|b"), "tor": Check("not-set", "c|d")}
    code, lines = monitors.plugin(checks, NOW)
    assert code == 1
    assert "\n".join(lines).count("|") == 1


def test_the_textfile_is_whole_and_readable_and_says_what_json_says(
    served: Config, tmp_path: Path
) -> None:
    config = replace(served, db=database(tmp_path / "counts.db"))
    file, out = settings(tmp_path, config), tmp_path / "out"
    out.mkdir()
    old = os.umask(0o077)
    try:
        quiet = run("status", "--config", str(file), "--textfile", str(out / "mars.prom"))
    finally:
        os.umask(old)
    assert (quiet.returncode, quiet.stdout) == (0, "")
    assert [path.name for path in out.iterdir()] == ["mars.prom"]
    assert (out / "mars.prom").stat().st_mode & 0o777 == 0o644
    text = (out / "mars.prom").read_text()
    lint = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
    samples = samples_of(text)
    done = run("status", "--config", str(file), "--json")
    for name, check in json.loads(done.stdout)["checks"].items():
        level = {"ok": 0, "warn": 1, "fail": 2, "not-set": None}[check["state"]]
        assert samples.get(f'mars_check_state{{check="{name}"}}') == level
        for metric, value in check["metrics"].items():
            assert samples[metric] == value
    wrong = run("status", "--config", str(file), "--textfile", str(tmp_path / "none" / "x"))
    assert (wrong.returncode, "No such file" in wrong.stderr) == (1, True)


def samples_of(text: str) -> dict[str, float]:
    """By name and labels, of the text format."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line[:1] != "#")
    return {name: float(value) for name, _, value in lines}


def test_no_answer_and_no_report_can_be_timed_by_what_monitors_get(tmp_path: Path) -> None:
    with kit.served(unix=True, folder=tmp_path, spool=True) as server:
        config = Config(
            bind=f"unix:{server.path}", motd=str(tmp_path / "motd.json"), log=str(server.logs),
            product=str(tmp_path / "product.toml"), spool=str(server.spools),
        )  # fmt: skip
        said = [told(config)]
        for _ in range(40):
            server.get("v=0.5.2")
            assert b" 204 " in server.ask(kit.post(b"x" * 1024))
        server.settled(40)
        until(lambda: sum(p.stat().st_size for p in server.spools.iterdir()) > 40 * 1024)
        said.append(told(config))
        assert said[0] == said[1]
        for lost in (3, 7):
            lacking = f"access-2026-11-20-{'a' * 32}-lost{lost}.part"
            (server.logs / lacking).write_bytes(b"line\n")
            said.append(told(config))
            (server.logs / lacking).unlink()
    assert "answer(s) are missing in the logs" in said[2][1][0]
    assert said[2] == said[3]


def test_of_a_disk_there_is_told_less_than_one_report_moves() -> None:
    before, after = Usage(123_456_789, 10**9), Usage(123_456_789 - 22_000, 10**9)
    assert hundredths(before) == hundredths(after) == 0.12


def told(config: Config) -> tuple[bytes, list[str]]:
    checks = {name: one for name, one in examine(config, NOW).items() if name != "disk"}
    return monitors.metrics(checks, NOW), monitors.plugin(checks, NOW)[1]


def test_metrics_are_told_on_a_loopback_port(tmp_path: Path) -> None:
    with kit.served("--metrics", "127.0.0.1:0", unix=True, folder=tmp_path) as server:
        server.wait_for("metrics on 127.0.0.1:")
        (port,) = re.findall(r"metrics on 127\.0\.0\.1:(\d+)", server.stderr)
        with socket.create_connection(("127.0.0.1", int(port)), timeout=30) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            text = kit.body(kit.read_all(sock)).decode()
        assert {"mars_log_healthy", "mars_disk_free_ratio"} <= set(samples_of(text))
        assert 0 < samples_of(text)["mars_disk_free_ratio"] < 1
        assert not list(tmp_path.glob("127*"))


@pytest.mark.parametrize(
    "text",
    ["0.0.0.0:9464", "192.0.2.1:9464", "[::]:9464", "example.org:9464", ":9464", "9464",
     "127.0.0.1", "localhost", "127.0.0.1:99999", "metrics.sock", ""],
)  # fmt: skip
def test_metrics_are_told_neither_to_the_network_nor_in_a_file_of_an_address(
    text: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="metrics"):
        parse_metrics(text)
    if text:
        kit_files(tmp_path)
        command = kit.command(tmp_path, f"unix:{tmp_path}/s", "--metrics", text)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert re.search(r"\[bind-(public|invalid)\]", done.stderr)
        assert not (tmp_path / text).exists()


def kit_files(folder: Path) -> None:
    (folder / "product.toml").write_text(kit.PRODUCT)
    (folder / "motd.json").write_bytes(kit.document())


def test_metrics_are_told_at_a_path_or_on_loopback() -> None:
    assert parse_metrics("unix:/run/m") == parse_metrics("/run/m") == Bind(path="/run/m")
    assert parse_metrics("./m:1") == Bind(path="./m:1")
    assert parse_metrics("localhost:9464") == Bind(host="127.0.0.1", port=9464)
    assert parse_metrics("[::1]:9464") == Bind(host="::1", port=9464)
