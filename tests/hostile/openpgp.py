"""What the tests of OpenPGP share: a key, a message, and real gpg and gpgv to judge with."""

from __future__ import annotations

import pytest

from mars.adapters.gpg import GnuPG
from mars.testing.publisher import EXAMPLE_NOW
from mars.wire.envelope import pae
from mars.wire.times import DAY
from testbed.packets import EARLY, PacketKey

NOW = EXAMPLE_NOW
MESSAGE = pae("text/plain", b"line one\nline two\n")
KEY = PacketKey(b"k" * 32)
PAST = EARLY + DAY
"""A signature that is older than any clock that runs these tests."""

BOTH = pytest.mark.parametrize("gnupg", [GnuPG(programs=("gpgv",)), GnuPG(programs=("gpg",))])


def bad(gnupg: GnuPG, signature: bytes, *keys: PacketKey, message: bytes = MESSAGE) -> bool:
    blocks = [key.block for key in keys or (KEY,)]
    return gnupg.verify(signature, message, blocks).reason == "openpgp-bad"


def good(gnupg: GnuPG, signature: bytes, key: PacketKey = KEY) -> bool:
    verdict = gnupg.verify(signature, MESSAGE, [key.block])
    return verdict.reason is None and verdict.fingerprint == key.fingerprint
