"""The index of all downloads: names, sizes and hashes, signed where the operator has a key.

``index.json.sig`` is a raw Ed25519 signature (RFC 8032, 64 bytes) over the bytes of
``index.json``; ``operator.pem`` is the public key, so that ``openssl pkeyutl`` can check it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from mars.errors import ConfigError
from mars.wire.product import Product
from mars_server.publication.jsontext import encode_json

FORMAT: Final = "mars-index/1"
INDEX: Final = "index.json"
SIGNATURE: Final = "index.json.sig"
PUBLIC_KEY: Final = "operator.pem"

_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----")
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""The DER prefix of an Ed25519 public key (RFC 8410, section 4)."""
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""The DER prefix of an Ed25519 private key (RFC 8410, section 7)."""


def index_bytes(product: Product, files: Mapping[str, bytes], *, signed: bool) -> bytes:
    """The index of ``files`` (by name in ``data/``), sorted by name; without a date."""
    table = {
        "format": FORMAT,
        "product": product.product,
        "channel": product.channel,
        "signed": signed,
        "files": [
            {
                "name": name,
                "bytes": len(files[name]),
                "sha256": hashlib.sha256(files[name]).hexdigest(),
            }
            for name in sorted(files)
        ],
    }
    return encode_json(table)


def is_signed(index: Path) -> bool:
    """Whether the index at this place says that it is signed."""
    try:
        return bool(json.loads(index.read_bytes())["signed"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_private_key(pem: bytes) -> bytes:
    """The 32-byte seed in a PEM file as ``openssl genpkey -algorithm ed25519`` writes it.

    Raises ``ConfigError`` (``operator-key``).
    """
    match = _PEM.search(pem)
    try:
        der = base64.b64decode(b"".join(match[1].split()), validate=True) if match else b""
    except ValueError:
        der = b""
    if len(der) != len(_PKCS8) + 32 or not der.startswith(_PKCS8):
        raise ConfigError(
            "operator-key",
            "The operator's key must be an unencrypted Ed25519 private key in PEM form, as "
            "`openssl genpkey -algorithm ed25519 -out operator-key.pem` writes it.",
        )
    return der[len(_PKCS8) :]


def public_pem(key: bytes) -> bytes:
    """A 32-byte Ed25519 public key in PEM form."""
    body = base64.b64encode(_SPKI + key).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode("ascii")
