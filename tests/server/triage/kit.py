"""Reports that the tests send to triage: faults, sealed bodies, spools, keys, and commands."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from mars.testing.publisher import Publisher
from mars.wire.keyfile import INTAKE, REPORTS, encode
from mars.wire.keys import TrustRoot
from mars.wire.product import Product, parse_product
from mars.wire.reports.crowd import Dealer, Share
from mars.wire.reports.direct import Content, Identity
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import Destination, Outer
from mars.wire.sealed import LARGE, Opener, seal
from tests.server.counting.commands import run_json
from tests.server.counting.spools import DAY, WEEK, pair, secret, spool, written

PRODUCT, CHANNEL, RELEASE = "examplemail", "stable", "0.5.2"
HOST = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
NOW = "2026-11-26T00:00:00Z"
"""The day after that of the spools."""
FAULT = Fault(
    ("FileNotFoundError[ENOENT]",),
    ("<other>", "plantedmail.window:Window.opened+12", "plantedmail.archive:planted_loading+3"),
)
PLANTED = (b"plantedmail", b"planted_loading", b"Window.opened", b"FileNotFoundError")
"""Words of ``FAULT``."""
TOML = f"""
product = "{PRODUCT}"
channel = "{CHANNEL}"
servers = ["http://{HOST}"]
releases = ["0.5.1", "0.5.2", "0.5.3"]
[reports]
releases = ["0.5.1", "0.5.2", "0.5.3"]
"""


def token(*said: object, size: int = 32) -> bytes:
    """Bytes that look random and are always the same."""
    return hashlib.blake2b(repr(said).encode(), digest_size=size).digest()


def release_secret(release: str) -> bytes:
    return token("release", release)


def to(release: str = RELEASE, server: str = HOST) -> Destination:
    public = Opener.of(release_secret(release)).public
    return Destination(PRODUCT, CHANNEL, release, public, server)


@lru_cache(maxsize=16)
def dealer(fault: Fault = FAULT, release: str = RELEASE) -> Dealer:
    return Dealer.of(fault, PRODUCT, release)


def share(number: int, fault: Fault = FAULT, release: str = RELEASE, again: int = 0) -> Share:
    """Of the installation of this ``number``, sent for the ``again``-th time."""
    nonce = token("nonce", number, again, size=24)
    return dealer(fault, release).share(token("installation", number), nonce)


def identity(number: int) -> Identity:
    """Of the direct report of this number."""
    return Identity.of(token("installation", number), token("report", number, size=24))


def content(fault: Fault = FAULT, message: str = "") -> Content:
    return Content(fault, "linux", message)


@dataclass
class Sender:
    """Makes bodies; each is sealed anew, so that no two are equal."""

    week: str = WEEK
    sent: int = 0

    def body(self, inner: bytes, destination: Destination) -> bytes:
        self.sent += 1
        text = Outer.sealed(inner, destination, token("inner", self.week, self.sent)).encode()
        return self.sealed(text)

    def sealed(self, text: bytes) -> bytes:
        self.sent += 1
        return seal(text, pair(self.week).public, token("outer", self.week, self.sent), LARGE)

    def crowd(
        self, numbers: Iterable[int], fault: Fault = FAULT, release: str = RELEASE
    ) -> list[bytes]:
        return [self.body(share(n, fault, release).inner(), to(release)) for n in numbers]

    def direct(
        self, numbers: Iterable[int], said: Content | None = None, release: str = RELEASE
    ) -> list[bytes]:
        where = to(release)
        said = said or content()
        return [self.body(identity(n).report(said, where), where) for n in numbers]

    def deletion(self, number: int, release: str = RELEASE) -> bytes:
        return self.body(identity(number).deletion(to(release)), to(release))


def poisoned(shared: Share) -> Share:
    """One that fits its commitments and holds another text."""
    return replace(shared, encrypted=shared.encrypted[:-1] + bytes([shared.encrypted[-1] ^ 1]))


@dataclass
class Triage:
    """A folder with all that an operator has, and its database."""

    folder: Path
    url: str
    weeks: tuple[str, ...] = (WEEK,)
    releases: tuple[str, ...] = ("0.5.1", "0.5.2", "0.5.3")
    sender: Sender = field(default_factory=Sender)
    number: int = 0

    def __post_init__(self) -> None:
        self.product = written(self.folder / "product.toml", TOML.encode())

    def keys(self, weeks: Iterable[str], releases: Iterable[str]) -> list[Path]:
        """Two files."""
        held = {
            INTAKE: {week: secret(week) for week in weeks},
            REPORTS: {release: release_secret(release) for release in releases},
        }
        return [
            written(self.folder / f"{kind}.secret", encode(kind, secrets, None))
            for kind, secrets in held.items()
        ]

    def spool(self, bodies: Iterable[bytes], day: date = DAY, name: str = "") -> Path:
        self.number += 1
        named = name or f"spool {self.number}"
        return written(self.folder / f"{named}.log", spool(bodies, day, named))

    def open(
        self, bodies: Iterable[bytes], day: date = DAY, now: str = NOW, code: int = 0
    ) -> dict[str, Any]:
        """What the command says of a spool of these bodies."""
        return self.read(self.spool(bodies, day), now=now, code=code)

    def read(self, *spools: Path, now: str = NOW, code: int = 0) -> dict[str, Any]:
        keys = [word for path in self.keys(self.weeks, self.releases) for word in ("--keys", path)]
        told = (*keys, "--db", self.url, "--product", self.product, "--now", now)
        found: dict[str, Any] = run_json("errors", "open", *spools, *told, code=code)
        return found

    def ask(self, *words: object, code: int = 0) -> Any:
        """Of a command that also takes ``--product``."""
        return run_json("errors", *words, "--db", self.url, "--product", self.product, code=code)

    def tell(self, *words: object, code: int = 0) -> Any:
        return run_json("errors", *words, "--db", self.url, code=code)

    def groups(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("list")["groups"]
        return found


def fault(*names: str, types: tuple[str, ...] = ("ValueError",)) -> Fault:
    """With frames of these names, innermost last."""
    return Fault(types, tuple(f"{name}+1" for name in names))


PUBLISHER = Publisher(PRODUCT, CHANNEL, [token("publisher")])
ROOT = PUBLISHER.trust()
"""What clients pin."""
(SEED,) = PUBLISHER.seeds_of("status")


def status_key(folder: Path, seed: bytes = SEED) -> Path:
    """As the publisher writes it."""
    said = {"type": "mars-motd-secret", "version": 1, "kdf": "none", "seed": seed.hex()}
    return written(folder / "status.secret", json.dumps(said).encode())


def signing(folder: Path, root: TrustRoot = ROOT) -> tuple[object, ...]:
    """Options of a status document that clients accept."""
    trust = written(folder / "trust.json", root.encode())
    return "--key", status_key(folder), "--trust", trust


def parsed(product: Path) -> Product:
    return parse_product(product.read_bytes())
