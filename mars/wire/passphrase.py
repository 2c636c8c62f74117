"""What a passphrase protects on a disk: Argon2id (RFC 9106) makes a key of it, libsodium's secret
box seals with that. The one home of both. Pure but for the sources of chance that it is given.

Argon2id takes memory, which a computer may not have just then. That is told as ``StateError``
(``no-memory``), and nothing was made, opened or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mars.errors import StateError, cannot_judge
from mars.wire.ed25519 import SEED_BYTES

try:
    import nacl.exceptions
    from nacl.bindings import crypto_pwhash_alg, crypto_pwhash_ALG_ARGON2ID13
    from nacl.exceptions import CryptoError
    from nacl.pwhash import argon2id
    from nacl.secret import SecretBox
    from nacl.utils import random
except (ImportError, OSError) as error:
    raise cannot_judge(error) from error

NONE, ARGON2ID = "none", "argon2id13"
"""What ``kdf`` says of a file in the clear, and of one that is protected."""

Token = Callable[[int], bytes]
"""A source of random bytes."""
system_token: Token = random
"""libsodium's own."""

_OPS = argon2id.OPSLIMIT_MODERATE
_MEMORY = argon2id.MEMLIMIT_MODERATE
"""Bytes: 256 MiB and 3 passes, some 0.7 s of one core, once for each file."""
_MOST_OPS = argon2id.OPSLIMIT_SENSITIVE * 4
_MOST_MEMORY = argon2id.MEMLIMIT_SENSITIVE
"""A file that asks for more is damaged or hostile: it must not take the machine down."""


class Wrong(Exception):
    """The passphrase does not open a box, or the box is damaged."""


def derived(size: int, secret: bytes, salt: bytes, passes: int, memory: int) -> bytes:
    """``size`` bytes that Argon2id makes of ``secret`` and ``salt`` (16 bytes) with ``memory``
    bytes. Raises ``StateError`` (``no-memory``), and ``ValueError`` for another salt."""
    try:
        return crypto_pwhash_alg(size, secret, salt, passes, memory, crypto_pwhash_ALG_ARGON2ID13)
    except (nacl.exceptions.RuntimeError, MemoryError):
        needed = f"{memory // (1 << 20)} MiB of memory, which are not there now"
        raise StateError(
            "no-memory", f"A key takes {needed}; end other programs, then try again."
        ) from None


class Lock:
    """The key that a passphrase and the ``head`` of a file make."""

    def __init__(self, head: Mapping[str, Any], passphrase: bytes) -> None:
        """Raises ``ValueError``, ``KeyError`` or ``TypeError`` for a head that none of ours is, and
        as ``derived``."""
        ops, memory = head["opslimit"], head["memlimit"]
        if head["kdf"] != ARGON2ID or not (
            argon2id.OPSLIMIT_MIN <= ops <= _MOST_OPS
            and argon2id.MEMLIMIT_MIN <= memory <= _MOST_MEMORY
        ):
            raise ValueError("unknown derivation")
        self.head = {name: head[name] for name in ("kdf", "salt", "opslimit", "memlimit")}
        salt = bytes.fromhex(head["salt"])
        self._box = SecretBox(derived(SecretBox.KEY_SIZE, passphrase, salt, ops, memory))

    @classmethod
    def new(cls, passphrase: bytes, token: Token = system_token) -> Lock:
        """With a salt of its own."""
        salt = token(argon2id.SALTBYTES).hex()
        head = {"kdf": ARGON2ID, "salt": salt, "opslimit": _OPS, "memlimit": _MEMORY}
        return cls(head, passphrase)

    def sealed(self, secret: bytes, token: Token = system_token) -> str:
        """The box as hex digits."""
        return bytes(self._box.encrypt(secret, token(SecretBox.NONCE_SIZE))).hex()

    def opened(self, box: str) -> bytes:
        """Raises ``Wrong``; ``ValueError`` where ``box`` is no box."""
        try:
            return self._box.decrypt(bytes.fromhex(box))
        except CryptoError:
            raise Wrong from None


def seed_in(said: Mapping[str, Any], passphrase: Callable[[], bytes]) -> bytes:
    """Of a file that holds one signing key: what stands under ``seed``, or in the ``box``.
    ``passphrase`` is asked only for the latter, and raises where nobody can answer.

    Raises ``Wrong``, ``ValueError``, ``KeyError`` or ``TypeError``, and as ``derived``.
    """
    if said["kdf"] == NONE:
        seed = bytes.fromhex(said["seed"])
    else:
        seed = Lock(said, passphrase()).opened(said["box"])
    if len(seed) != SEED_BYTES:
        raise ValueError("wrong size")
    return seed
