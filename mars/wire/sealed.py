"""What is posted to the intake: a fixed number of bytes that only the intake's key opens. Pure.

::

    1 byte    format version, 1
    8 bytes   id of the key: the first of the SHA-256 of the public key
    the rest  a libsodium sealed box (48 bytes more than what it holds) of a strict-JSON text,
              filled up with spaces

The ephemeral key comes from a seed that is given, so that a body is made once and can be made again
by whoever holds the seed; otherwise it is the box that ``crypto_box_seal`` makes.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from mars.errors import WireError, cannot_judge

try:
    import nacl.bindings as sodium
    import nacl.exceptions
except (ImportError, OSError) as error:
    raise cannot_judge(error) from error

FORMAT = 1
SMALL, LARGE = SIZES = (1_024, 16_384)
"""Bytes of a body: of statistics and events, and of reports and deletions."""
KEY_BYTES = 32
SEED_BYTES = 32
ID_BYTES = 8
BOX_BYTES = sodium.crypto_box_SEALBYTES
"""Bytes by which a sealed box is longer than what it holds."""
_HEAD = 1 + ID_BYTES
_NONCE_BYTES = sodium.crypto_box_NONCEBYTES


class Opener(NamedTuple):
    """A key pair of the intake, 32 bytes each."""

    public: bytes
    secret: bytes

    @classmethod
    def of(cls, secret: bytes) -> Opener:
        return cls(public_key(secret), secret)


def public_key(secret: bytes) -> bytes:
    """The X25519 public key of a ``secret`` of 32 bytes."""
    return sodium.crypto_scalarmult_base(secret)


def key_id(public: bytes) -> bytes:
    """Eight bytes by which whoever has many keys finds the right one."""
    return hashlib.sha256(public).digest()[:ID_BYTES]


def room(size: int) -> int:
    """Bytes of text that a body of ``size`` holds: 967 or 16,327."""
    return size - _HEAD - BOX_BYTES


def seal(text: bytes, public: bytes, seed: bytes, size: int = SMALL) -> bytes:
    """A body of ``size`` bytes that holds ``text``. ``seed``: 32 random bytes, for this one alone.

    Raises ``WireError``: ``too-large``, or ``bad-key`` for a key to which nothing can be sealed.
    """
    if len(text) > room(size):
        raise WireError("too-large", f"At most {room(size)} bytes can be sealed; say less.")
    return bytes((FORMAT,)) + key_id(public) + boxed(text.ljust(room(size)), public, seed)


def boxed(text: bytes, public: bytes, seed: bytes) -> bytes:
    """A sealed box of ``text``. Raises ``WireError`` (``bad-key``)."""
    ephemeral, secret = sodium.crypto_box_seed_keypair(seed)
    nonce = hashlib.blake2b(ephemeral + public, digest_size=_NONCE_BYTES).digest()
    try:
        return ephemeral + sodium.crypto_box(text, nonce, public, secret)
    except (nacl.exceptions.CryptoError, ValueError, TypeError):
        raise WireError("bad-key", "To this key nothing can be sealed; take another.") from None


def key_of(body: bytes) -> bytes | None:
    """The id of the key that a body is sealed to; None of what is no body of ours."""
    if len(body) not in SIZES or body[0] != FORMAT:
        return None
    return body[1:_HEAD]


def opened(body: bytes, key: Opener) -> bytes | None:
    """The text in a body, without its filling; None where ``key`` does not open it."""
    text = unboxed(body[_HEAD:], key)
    return None if text is None else text.rstrip(b" ")


def unboxed(box: bytes, key: Opener) -> bytes | None:
    """The text in a sealed box; None where ``key`` does not open it."""
    try:
        return sodium.crypto_box_seal_open(box, key.public, key.secret)
    except (nacl.exceptions.CryptoError, ValueError, TypeError):
        return None
