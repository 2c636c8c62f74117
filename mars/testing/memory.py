"""The ports of ``mars.ports`` in memory, and sessions of a client that live among them.

The client itself runs unchanged; only time, chance, files, OpenPGP and the network are ours, so a
year takes a second and every fault can be had for the asking.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random  # noqa: TID251 - the seeded twin of the one adapter that owns chance
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mars.channels import trial
from mars.errors import MarsError, StateError, TransportError
from mars.ports import OpenPGPVerdict, Platform, Request, Response
from mars.wire import ed25519
from mars.wire.openpgp import dearmour, primary
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY

if TYPE_CHECKING:
    from mars.channels.news import NewsClient
    from mars.core.installation import Installation

START = 1_795_219_200
"""2026-11-21T00:00:00Z."""
RESTLESS = 100
"""Looks in a row without sleeping, after which a session would never end."""
PLACEHOLDER = "http://127.0.0.1/"
"""For a rehearsal where no server is known yet; nothing is ever sent to it."""
_PACKET = b"\x88in-memory:"
_BEGIN, _END = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
_HEAD = bytes.fromhex("9833 04 5e0be100 16 092b06010401da470f01 0107 40")
"""An Ed25519 key of version 4, made on 2020-01-01, up to its 32 octets (RFC 4880, 5.5.2)."""
_NAME = b"\xb4\x06memory"
_SELF_SIGNATURE = bytes.fromhex("882a 04131608 0020 05025e0be100 021b03 162104")
"""A user ID, and that it is the key's, up to the key's fingerprint (5.2.3)."""


@dataclass
class MemoryClock:
    """``mars.ports.Clock`` that stands still until it is told."""

    wall: int = START
    running: float = 0.0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.running

    def advance(self, seconds: int) -> None:
        """Time passes while the machine is awake."""
        self.wall += seconds
        self.running += seconds

    def suspend(self, seconds: int) -> None:
        """Time passes while the machine sleeps, or is off."""
        self.wall += seconds

    def step(self, seconds: int) -> None:
        """Somebody, or a time server, sets the wall clock."""
        self.wall += seconds


class SeededChance(random.Random):
    """``mars.ports.Chance`` that draws the same again for the same seed. Never for the product."""

    token = random.Random.randbytes


@dataclass
class MemoryStore:
    """``mars.ports.Store`` without a disk. ``full``: no write works; ``unreadable``: no read."""

    files: dict[str, bytes] = field(default_factory=dict)
    full: bool = False
    unreadable: bool = False
    writes: int = 0

    def __post_init__(self) -> None:
        self._guard = threading.Condition()
        self._held: set[str] = set()

    def read(self, name: str) -> bytes | None:
        if self.unreadable:
            raise StateError("state-unreadable", f"{name} cannot be read; try again.")
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        if self.full:
            raise StateError("state-unwritable", "The disk is full; make room.")
        self.writes += 1
        self.files[name] = data

    def names(self, prefix: str) -> tuple[str, ...]:
        if self.unreadable:
            raise StateError("state-unreadable", "The folder cannot be read; try again.")
        return tuple(sorted(name for name in self.files if name.startswith(prefix)))

    def delete(self, name: str) -> None:
        if self.full:
            raise StateError("state-unwritable", "The disk is read-only.")
        self.files.pop(name, None)

    @contextlib.contextmanager
    def lock(self, name: str, wait: float = 0.0) -> Iterator[None]:
        with self._guard:
            if not self._guard.wait_for(lambda: name not in self._held, wait):
                raise StateError("locked", "Another process holds it; try again in a moment.")
            self._held.add(name)
        try:
            yield
        finally:
            with self._guard:
                self._held.discard(name)
                self._guard.notify_all()


@dataclass
class MemoryServer:
    """``mars.ports.Fetcher`` that answers with ``body``, or raises, and remembers what came.

    ``unreachable`` is raised before anything leaves, ``fault`` once the request has come.
    """

    body: bytes = b""
    status: int = 200
    fault: MarsError | None = None
    unreachable: MarsError | None = None
    visits: list[str] = field(default_factory=list)
    """URLs asked for, query included."""
    requests: list[HTTPRequest] = field(default_factory=list)
    """The same, with method and body."""
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Status and body of other addresses than the news', without a query."""

    def fetch(self, request: Request) -> Response:
        if self.unreachable is not None:
            raise self.unreachable
        if request.leaving is not None:
            request.leaving(request.message, "memory")
        self.visits.append(request.message.url)
        self.requests.append(request.message)
        if self.fault is not None:
            raise self.fault
        place = request.message.url.partition("?")[0]
        status, body = self.answers.get(place, (self.status, self.body))
        if request.expect is not None and status not in request.expect:
            raise TransportError("http-status", f"The server answered with {status}; wait.")
        return Response(status, body, "memory")


