"""The files of deploy/ say what the code does."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mars_server.onion.settings import OnionSettings, torrc

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
UNITS = ("mars-server", "mars-count", "mars-publish")
EXPOSURE = 2.0
"""The score of systemd-analyze that docs/operating.md promises; 0 is best, 10 worst."""


def test_the_torrc_is_the_one_that_is_printed() -> None:
    printed = torrc(OnionSettings("/var/lib/tor/mars", "unix:/run/mars/motd.sock"))
    assert printed in (DEPLOY / "torrc").read_text()


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_are_as_closed_as_we_say(unit: str) -> None:
    assert shutil.which("systemd-analyze"), "install systemd"
    command = ["systemd-analyze", "security", "--offline=true", str(DEPLOY / f"{unit}.service")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= EXPOSURE


def test_units_name_commands_that_exist() -> None:
    from mars_server.cli import cli

    commands = set(cli.list_commands(None))  # type: ignore[arg-type]
    for unit in UNITS:
        text = (DEPLOY / f"{unit}.service").read_text()
        assert set(re.findall(r"bin/mars-server (\w+)", text)) <= commands


def test_onionbalance_example_has_the_printed_form() -> None:
    assert "services:\n- key: " in (DEPLOY / "onionbalance" / "config.yaml").read_text()
