"""Secrets at rest: Argon2id makes a key from the passphrase, SecretBox seals (libsodium).

The publisher's one home of PyNaCl's secret-key parts.
"""

from __future__ import annotations

import json
from typing import Any

from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from mars.errors import StateError
from mars.ports import Chance

SEED_SIZE = 32
"""Bytes of an Ed25519 seed (RFC 8032 5.1.5)."""

_OPS = argon2id.OPSLIMIT_MODERATE
_MEMORY = argon2id.MEMLIMIT_MODERATE
"""Bytes: 256 MiB and 3 passes, some 0.7 s of one core, once per signing."""
_MOST_OPS = argon2id.OPSLIMIT_SENSITIVE * 4
_MOST_MEMORY = argon2id.MEMLIMIT_SENSITIVE
"""A file that asks for more is damaged or hostile: it must not take the machine down."""


def seal(seed: bytes, passphrase: str | None, chance: Chance) -> dict[str, object]:
    """What stands in the secret file. Without a passphrase the seed stands there in the clear."""
    if passphrase is None:
        return {"kdf": "none", "seed": seed.hex()}
    salt = chance.token(argon2id.SALTBYTES)
    box = SecretBox(_key(passphrase, salt, _OPS, _MEMORY))
    return {
        "kdf": "argon2id13",
        "salt": salt.hex(),
        "opslimit": _OPS,
        "memlimit": _MEMORY,
        "box": bytes(box.encrypt(seed, chance.token(SecretBox.NONCE_SIZE))).hex(),
    }


def is_sealed(sealed: dict[str, Any]) -> bool:
    """Whether a passphrase is needed."""
    return sealed.get("kdf") != "none"


def unseal(sealed: dict[str, Any], passphrase: str | None, where: object) -> bytes:
    """The seed. Raises ``StateError``: ``passphrase-needed``, ``passphrase-wrong``,
    ``key-damaged``; ``where`` names the file in the message."""
    try:
        if not is_sealed(sealed):
            return _seed(bytes.fromhex(sealed["seed"]))
        if passphrase is None:
            raise StateError(
                "passphrase-needed",
                f"{where} is protected by a passphrase. Give --passphrase-file, or run the "
                f"command in a terminal to be asked.",
            )
        ops, memory = sealed["opslimit"], sealed["memlimit"]
        if sealed["kdf"] != "argon2id13" or not (
            argon2id.OPSLIMIT_MIN <= ops <= _MOST_OPS
            and argon2id.MEMLIMIT_MIN <= memory <= _MOST_MEMORY
        ):
            raise ValueError("unknown derivation")
        key = _key(passphrase, bytes.fromhex(sealed["salt"]), ops, memory)
        return _seed(SecretBox(key).decrypt(bytes.fromhex(sealed["box"])))
    except (KeyError, TypeError, ValueError):
        raise StateError(
            "key-damaged", f"{where} is not a complete key file. Restore it from a backup."
        ) from None
    except CryptoError:
        raise StateError(
            "passphrase-wrong", f"The passphrase does not open {where}, or the file is damaged."
        ) from None


def read_json(data: bytes, where: object) -> dict[str, Any]:
    """The object in a key file. Raises ``StateError`` (``key-damaged``)."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise StateError("key-damaged", f"{where} is not a key file of mars-motd.")
    return value


def write_json(value: dict[str, object]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode("ascii")


def _key(passphrase: str, salt: bytes, ops: int, memory: int) -> bytes:
    size = SecretBox.KEY_SIZE
    return argon2id.kdf(size, passphrase.encode("utf-8"), salt, opslimit=ops, memlimit=memory)


def _seed(seed: bytes) -> bytes:
    if len(seed) != SEED_SIZE:
        raise ValueError("wrong size")
    return seed
