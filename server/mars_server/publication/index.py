"""The index of the whole site: names, sizes and hashes, signed where the operator has a key.

It stands for every file of the site but itself and its signature. ``index.json.sig`` is a raw
Ed25519 signature (RFC 8032, 64 bytes) over the bytes of ``index.json``; ``operator.pem`` is the
public key, so that ``openssl pkeyutl`` can check it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mars.errors import ConfigError, WireError
from mars.wire.ed25519 import SEED_BYTES, verify
from mars.wire.passphrase import NONE, Wrong, seed_in
from mars.wire.product import Product
from mars_server.common.jsontext import encode_json
from mars_server.publication.folder import DATA

_FORMAT: Final = "mars-index/1"
INDEX: Final = "index.json"
SIGNATURE: Final = "index.json.sig"
PUBLIC_KEY: Final = "operator.pem"

_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----")
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""The DER prefix of an Ed25519 public key (RFC 8410, section 4)."""
_PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
"""The DER prefix of an Ed25519 private key (RFC 8410, section 7)."""


@dataclass(frozen=True)
class Listed:
    """What the index says of one file: its size in bytes and its SHA-256 (hex)."""

    size: int
    sha256: str


def listed(content: bytes) -> Listed:
    return Listed(len(content), hashlib.sha256(content).hexdigest())


def index_bytes(product: Product, files: Mapping[str, Listed], *, signed: bool) -> bytes:
    """The index of ``files`` (by path from the site's root), sorted by name; without a date."""
    entries: dict[str, list[dict[str, object]]] = {"files": [], "site": []}
    for path, file in sorted(files.items()):
        folder, _, name = path.rpartition("/")
        entry: dict[str, object] = {"bytes": file.size, "sha256": file.sha256}
        if folder == DATA:
            entries["files"].append({"name": name, **entry})
        else:
            entries["site"].append({"name": path, **entry})
    head = {"format": _FORMAT, "product": product.product, "channel": product.channel}
    return encode_json({**head, "signed": signed, **entries})


def vouched(data: Path, public: bytes | None = None) -> dict[str, str]:
    """SHA-256 (hex) of each file that the index in ``data`` names, by path from the site's root;
    none where there is no index, or where ``public`` is given and this 32-byte key has not signed
    it, whatever key stands beside it. An index that older versions wrote names the files of
    ``data/`` alone. Raises ``WireError`` (``index-invalid``)."""
    try:
        listing = (data / INDEX).read_bytes()
        signature = b"" if public is None else (data / SIGNATURE).read_bytes()
    except OSError:
        return {}
    if public is not None and not verify(public, signature, listing):
        return {}
    try:
        table = json.loads(listing)
        found = {f"{DATA}/{each['name']}": str(each["sha256"]) for each in table["files"]}
        return found | {str(each["name"]): str(each["sha256"]) for each in table.get("site", [])}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise WireError(
            "index-invalid", f"{DATA}/{INDEX} does not have the published form."
        ) from None


def is_signed(index: Path) -> bool:
    """Whether the index at this place says that it is signed."""
    try:
        return bool(json.loads(index.read_bytes())["signed"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read_private_key(
    data: bytes, role: str = "index", passphrase: Callable[[], bytes] | None = None
) -> bytes:
    """The 32-byte seed in a file: the publisher's secret of the ``role``, or PEM as ``openssl
    genpkey -algorithm ed25519`` writes it. ``passphrase`` is asked where the file needs it; where
    it is None such a file is refused.

    Raises ``ConfigError`` (``operator-key``), ``WireError`` (``passphrase-wrong``) and
    ``StateError`` (``no-memory``).
    """
    seed = _publishers(data, passphrase) or _from_pem(data)
    if len(seed) != SEED_BYTES:
        without = ("", "") if passphrase else (" without a passphrase", " --no-passphrase")
        raise ConfigError(
            "operator-key",
            f"The operator's key must be an Ed25519 secret{without[0]}: the file that "
            f"`mars-motd key new DIR --role {role}{without[1]}` makes in DIR/keys, or PEM as "
            "`openssl genpkey -algorithm ed25519 -out operator-key.pem` writes it.",
        )
    return seed


def _publishers(data: bytes, passphrase: Callable[[], bytes] | None) -> bytes:
    try:
        table = json.loads(data)
        if table["type"] != "mars-motd-secret" or (table["kdf"] != NONE and passphrase is None):
            return b""
        return seed_in(table, passphrase or bytes)
    except Wrong:
        raise WireError(
            "passphrase-wrong", "the passphrase does not open it, or the file is damaged."
        ) from None
    except (ValueError, KeyError, TypeError):
        return b""


def _from_pem(pem: bytes) -> bytes:
    match = _PEM.search(pem)
    try:
        der = base64.b64decode(b"".join(match[1].split()), validate=True) if match else b""
    except ValueError:
        der = b""
    return der.removeprefix(_PKCS8) if der.startswith(_PKCS8) else b""


def public_pem(key: bytes) -> bytes:
    """A 32-byte Ed25519 public key in PEM form."""
    body = base64.b64encode(_SPKI + key).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode("ascii")
