"""What an armoured OpenPGP public key says of itself: its fingerprint and its date. Pure.

A fingerprint that stands beside a block proves nothing until it is computed from the block.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from mars.errors import ConfigError

LAST_SIGNING = 2**32 - 1
"""2106-02-07: OpenPGP writes times as 32 bits of Unix seconds (RFC 4880, 3.5)."""

_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_END = "-----END PGP PUBLIC KEY BLOCK-----"
_PUBLIC_KEY = 6
_SECRETS = (5, 7)
"""Packet tags (RFC 4880, 4.3)."""


@dataclass(frozen=True)
class PublicKey:
    """The primary key of a block."""

    fingerprint: str
    """Upper-case hex: 40 digits for version 4, 64 for later ones."""
    created: int
    """Unix seconds, as written into the key."""


def dearmour(block: str) -> bytes:
    """The packets of an armoured public key, as gpgv's keyring wants them (RFC 4880, 6.2).

    Raises ``ConfigError`` (``key-damaged``).
    """
    lines = [line.strip() for line in block.strip().splitlines()]
    if lines[:1] != [_BEGIN] or lines[-1] != _END or "" not in lines:
        raise _damaged()
    body = lines[lines.index("") + 1 : -1]
    if body and body[-1].startswith("="):
        body.pop()  # the checksum; gpg itself looks at it
    try:
        return base64.b64decode("".join(body), validate=True)
    except binascii.Error:
        raise _damaged() from None


def primary(block: str) -> PublicKey:
    """The one primary key in ``block``. Raises ``ConfigError`` (``key-damaged``)."""
    packets = list(_packets(dearmour(block)))
    tags = [tag for tag, _ in packets]
    if tags.count(_PUBLIC_KEY) != 1 or tags[0] != _PUBLIC_KEY or set(tags) & set(_SECRETS):
        raise _damaged()
    body = packets[0][1]
    if len(body) < 6:
        raise _damaged()
    return PublicKey(_fingerprint(body), int.from_bytes(body[1:5]))


def _fingerprint(body: bytes) -> str:
    """RFC 4880, 12.2; RFC 9580, 5.5.4."""
    version, size = body[0], len(body)
    if version == 4 and size < 2**16:
        digest = hashlib.sha1(b"\x99" + size.to_bytes(2) + body)  # noqa: S324 - what version 4 is
    elif version in (5, 6):
        digest = hashlib.sha256(bytes([0x95 + version]) + size.to_bytes(4) + body)
    else:
        raise _damaged()
    return digest.hexdigest().upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet (RFC 4880, 4.2); partial and open lengths are refused."""
    while data:
        first = data[0]
        if not first & 0x80:
            raise _damaged()
        if first & 0x40:
            tag, (size, head) = first & 0x3F, _new_length(data)
        else:
            tag, width = (first >> 2) & 0x0F, 1 << (first & 3)
            if width == 8:
                raise _damaged()
            size, head = int.from_bytes(data[1 : 1 + width]), 1 + width
        if head + size > len(data):
            raise _damaged()
        yield tag, data[head : head + size]
        data = data[head + size :]


def _new_length(data: bytes) -> tuple[int, int]:
    """(length of the body, bytes of the header)."""
    first = data[1] if len(data) > 1 else 255
    if first < 192:
        return first, 2
    if first < 224 and len(data) > 2:
        return ((first - 192) << 8) + data[2] + 192, 3
    if first == 255:
        return int.from_bytes(data[2:6]), 6
    raise _damaged()


def _damaged() -> ConfigError:
    return ConfigError(
        "key-damaged", "An OpenPGP key block is damaged, or holds more than one public key."
    )
