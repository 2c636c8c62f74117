"""An onion service that only those find whose keys it names: client authorisation of version 3.

Without such a key nobody can read the service's descriptor, so not even that it runs can be seen.
Source: rend-spec-v3, "Descriptor encryption: client authorization"; control-spec, ADD_ONION. Pure.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha512

from mars.errors import ConfigError
from mars.wire import ed25519
from mars_server.onion.folder import address
from mars_server.onion.settings import OnionSettings

_KIND = "ED25519-V3:"
_SECRET = re.compile(rf"{_KIND}[A-Za-z0-9+/]{{86}}==", re.ASCII)
_CLIENT = re.compile(r"(?:descriptor:x25519:)?([A-Za-z2-7]{52})", re.ASCII)
_KEY_BYTES = 32


@dataclass(frozen=True)
class AuthorisedService:
    """One service, kept by tor while it runs, on no disk of tor's."""

    key: str
    """Its secret key, ``ED25519-V3:…``."""
    target: str
    """``unix:PATH``."""
    clients: Sequence[str]
    """Public x25519 keys in base32, at least one."""
    port: int = 80

    def __post_init__(self) -> None:
        OnionSettings("-", self.target)  # whether tor takes the path
        if not self.clients:
            raise ConfigError(
                "authorise-missing",
                "An onion service that anybody may open is not made for this; give --authorise "
                "with the public key of who may.",
            )

    @property
    def host(self) -> str:
        """``<56 base32>.onion``."""
        secret = base64.b64decode(self.key.removeprefix(_KIND))
        return address(ed25519.public_key_of_scalar(secret[:_KEY_BYTES]))

    @property
    def command(self) -> str:
        """For tor's control port."""
        clients = " ".join(f"ClientAuthV3={each}" for each in self.clients)
        port = f"Port={self.port},{self.target}"
        return f"ADD_ONION {self.key} Flags=Detach,V3Auth {port} {clients}"


def new_secret(seed: bytes) -> str:
    """A service's secret key of 32 random bytes: the scalar and the prefix (RFC 8032, 5.1.5)."""
    expanded = bytearray(sha512(seed).digest())
    expanded[0] &= 248
    expanded[31] = expanded[31] & 63 | 64
    return _KIND + base64.b64encode(expanded).decode("ascii")


def client_key(text: str) -> str | None:
    """The key in a line as tor writes it, ``descriptor:x25519:BASE32``, or alone; else None."""
    found = _CLIENT.fullmatch(text.strip())
    if found is None:
        return None
    try:
        raw = base64.b32decode(f"{found[1].upper()}====")
    except binascii.Error:
        return None
    return found[1].upper() if len(raw) == _KEY_BYTES else None


def client_keys(text: str, where: str) -> list[str]:
    """Those in a file, one a line; ``#`` begins a comment. Raises ``ConfigError``
    (``authorise-invalid``) that names ``where``."""
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = [client_key(line) for line in lines if line]
    keys = [each for each in found if each is not None]
    if not keys or len(keys) < len(found):
        raise ConfigError(
            "authorise-invalid",
            f"{where} holds no public keys of clients; write each on a line of its own, as "
            "descriptor:x25519: and 52 letters and digits.",
        )
    return keys


def secret_key(text: str, where: str) -> str:
    """Of the service, as we keep it. Raises ``ConfigError`` (``onion-key``)."""
    key = text.strip()
    if _SECRET.fullmatch(key) is None:
        raise ConfigError("onion-key", f"{where} holds no key of an onion service of the console.")
    return key
