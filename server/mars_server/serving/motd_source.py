"""The signed MOTD and what lies beside it, as they are held in memory, and the check before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mars.errors import ConfigError, MarsError, TrustError, naming
from mars.ports import OpenPGP
from mars.trust import TrustState, verify, verify_chain
from mars.wire import catalogue, envelope, motd, strictjson
from mars.wire.catalogue import MAX_REGISTRY, Catalogue
from mars.wire.envelope import MAX_CHAIN, MAX_ENVELOPE, MOTD_TYPE
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.product import Product, is_release
from mars.wire.times import format_time
from mars_server.common.config import load_product, stamp
from mars_server.common.config import read as read_file

CHAIN = "keys.json"
"""Beside the document: the whole chain of keys, for clients that were away for long."""
REGISTRY = "registry.json"
"""Everything that can be sent; its hash stands in root's steering document."""
STATUS = "status.json"
"""Answers to error reports, the same for everyone."""
MAX_STATUS = 512 * 1024
"""Bytes."""


@dataclass(frozen=True)
class ServedMotd:
    """``body`` is what every client gets, ``motd`` what it says."""

    body: bytes
    motd: Motd
    verified: bool
    """Whether a client would accept it; False where nobody gave us what clients pin."""
    product: Product
    """product.toml as it was when the document was read."""
    chain: bytes = b""
    """The chain of keys; empty where there is none, as in the first epoch."""
    registry: bytes = b""
    status: bytes = b""
    flaws: tuple[str, ...] = ()
    """Why what lies beside the document was not taken over, and the one before is served on."""

    @property
    def unlisted(self) -> str:
        """The newest release by the document, where product.toml does not list it, else empty."""
        newest = _release(self.motd)
        return "" if newest in self.product.releases else newest

    @property
    def doubt(self) -> str:
        """What the operator should do about ``unlisted``."""
        return (
            f"the document calls {self.unlisted} the newest release and product.toml does not list "
            "it; it is counted, but install the publisher's product.toml"
        )


def newest_release(data: bytes) -> str:
    """What a document calls the newest release, where that is one, else an empty text. Signatures
    are not looked at. Raises ``WireError``."""
    return _release(motd.decode(envelope.decode(data).payload))


def _release(payload: Motd) -> str:
    return payload.newest_version if is_release(payload.newest_version) else ""


def read(path: Path, what: str = "The MOTD", kind: str = "motd", most: int = MAX_ENVELOPE) -> bytes:
    """The bytes. Raises ``ConfigError``: ``KIND-missing``, ``KIND-unreadable``, ``too-large``."""
    data = read_file(path, what, kind, most=most + 1)
    if len(data) > most:
        raise ConfigError("too-large", f"{path} is larger than {most} bytes.")
    return data


def _optional(path: Path, what: str, kind: str, most: int) -> bytes:
    """As ``read``; nothing where there is no such file."""
    try:
        return read(path, what, kind, most)
    except ConfigError as error:
        if error.reason != f"{kind}-missing":
            raise
        return b""


def _unverified(data: bytes, now: int) -> Motd:
    """Structure and expiry; signatures are *not* looked at.

    Raises ``WireError``, or ``TrustError`` (``wrong-kind``, ``expired``).
    """
    wrapped = envelope.decode(data)
    if wrapped.payload_type != MOTD_TYPE:
        raise TrustError("wrong-kind", "The file is signed as something else than a MOTD.")
    payload = motd.decode(wrapped.payload)
    if payload.expires <= now:
        raise TrustError(
            "expired", f"The MOTD expired at {format_time(payload.expires)}; sign a new one."
        )
    return payload


