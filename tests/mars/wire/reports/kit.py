"""A fault, who reports it and who reads that. Dealers are kept: each costs 64 MiB and 0.1 s."""

from __future__ import annotations

from functools import lru_cache

from mars.wire.reports.crowd import Dealer, Share
from mars.wire.reports.direct import Content, Identity
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import Destination, Outer
from mars.wire.reports.recipient import Recipient
from mars.wire.sealed import Opener

PRODUCT, CHANNEL, RELEASE = "examplemail", "stable", "0.5.2"
SERVER = "a" * 56 + ".onion"
KEY, OTHER_KEY = (Opener.of(bytes([n]) * 32) for n in (1, 2))
TO = Destination(PRODUCT, CHANNEL, RELEASE, KEY.public, SERVER)
TRIAGE = Recipient(PRODUCT, CHANNEL, {SERVER}, {RELEASE: KEY, "0.5.1": OTHER_KEY})
SEED, NONCE = b"\x03" * 32, b"\x04" * 24
FAULT = Fault(
    ("FileNotFoundError[ENOENT]", "KeyError"),
    ("<other>", "examplemail.ui:Window.open+12", "examplemail.store:load+3"),
)
CONTENT = Content(FAULT, "linux", "It happened when I opened the archive.")
IDENTITY = Identity.of(SEED, NONCE)


@lru_cache(maxsize=8)
def dealer(fault: Fault = FAULT) -> Dealer:
    return Dealer.of(fault, PRODUCT, RELEASE)


@lru_cache(maxsize=8)
def shares(number: int, fault: Fault = FAULT) -> tuple[Share, ...]:
    """Of as many installations."""
    return tuple(dealer(fault).share(bytes([n]) * 32, bytes([n]) * 24) for n in range(number))


def sealed(inner: bytes, to: Destination = TO) -> bytes:
    """What the intake's key opens."""
    return Outer.sealed(inner, to, SEED).encode()
