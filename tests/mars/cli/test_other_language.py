"""An application that is not written in Python: it has commands, files and lines, nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mars import factory
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.motd import Message
from tests.waiting import PATIENCE, until

COMMAND = str(Path(sys.executable).with_name("mars"))
URL = "http://127.0.0.1:8080/motd/motd.json"


class Application:
    """Starts the daemon as its child, reads its lines, and runs commands."""

    def __init__(self, folder: Path, socks: str) -> None:
        self.apps, self.state = folder / "apps", folder / "state"
        self.news = self.apps / "news.json"
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.socks = socks
        self.events: list[dict[str, Any]] = []
        self.publisher = Publisher()
        self.apps.mkdir()
        trust = self.publisher.trust_file(1000, built=factory.system_clock().now() - 3600)
        (self.apps / "trust.json").write_bytes(trust)
        (self.apps / "mail.toml").write_text(
            f'trust = "trust.json"\nversion = "0.5.1"\noutput = "news.json"\nurl = "{URL}"\n'
        )
        self.daemon = subprocess.Popen(
            [COMMAND, "daemon", self.apps, "--state", self.state, "--socks", socks, "--json"],
            stdout=subprocess.PIPE,
            text=True,
            env=self.environ,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.daemon.stdout is not None
        for line in self.daemon.stdout:
            self.events.append(json.loads(line))

    def end(self) -> None:
        self.daemon.send_signal(signal.SIGTERM)
        assert self.daemon.wait(PATIENCE) == 0
        self._reader.join(PATIENCE)

    def close(self) -> None:
        self.daemon.kill()
        self.daemon.wait()
        self._reader.join()
        assert self.daemon.stdout is not None
        self.daemon.stdout.close()

    def mars(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        done = subprocess.run(
            [COMMAND, *arguments, "--state", self.state, "--json"],
            capture_output=True,
            env=self.environ,
            timeout=60,
        )
        assert done.returncode == code, done.stderr + done.stdout
        table: dict[str, Any] = json.loads(done.stdout)
        return table

    def fetch(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        trust = str(self.apps / "trust.json")
        return self.mars("fetch", "--trust", trust, "--socks", self.socks, *arguments, code=code)

    def told(self, event: str, **members: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.events
            if line["event"] == event and members.items() <= line.items()
        ]


@pytest.fixture
def application(tmp_path: Path) -> Iterator[tuple[Application, SocksServer]]:
    with SocksServer(answering(b"")) as socks:
        app = Application(tmp_path, socks.address)
        try:
            yield app, socks
        finally:
            app.close()


def test_it_can_do_all_that_one_in_python_can(
    application: tuple[Application, SocksServer],
) -> None:
    app, socks = application
    until(lambda: app.told("status", app="mail"))
    (start,) = app.told("reload")
    assert (start["ok"], start["serving"], start["problems"]) == (True, ["mail"], {})
    before = app.told("status")[-1]
    assert (before["level"], before["next"], before["running"]) == ("off", None, True)
    assert before["check"]["reason"] == "no-consent"

    # The consent screen: what a choice would send, nothing stored.
    choice = ("--level", "tracked", "--variable", "v", "--variable", "cc", "--country", "is")
    shown = app.mars("preview", *choice)
    assert shown["url"] in (f"{URL}?v=0.5.1", f"{URL}?v=0.5.1&cc=IS"), "as it was drawn"
    assert app.mars("preview", code=1)["reason"] == "no-consent"
    assert app.fetch("--check", code=1)["reason"] == "no-consent"

    # The decision, which the daemon sees without being told.
    granted = app.mars("consent", "grant", "tracked", *choice[2:])
    assert (granted["level"], granted["country"], granted["direct"]) == ("tracked", "IS", False)
    assert app.mars("preview")["bytes"] == shown["bytes"]
    assert app.mars("status")["next"] is not None
    until(lambda: app.told("status", level="tracked", country="IS"))
    assert app.told("status")[-1]["next"] is not None

    # Check now: plain, and once an hour. The news come as event and as file.
    now = factory.system_clock().now()
    message = Message(id="m", title={"en": "Þetta"}, severity="critical")
    socks.handler = answering(ok(app.publisher.document(now - 60, messages=(message,))))
    fetched = app.fetch("--check")
    assert (fetched["level"], fetched["url"]) == ("plain", URL)
    assert app.fetch("--check", code=1)["reason"] == "too-early"
    until(lambda: app.told("status", serial=fetched["serial"]))
    (event,) = app.told("message", app="mail")
    assert (event["id"], event["title"], event["severity"]) == ("m", "Þetta", "critical")
    news = json.loads(app.news.read_text())
    assert (news["serial"], news["level"]) == (fetched["serial"], "tracked")
    assert news["messages"][0]["title"] == "Þetta"

    # The record, and the end of it all.
    (entry,) = app.mars("journal")["entries"]
    assert (entry["level"], entry["url"], entry["reason"]) == ("plain", URL, None)
    assert app.mars("consent", "revoke")["country"] is None
    until(lambda: app.told("status", level="off", next=None, country=None))
    until(lambda: json.loads(app.news.read_text())["level"] == "off")
    app.end()
    assert len(app.told("message")) == 1


def test_a_daemon_whose_reader_is_gone_ends(tmp_path: Path) -> None:
    (tmp_path / "mail.trust").write_bytes(Publisher().trust().encode())
    (tmp_path / "mail.toml").write_text('trust = "mail.trust"\nstate = "state"\n')
    with subprocess.Popen(
        [COMMAND, "daemon", tmp_path, "--state", tmp_path / "root", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    ) as daemon:
        assert daemon.stdout is not None
        assert daemon.stderr is not None
        try:
            assert json.loads(daemon.stdout.readline())["event"] == "reload"
            daemon.stdout.close()
            (tmp_path / "mail.toml").write_text('trust = "mail.trust"\nstate = "other"\n')
            daemon.send_signal(signal.SIGHUP)
            assert daemon.wait(PATIENCE) == 1
        finally:
            daemon.kill()
        assert b"Traceback" not in daemon.stderr.read()


def test_two_applications_never_share_a_folder(
    application: tuple[Application, SocksServer],
) -> None:
    app, _ = application
    until(lambda: app.told("status"))
    (app.apps / "other.trust").write_bytes(Publisher(product="otherapp").trust().encode())
    (app.apps / "other.toml").write_text('trust = "other.trust"\n')
    app.daemon.send_signal(signal.SIGHUP)
    until(lambda: len(app.told("reload")) == 2)
    problems = app.told("reload")[-1]["problems"]
    assert {name: told["reason"] for name, told in problems.items()} == {
        "mail": "state-shared",
        "other": "state-shared",
    }
    (app.apps / "other.toml").write_text('trust = "other.trust"\nstate = "other"\n')
    app.daemon.send_signal(signal.SIGHUP)
    until(lambda: len(app.told("reload")) == 3)
    assert app.told("reload")[-1]["serving"] == ["mail", "other"]
    app.end()


@pytest.mark.parametrize("socks", ["foo", "", "127.0.0.1:70000", "127.0.0.1:0", "tor.example:9050"])
@pytest.mark.parametrize("command", ["fetch", "doctor", "daemon"])
def test_what_is_no_address_of_tor_is_refused_by_each_command(
    tmp_path: Path, command: str, socks: str
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_bytes(Publisher().trust().encode())
    given = {
        "fetch": ("--trust", trust, "--level", "plain", "--url", trust.as_uri()),
        "doctor": (),
        "daemon": (tmp_path,),
    }
    done = subprocess.run(
        [COMMAND, command, *given[command], "--socks", socks, "--json"],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        timeout=60,
    )
    assert (done.returncode, json.loads(done.stdout)["reason"]) == (1, "socks-address")
