"""Who listens at Tor's address: Tor, root and this user may, another user may not."""

from __future__ import annotations

import os
import pwd
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mars.adapters.owners import TOR_USERS, owners, require_trusted
from mars.adapters.tor import Place, find_tor
from mars.build import Routed
from mars.errors import TransportError
from mars.factory import fetcher, system_chance, system_clock
from mars.ports import Request, TorSettings
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.request import HTTPRequest

URL = "http://news.example/motd/motd.json?v=1.0"
STRANGER = 54_321
"""A user id that is neither ours nor Tor's."""
NOWHERE = "127.0.0.1:1"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the owner")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

LISTEN = """
import os, sys
from mars.testing.socks import SocksServer, answering, ok
os.setuid(int(sys.argv[1]))
with SocksServer(answering(ok(b"read along"))) as server:
    print(server.address, flush=True)
    sys.stdin.read()
print(b"".join(visit.host.encode() + visit.request for visit in server.visits))
"""
CONTROL = """
import os, socket, sys
os.setuid(int(sys.argv[1]))
server = socket.create_server(("127.0.0.1", 0))
print("127.0.0.1:%d" % server.getsockname()[1], flush=True)
sock, _ = server.accept()
print(sock.recv(1000))
"""


@contextmanager
def listener_of(user: int, code: str = LISTEN) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Somebody's program at a port of this machine, and its address."""
    with subprocess.Popen(
        [sys.executable, "-c", code, str(user)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


def routed(address: str, control: str = NOWHERE) -> Routed:
    """As a client that looks for a tor: ``address`` is where one usually listens."""
    places = (Place("system", address, (control,)),)
    return Routed(
        TorSettings(launch=False),
        HTTPRequest.get(URL.replace("http:", "https:")),
        find=lambda given: find_tor(given, system_clock(), system_chance(), places),
    )


@as_root
def test_another_user_who_listens_at_the_usual_port_is_asked_for_nothing() -> None:
    with listener_of(STRANGER) as (address, process):
        with pytest.raises(TransportError) as caught:
            routed(address).fetch(Request(HTTPRequest.get(URL.replace("http:", "https:"))))
        assert caught.value.reason == "tor-foreign"
        assert address in caught.value.message
        said, _ = process.communicate("")
    assert said.strip() == "b''"


@as_root
def test_a_stranger_who_comes_between_the_search_and_the_fetch_is_asked_for_nothing() -> None:
    with listener_of(STRANGER) as (address, process):
        with pytest.raises(TransportError) as caught:
            fetcher(address, given=False).fetch(Request(HTTPRequest.get(URL)))
        assert caught.value.reason == "tor-foreign"
        said, _ = process.communicate("")
    assert said.strip() == "b''"


@as_root
def test_an_address_that_somebody_gave_is_taken_at_their_word() -> None:
    with listener_of(STRANGER) as (address, _):
        answer = Routed(TorSettings(socks=address)).fetch(Request(HTTPRequest.get(URL)))
    assert answer.body == b"read along"


@as_root
@pytest.mark.parametrize("name", sorted({*TOR_USERS, "root"}))
def test_the_users_that_tor_runs_as_are_trusted(name: str) -> None:
    try:
        user = pwd.getpwnam(name).pw_uid
    except KeyError:
        assert name not in ("root",)
        return  # another distribution's
    with listener_of(user) as (address, _):
        assert routed(address).fetch(Request(HTTPRequest.get(URL))).body == b"read along"


@as_root
def test_a_strangers_control_port_is_told_neither_password_nor_cookie() -> None:
    with listener_of(STRANGER, CONTROL) as (control, process), SocksServer(answering(b"")) as socks:
        place = Place("system", socks.address, (control,))
        settings = TorSettings(password="secret")
        tor = find_tor(settings, system_clock(), system_chance(), (place,))
        with pytest.raises(TransportError) as caught:
            tor.status()
        assert caught.value.reason == "tor-foreign"
        assert process.communicate()[0].strip() == "b''"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_the_owner_is_read_of_both_ip_versions(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, dualstack_ipv6=host == "::") as server:
        near = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        with socket.create_connection((near, server.getsockname()[1])) as sock:
            taken, _ = server.accept()
            with taken:
                assert owners(sock) == {os.geteuid()}


def test_who_took_the_connection_is_known_when_nobody_listens_any_more() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        sock = socket.create_connection(server.getsockname())
        taken, _ = server.accept()
    with sock, taken:
        assert owners(sock) == {os.geteuid()}


def test_a_unix_socket_tells_its_owner(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as sock:
        server.bind(path)
        server.listen()
        sock.connect(path)
        assert owners(sock) == {os.geteuid()}


def test_where_it_cannot_be_read_at_this_moment_whose_it_is_nothing_is_asked() -> None:
    """As with every file open that a process may have; a system that never tells is another."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as sock,
    ):
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            with pytest.raises(TransportError, match="Too many open files") as caught:
                require_trusted(sock, "127.0.0.1:9050")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        require_trusted(sock, "127.0.0.1:9050")
    assert caught.value.reason == "tor-silent"


def test_our_own_program_is_used() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        assert routed(proxy.address).fetch(Request(HTTPRequest.get(URL))).body == b"news"
