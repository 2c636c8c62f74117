"""Brings the whole network up, in the order that makes it fast and steady, and takes it down."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mars.adapters.system import SystemChance, SystemClock
from mars.errors import MarsError, StateError
from testbed.tornet import torrc
from testbed.tornet.control import Control
from testbed.tornet.process import TorProcess, environment, find, wait_until

Progress = Callable[[str], None]

RELAYS = 5
"""Beside the authority, all of them exits. Three are a path; fewer than three never worked."""
PREFIX = "mars-tornet-"
ROOT = Path("/tmp")  # noqa: S108 - a control socket's path may have 107 characters; mkdtemp is 0700
DESCRIPTORS = 2
"""Of each onion service: one for this time period and one for the next."""
PORTS = range(20_000, 32_000)
"""Below those that Linux and others give out by themselves, also to outgoing connections, so that
nobody takes one between the choice and its use."""
VOTE_LEAD = 2
"""Seconds between asking for the vote and the vote."""


@dataclass(frozen=True)
class Onion:
    """An onion service of the private network. ``key`` is ``ED25519-V3:…``, to add it again."""

    host: str
    key: str

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@contextmanager
def tor_network(progress: Progress = lambda _: None, relays: int = RELAYS) -> Iterator[TorNetwork]:
    """The network, ready for onion services; gone at the end, whatever happens.

    Takes some ten seconds. When it does not come up, it is tried once more with new ports.
    Raises ``StateError``: ``tor-missing`` where tor is not installed, ``tor-start`` where the
    second try failed too. ``progress`` gets one short sentence per step.
    """
    find("tor"), find("tor-gencert")
    _sweep()
    network = TorNetwork(progress, relays)
    try:
        try:
            network.start()
        except (MarsError, OSError) as error:
            network.stop()
            progress(f"the Tor network did not start ({error}); once more with new ports")
            network = TorNetwork(progress, relays)
            network.start()
        yield network
    finally:
        with _deaf_to_interrupts():
            network.stop()


class TorNetwork:
    """One authority, relays, a client tor and a service tor. See ``tor_network``."""

    def __init__(self, progress: Progress, relays: int) -> None:
        self.folder, self._lock = _own_folder()
        self.processes: list[TorProcess] = []
        self._progress = progress
        self._relays = relays
        self._services: list[Control] = []
        self._authority_line = ""

    client: TorProcess
    """Has the SOCKS port."""
    service: TorProcess
    """Carries the onion services; has no SOCKS port."""

    @property
    def socks(self) -> str:
        """``HOST:PORT`` of the client tor's SOCKS port."""
        return f"127.0.0.1:{self.client.socks_port}"

    @property
    def routers(self) -> list[TorProcess]:
        """The authority first, then the relays."""
        return self.processes[: self._relays + 1]

    @property
    def joining(self) -> list[str]:
        """Lines for the torrc of any other client or service of this machine."""
        return [*torrc.joining(self._authority_line), *torrc.STEADY]

    def start(self) -> None:
        """Raises ``StateError`` or ``OSError``; the caller then calls ``stop``."""
        self._progress("keys for the directory authority")
        ports = free_ports(self._relays + 3)
        authority = self._make_authority(ports[0], ports[1])
        self._progress(f"starting one authority and {self._relays} relays")
        routers = [authority, *self._make_relays(ports[2 : 2 + self._relays])]
        self.client = self._end_point("client", ports[-1])
        self.service = self._end_point("service", 0)
        for process in self.processes:
            process.start()
        for process in self.processes:
            process.wait_for_control()
        self._progress("voting on a consensus")
        self._vote(authority, len(routers))
        for router in routers:
            router.signal(signal.SIGHUP)  # forget the back-off of the time without a consensus
        for router in routers:
            self._wait_for_info(router, "status/enough-dir-info", "1")
        self._progress("bootstrapping the client and the service")
        for process in (self.client, self.service):
            connect(process)

    def stop(self) -> None:
        """Ends every process by its id and removes the folder. Safe to call twice."""
        for control in self._services:
            control.close()
        self._services.clear()
        for process in self.processes:
            process.ask_to_stop()
        for process in self.processes:
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()

    def add_client(self, name: str, extra: Sequence[str] = ()) -> TorProcess:
        """One more tor with a SOCKS port (``socks_port``), bootstrapped; ends with the network.

        ``extra`` are further torrc lines. Keep ``name`` short: it is part of a socket's path.
        """
        process = self._end_point(name, free_ports(1)[0], extra)
        process.start()
        process.wait_for_control()
        connect(process)
        return process

    def add_onion(self, port: int, target: str, key: str = "NEW:ED25519-V3") -> Onion:
        """An onion service that lives as long as the network, published when this returns.

        ``port`` is the virtual port, ``target`` ``HOST:PORT`` or ``unix:PATH``.
        """
        control = self.service.control()
        self._services.append(control)
        control.ask("SETEVENTS HS_DESC")
        reply = control.ask(f"ADD_ONION {key} Port={port},{target}")
        values = dict(line.split("=", 1) for line in reply if "=" in line)
        _await_publication(control, values["ServiceID"], len(self.routers))
        return Onion(f"{values['ServiceID']}.onion", values.get("PrivateKey", key))

    @contextmanager
    def publications(self) -> Iterator[Callable[[str], None]]:
        """For services that others add to the service tor: enter this before they do.

        Gives a function that takes ``<56 base32>.onion`` and returns when the service's
        descriptor is published. It raises ``TimeoutError``.
        """
        with self.service.control() as control:
            control.ask("SETEVENTS HS_DESC")
            routers = len(self.routers)
            yield lambda host: _await_publication(control, host.removesuffix(".onion"), routers)

    def _make_authority(self, or_port: int, dir_port: int) -> TorProcess:
        folder = self.folder / "auth"
        keys = folder / "keys"
        keys.mkdir(mode=0o700, parents=True)
        folder.chmod(0o700)
        identity = _certificate(keys, dir_port)
        fingerprint = _fingerprint(folder, "auth", or_port)
        document = torrc.Authority("auth", or_port, dir_port, identity, fingerprint)
        self._authority_line = document.line()
        offset = (SystemClock().now() + torrc.VOTING_INTERVAL // 2) % torrc.VOTING_INTERVAL
        return self._router("auth", or_port, torrc.authority(dir_port, offset))

    def _make_relays(self, ports: Sequence[int]) -> list[TorProcess]:
        return [self._router(f"relay{n}", port) for n, port in enumerate(ports)]

    def _router(self, name: str, or_port: int, extra: Sequence[str] = ()) -> TorProcess:
        folder = self.folder / name
        process = self._process(name, [*torrc.router(name, folder, or_port), *extra])
        ends = datetime.fromtimestamp(SystemClock().now(), UTC).strftime("%Y-%m-%d %H:%M:%S")
        (folder / "state").write_text(torrc.bandwidth_state(ends), "ascii")
        return process

    def _end_point(self, name: str, socks_port: int, extra: Sequence[str] = ()) -> TorProcess:
        process = self._process(name, [*torrc.end_point(socks_port), *extra])
        process.socks_port = socks_port
        return process

    def _process(self, name: str, lines: Sequence[str]) -> TorProcess:
        folder = self.folder / name
        config = [*torrc.common(folder, self._authority_line, os.getpid()), *lines]
        process = TorProcess(name, folder, config)
        self.processes.append(process)
        return process

    def _vote(self, authority: TorProcess, routers: int) -> None:
        def described() -> bool:
            return authority.info("desc/all-recent").count("\nrouter ") + 1 >= routers

        def listed() -> bool:
            return len(re.findall(r"^r ", authority.info("ns/all"), re.MULTILINE)) >= routers

        wait_until(described, 30.0, "the authority did not hear from every relay")
        offset = (SystemClock().now() + VOTE_LEAD) % torrc.VOTING_INTERVAL
        with authority.control() as control:
            control.ask(f"SETCONF TestingV3AuthVotingStartOffset={offset}")
        wait_until(listed, 30.0, "the authority made no consensus of every router")

    def _wait_for_info(self, process: TorProcess, key: str, value: str) -> None:
        wait_until(lambda: process.info(key) == value, 30.0, f"{process.name} lacks {key}")


def connect(process: TorProcess) -> None:
    """Lets a client or service tor go on the network and waits until it is ready."""
    with process.control() as control:
        control.ask("SETCONF DisableNetwork=0")
        wait_until(
            lambda: "PROGRESS=100 " in control.info("status/bootstrap-phase"),
            60.0,
            f"{process.name} did not bootstrap",
        )


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on at this moment, all different."""
    chance = SystemChance()
    with ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < number:
            port = chance.choice(PORTS)
            with suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def _certificate(keys: Path, dir_port: int) -> str:
    """Makes the authority's identity key and certificate; returns the v3 identity."""
    files = {
        "-i": "authority_identity_key",
        "-s": "authority_signing_key",
        "-c": "authority_certificate",
    }
    command = [find("tor-gencert"), "--create-identity-key", "-m", "12"]
    command += ["-a", f"127.0.0.1:{dir_port}", "--passphrase-fd", "0"]
    for option, name in files.items():
        command += [option, str(keys / name)]
    _run(command, keys, b"private test network\n")
    certificate = (keys / files["-c"]).read_text("ascii")
    return certificate.partition("fingerprint ")[2].split(maxsplit=1)[0]


def _fingerprint(folder: Path, name: str, or_port: int) -> str:
    """Makes a router's keys in ``folder``; returns its identity, 40 hexadecimal digits."""
    nobody = f"nobody orport=1 no-v2 v3ident={'0' * 40} 127.0.0.1:1 {'0' * 40}"
    empty = folder / "empty.torrc"  # tor refuses /dev/null here, though not as the defaults
    empty.touch()
    command = [find("tor"), "--defaults-torrc", "/dev/null", "-f", str(empty)]
    command += ["--DirAuthority", nobody, "--DataDirectory", str(folder), "--Nickname", name]
    command += ["--ORPort", f"127.0.0.1:{or_port}", "--Address", "127.0.0.1"]
    command += ["--list-fingerprint", "--hush"]
    _run(command, folder, b"")
    return (folder / "fingerprint").read_text("ascii").split()[-1]


def _run(command: Sequence[str], folder: Path, text: bytes) -> None:
    done = subprocess.run(
        command, input=text, capture_output=True, env=environment(folder), timeout=60, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip().splitlines()
        raise StateError("tor-start", f"{command[0]} failed: {said[-1] if said else 'silently'}")


def _await_publication(control: Control, address: str, routers: int) -> None:
    """Returns when every directory holds the service's descriptors.

    In so small a network each router is a directory for both of the descriptors (of this time
    period and the next; rend-spec-v3, 2.2.1); a client may ask any of them.
    """
    done = 0
    while done < DESCRIPTORS * routers:
        words = control.event().split()
        done += words[:1] == ["HS_DESC"] and words[1:3] == ["UPLOADED", address]


def _own_folder() -> tuple[Path, BinaryIO]:
    """A new folder and its lock; another one where a sweep came before the lock was taken."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=ROOT))
        with suppress(FileNotFoundError):
            lock = _locked(folder)
            if lock is not None:
                if folder.exists():
                    return folder, lock
                lock.close()


def _locked(folder: Path) -> BinaryIO | None:
    """The lock of a network's folder, or None where its owner holds it.

    The system gives a flock up when its owner ends, however that dies. A process id would not do:
    numbers come again, and containers that share a folder do not see each other's.
    """
    lock = (folder / "lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def _sweep() -> None:
    """Removes what killed processes left behind."""
    for folder in ROOT.glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = _locked(folder)
            if lock is not None:
                with lock:
                    shutil.rmtree(folder)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A second Ctrl-C must not break off the cleaning up of the first (it takes a second)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
