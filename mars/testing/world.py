"""One installation with its publisher and its server, all in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mars.channels.news import NewsClient
from mars.client import Mars
from mars.core.channel import Channel
from mars.core.records import Ports
from mars.core.state import App
from mars.pinned import Pinned
from mars.ports import Platform
from mars.providers import Collector, Given, inline
from mars.testing import memory
from mars.testing.publisher import Publisher
from mars.wire.motd import Motd

ONION = f"{'a' * 51}m2dqd.onion"
"""A well-formed address (public key of 32 zero octets) that nobody can serve."""


@dataclass
class World:
    """One installation, its publisher and its server, all in memory.

    Change ``host``, ``app`` or ``server`` at will; ``client()`` is a new process each time, on
    the same store.
    """

    publisher: Publisher = field(default_factory=Publisher)
    clock: memory.MemoryClock = field(default_factory=memory.MemoryClock)
    store: memory.MemoryStore = field(default_factory=memory.MemoryStore)
    server: memory.MemoryServer = field(default_factory=memory.MemoryServer)
    host: Platform = field(default_factory=memory.machine)
    seed: int = 1
    version: str = "0.5.1"
    languages: tuple[str, ...] = ("en", "is")
    url: str = f"http://{ONION}/motd/motd.json"
    crowd: int = 0
    """What ``trust.json`` says of it; it is then of the day on which this world begins."""
    pinned: bytes = b""
    """The trust file of the release, where it is not one of the publisher's present keys."""
    channels: Sequence[Channel] = ()
    """Further ones than the news."""
    registry: bytes | None = None
    """What the application ships."""
    given: dict[str, Given] = field(default_factory=dict)
    """What it provides of each; providers run in the caller's thread, and what they raise is
    raised."""

    def __post_init__(self) -> None:
        self.chance = memory.SeededChance(self.seed)
        self._built = self.clock.now() if self.crowd else 0

    @property
    def trust(self) -> bytes:
        """What the application pins."""
        return self.pinned or self.publisher.trust_file(self.crowd, built=self._built)

    def publish(self, **changes: Any) -> Motd:
        """The server has a document of this moment from now on; ``changes`` replace members."""
        self.server.body = self.publisher.document(self.clock.wall, **changes)
        self.server.fault = self.server.unreachable = None
        return self.publisher.motd(self.clock.wall, **changes)

    def ports(self) -> Ports:
        return Ports(
            store=self.store,
            host=self.host,
            clock=self.clock,
            chance=self.chance,
            fetcher=lambda _plan: self.server,
            openpgp=memory.MemoryOpenPGP,
        )

    def client(self, **changes: Any) -> NewsClient:
        """The client as a process would make it."""
        app = App(self.publisher.product, self.version, self.url, languages=self.languages)
        app = replace(app, channel=self.publisher.channel, built=self._built, crowd=self.crowd)
        known = Pinned.of(self.trust)
        app = replace(app, server=known.server, steered=known.steered)
        collector = Collector(isolate=inline, raises=True)
        for name, given in self.given.items():
            collector.provide(name, given)
        return NewsClient(
            replace(app, **changes),
            self.trust,
            self.ports(),
            self.channels,
            registry=self.registry,
            collect=collector.value,
        )

    def mars(self, **changes: Any) -> Mars:
        """The class that applications embed, in this world."""
        made = {
            "product": self.publisher.product,
            "version": self.version,
            "trust": self.trust,
            "languages": self.languages,
            "url": self.url,
            "channels": self.channels,
            "registry": self.registry,
            "isolate": inline,
            "raises": True,
            **vars(self.ports()),
        }
        del made["is_own_fetcher"]  # it is
        mars = Mars(**{**made, **changes})
        for name, given in self.given.items():
            mars.statistics.provide(name, given)
        return mars

    def grant(self, level: str, *variables: str, **switches: Any) -> None:
        """The user decides, now."""
        self.mars().consent.grant(level, variables or None, **switches)
