"""A whole server off the network, as one command runs it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from mars.testing.publisher import Publisher
from tests.server.counting.commands import PROGRAM, completed
from tests.server.serving import kit
from tests.waiting import PATIENCE, until

PUBLISHER = Publisher()
END = 10.0
"""Seconds in which all of it must be gone."""


@pytest.fixture
def place() -> Iterator[Path]:
    """Short, for sockets; with the publisher's product.toml."""
    with tempfile.TemporaryDirectory(prefix="mars-up-", dir="/tmp") as folder:
        here = Path(folder)
        (here / "product.toml").write_text(kit.PRODUCT)
        (here / "torrc").write_text("DisableNetwork 1\n")
        yield here


def handed_over(data: Path) -> None:
    """What the publisher makes once he knows the address."""
    (data / "trust.json").write_bytes(PUBLISHER.trust().encode())
    (data / "motd.json").write_bytes(PUBLISHER.document(int(time.time()) - 60))


class Running:
    def __init__(self, place: Path, process: subprocess.Popen[bytes]) -> None:
        self.place, self.process, self.data = place, process, place / "data"

    @property
    def said(self) -> str:
        return (self.place / "stderr").read_text()

    @property
    def shown(self) -> str:
        return (self.place / "stdout").read_text()

    def says(self, text: str, times: int = 1) -> None:
        until(lambda: self.said.count(text) >= times or self.process.poll() is not None)
        assert self.said.count(text) >= times, self.said

    def children(self, word: str) -> list[psutil.Process]:
        found = psutil.Process(self.process.pid).children()
        with suppress(psutil.ZombieProcess):
            return [child for child in found if word in child.cmdline()]
        return self.children(word)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        family = psutil.Process(self.process.pid).children(recursive=True)
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert time.monotonic() - began < END
        assert not [child for child in family if child.is_running()]
        return code


@contextmanager
def up(place: Path, *more: object) -> Iterator[Running]:
    told = ("--data", place / "data", "--torrc", place / "torrc", *more)
    with (place / "stdout").open("wb") as out, (place / "stderr").open("wb") as err:
        command = [*PROGRAM, "up", *map(str, told)]
        process = subprocess.Popen(command, stdout=out, stderr=err, start_new_session=True)
    running = Running(place, process)
    try:
        until(lambda: "the first figures" in running.shown or process.poll() is not None)
        yield running
    finally:
        if process.poll() is None:
            running.stop()


def test_one_command_waits_for_the_document_then_serves_counts_and_publishes(place: Path) -> None:
    with up(place, "--product", place / "product.toml") as running:
        address = re.match(r"http://[a-z2-7]{56}\.onion\n", running.shown)
        assert address is not None, running.said
        assert f'servers = ["{address[0].strip()}"]' in running.shown
        assert running.shown.count("waiting for") == 2
        assert not running.children("serve")
        handed_over(running.data)
        running.says("serving serial")
        running.says("doctor begins")
        until(lambda: not running.children("doctor"))
        assert (running.data / "site/index.html").exists()
        assert re.findall(r"(\w+) begins", running.said) == ["count", "publish", "retain", "doctor"]
        with kit.connect_unix(str(running.data / "run/motd.sock")) as sock:
            sock.sendall(kit.golden())
            assert kit.status(kit.read_all(sock)) == 200
        assert running.stop() == 0
    [log] = (running.data / "log").glob("access-*")
    assert log.suffix == ".log", "whole, with no part left open"
    for path in (running.data, running.data / "run", running.data / "server.toml"):
        assert path.stat().st_mode & 0o077 == 0, path
    with up(place) as again:
        assert again.shown.startswith(address[0]), "the same address"
        assert "waiting" not in again.shown
        again.says("serving serial")
        assert again.stop(signal.SIGINT) == 0


