"""Ed25519 as we call it."""

from __future__ import annotations

import hashlib

import pytest

from mars.wire import ed25519


@pytest.mark.parametrize("seed", [bytes(32), b"s" * 32, bytes(range(32))])
def test_the_scalar_that_tor_keeps_has_the_public_key_of_its_seed(seed: bytes) -> None:
    scalar = bytearray(hashlib.sha512(seed).digest()[:32])  # RFC 8032, 5.1.5
    scalar[0] &= 248
    scalar[31] = (scalar[31] & 127) | 64
    assert ed25519.public_key_of_scalar(bytes(scalar)) == ed25519.public_key(seed)
