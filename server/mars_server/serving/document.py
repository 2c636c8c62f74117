"""The signed MOTD as it is held in memory, and the check before it may be served."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path

from mars.errors import ConfigError, TrustError
from mars.ports import OpenPGP
from mars.trust import TrustState, verify
from mars.wire import envelope, motd
from mars.wire.envelope import MAX_ENVELOPE, MOTD_TYPE
from mars.wire.keys import TrustRoot
from mars.wire.product import Product
from mars.wire.times import format_time


@dataclass(frozen=True)
class Document:
    """``body`` is what every client gets; times are Unix seconds."""

    body: bytes
    serial: int
    expires: int
    verified: bool
    """Whether a client would accept it; False where nobody gave us what clients pin."""


def read(path: Path) -> bytes:
    """The file's bytes. Raises ``ConfigError``: ``motd-missing``, ``too-large``."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(None, "not a regular file")
            data = file.read(MAX_ENVELOPE + 1)
    except OSError as error:
        raise ConfigError(
            "motd-missing", f"The MOTD {path} cannot be read ({error.strerror})."
        ) from None
    if len(data) > MAX_ENVELOPE:
        raise ConfigError("too-large", f"{path} is larger than {MAX_ENVELOPE} bytes.")
    return data


def _at_once(path: str, flags: int) -> int:
    """Opens without waiting: a pipe in the place of the file must not hold up the server."""
    return os.open(path, flags | os.O_NONBLOCK)


def inspect(data: bytes, product: Product, now: int) -> Document:
    """Structure, product, channel and expiry; signatures are *not* looked at.

    Raises ``WireError``, or ``TrustError`` (``wrong-product``, ``expired``).
    """
    wrapped = envelope.decode(data)
    if wrapped.payload_type != MOTD_TYPE:
        raise TrustError("wrong-kind", "The file is signed as something else than a MOTD.")
    payload = motd.decode(wrapped.payload)
    if (payload.product, payload.channel) != (product.product, product.channel):
        raise TrustError("wrong-product", "The MOTD is for another product or channel.")
    if payload.expires <= now:
        raise TrustError(
            "expired", f"The MOTD expired at {format_time(payload.expires)}; sign a new one."
        )
    return Document(data, payload.serial, payload.expires, verified=False)


@dataclass
class Source:
    """The file that documents come from, and what was accepted from it before."""

    path: Path
    product: Product
    root: TrustRoot | None
    openpgp: OpenPGP | None
    state: TrustState = field(default_factory=TrustState.initial)
    seen: tuple[int, int, int] = (0, 0, 0)

    def changed(self) -> bool:
        """Whether the file is another one than at the last ``load`` (inode, size, time)."""
        return self._look() != self.seen

    def load(self, now: int) -> Document:
        """Reads and judges the file at ``now`` (Unix seconds); may take seconds, for gpg.

        Raises ``MarsError``: whatever a client would refuse it for, or ``motd-missing``.
        """
        self.seen = self._look()
        data = read(self.path)
        if self.root is None or self.openpgp is None:
            return inspect(data, self.product, now)
        plain = inspect(data, self.product, now)
        accepted = verify(data, self.root, self.state, now, self.openpgp)
        self.state = accepted.state
        return replace(plain, verified=True)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_ino, found.st_size, found.st_mtime_ns)
