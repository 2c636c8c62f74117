"""The seeds of the publisher's signing keys at rest, in a file each (``mars.wire.passphrase``)."""

from __future__ import annotations

import json
from typing import Any

from mars.errors import StateError
from mars.ports import Chance
from mars.wire.passphrase import NONE, Lock, Wrong, seed_in


def seal(seed: bytes, passphrase: str | None, chance: Chance) -> dict[str, object]:
    """What stands in the secret file. Without a passphrase the seed stands there in the clear."""
    if passphrase is None:
        return {"kdf": NONE, "seed": seed.hex()}
    lock = Lock.new(passphrase.encode("utf-8"), chance.token)
    return {**lock.head, "box": lock.sealed(seed, chance.token)}


def is_sealed(sealed: dict[str, Any]) -> bool:
    """Whether a passphrase is needed."""
    return sealed.get("kdf") != NONE


def unseal(sealed: dict[str, Any], passphrase: str | None, where: object) -> bytes:
    """The seed. Raises ``StateError``: ``passphrase-needed``, ``passphrase-wrong``,
    ``key-damaged``, ``no-memory``; ``where`` names the file in the message."""

    def asked() -> bytes:
        if passphrase is None:
            raise StateError(
                "passphrase-needed",
                f"{where} is protected by a passphrase. Give --passphrase-file, or run the "
                f"command in a terminal to be asked.",
            )
        return passphrase.encode("utf-8")

    try:
        return seed_in(sealed, asked)
    except (KeyError, TypeError, ValueError):
        raise StateError(
            "key-damaged", f"{where} is not a complete key file. Restore it from a backup."
        ) from None
    except Wrong:
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
