"""What every test shares: the guard on the network, and the private Tor network when wanted."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.tornet import TorNetwork, tor_network
from tests.waiting import day_that_lasts

ROOT = Path(__file__).resolve().parent.parent
_LOCAL_NAMES = frozenset({"localhost", "", "0.0.0.0", "::"})  # the last three: "this machine"


class NetworkGuardError(AssertionError):
    """A test tried to leave this machine."""


def _is_local(host: object) -> bool:
    if host is None or host in _LOCAL_NAMES or host in (b"", b"localhost"):
        return True
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook (PEP 578): sockets and look-ups of this process stay on loopback."""
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # else a unix socket's path
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        raise NetworkGuardError(f"a test may open no socket beyond loopback: {event} {host!r}")


sys.addaudithook(_guard)


def pytest_configure(config: pytest.Config) -> None:
    """pytest 9.1 loses the fixtures of a folder's conftest where a file of the folder above is
    named between two of that folder (its issue 14635); in order none is."""
    config.args.sort()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share the Tor network, or frozen programs, run in one worker, so that these are
    made once."""
    for item in items:
        if "tornet" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.tor)
        if item.get_closest_marker("tor") or item.get_closest_marker("frozen"):
            item.add_marker(pytest.mark.xdist_group("tor"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where CI is set nothing may be skipped: a skip there fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("")
        reporter.write_line("CI: a test was skipped, which is a failure here", red=True, bold=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where clients and counters keep what is theirs, in the place of the user's own; and nothing
    around the test forbids a client its requests, as CI does.

    By the test's own ``monkeypatch``, so that what a test sets itself is taken back before.
    """
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    for name in ("CI", "DO_NOT_TRACK", "MARS_LEVEL", "MARS_VARIABLES"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def one_day() -> None:
    """For tests of a real server, which has the real clock: its log is that of one day."""
    day_that_lasts()


@pytest.fixture(scope="session")
def tornet() -> Iterator[TorNetwork]:
    """A real private Tor network on loopback, brought up once per worker that uses it."""
    with tor_network() as network:
        yield network


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The three distributions by name, built from a copy of the sources, so that no build folder
    is left in the tree."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for name in ("mars", "server", "motd"):
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
    command += ["--no-index", "--quiet", "--wheel-dir", str(out)]
    folders = [str(source), str(source / "server"), str(source / "motd")]
    done = subprocess.run([*command, *folders], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {built.name.partition("-")[0].replace("_", "-"): built for built in out.glob("*.whl")}
