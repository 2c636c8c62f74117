"""The signed MOTD as it is held in memory, and the check before it may be served."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mars.errors import ConfigError, MarsError, TrustError, naming
from mars.ports import OpenPGP
from mars.trust import TrustState, verify, verify_chain
from mars.wire import envelope, motd
from mars.wire.envelope import MAX_CHAIN, MAX_ENVELOPE, MOTD_TYPE
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.product import Product, is_release
from mars.wire.times import format_time
from mars_server.common.config import load_product, stamp
from mars_server.common.config import read as read_file

CHAIN = "keys.json"
"""Beside the document: the whole chain of keys, for clients that were away for long."""


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
    flaw: str = ""
    """Why the chain on disk was not taken over, and the one before is served on."""

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
        flaw = ""
        try:
            self.chain = self._read_chain(now)
        except MarsError as error:
            if self.chain is None:
                raise
            flaw = str(error)
        return ServedMotd(data, payload, accepted is not None, product, self.chain, flaw)

    def _read_chain(self, now: int) -> bytes:
        """The chain of keys; clients must be able to follow it. Raises ``MarsError``."""
        try:
            data = read(self._beside, "The chain of keys", "keys", MAX_CHAIN)
        except ConfigError as error:
            if error.reason != "keys-missing":
                raise
            return b""
        with naming(self._beside):
            if self.root is not None and self.openpgp is not None:
                after = verify_chain(data, self.root, TrustState.initial(), now, self.openpgp)
                if after.epoch < self.state.epoch:
                    raise TrustError("keys-chain", "The chain of keys ends before the news.")
            else:
                envelope.decode_chain(data)
        return data

    @property
    def _beside(self) -> Path:
        return self.path.parent / CHAIN

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        return stamp(self.path), stamp(self.product), stamp(self._beside)
