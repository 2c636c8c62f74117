"""The folder of the onion service: its name, and its key with backup and restore."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from mars.errors import ConfigError, StateError
from mars.wire import ed25519, strictjson
from mars.wire.url import is_onion_host
from mars_server.common.config import owner, write_durably
from mars_server.onion.settings import OB_CONFIG

SECRET = "hs_ed25519_secret_key"  # noqa: S105 - a file's name
PUBLIC = "hs_ed25519_public_key"
NAME = "hostname"
_OWN = frozenset({SECRET, PUBLIC, NAME, "authorized_clients", OB_CONFIG})
"""What may lie in a HiddenServiceDir (tor(1))."""
_NEW = ".new"
"""Ends the name of a file that is not whole yet."""
_SECRET_HEAD = b"== ed25519v1-secret: type0 ==\0\0\0"
_PUBLIC_HEAD = b"== ed25519v1-public: type0 ==\0\0\0"
"""First 32 bytes of tor's key files (tor, src/lib/crypt_ops/crypto_ed25519.c)."""
_LONGEST_BACKUP = 4096
"""Bytes."""


def obstacle(folder: str) -> str:
    """What keeps this user from the service's name: the first path that it may not enter or read,
    with its owner and mode, or that tor has not made the name yet."""
    name = Path(folder, NAME).absolute()
    for path in [*reversed(name.parents), name]:
        if not path.exists():
            return f"tor has not made {path}"
        if not os.access(path, os.R_OK if path == name else os.X_OK):
            return f"{path} is closed to us ({owner(path)}, mode {path.stat().st_mode & 0o7777:o})"
    return f"{name} holds no onion address"


def hostname(folder: str) -> str | None:
    """The service's ``<56 base32>.onion``, or None while tor has not made it or it is unreadable.

    A file that holds anything else counts as none.
    """
    try:
        name = Path(folder, NAME).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return name if is_onion_host(name) else None


def address(public_key: bytes) -> str:
    """The host name of an Ed25519 public key, 32 bytes (Tor rend-spec-v3, section 6)."""
    check = hashlib.sha3_256(b".onion checksum" + public_key + b"\x03").digest()[:2]
    return base64.b32encode(public_key + check + b"\x03").decode("ascii").lower() + ".onion"


def backup(folder: Path) -> bytes:
    """The key as one JSON document; whoever has it *is* the service, so it belongs encrypted.

    Raises ``StateError`` (``onion-key``).
    """
    try:
        secret, public = (folder / SECRET).read_bytes(), (folder / PUBLIC).read_bytes()
    except OSError as error:
        raise StateError(
            "onion-key", f"The key in {folder} cannot be read ({error.strerror}); be tor's user."
        ) from None
    _check(secret, public)
    plain = {
        "type": "onion-key",
        "version": 1,
        "address": address(public[32:]),
        "secret": base64.b64encode(secret).decode("ascii"),
        "public": base64.b64encode(public).decode("ascii"),
    }
    return strictjson.write(plain, indent=2) + b"\n"


def restore(folder: Path, data: bytes) -> str:
    """Writes the key of a backup into ``folder``; returns the service's host name.

    The folder and the name are for the group to read, as ``HiddenServiceDirGroupReadable`` makes
    them: tor leaves a folder that is there already as it is.

    Raises ``ConfigError`` (``backup-invalid``), ``StateError`` where the folder holds another key
    (``onion-key``) or what is no part of a service (``onion-folder``) already, and ``OSError``.
    """
    secret, public, name = _decode(data)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _require_free(folder, {SECRET: secret, PUBLIC: public})
    for file, content in ((SECRET, secret), (PUBLIC, public), (NAME, f"{name}\n".encode())):
        write_durably(folder / file, [content], 0o600, _NEW)
    (folder / NAME).chmod(0o640)
    folder.chmod(0o750)
    return name


def _require_free(folder: Path, key: Mapping[str, bytes]) -> None:
    """A folder of somebody's would be opened to tor's group, and its service's key be lost."""
    for path in folder.iterdir():
        if path.name.removesuffix(_NEW) not in _OWN:
            raise StateError(
                "onion-folder",
                f"{folder} holds {path.name}, which no onion service has; name an empty folder.",
            )
        kept = path.name in key and path.is_file() and not path.is_symlink()
        if kept and path.read_bytes() != key[path.name]:
            raise StateError(
                "onion-key", f"{folder} holds another service's key; move it away first."
            )


def _decode(data: bytes) -> tuple[bytes, bytes, str]:
    """Both files of the key, and the host name, which is that of the key and no other."""
    members = strictjson.parse(data, _LONGEST_BACKUP)
    try:
        if not isinstance(members, dict) or members["type"] != "onion-key":
            raise ValueError
        secret = base64.b64decode(members["secret"], validate=True)
        public = base64.b64decode(members["public"], validate=True)
        written = members["address"]
    except (KeyError, ValueError, TypeError):
        raise ConfigError("backup-invalid", "This file is no backup of an onion key.") from None
    _check(secret, public)
    name = address(public[32:])
    if written != name:
        raise ConfigError(
            "backup-invalid", f"The key in this backup is that of {name}, not of the address in it."
        )
    return secret, public, name


def _check(secret: bytes, public: bytes) -> None:
    heads = secret[:32] == _SECRET_HEAD and public[:32] == _PUBLIC_HEAD
    if not heads or len(secret) != 96 or len(public) != 64:
        raise ConfigError("backup-invalid", "These are no key files of a version 3 onion service.")
    if ed25519.public_key_of_scalar(secret[32:64]) != public[32:]:
        raise ConfigError("backup-invalid", "The public key is not that of the secret key.")
