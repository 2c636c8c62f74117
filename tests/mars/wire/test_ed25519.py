"""What tor keeps of a seed belongs to the same public key."""

from __future__ import annotations

import hashlib

from mars.wire import ed25519


def test_the_scalar_of_a_seed_has_the_seed_s_public_key() -> None:
    seed = bytes(range(32))
    scalar = bytearray(hashlib.sha512(seed).digest()[:32])
    scalar[0] &= 0xF8
    scalar[31] = scalar[31] & 0x3F | 0x40  # RFC 8032, 5.1.5
    assert ed25519.public_key_of_scalar(bytes(scalar)) == ed25519.public_key(seed)
