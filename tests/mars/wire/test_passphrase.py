"""What a passphrase protects, and memory that is not there."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from mars.errors import StateError
from mars.wire.passphrase import NONE, Lock, Wrong, derived, seed_in

SEED = b"s" * 32
SALT = bytes(16)
WEAK = {"kdf": "argon2id13", "salt": SALT.hex(), "opslimit": 1, "memlimit": 8192}
"""The least that libsodium takes."""


def nobody() -> bytes:
    raise AssertionError("nothing is protected")


def test_a_seed_is_read_in_the_clear_or_from_its_box() -> None:
    assert seed_in({"kdf": NONE, "seed": SEED.hex()}, nobody) == SEED
    box = Lock(WEAK, b"phrase").sealed(SEED)
    assert seed_in({**WEAK, "box": box}, lambda: b"phrase") == SEED
    with pytest.raises(Wrong):
        seed_in({**WEAK, "box": box}, lambda: b"other")


def test_a_seed_of_another_size_is_none() -> None:
    with pytest.raises(ValueError, match="wrong size"):
        seed_in({"kdf": NONE, "seed": "00"}, nobody)


def test_memory_that_is_not_there_is_told() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    room = pages * resource.getpagesize() + (16 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (room, before[1]))
    try:
        with pytest.raises(StateError) as error:
            derived(32, b"phrase", SALT, 1, 256 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    assert error.value.reason == "no-memory"
