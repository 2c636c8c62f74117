"""Debian's tor, which starts as root and keeps no group but its own, reaches the socket.

It is started with the capabilities of its unit, and each server's socket is made as ``deploy/``
and its heads say. Nothing but the private network is spoken to.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mars import factory
from mars.errors import TransportError
from mars.ports import Request, Response
from mars.wire.request import HTTPRequest
from mars_server.onion.control import ensure
from mars_server.onion.folder import hostname
from mars_server.onion.settings import OnionSettings
from testbed.tornet import TorNetwork
from testbed.tornet.process import find, wait_until
from tests.server.serving import kit
from tests.server.serving.test_fronts import ROOT, Front, front

USER = "debian-tor"
UNIT = "-all,+setuid,+setgid,+net_bind_service,+dac_read_search"
"""``CapabilityBoundingSet=`` of Debian's tor@default.service."""
SERVERS = {"mars-server": "mars.tmpfiles", "nginx": "nginx.conf", "caddy": "Caddyfile"}
"""The file of ``deploy/`` that says how the folder of the socket is made."""

pytestmark = [
    pytest.mark.tor,
    pytest.mark.skipif(os.geteuid() != 0, reason="starting tor as its unit does needs root"),
]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mars-reach-", dir="/tmp"))  # short, for the sockets
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def debian_tor(tornet: TorNetwork, home: Path) -> Iterator[Path]:
    """The data folder of a tor that was started as root; its control socket is ``control``."""
    user = pwd.getpwnam(USER)
    data = home / "tor"
    data.mkdir(mode=0o700)
    torrc = home / "torrc"
    lines = [
        *tornet.joining, f"User {USER}", f"DataDirectory {data}", f"ControlSocket {data}/control",
        "CookieAuthentication 1", f"CookieAuthFile {data}/cookie", "SocksPort 0",
        f"Log notice file {data}/log", f"__OwningControllerProcess 000{os.getpid()}",
    ]  # fmt: skip
    torrc.write_text("\n".join(lines) + "\n")
    os.chown(data, user.pw_uid, user.pw_gid)
    command = ["setpriv", "--bounding-set", UNIT, find("tor"), "--defaults-torrc", "/dev/null"]
    process = subprocess.Popen([*command, "-f", str(torrc)], stdout=subprocess.DEVNULL)
    try:
        wait_until((data / "control").exists, 20.0, "no control socket")
        status = Path("/proc", str(process.pid), "status").read_text()
        assert re.search(rf"^Uid:\s+{user.pw_uid}\b", status, re.MULTILINE)
        assert re.search(rf"^Groups:\s+{user.pw_gid}\s*$", status, re.MULTILINE)
        yield data
    finally:
        process.terminate()
        process.wait(10)


def socket_folder(name: str, home: Path) -> Path:
    """By the documented line of tmpfiles.d, with another place and root for the server's user."""
    text = (ROOT / "deploy" / SERVERS[name]).read_text()
    line = re.search(r"\bd /run/\S+ (\d+) (\S+) (\S+)", text)
    assert line is not None
    folder = home / f"run-{name}"
    made = home / "made.conf"
    made.write_text(f"d {folder} {line[1]} root {line[3].rstrip(chr(34))}\n")
    subprocess.run(["systemd-tmpfiles", "--create", made], check=True, timeout=60)
    assert folder.stat().st_mode & 0o007 == 0, "who is in no group gets nothing"
    return folder


def server(name: str, folder: Path) -> AbstractContextManager[kit.Served | Front]:
    """In no group of tor's: that the socket is in it comes from the folder alone."""
    if name == "mars-server":
        group = ("setpriv", "--regid", "nogroup", "--clear-groups")
        return kit.served(folder=folder, unix=True, prefix=group)
    return front(SERVERS[name], kit.document(), folder)


def fetched(socks: str, host: str, patience: float = 0.0) -> Response:
    end = time.monotonic() + patience
    while True:
        try:
            request = Request(
                HTTPRequest.get(f"http://{host}/motd/motd.json"), deadline=30.0, expect=None
            )
            return factory.fetcher(socks).fetch(request)
        except TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


@pytest.mark.parametrize("name", SERVERS)
def test_a_tor_without_other_groups_reaches_the_server(
    name: str, tornet: TorNetwork, debian_tor: Path, home: Path
) -> None:
    folder = socket_folder(name, home)
    with server(name, folder):
        path = folder / ("s" if name == "mars-server" else "http.sock")
        ours = name == "mars-server"
        settings = OnionSettings(str(debian_tor / name), f"unix:{path}", tells_circuit=ours)
        ensure(settings, f"unix:{debian_tor}/control")
        host = hostname(settings.folder)
        assert host is not None
        # The fronts have not been told their address yet and say that it is not theirs.
        assert fetched(tornet.socks, host, 15.0).status == (200 if ours else 404)
        os.chown(folder, 0, 0)  # as a RuntimeDirectory= of the unit's own group would be
        with pytest.raises(TransportError) as refused:
            fetched(tornet.socks, host)
        assert refused.value.reason == "onion-not-found"
        assert "may not open the server's socket" in refused.value.message