@dataclass
class MotdSource:
    """The files that documents come from, and what was accepted from them before."""

    path: Path
    product: Path
    root: TrustRoot | None = None
    openpgp: OpenPGP | None = None
    state: TrustState = field(default_factory=TrustState.initial)
    seen: tuple[tuple[int, int, int], ...] = ()
    chain: bytes | None = None
    """The last that was accepted; None before the first load."""
    registry: bytes = b""
    status: bytes = b""
    """The last that were accepted."""

    def changed(self) -> bool:
        """Whether a file is another one than at the last ``load`` (inode, size, time)."""
        return self._look() != self.seen

    def forget(self) -> None:
        """Lets ``changed`` say so, whatever the files are."""
        self.seen = ()

    def load(self, now: int) -> ServedMotd:
        """Reads and judges the files at ``now`` (Unix seconds); may take seconds, for gpg. A chain
        of keys that fails later than at the first time holds no news back: the one before stays.

        Raises ``MarsError``: whatever a client would refuse it for, or what ``read`` and
        ``load_product`` raise.
        """
        self.seen = self._look()
        data, product = read(self.path), load_product(self.product)
        with naming(self.path):
            accepted = None
            if self.root is not None and self.openpgp is not None:
                accepted = verify(data, self.root, self.state, now, self.openpgp)
            payload = accepted.motd if accepted else _unverified(data, now)
            if (payload.product, payload.channel) != (product.product, product.channel):
                raise TrustError("wrong-product", "The MOTD is for another product or channel.")
        self.state = accepted.state if accepted else self.state
        flaws = tuple(self._load_beside(product, now))
        beside = self.chain or b"", self.registry, self.status
        return ServedMotd(data, payload, accepted is not None, product, *beside, flaws)

    def _load_beside(self, product: Product, now: int) -> Iterator[str]:
        """Says what was not taken over, and why."""
        try:
            self.chain = self._read_chain(now)
        except MarsError as error:
            if self.chain is None:
                raise
            yield f"the chain of keys stays as it is: {error}"
        try:
            self.registry = self._read_registry(product)
        except MarsError as error:
            yield f"the registry stays as it is: {error}"
        try:
            self.status = self._read_status()
        except MarsError as error:
            yield f"the answers to reports stay as they are: {error}"

    def _read_registry(self, product: Product) -> bytes:
        """The registry that clients take. Raises ``MarsError``."""
        wanted = self._registry_wanted
        path = self.path.parent / REGISTRY
        data = _optional(path, "The registry", "registry", MAX_REGISTRY)
        with naming(path):
            if not data and wanted:
                raise TrustError("registry-missing", "It is not there, and steering names one.")
            if not data:
                return b""
            said = Catalogue.decode(data)
            if (said.product, said.channel) != (product.product, product.channel):
                raise TrustError("wrong-product", "It is for another product or channel.")
            if wanted not in (None, catalogue.digest(data)):
                told = "Clients take another one, by root's steering document: deploy both."
                raise TrustError("registry-unknown", told)
        return data

    @property
    def _registry_wanted(self) -> str | None:
        """Its hash; empty where there shall be none, None where nobody gave us what clients pin."""
        return (self.state.steering or self.root.steering).registry if self.root else None

    def _read_status(self) -> bytes:
        """Its signature is the clients' matter. Raises ``MarsError``."""
        path = self.path.parent / STATUS
        data = _optional(path, "The answers to reports", "status", MAX_STATUS)
        with naming(path):
            if data:
                strictjson.parse(data, MAX_STATUS)
        return data

    def _read_chain(self, now: int) -> bytes:
        """The chain of keys; clients must be able to follow it. Raises ``MarsError``."""
        path = self.path.parent / CHAIN
        data = _optional(path, "The chain of keys", "keys", MAX_CHAIN)
        if not data:
            return b""
        with naming(path):
            if self.root is not None and self.openpgp is not None:
                after = verify_chain(data, self.root, TrustState.initial(), now, self.openpgp)
                if after.epoch < self.state.epoch:
                    raise TrustError("keys-chain", "The chain of keys ends before the news.")
            else:
                envelope.decode_chain(data)
        return data

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        beside = (self.path.parent / name for name in (CHAIN, REGISTRY, STATUS))
        return tuple(map(stamp, (self.path, self.product, *beside)))
