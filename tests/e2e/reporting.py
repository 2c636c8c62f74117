"""Whoever publishes, serves and triages error reports, with real keys, commands and files."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mars import factory
from mars.testing.publisher import Publisher
from mars.wire.catalogue import digest
from mars.wire.keyfile import INTAKE, REPORTS, encode
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Deletion, Direct
from mars.wire.reports.outer import Destination, Outer
from mars.wire.reports.recipient import Recipient
from mars.wire.sealed import LARGE, Opener, key_id, key_of, opened, seal
from mars.wire.times import WEEK, format_time, week_of
from mars_server.common.config import load_catalogue
from tests.conftest import ROOT
from tests.server.counting.commands import run_json
from tests.server.serving import kit
from tests.server.triage import kit as triage

PRODUCT, CHANNEL, RELEASE, FIXED = "examplemail", "stable", "0.5.1", "0.5.2"
_TOML = """product = "{product}"
channel = "{channel}"
servers = ["http://{host}"]
releases = ["{release}", "{fixed}"]
languages = ["en"]
[reports]
releases = {taken}
"""


@dataclass
class Operator:
    """Keeps all in one folder: news, keys, spools, the database of the reports."""

    folder: Path
    host: str
    start: int
    """Unix time from which on the published documents hold."""

    def __post_init__(self) -> None:
        self.product = self.folder / "product.toml"
        self.toml = self._declare([RELEASE, FIXED])
        (self.folder / "errors.toml").write_bytes((ROOT / "motd" / "errors.toml").read_bytes())
        token, weeks = factory.system_chance().token, range(-1, 5)
        self.weeks = {week_of(self.start + n * WEEK): Opener.of(token(32)) for n in weeks}
        self.releases = {release: Opener.of(token(32)) for release in (RELEASE, FIXED)}
        self._publish()

    def _declare(self, taken: list[str]) -> str:
        said = {"host": self.host, "release": RELEASE, "fixed": FIXED, "taken": json.dumps(taken)}
        toml = _TOML.format(product=PRODUCT, channel=CHANNEL, **said)
        self.product.write_text(toml)
        return toml

    def _publish(self) -> None:
        public = {release: pair.public.hex() for release, pair in self.releases.items()}
        registry = replace(load_catalogue(self.product), reports=public).encode()
        publisher, made = Publisher(), self.start - 60
        keys = {week: pair.public.hex() for week, pair in self.weeks.items()}
        publisher.steer(made, registry=digest(registry), intake=keys)
        self.trust = publisher.trust_file(1000, built=made)
        self.news = publisher.document(made)
        seed = publisher.seeds_of("status")[0].hex()
        plain = {"type": "mars-motd-secret", "version": 1, "kdf": "none", "seed": seed}
        held = {INTAKE: self.weeks, REPORTS: self.releases}
        for kind, pairs in held.items():
            self._write(
                f"{kind}.secret",
                encode(kind, {name: pair.secret for name, pair in pairs.items()}, None),
            )
        self._write("status.secret", json.dumps(plain).encode())
        self._write("registry.json", registry)
        self._write("trust.json", self.trust)

    def _write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(0o600)

    def withdraw(self, release: str) -> None:
        """Deletes its key and takes it from the list, as the publisher does."""
        left = {name: pair.secret for name, pair in self.releases.items() if name != release}
        self.toml = self._declare([*left])
        self._write(f"{REPORTS}.secret", encode(REPORTS, left, None))

    @contextmanager
    def serving(self) -> Iterator[kit.Served]:
        """The server; at its end the spool is closed."""
        with kit.served(
            *("--trust", str(self.folder / "trust.json"), "--host", self.host),
            unix=True,
            motd_file=self.news,
            product=self.toml,
            folder=self.folder,
            spool=True,
        ) as server:
            yield server
            assert server.stop() == 0, server.stderr

    # --- the inner machine ------------------------------------------------------------------

    @property
    def db(self) -> str:
        return f"sqlite:///{self.folder}/triage.db"

    def errors(self, *words: object, code: int = 0) -> Any:
        """What a command says."""
        return run_json("errors", *words, "--db", self.db, "--product", self.product, code=code)

    def open(self) -> Any:
        """Opens all spools that are closed."""
        keys = [("--keys", self.folder / f"{kind}.secret") for kind in (INTAKE, REPORTS)]
        return self.errors("open", self.folder / "spool", *sum(keys, ()))

    def retain(self) -> list[str]:
        """Deletes the spools that were read; their names."""
        told = ("--spool", self.folder / "spool", "--triage-db", self.db)
        gone: list[str] = run_json("retain", *told)["spools"]
        return gone

    def answer(self, now: int) -> Any:
        """Makes the status document of that Unix time, and puts it beside the news."""
        files = {"out": "status.json", "key": "status.secret", "trust": "trust.json"}
        told = [word for name, file in files.items() for word in (f"--{name}", self.folder / file)]
        return self.errors("status", *told, "--now", format_time(now))

    def contents(self) -> bytes:
        """All bytes of the database's files, and of the spools both as they are and decoded."""
        found = [path.read_bytes() for path in self.folder.glob("triage.db*")]
        spools = [path.read_bytes() for path in (self.folder / "spool").iterdir()]
        lines = [line for spool in spools for line in spool.splitlines() if line[:1] != b"#"]
        return b"\n".join((*found, *spools, *map(base64.b64decode, lines)))

    # --- who has all keys -------------------------------------------------------------------

    def to(self, release: str = RELEASE) -> Destination:
        return Destination(PRODUCT, CHANNEL, release, self.releases[release].public, self.host)

    def sealed(self, inner: bytes, to: Destination) -> bytes:
        """A body as a client of this week sends it."""
        token = factory.system_chance().token
        text = Outer.sealed(inner, to, token(32)).encode()
        return self.sealed_text(text)

    def sealed_text(self, text: bytes) -> bytes:
        key = self.weeks[week_of(factory.system_clock().now())].public
        return seal(text, key, factory.system_chance().token(32), LARGE)

    def read(self, body: bytes) -> Direct | Deletion | Share:
        """What a body says."""
        (pair,) = (one for one in self.weeks.values() if key_id(one.public) == key_of(body))
        text = opened(body, pair)
        assert text is not None
        return Recipient(PRODUCT, CHANNEL, {self.host}, self.releases).read(text)[1]


def poisoned(shares: list[Share]) -> Iterator[Share]:
    """What whoever has all keys can make of nine shares: the same points with another text, and
    points of other installations and values, which do not fit."""
    for at, share in enumerate(shares):
        yield triage.poisoned(share)
        yield replace(share, x=share.x + 1 + at)
        yield replace(share, y=share.y + 1)
