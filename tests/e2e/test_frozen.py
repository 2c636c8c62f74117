"""The client frozen by PyInstaller.

The example application and the ``mars`` command are built once, from the wheel, as a folder and as
one file, and fetch over the private Tor network; what they show is read from their windows and
their output.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mars import factory
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.motd import Message
from testbed.packets import PacketKey
from testbed.tornet import TorNetwork
from tests.e2e.frozen import Application, run

pytest.importorskip("tkinter", reason="this Python has no Tk")

pytestmark = [
    pytest.mark.frozen,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="binutils are not installed"),
]

COMMANDS = "fetch show status preview consent journal doctor reset daemon".split()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


@contextlib.contextmanager
def news(net: TorNetwork, home: Path) -> Iterator[tuple[str, SocksServer]]:
    """A server behind an onion service; ``trust.json`` is in ``home``."""
    key = PacketKey(b"f" * 32)
    publisher = Publisher(openpgp=[key], policy="required")
    (home / "trust.json").write_bytes(publisher.trust().encode())
    hole = Message("hole", {"en": "Update now"}, {"en": "It has a hole."}, severity="critical")
    document = publisher.document(
        factory.system_clock().now() - 60, news="Frozen, and well.", messages=(hole,)
    )
    with SocksServer(answering(ok(document)), plain=True) as server:
        yield f"{net.add_onion(80, server.address).url}/motd/motd.json", server


def test_the_frozen_command_has_all_its_parts(desktop: Path, home: Path) -> None:
    command = home / "mars"
    command.symlink_to(desktop / "desktop")
    for words in (
        ["--version"],
        ["consent", "prove", "--help"],
        *([c, "--help"] for c in COMMANDS),
    ):
        done = run(command, home, *words)
        assert done.returncode == 0, done.stderr
        assert "mars" in done.stdout


def test_the_frozen_command_fetches_and_shows(
    command: Path, home: Path, tornet: TorNetwork
) -> None:
    with news(tornet, home) as (url, server):
        words = ["--trust", "trust.json", "--url", url, "--socks", tornet.socks]
        fetched = run(command, home, "fetch", "--level", "plain", *words)
        assert fetched.returncode == 0, fetched.stderr
        assert len(server.visits) == 1
        walked = run(command, home, "doctor", *words)
        assert walked.returncode == 0, walked.stdout + walked.stderr
    assert "Frozen, and well." in fetched.stdout
    shown = run(command, home, "show", "--product", "examplemail")
    assert "Update now" in shown.stdout


def test_the_bundle_does_not_reach_the_systems_programs(command: Path, home: Path) -> None:
    """The frozen program lives with libraries of its own in LD_LIBRARY_PATH."""
    tor = home / "tor"
    tor.write_text(f"#!/bin/sh\nexec env > {home}/seen\n", "ascii")
    tor.chmod(0o755)
    path = f"{home}{os.pathsep}{os.environ['PATH']}"
    run(command, home, "doctor", "--own-tor", "own", PATH=path, LD_LIBRARY_PATH="/before")
    seen = dict(line.split("=", 1) for line in (home / "seen").read_text().splitlines())
    assert seen["LD_LIBRARY_PATH"] == "/before"
    assert "_MEI" not in (home / "seen").read_text()


def test_the_frozen_application_fetches_and_shows(
    desktop: Path, home: Path, tornet: TorNetwork
) -> None:
    with news(tornet, home) as (url, server), Application(desktop, home, url, tornet.socks) as app:
        app.agree_and_check()
        app.wait_for(lambda: "Frozen, and well." in app.shown())
        app.wait_for(lambda: "Update now" in app.shown("Label"))
        assert len(server.visits) == 1


def test_frozen_without_a_part_it_sends_nothing_and_says_so(
    desktop: Path, home: Path, tornet: TorNetwork
) -> None:
    broken = home / "broken"
    shutil.copytree(desktop, broken, symlinks=True)
    (binding,) = broken.rglob("_cffi_backend*.so")
    binding.unlink()
    with news(tornet, home) as (url, server), Application(broken, home, url, tornet.socks) as app:
        app.agree_and_check()
        app.wait_for(lambda: last_reason(home) == "cannot-judge")
        assert server.visits == []
        assert "No news yet." in app.shown()


def last_reason(home: Path) -> object:
    mars = Path(sys.executable).with_name("mars")
    done = run(mars, home, "status", "--product", "examplemail", "--json")
    return (json.loads(done.stdout)["last"] or {}).get("reason")
