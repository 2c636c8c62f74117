"""For verification by stock tools: the signed bytes, keys and signatures as plain files. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from mars.errors import ConfigError
from mars.wire import ed25519
from mars.wire.envelope import Envelope, pae
from mars.wire.keys import KeySet

_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, 4)."""


@dataclass(frozen=True)
class Extract:
    """Files by name, and the commands (run beside them) that must all succeed."""

    files: dict[str, bytes]
    commands: list[str]


def pem(public: str) -> bytes:
    """An Ed25519 public key (64 hex digits) as openssl reads it."""
    body = base64.b64encode(_SPKI + bytes.fromhex(public)).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode("ascii")


def dearmour(block: str) -> bytes:
    """The packets of an armoured public key, as gpgv's keyring wants them (RFC 4880, 6.2)."""
    lines = [line.strip() for line in block.strip().splitlines()]
    body = lines[lines.index("") + 1 : -1] if "" in lines else []
    try:
        return base64.b64decode("".join(line for line in body if line[:1] != "="), validate=True)
    except binascii.Error:
        raise ConfigError("key-damaged", "An OpenPGP key block is damaged.") from None


def extract(envelope: Envelope, keys: KeySet, name: str) -> Extract:
    """The signatures of ``envelope`` that belong to ``keys``; ``name`` begins each file's name."""
    message = f"{name}.pae"
    files = {message: pae(envelope.payload_type, envelope.payload)}
    commands: list[str] = []
    for entry in envelope.signatures:
        stem = f"{name}.{entry.keyid}"
        public = keys.ed25519.get(entry.keyid)
        if public is not None and len(entry.sig) == ed25519.SIGNATURE_BYTES:
            files |= {f"{stem}.pem": pem(public), f"{stem}.sig": entry.sig}
            commands.append(
                f"openssl pkeyutl -verify -pubin -inkey {stem}.pem -rawin -in {message} "
                f"-sigfile {stem}.sig"
            )
        elif entry.keyid in keys.openpgp:
            files |= {f"{stem}.gpg": dearmour(keys.openpgp[entry.keyid]), f"{stem}.sig": entry.sig}
            commands.append(f"gpgv --keyring ./{stem}.gpg {stem}.sig {message}")
    return Extract(files, commands)