def test_a_second_one_on_the_same_folder_is_refused(place: Path) -> None:
    with up(place, "--product", place / "product.toml") as running:
        assert running.shown
        done = completed("up", "--data", running.data)
        assert done.returncode == 1
        assert "[locked]" in done.stderr
        assert running.process.poll() is None


def test_what_ends_is_started_again(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    handed_over(data)
    with up(place, "--product", place / "product.toml") as running:
        running.says("serving serial")
        [server] = running.children("serve")
        server.kill()
        running.says("the server ended with code -9; again in")
        tor = next(
            child
            for child in psutil.Process(running.process.pid).children()
            if child.name() == "tor"
        )
        tor.kill()
        running.says("tor ended")
        running.says("serving serial", times=2)
        running.says("onion service http://", times=2)
        until(
            lambda: any(c.name() == "tor" for c in psutil.Process(running.process.pid).children())
        )


def test_what_runs_ends_with_a_process_that_is_killed(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    handed_over(data)
    with up(place, "--product", place / "product.toml") as running:
        running.says("serving serial")
        family = psutil.Process(running.process.pid).children(recursive=True)
        running.process.kill()
        running.process.wait()
        until(lambda: not [child for child in family if child.is_running()])
    assert len(family) >= 2


def test_a_job_that_fails_is_told_and_the_server_serves_on(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    handed_over(data)
    (data / "counts.db").write_bytes(b"no database" * 500)
    with up(place, "--product", place / "product.toml") as running:
        running.says("count ended with code 1; again in an hour")
        assert "publish begins" not in running.said
        assert running.children("serve")


def test_check_says_what_would_be_done_and_does_nothing(place: Path) -> None:
    data, product = place / "data", place / "product.toml"
    done = completed("up", "--data", data, "--product", product, "--check")
    assert done.returncode == 0, done.stderr
    assert f"{data}/server.toml would be written" in done.stdout
    assert "mars-server count --config" in done.stdout
    assert not data.exists()
    told = json.loads(
        completed("up", "--data", data, "--product", product, "--check", "--json").stdout
    )
    assert told["ok"] and told["writes_settings"] and told["address"] is None
    assert told["missing"] == [f"{data}/motd.json", f"{data}/trust.json"]
    assert told["jobs"][0] == {"name": "count", "seconds": 86_400}


def test_without_a_terminal_what_is_missing_is_named(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (place / "product.toml").rename(place / "elsewhere.toml")
    done = completed("up")
    assert (done.returncode, "'--data'" in done.stderr) == (2, True)
    done = completed("up", "--data", place / "data")
    assert (done.returncode, "'--product'" in done.stderr) == (2, True)
    assert not (place / "data").exists()


def test_settings_that_are_there_win_and_others_are_refused(place: Path) -> None:
    with up(place, "--product", place / "product.toml"):
        pass
    other = place / "other.toml"
    shutil.copy(place / "product.toml", other)
    written = (place / "data/server.toml").read_bytes()
    for words in (("--product", other), ("--motd", other), ("--control", "9051")):
        done = completed("up", "--data", place / "data", *words)
        assert (done.returncode, "[config-differs]" in done.stderr) == (1, True), words
    assert (place / "data/server.toml").read_bytes() == written


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_becomes_the_owner_of_the_folder(place: Path) -> None:
    data = place / "data"
    data.mkdir()
    place.chmod(0o755)
    os.chown(data, 65534, 65534)
    (place / "product.toml").chmod(0o600)
    told = ("--data", data, "--product", place / "product.toml", "--check")
    done = subprocess.run([*PROGRAM, "up", *map(str, told)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "product.toml cannot be read (Permission denied)" in done.stderr


def test_no_child_starts_without_its_parent() -> None:
    words = "from mars_server.up.children import become; become(); print(1)"
    done = subprocess.run(
        [sys.executable, "-c", words],
        env={**os.environ, "MARS_UP_NICE": "1 0"},
        capture_output=True,
    )
    assert (done.returncode, done.stdout) == (1, b"")
