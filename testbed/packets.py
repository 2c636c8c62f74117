"""OpenPGP keys and signatures, packet by packet, with every field in the test's hand.

gpg refuses to make most of what a verifier must refuse (SHA-1, revoked keys, dates in the future,
bytes that look like status lines), and what it makes differs from run to run. These are version 4
EdDSA packets (RFC 4880, and RFC 6637 with draft-ietf-openpgp-rfc4880bis for EdDSA), made without a
process and always the same. Never for real keys.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace

from mars.wire import ed25519

SHA1, SHA256, SHA384, SHA512, SHA224, MD5 = 2, 8, 9, 10, 11, 1
_HASHES = {
    MD5: "md5",
    SHA1: "sha1",
    SHA256: "sha256",
    SHA384: "sha384",
    SHA512: "sha512",
    SHA224: "sha224",
}
"""OpenPGP hash id to the name in hashlib (RFC 4880, section 9.4)."""

BINARY, TEXT = 0x00, 0x01
_POSITIVE, _SUBKEY_BINDING, _PRIMARY_BINDING, _REVOCATION = 0x13, 0x18, 0x19, 0x20
"""Signature classes (section 5.2.1)."""

_SIGNATURE, PUBLIC_KEY, _USER_ID, _SUBKEY = 2, 6, 13, 14
"""Packet tags (section 4.3)."""

_EDDSA = 22
_OID = bytes.fromhex("092b06010401da470f01")
"""Ed25519, with its length."""

EARLY = 1_577_836_800
"""2020-01-01T00:00:00Z: keys of tests were made before any clock that runs them."""


@dataclass(frozen=True)
class PacketKey:
    """A primary key, and at will a signing subkey, that no program but ours has made."""

    seed: bytes
    created: int = EARLY
    expires_after: int = 0
    """Seconds after ``created``; 0 for never."""
    revoked: bool = False
    subkey: bytes | None = None
    """Seed of a signing subkey, which then signs in place of the primary."""
    name: str = "Test <test@example.org>"

    def another(self, name: str) -> PacketKey:
        """A key of its own for each name, and always the same."""
        return replace(self, seed=hashlib.sha256(name.encode() + self.seed).digest())

    @property
    def body(self) -> bytes:
        """The public key packet's body."""
        return _public(self.seed, self.created)

    @property
    def fingerprint(self) -> str:
        """Of the primary key: 40 upper-case hex digits."""
        return _fingerprint(self.body).hex().upper()

    @property
    def packets(self) -> bytes:
        """The transferable public key (section 11.1)."""
        about = self.name.encode("utf-8")
        hashed = b"\x99" + len(self.body).to_bytes(2, "big") + self.body
        flags = subpacket(27, b"\x03")
        if self.expires_after:
            flags += lasts(self.expires_after)
        parts = [packet(PUBLIC_KEY, self.body)]
        if self.revoked:
            parts.append(self._certify(_REVOCATION, hashed, subpacket(29, b"\x00")))
        parts.append(packet(_USER_ID, about))
        named = hashed + b"\xb4" + len(about).to_bytes(4, "big") + about
        parts.append(self._certify(_POSITIVE, named, flags))
        if self.subkey is not None:
            parts += self._bind(hashed, self.subkey)
        return b"".join(parts)

    @property
    def block(self) -> str:
        """The armoured public key block."""
        return armour("PUBLIC KEY BLOCK", self.packets)

    def sign(
        self,
        message: bytes,
        at: int,
        digest: int = SHA256,
        kind: int = BINARY,
        hashed: bytes = b"",
        unhashed: bytes = b"",
        expires_after: int = 0,
    ) -> bytes:
        """A detached signature dated ``at``; extra subpackets go where they are told."""
        if expires_after:
            hashed += lasts(expires_after, 3)
        seed = self.seed if self.subkey is None else self.subkey
        return _signature(seed, self.created, kind, message, at, digest, hashed, unhashed)

    def _certify(self, kind: int, message: bytes, hashed: bytes) -> bytes:
        return _signature(self.seed, self.created, kind, message, self.created, SHA256, hashed, b"")

    def _bind(self, primary: bytes, subkey: bytes) -> list[bytes]:
        body = _public(subkey, self.created)
        both = primary + b"\x99" + len(body).to_bytes(2, "big") + body
        back = _signature(
            subkey, self.created, _PRIMARY_BINDING, both, self.created, SHA256, b"", b""
        )
        # An embedded signature is a packet's body, without its header of three octets.
        flags = subpacket(27, b"\x02") + subpacket(32, back[3:])
        return [packet(_SUBKEY, body), self._certify(_SUBKEY_BINDING, both, flags)]