@dataclass(frozen=True)
class MemoryKey:
    """A secret OpenPGP key whose signatures no program but this module knows.

    Its block is a real one without end, as the rules read it, though what it says of itself is not
    signed; its signatures are bytes that look like a packet. Inside is an Ed25519 signature, so
    that a changed byte is found as gpg would find it.
    """

    seed: bytes = field(default_factory=ed25519.generate)

    @property
    def fingerprint(self) -> str:
        """40 upper-case hex digits."""
        return primary(self.block).fingerprint

    @property
    def block(self) -> str:
        """The armoured public key."""
        key = _HEAD + ed25519.public_key(self.seed)
        issuer = hashlib.sha1(b"\x99\x00" + key[1:]).digest()  # noqa: S324 - as OpenPGP has it
        packets = key + _NAME + _SELF_SIGNATURE + issuer + bytes(4)
        return f"{_BEGIN}\n\n{base64.encodebytes(packets).decode('ascii')}{_END}\n"

    def sign(self, message: bytes, at: int) -> bytes:
        """A detached signature, made at Unix time ``at``."""
        created = at.to_bytes(8, "big")
        return _PACKET + created + ed25519.sign(self.seed, created + message)

    def another(self, name: str) -> MemoryKey:
        """A key of its own for each name, and always the same."""
        return MemoryKey(hashlib.sha256(name.encode() + self.seed).digest())


@dataclass
class MemoryOpenPGP:
    """``mars.ports.OpenPGP`` without a process, for tests that are not about gpg.

    ``failure`` set to a reason makes every verdict that one (``openpgp-absent``, ``clock``).
    """

    failure: str | None = None
    asked: int = 0
    """How many verdicts were asked for."""

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        self.asked += 1
        if self.failure is not None:
            return OpenPGPVerdict(self.failure)
        if list(keys) == [trial.KEY]:
            return trial.VERDICT if signature == trial.SIGNATURE else OpenPGPVerdict("openpgp-bad")
        head, created, proof = signature[:11], signature[11:19], signature[19:]
        for block in keys:
            public = dearmour(block)[len(_HEAD) :][: ed25519.PUBLIC_BYTES]
            if head == _PACKET and ed25519.verify(public, proof, created + message):
                name = primary(block).fingerprint
                return OpenPGPVerdict(None, name, int.from_bytes(created, "big"), name)
        return OpenPGPVerdict("openpgp-bad")


def machine(
    system: str = "linux",
    *,
    python: str = "3.11",
    environ: Mapping[str, str] | None = None,
    locale: str = "en_US.UTF-8",
    policy: bytes | None = None,
) -> Platform:
    """A machine as it is told to be; nothing else is set in its environment."""
    own = {"LOCALAPPDATA": r"C:\Users\test\AppData\Local"} if system == "windows" else {}
    return Platform(system, python, {**own, **(environ or {})}, locale, lambda: policy)


def session(client: Installation, clock: MemoryClock, seconds: int, *, crash: bool = False) -> None:
    """The application runs for ``seconds``, as ``mars.client``'s thread would drive it.

    With ``crash`` it ends without the chance to store anything.
    """
    left, ran, restless = seconds, None, 0
    while True:
        try:
            sleep = client.step(ran)
        except MarsError:
            sleep = 3600
        passed = min(sleep, left)
        restless = 0 if passed else restless + 1
        if restless > RESTLESS:
            raise RuntimeError("The client turns again and again without a pause.")
        clock.advance(passed)
        left, ran = left - passed, passed
        if left <= 0:
            break
    if not crash:
        with contextlib.suppress(MarsError):
            client.rest(ran)


def rehearse(client: NewsClient, days: int) -> list[str]:
    """What ``client`` would ask for in ``days`` of running, from its state of this moment.

    Nothing is sent or stored. No request is answered here, so that there is one a period.
    """
    from mars.channels.news import NewsClient
    from mars.core.records import STATE_FILE
    from mars.core.state import encode
    from mars.testing.publisher import Publisher

    ports = client.ports
    clock = MemoryClock(ports.clock.now())
    server = MemoryServer(fault=TransportError("rehearsal", "Nothing is sent in a rehearsal."))
    inside = replace(
        ports,
        store=MemoryStore({STATE_FILE: encode(client.load())}),
        clock=clock,
        fetcher=lambda _ready: server,
    )
    publisher = Publisher()
    app = replace(client.app, product=publisher.product, url=client.app.url or PLACEHOLDER)
    inner = NewsClient(app, publisher.trust().encode(), inside, client.further)
    session(inner, clock, days * DAY)
    return server.visits
