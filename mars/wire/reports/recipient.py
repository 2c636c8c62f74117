"""Who receives error reports, and what comes out of what was sent. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from mars.errors import WireError
from mars.wire.reports import crowd, direct
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Deletion, Direct
from mars.wire.reports.outer import Destination, Outer, Unpack, parted, strict_base64
from mars.wire.sealed import Opener


@dataclass(frozen=True)
class Recipient:
    """Triage of one product and channel."""

    product: str
    channel: str
    servers: Collection[str]
    """Hosts of its intakes."""
    keys: Mapping[str, Opener] = field(default_factory=dict, repr=False)
    """Of the releases whose reports it reads."""
    unpack: Unpack = field(default=strict_base64, repr=False)
    """Where there is a faster way, as for who reads thousands."""

    def read(self, text: bytes) -> tuple[str, Direct | Deletion | Share]:
        """The release, and what a text says that the intake's key opened.

        Raises ``WireError``: as ``Outer.decode``, ``other-product``, ``unknown-release`` without a
        key of it, ``not-opened``, ``other-kind``, ``other-server``, ``bad-signature`` and
        ``bad-share``.
        """
        outer = Outer.decode(text, self.unpack)
        if (outer.product, outer.channel) != (self.product, self.channel):
            raise WireError("other-product", "It is of another product or channel.")
        key = self.keys.get(outer.release)
        if key is None:
            raise WireError("unknown-release", "There is no key for reports of its release.")
        return outer.release, self._inside(outer, key)

    def _inside(self, outer: Outer, key: Opener) -> Direct | Deletion | Share:
        head, rest = parted(outer.opened(key))
        kind = head.get("kind")
        if kind == crowd.KIND:
            return Share.read(head, rest)
        if kind not in (direct.REPORT, direct.DELETION):
            raise WireError("other-kind", "It is neither a report nor a deletion.")
        server = direct.server_of(head)
        if server not in self.servers:
            raise WireError("other-server", "It was meant for another server.")
        to = Destination(self.product, self.channel, outer.release, key.public, server)
        return direct.read(str(kind), head, rest, to)
