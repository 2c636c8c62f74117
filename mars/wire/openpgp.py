"""What an armoured OpenPGP public key says of itself: its fingerprint and its date. Pure.

A fingerprint that stands beside a block proves nothing until it is computed from the block. Nothing
is verified here; that is gpg's.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mars.errors import WireError

LAST_SIGNING = 2**32 - 1
"""2106-02-07: OpenPGP writes times as 32 bits of Unix seconds (RFC 4880, 3.5)."""

_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_CRC24 = re.compile(r"=[A-Za-z0-9+/]{4}", re.ASCII)
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
    """The packets in an ASCII-armoured block (RFC 4880, section 6.2). Raises ``ValueError``."""
    head, _, rest = block.replace("\r\n", "\n").strip().partition("\n\n")
    body = rest.split("\n")
    if not head.startswith("-----BEGIN PGP ") or not body[-1].startswith("-----END PGP "):
        raise ValueError("no armour")
    lines = [line for line in body[:-1] if _CRC24.fullmatch(line) is None]
    return base64.b64decode("".join(lines), validate=True)


def key_created(packets: bytes) -> int:
    """Unix time in the first packet, a version 4 public key (RFC 4880, 5.5.2); else 0."""
    try:
        tag, head, _ = _header(packets)
    except ValueError:
        return 0
    body = packets[head : head + 5]
    return int.from_bytes(body[1:]) if tag == _PUBLIC_KEY and body[:1] == b"\x04" else 0


def primary(block: str) -> PublicKey:
    """The one primary key in an armoured public key. Raises ``WireError`` (``key-damaged``)."""
    try:
        if not block.strip().startswith(_BEGIN):
            raise ValueError("no public key")
        packets = list(_packets(dearmour(block)))
        tags = [tag for tag, _ in packets]
        if tags.count(_PUBLIC_KEY) != 1 or tags[0] != _PUBLIC_KEY or set(tags) & set(_SECRETS):
            raise ValueError("not one primary key")
        body = packets[0][1]
        return PublicKey(_fingerprint(body), int.from_bytes(body[1:5]))
    except ValueError:
        raise WireError(
            "key-damaged", "An OpenPGP key block is damaged, or holds more than one public key."
        ) from None


def _fingerprint(body: bytes) -> str:
    """RFC 4880, 12.2; RFC 9580, 5.5.4."""
    version, size = body[0] if len(body) >= 6 else 0, len(body)
    if version == 4 and size < 2**16:
        digest = hashlib.sha1(b"\x99" + size.to_bytes(2) + body)  # noqa: S324 - what version 4 is
    elif version in (5, 6):
        digest = hashlib.sha256(bytes([0x95 + version]) + size.to_bytes(4) + body)
    else:
        raise ValueError("unknown version")
    return digest.hexdigest().upper()


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet."""
    while data:
        tag, head, size = _header(data)
        if head + size > len(data):
            raise ValueError("cut off")
        yield tag, data[head : head + size]
        data = data[head + size :]


def _header(data: bytes) -> tuple[int, int, int]:
    """(tag, bytes of the header, bytes of the body) (RFC 4880, 4.2); partial and open lengths are
    refused. Raises ``ValueError``."""
    first, length = data[:2].ljust(2, b"\0")
    if first & 0xC0 == 0xC0:
        tag = first & 0x3F
        if length < 192:
            return tag, 2, length
        if length < 224 and len(data) > 2:
            return tag, 3, ((length - 192) << 8) + data[2] + 192
        if length == 255:
            return tag, 6, int.from_bytes(data[2:6])
    elif first & 0x80 and first & 3 != 3:
        width = 1 << (first & 3)
        return (first >> 2) & 0x0F, 1 + width, int.from_bytes(data[1 : 1 + width])
    raise ValueError("no packet")
