"""The files of deploy/ say what the code does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mars_server.common.config import parse_config, template
from mars_server.onion.settings import OnionSettings, torrc
from tests.server.cli.test_ops import run

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = ("mars-server", "mars-count", "mars-publish", "mars-status")
HOOK = "mars-failed@"
OPERATING = DEPLOY.parent / "docs" / "operating.md"


def test_the_torrc_is_the_one_that_is_printed() -> None:
    printed = torrc(OnionSettings("/var/lib/tor/mars", "unix:/run/mars/motd.sock"))
    assert printed in (DEPLOY / "torrc").read_text()


@pytest.mark.parametrize("unit", [*UNITS, HOOK])
def test_the_units_are_as_closed_as_we_say(unit: str) -> None:
    printed = analyzed("security", "--offline=true", str(DEPLOY / f"{unit}.service"))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", printed)
    assert found is not None, printed
    (table,) = re.findall(r"systemd 252\n`systemd-analyze .*?\)", OPERATING.read_text(), re.DOTALL)
    said = {name: float(n) for n, name in re.findall(r"([\d.]+) of\s+`([\w@-]+)`", table)}
    # Later versions of systemd find less to complain of in the same unit.
    assert float(found[1]) <= said[unit]


def test_systemd_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    """With a program that is there in the place of ours."""
    for unit in (*UNITS, HOOK):
        for path in DEPLOY.glob(f"{unit}.*"):
            text = re.sub(
                "/opt/mars/bin/mars-server|(?<=ExecStart=)/etc/mars/on-failure",
                "/bin/true",
                path.read_text(),
            )
            (tmp_path / path.name).write_text(text)
    assert analyzed("verify", *map(str, sorted(tmp_path.iterdir()))) == ""


def test_every_unit_that_fails_calls_the_hook_and_the_hook_sees_no_log() -> None:
    ours = {path.stem for path in DEPLOY.glob("mars-*.service")} - {HOOK, "mars-daemon"}
    assert ours == set(UNITS)
    for unit in UNITS:
        (head, _) = (DEPLOY / f"{unit}.service").read_text().split("[Service]")
        assert f"\nOnFailure={HOOK}%n.service\n" in head
    hook = (DEPLOY / f"{HOOK}.service").read_text()
    assert "OnFailure" not in hook
    assert "\nExecStart=/etc/mars/on-failure %i\n" in hook
    assert "\nConditionFileIsExecutable=/etc/mars/on-failure\n" in hook
    settings = parse_config(template().encode())
    closed = re.findall(r"^InaccessiblePaths=(.*)$", hook, re.MULTILINE)[0].split()
    for path in (settings.log, settings.site, settings.db.removeprefix("sqlite:///")):
        assert any(Path(path).is_relative_to(one.removeprefix("-")) for one in closed)


def test_the_textfile_lies_where_node_exporter_may_read_it() -> None:
    unit = (DEPLOY / "mars-status.service").read_text()
    (file,) = re.findall(r"--textfile (\S+)$", unit, re.MULTILINE)
    (folder,) = re.findall(r"^RuntimeDirectory=(.*)$", unit, re.MULTILINE)
    assert Path(file).parent == Path("/run", folder)
    assert "\nRuntimeDirectoryMode=0755\nRuntimeDirectoryPreserve=yes\n" in unit
    assert "\nSuccessExitStatus=1\n" in unit
    assert f"ln -s {file} /var/lib/prometheus/node-exporter/" in OPERATING.read_text()


def analyzed(*arguments: str) -> str:
    assert shutil.which("systemd-analyze"), "install systemd"
    command = ["systemd-analyze", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


def test_tor_and_the_server_can_reach_each_other() -> None:
    """What an empty Debian lacks: each of these was found missing by following the page."""
    text = OPERATING.read_text()
    unit = (DEPLOY / "mars-server.service").read_text()
    assert "--groups debian-tor mars" in text  # our user reads tor's cookie ...
    assert "SupplementaryGroups=debian-tor" in unit
    assert "DataDirectoryGroupReadable 1" in text  # ... and the address
    socket = Path(parse_config(template().encode()).bind.removeprefix("unix:"))
    folder = (DEPLOY / "mars.tmpfiles").read_text()  # tor enters the socket's folder ...
    assert f"\nd {socket.parent} 2750 mars debian-tor\n" in folder
    assert "deploy/mars.tmpfiles" in text
    assert f"ReadWritePaths={socket.parent}\n" in unit
    assert "RuntimeDirectory=" not in unit.replace("RuntimeDirectory=,", "")
    assert "debian-tor" not in re.findall(r"^(?:usermod|useradd) .* (\S+)$", text, re.MULTILINE)
    profile = (DEPLOY / "apparmor").read_text()  # ... though its profile knows no such socket
    assert f"\n{socket} rw,\n" in profile
    for name in UNITS:
        text = (DEPLOY / f"{name}.service").read_text()
        assert "LogsDirectoryMode=0700" in text  # not even our own group
        assert "StateDirectoryMode=0700" in text


@pytest.mark.parametrize("timer", sorted(DEPLOY.glob("*.timer")), ids=lambda path: path.stem)
def test_timers_run_at_the_same_moment_in_every_zone(timer: Path) -> None:
    """East of UTC+5 a Wednesday's 04:00 is a Tuesday, on which the week is not published yet."""
    (calendar,) = re.findall(r"^OnCalendar=(.*)$", timer.read_text(), re.MULTILINE)
    after = "--base-time=2026-11-22 00:00:00 UTC"
    command = ["systemd-analyze", "calendar", after, calendar]
    moments = set()
    for zone in ("UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        done = subprocess.run(
            command, env={**os.environ, "TZ": zone}, capture_output=True, text=True, check=True
        )
        # In UTC systemd prints the line "(in UTC)" only where the local zone is another.
        moments.add(re.findall(r"\d{4}-\d\d-\d\d [\d:]+ UTC", done.stdout)[-1])
    assert len(moments) == 1, moments


