"""The client frozen by PyInstaller as its manual says, without one option for our sake.

The example application and the ``mars`` command are built once, from the wheel, and fetch over
the private Tor network; what they show is read from their windows and their output.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from mars import factory
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.motd import Message
from testbed.packets import PacketKey
from testbed.tornet import TorNetwork

pytest.importorskip("tkinter", reason="this Python has no Tk")

pytestmark = [
    pytest.mark.frozen,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="binutils are not installed"),
]

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "desktop": "import sys\nfrom examples.desktop.__main__ import main\nmain(sys.argv[1:])",
    "mars-command": "from mars.cli import main\nmain()",
}
COMMANDS = "fetch show status preview consent journal doctor reset daemon".split()


@pytest.fixture(scope="session")
def packages(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an application's developer installs, and the application."""
    folder = tmp_path_factory.mktemp("packages")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, "--target", folder, wheels["mars-client"]], check=True)
    for part in ("desktop", "plugins"):
        shutil.copytree(ROOT / "examples" / part, folder / "examples" / part)
    return folder


def freeze(name: str, option: str, packages: Path, folder: Path) -> Path:
    script = folder / f"{name}.py"
    script.write_text(PROGRAMS[name], "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "PyInstaller", option, "--log-level", "ERROR", script.name],
        cwd=folder,
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(packages)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "dist" / name


@pytest.fixture(scope="session")
def desktop(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the frozen application; ``desktop`` in it is the program."""
    return freeze("desktop", "--onedir", packages, tmp_path_factory.mktemp("desktop"))


@pytest.fixture(scope="session")
def command(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``mars`` command as one file."""
    return freeze("mars-command", "--onefile", packages, tmp_path_factory.mktemp("mars"))


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


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), **more}


def run(command: Path, home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *words],
        capture_output=True,
        text=True,
        env=environment(home, **more),
        cwd=home,
        timeout=120,
        check=False,
    )


def test_the_frozen_command_has_all_its_parts(command: Path, home: Path) -> None:
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


FIND = """
proc seek {w class text} {
    set found {}
    if {[winfo class $w] eq $class && ![catch {$w cget -text} t] && $t eq $text} {set found $w}
    foreach child [winfo children $w] {if {$found eq {}} {set found [seek $child $class $text]}}
    return $found
}
proc shown {w class} {
    set all {}
    if {[winfo class $w] eq $class} {
        if {$class eq {Text}} {append all [$w get 1.0 end]} else {append all [$w cget -text]}
    }
    foreach child [winfo children $w] {append all \\n [shown $child $class]}
    return $all
}
"""


WATCHER = """
import json, sys, tkinter
root = tkinter.Tk(className="Watcher")
root.withdraw()
for line in sys.stdin:
    told = root.tk.call(*json.loads(line))
    print(json.dumps(" ".join(told) if isinstance(told, tuple) else str(told)), flush=True)
"""
"""In a process of its own, since Tk ends the one in which it is when a display goes."""


class Application:
    """The running program on a display of its own, asked and pressed by Tk's ``send``."""

    def __init__(self, folder: Path, home: Path, url: str, socks: str) -> None:
        self._command = [str(folder / "desktop"), str(home / "trust.json"), url, socks]
        self._home = home
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._held:
            cookie = self._home / "Xauthority"
            # send(n) wants a display with a cookie. Family "wild", no address, no number; Xau(3).
            fields = (b"", b"", b"MIT-MAGIC-COOKIE-1", os.urandom(16))
            packed = [struct.pack(">H", len(field)) + field for field in fields]
            cookie.write_bytes(b"\xff\xff" + b"".join(packed))
            env = environment(self._home, DISPLAY=self._display(cookie), XAUTHORITY=str(cookie))
            watcher = [sys.executable, "-c", WATCHER]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self._watcher = self._start(watcher, env=env, **pipes)
            self._program = self._start(self._command, env=env)
            self.wait_for(lambda: "tk" in self._call("winfo", "interps").split())
            self._ask(FIND)
            self._held = self._held.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()

    def _display(self, cookie: Path) -> str:
        read, write = os.pipe()
        with os.fdopen(read) as file:
            server = ["Xvfb", "-displayfd", str(write), "-nolisten", "tcp", "-auth", str(cookie)]
            self._start(server, pass_fds=[write], stderr=subprocess.DEVNULL)
            os.close(write)
            return f":{file.readline().strip()}"

    def _start(self, command: list[str], **more: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, **more)
        self._held.enter_context(process)
        self._held.callback(process.terminate)
        return process

    def _call(self, *words: str) -> str:
        assert self._watcher.stdin is not None
        assert self._watcher.stdout is not None
        self._watcher.stdin.write(json.dumps(words).encode("ascii") + b"\n")
        self._watcher.stdin.flush()
        return str(json.loads(self._watcher.stdout.readline()))

    def _ask(self, script: str) -> str:
        return self._call("send", "tk", script)

    def press(self, text: str, kind: str = "TButton") -> None:
        self._ask(f"[seek . {kind} {{{text}}}] invoke")

    def shown(self, kind: str = "Text") -> str:
        return self._ask(f"shown . {kind}")

    def agree_and_check(self) -> None:
        """The first run's screen, then the button of the news page."""
        self.wait_for(lambda: self._ask("seek . TButton {Save my choice}") != "")
        self._ask("[seek .!toplevel TRadiobutton News] invoke")
        self.press("Save my choice")
        self.press("Check now")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "it did not come"
            assert self._program.poll() is None, "the program has ended"
            time.sleep(0.2)
