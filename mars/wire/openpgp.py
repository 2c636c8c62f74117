"""What an armoured OpenPGP public key says of itself: fingerprints, dates, ends, revocations. Pure.

A fingerprint that stands beside a block proves nothing until it is computed from the block. No
signature is checked here: the block is one that somebody has pinned, whole, as it is, so its
self-signatures are as good as its keys; and whether a document's signature holds is for gpg to say.
In doubt a key counts as ended or revoked. Sections are those of RFC 4880.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mars.errors import WireError

LAST_SIGNING = 2**32 - 1
"""2106-02-07: OpenPGP writes times as 32 bits of Unix seconds (3.5)."""
MAX_BLOCK = 32 * 1024
"""Characters of a block; a signed payload holds no more."""

_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
_CRC24 = re.compile(r"=[A-Za-z0-9+/]{4}", re.ASCII)
_SIGNATURE, _PUBLIC_KEY, _TRUST, _USER_ID, _SUBKEY, _ATTRIBUTE = 2, 6, 12, 13, 14, 17
_TAGS = {_SIGNATURE, _PUBLIC_KEY, _TRUST, _USER_ID, _SUBKEY, _ATTRIBUTE}
"""What a public key consists of (4.3, 11.1)."""
_CERTIFYING = (0x10, 0x11, 0x12, 0x13, 0x1F)
"""Signature types (5.2.1) in which a primary key speaks of itself: of a user ID, or directly."""
_BINDING, _KEY_REVOKED, _SUBKEY_REVOKED, _CERTIFICATION_REVOKED = 0x18, 0x20, 0x28, 0x30
_MADE, _SIGNATURE_LASTS, _KEY_LASTS, _ISSUER, _FLAGS, _ISSUER_FINGERPRINT = 2, 3, 9, 16, 27, 33
"""Subpackets (5.2.3.1; the last one RFC 9580, 5.2.3.35)."""
_MAY_SIGN = 0x02
"""Key flag (5.2.3.21)."""
_COUNT_OCTETS = {4: 2, 5: 2, 6: 4}
"""By a signature's version: how wide the sizes of its two areas are (RFC 9580, 5.2.3)."""


@dataclass(frozen=True)
class PublicKey:
    """A primary key, or a subkey that may sign."""

    fingerprint: str
    """Upper-case hex: 40 digits for version 4, 64 for later ones."""
    created: int
    """Unix seconds, as written into the key."""
    end: int | None = None
    """The first second, in Unix time, at which it is valid no more; None for a key without end."""
    revoked: bool = False
    """By whomever, whenever; or a primary key that has no self-signature left."""
    signs: bool = True
    """Whether it may sign documents; a primary key need not."""

    def is_valid(self, at: int) -> bool:
        """Whether it holds at the Unix time ``at``; a revoked key never does."""
        within = self.created <= at and (self.end is None or at < self.end)
        return within and not self.revoked


@dataclass(frozen=True)
class _Signature:
    kind: int
    made: int
    lasts: int
    """Seconds after ``made`` until the signature itself ends; 0 for never."""
    key_lasts: int
    """Seconds after the key was created; 0 for ever."""
    flags: int | None
    issuer: str
    """Fingerprint or key id, upper-case hex; empty where it names none."""


@dataclass(frozen=True)
class _Part:
    """A key, user ID or user attribute, and what is signed of it."""

    tag: int
    body: bytes
    signatures: list[_Signature] = field(default_factory=list)


def dearmour(block: str) -> bytes:
    """The packets in an ASCII-armoured block (6.2). Raises ``ValueError``."""
    head, _, rest = block.replace("\r\n", "\n").strip().partition("\n\n")
    body = rest.split("\n")
    if not head.startswith("-----BEGIN PGP ") or not body[-1].startswith("-----END PGP "):
        raise ValueError("no armour")
    lines = [line for line in body[:-1] if _CRC24.fullmatch(line) is None]
    return base64.b64decode("".join(lines), validate=True)


def primary(block: str) -> PublicKey:
    """The one primary key in an armoured public key. Raises as ``public_keys``."""
    return public_keys(block)[0]


def public_keys(block: str) -> tuple[PublicKey, ...]:
    """The primary key of an armoured public key, then each subkey that may sign.

    A subkey ends by itself; that it also ends with its primary is left to the caller (see
    ``signing_keys``). Raises ``WireError`` (``key-damaged``).
    """
    try:
        if len(block) > MAX_BLOCK or not block.strip().startswith(_BEGIN):
            raise ValueError("no public key")
        return tuple(_keys(list(_parts(dearmour(block)))))
    except ValueError:
        raise WireError(
            "key-damaged", "An OpenPGP key block is damaged, or holds more than one public key."
        ) from None


def signing_keys(block: str, at: int) -> list[PublicKey]:
    """The keys of an armoured public key that may sign at the Unix time ``at``: subkeys, the newest
    first, then the primary. None where the primary is not valid. Raises as ``public_keys``."""
    first, *subkeys = public_keys(block)
    newest = sorted(subkeys, key=lambda key: key.created, reverse=True)
    usable = [key for key in (*newest, first) if key.signs and key.is_valid(at)]
    return usable if first.is_valid(at) else []


