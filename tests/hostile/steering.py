"""Onion addresses for tests that move a client."""

from __future__ import annotations

import base64
import hashlib


def onion(letter: str) -> str:
    """A bare server whose public key is that letter 51 times; well-formed, and nobody's."""
    key = base64.b32decode(letter.upper() * 51 + "A" + "====")[:32]
    check = hashlib.sha3_256(b".onion checksum" + key + b"\x03").digest()[:2]
    host = base64.b32encode(key + check + b"\x03").decode("ascii").lower()
    return f"http://{host}.onion"
