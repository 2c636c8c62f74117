"""The real logrotate under the real nginx and Caddy: each answer counts once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.server.counting import webservers
from tests.server.counting.commands import product, run, run_json
from tests.server.serving import kit
from tests.server.serving.test_fronts import Front, front
from tests.waiting import until

CONFIG = """
{log} {{
    daily
    rotate 14
    {how}
    postrotate
        {then}
    endscript
}}
"""
GET = b"GET /motd/motd.json?v=0.5.2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def _logrotate() -> None:
    if (reason := webservers.missing("logrotate")) is not None:
        pytest.skip(reason)


def rotate(log: Path, how: str = "nocopytruncate", then: str = "true") -> None:
    config, state = log.parent.parent / "rotate.conf", log.parent.parent / "rotate.state"
    config.write_text(CONFIG.format(log=log, how=how, then=then))
    config.chmod(0o644)
    command = ["logrotate", "--force", "--state", str(state), str(config)]
    path = f"{os.environ['PATH']}:/usr/sbin"
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.stderr


def lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def answers(theirs: Front, log: Path, count: int) -> None:
    before = lines(log)
    for _ in range(count):
        assert kit.status(theirs.ask(kit.golden("v=0.5.2"))) == 200
    until(lambda: lines(log) == before + count)


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_rotated_as_the_head_of_the_configuration_advises(name: str, tmp_path: Path) -> None:
    """By rename. nginx opens its log anew at a signal; Caddy must be restarted."""
    url = f"sqlite:///{tmp_path}/c.db"
    with front(name, b"{}") as theirs:
        told = ("count", theirs.log, "--product", product(tmp_path), "--db", url)
        log = theirs.log / ("access.log" if name == "nginx.conf" else "access.json")
        for _ in range(3):
            answers(theirs, log, 5)
            assert run_json(*told)["hits"] == 5
            answers(theirs, log, 2)
            if name == "nginx.conf":
                rotate(log, then=f"kill -USR1 {theirs.process.pid}")
                until(log.exists)
            else:
                rotate(log)
                theirs.stop()
                theirs.start()
            assert lines(log) == 0
            assert lines(log.with_name(f"{log.name}.1")) == 7
            assert run_json(*told)["hits"] == 2
        assert run(*told).stderr == b""
    assert run_json("counts", "show", "--db", url)["hits"] == 21


@pytest.mark.parametrize("compress", ["compress", "nocompress"])
def test_copytruncate_under_caddy_leaves_nuls_and_every_hit_counts(
    tmp_path: Path, compress: str
) -> None:
    """Caddy does not append to a log that it made. This one holds times, unlike ours."""
    if (reason := webservers.missing("caddy")) is not None:
        pytest.skip(reason)
    url = f"sqlite:///{tmp_path}/c.db"
    with webservers.web_server("caddy") as server:
        log = server.logs["json"]
        told = ("count", f"{log}*", "--product", product(tmp_path), "--db", url)
        for turn in range(3):
            for _ in range(4):
                assert b" 200 " in webservers.send(server.port, GET)
            until(lambda: lines(log) == 4)
            assert log.read_bytes().startswith(b"\0") is (turn > 0)
            assert run_json(*told)["hits"] == 4
            rotate(log, f"copytruncate\n    {compress}")
        assert run(*told).stderr == b""
    assert run_json("counts", "show", "--db", url)["hits"] == 12
