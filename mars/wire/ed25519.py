"""Ed25519 (RFC 8032) by libsodium; the one home of nacl in the client."""

from __future__ import annotations

from functools import lru_cache

from mars.errors import cannot_judge

try:
    import nacl.bindings as sodium
    import nacl.exceptions
except (ImportError, OSError) as error:
    raise cannot_judge(error) from error

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64


def generate() -> bytes:
    """A new secret seed of 32 bytes from libsodium's generator."""
    return sodium.randombytes(SEED_BYTES)


def public_key(seed: bytes) -> bytes:
    """The 32-byte public key that belongs to a 32-byte ``seed``."""
    return sodium.crypto_sign_seed_keypair(seed)[0]


def public_key_of_scalar(scalar: bytes) -> bytes:
    """The public key of a secret scalar (32 bytes, clamped), which is what tor keeps of a seed."""
    return sodium.crypto_scalarmult_ed25519_base(scalar)


def sign(seed: bytes, message: bytes) -> bytes:
    """The 64-byte signature of ``message`` (pure Ed25519, deterministic)."""
    secret = sodium.crypto_sign_seed_keypair(seed)[1]
    return sodium.crypto_sign(message, secret)[:SIGNATURE_BYTES]


def verify(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` is valid; never raises, whatever the lengths.

    libsodium refuses S >= L and public keys of small order.
    """
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        sodium.crypto_sign_open(signature + message, public)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


@lru_cache(maxsize=256)
def is_public_key(public: bytes) -> bool:
    """Whether ``public`` is a canonical point of the prime-order group (not of small order).

    Remembered, since a state with the keys of all roles is read several times at each wake-up.
    """
    return len(public) == PUBLIC_BYTES and sodium.crypto_core_ed25519_is_valid_point(public)