def _keys(parts: list[_Part]) -> Iterator[PublicKey]:
    first, *others = parts
    fingerprint, created = _fingerprint(first.body), _created(first.body)
    # Version 4 names the end of its fingerprint as key id, later ones the beginning.
    own = {fingerprint, fingerprint[-16:] if len(fingerprint) == 40 else fingerprint[:16]}
    said = [_latest(part, (*_CERTIFYING, _CERTIFICATION_REVOKED), own) for part in parts]
    # Whoever prolongs a key signs all of these anew, so that the earliest end is the key's.
    living = [it for it in said if it is not None and it.kind != _CERTIFICATION_REVOKED]
    flags = [it.flags for it in living if it.flags is not None]
    yield PublicKey(
        fingerprint,
        created,
        _end(created, living),
        not living or any(it.kind == _KEY_REVOKED for part in parts for it in part.signatures),
        any(each & _MAY_SIGN for each in flags) if flags else True,
    )
    for part in others:
        bound = _latest(part, (_BINDING,), own)
        if part.tag == _SUBKEY and bound is not None and (bound.flags or 0) & _MAY_SIGN:
            created = _created(part.body)
            revoked = any(it.kind == _SUBKEY_REVOKED for it in part.signatures)
            yield PublicKey(_fingerprint(part.body), created, _end(created, [bound]), revoked)


def _latest(part: _Part, kinds: Iterable[int], own: set[str]) -> _Signature | None:
    """The newest signature by the key itself; of the same second a revocation, else the last."""
    found = [it for it in part.signatures if it.kind in kinds and it.issuer in own]
    found.reverse()
    return max(found, key=lambda it: (it.made, it.kind == _CERTIFICATION_REVOKED), default=None)


def _end(created: int, signatures: Iterable[_Signature]) -> int | None:
    ends = [created + it.key_lasts for it in signatures if it.key_lasts]
    ends += [it.made + it.lasts for it in signatures if it.lasts]
    return min(ends, default=None)


def _created(body: bytes) -> int:
    return int.from_bytes(body[1:5])


def _fingerprint(body: bytes) -> str:
    """12.2; RFC 9580, 5.5.4."""
    version, size = body[0] if len(body) >= 6 else 0, len(body)
    if version == 4 and size < 2**16:
        digest = hashlib.sha1(b"\x99" + size.to_bytes(2) + body)  # noqa: S324 - what version 4 is
    elif version in (5, 6):
        digest = hashlib.sha256(bytes([0x95 + version]) + size.to_bytes(4) + body)
    else:
        raise ValueError("unknown version")
    return digest.hexdigest().upper()


def _parts(data: bytes) -> Iterator[_Part]:
    """The keys and names of one public key, each with the signatures behind it."""
    part: _Part | None = None
    for tag, body in _packets(data):
        if tag not in _TAGS or (tag == _PUBLIC_KEY) != (part is None):
            raise ValueError("not one primary key")
        if part is not None and tag == _SIGNATURE:
            part.signatures.append(_signature(body))
        elif tag != _TRUST:
            if part is not None:
                yield part
            part = _Part(tag, body)
    if part is None:
        raise ValueError("no key")
    yield part


def _signature(body: bytes) -> _Signature:
    """5.2.3. Only what is signed counts, but for who signed."""
    width = _COUNT_OCTETS.get(body[0]) if body else None
    if width is None:
        raise ValueError("unknown version")
    hashed, rest = _counted(body[4:], width)
    unhashed, _ = _counted(rest, width)
    known = _subpackets(hashed)
    issuers = _subpackets(unhashed) | known
    times = [known.get(kind) for kind in (_MADE, _SIGNATURE_LASTS, _KEY_LASTS)]
    if times[0] is None or any(time is not None and len(time) != 4 for time in times):
        raise ValueError("no date")
    made, lasts, key_lasts = (int.from_bytes(time or b"") for time in times)
    issuer = issuers.get(_ISSUER_FINGERPRINT, b"")[1:] or issuers.get(_ISSUER, b"")
    flags = int.from_bytes(known[_FLAGS][:1]) if _FLAGS in known else None
    return _Signature(body[1], made, lasts, key_lasts, flags, issuer.hex().upper())


def _subpackets(area: bytes) -> dict[int, bytes]:
    """By type, without the critical bit; one of those that we read must not stand there twice."""
    found: dict[int, bytes] = {}
    while area:
        width, size = _length(area)
        end = width + size
        if size == 0 or end > len(area):
            raise ValueError("cut off")
        kind = area[width] & 0x7F
        if kind in found and kind in (_MADE, _SIGNATURE_LASTS, _KEY_LASTS, _FLAGS):
            raise ValueError("twice")
        found[kind], area = area[width + 1 : end], area[end:]
    return found


def _counted(data: bytes, width: int) -> tuple[bytes, bytes]:
    """The octets that a size of ``width`` octets counts, and what comes behind them."""
    end = width + int.from_bytes(data[:width])
    if end > len(data):
        raise ValueError("cut off")
    return data[width:end], data[end:]


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, body) of each packet."""
    at = 0
    while at < len(data):
        tag, head, size = _header(data[at : at + 6])
        at += head + size
        if at > len(data):
            raise ValueError("cut off")
        yield tag, data[at - size : at]


def _header(data: bytes) -> tuple[int, int, int]:
    """(tag, bytes of the header, bytes of the body) (4.2); partial and open lengths are refused.
    Raises ``ValueError``."""
    first, length = data[:2].ljust(2, b"\0")
    if first & 0xC0 == 0xC0 and (length < 224 or length == 255):
        width, size = _length(data[1:])
        return first & 0x3F, 1 + width, size
    if first & 0xC0 == 0x80 and first & 3 != 3:
        width = 1 << (first & 3)
        return (first >> 2) & 0x0F, 1 + width, int.from_bytes(data[1 : 1 + width])
    raise ValueError("no packet")


def _length(data: bytes) -> tuple[int, int]:
    """(octets of the length, what they say), of packets and subpackets (4.2.2, 5.2.3.1).

    One that is cut off says anything; whoever counts then finds too few octets.
    """
    first = data[0] if data else 0
    if first < 192:
        return 1, first
    if first < 255:
        return 2, ((first - 192) << 8) + int.from_bytes(data[1:2]) + 192
    return 5, int.from_bytes(data[1:5])