def packet(tag: int, body: bytes) -> bytes:
    """An old-format packet with a two-octet length (section 4.2.1)."""
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def subpacket(kind: int, body: bytes) -> bytes:
    """A signature subpacket (section 5.2.3.1)."""
    length = len(body) + 1
    if length < 192:
        return bytes([length, kind]) + body
    length -= 192
    return bytes([(length >> 8) + 192, length & 0xFF, kind]) + body


def lasts(seconds: int, kind: int = 9) -> bytes:
    """How long a key lasts (section 5.2.3.6), or with ``kind`` 3 a signature."""
    return subpacket(kind, seconds.to_bytes(4, "big"))


def unsigned(
    kind: int, made: int, *hashed: bytes, by: str, unhashed: bytes = b"", version: int = 4
) -> bytes:
    """A signature packet that says what it is told, in the name of the fingerprint ``by`` (or of
    nobody), without a signature; for readers that check none."""
    width, issuer = 4 if version == 6 else 2, bytes([version]) + bytes.fromhex(by)
    area = subpacket(2, made.to_bytes(4, "big")) + b"".join(hashed)
    area += subpacket(33, issuer) if by else b""
    areas = b"".join(len(each).to_bytes(width, "big") + each for each in (area, unhashed))
    return packet(_SIGNATURE, bytes([version, kind, _EDDSA, SHA256]) + areas + b"\0\0")


def notation(name: str, value: bytes) -> bytes:
    """A notation subpacket: free bytes inside a signature (section 5.2.3.16)."""
    key = name.encode("utf-8")
    lengths = len(key).to_bytes(2, "big") + len(value).to_bytes(2, "big")
    return subpacket(20, b"\x80\0\0\0" + lengths + key + value)


def armour(kind: str, data: bytes) -> str:
    """ASCII armour with its checksum (section 6)."""
    lines = base64.encodebytes(data).decode("ascii").replace("\n", "")
    body = "\n".join(lines[i : i + 64] for i in range(0, len(lines), 64))
    check = base64.b64encode(_crc24(data).to_bytes(3, "big")).decode("ascii")
    return f"-----BEGIN PGP {kind}-----\n\n{body}\n={check}\n-----END PGP {kind}-----\n"


def _crc24(data: bytes) -> int:
    register = 0xB704CE
    for octet in data:
        register ^= octet << 16
        for _ in range(8):
            register <<= 1
            if register & 0x1000000:
                register ^= 0x1864CFB
    return register & 0xFFFFFF


def _public(seed: bytes, created: int) -> bytes:
    point = b"\x40" + ed25519.public_key(seed)
    return b"\x04" + created.to_bytes(4, "big") + bytes([_EDDSA]) + _OID + _mpi(point)


def _fingerprint(body: bytes) -> bytes:
    return hashlib.sha1(
        b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False
    ).digest()


def _mpi(data: bytes) -> bytes:
    number = int.from_bytes(data, "big")
    bits = number.bit_length()
    return bits.to_bytes(2, "big") + number.to_bytes((bits + 7) // 8, "big")


def _signature(
    seed: bytes,
    key_created: int,
    kind: int,
    message: bytes,
    at: int,
    digest: int,
    hashed: bytes,
    unhashed: bytes,
) -> bytes:
    fingerprint = _fingerprint(_public(seed, key_created))
    hashed = subpacket(33, b"\x04" + fingerprint) + subpacket(2, at.to_bytes(4, "big")) + hashed
    unhashed = subpacket(16, fingerprint[-8:]) + unhashed
    head = bytes([4, kind, _EDDSA, digest]) + len(hashed).to_bytes(2, "big") + hashed
    if kind == TEXT:
        message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    covered = message + head + b"\x04\xff" + len(head).to_bytes(4, "big")
    summary = hashlib.new(_HASHES[digest], covered, usedforsecurity=False).digest()
    proof = ed25519.sign(seed, summary)
    tail = len(unhashed).to_bytes(2, "big") + unhashed + summary[:2]
    return packet(_SIGNATURE, head + tail + _mpi(proof[:32]) + _mpi(proof[32:]))