def test_units_name_commands_that_exist() -> None:
    from mars_server.cli import cli

    commands = set(cli.list_commands(None))  # type: ignore[arg-type]
    for unit in UNITS:
        text = (DEPLOY / f"{unit}.service").read_text()
        assert set(re.findall(r"bin/mars-server (\w+)", text)) <= commands


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_the_head_of_a_front_says_what_to_change_and_which_torrc_it_takes(name: str) -> None:
    text = (DEPLOY / name).read_text()
    head = text[: re.search(r"^[^#]", text, re.MULTILINE).start()]  # type: ignore[union-attr]
    numbers = ("no", "one", "two", "three", "four", "five", "six", "seven")
    marks = text.removeprefix(head).count("# CHANGE")
    assert f"the {numbers[marks]} lines marked CHANGE" in head
    command = re.search(r"mars-server (onion torrc .*)", head)
    assert command is not None
    done = run(*command[1].split())
    target = re.search(r"--to (\S+)", command[1])
    assert target is not None
    assert f"HiddenServicePort 80 {target[1]}\n" in done.stdout
    path = target[1].removeprefix("unix:")
    for own in re.findall(r"\S*/run/\S*http.sock", text.removeprefix(head)):
        assert own.endswith(path)
    assert "ExportCircuitID" not in done.stdout
    assert "HiddenServicePoWDefensesEnabled 1" in done.stdout


def test_every_folder_that_the_settings_name_is_made_before_they_are_checked() -> None:
    """``check`` runs before the unit has made any; a folder of /run is known to come with it."""
    text = OPERATING.read_text().partition("## The onion service")[2]
    before, check, _ = text.partition("mars-server check --config /etc/mars/server.toml")
    assert check
    made = {
        path
        for line in re.findall(r"^install -d .*", before, re.MULTILINE)
        for path in re.findall(r" (/\S+)", line)
    }
    settings = parse_config(template().encode())
    database = settings.db.removeprefix("sqlite:///")
    named = (settings.motd, settings.product, settings.trust, settings.site, database)
    assert {str(Path(path).parent) for path in named} | {settings.log} <= made


def test_units_name_no_setting_but_the_file_of_all() -> None:
    for unit in UNITS:
        text = (DEPLOY / f"{unit}.service").read_text()
        started = re.findall(r"^ExecStart\w*=\S+ (.*)$", text, re.MULTILINE)
        assert started
        for line in started:
            assert re.fullmatch(r"\w+ --config /etc/mars/server\.toml( --textfile \S+)?", line)
        assert "EnvironmentFile" not in text


def test_onionbalance_example_has_the_printed_form() -> None:
    assert "services:\n- key: " in (DEPLOY / "onionbalance" / "config.yaml").read_text()
