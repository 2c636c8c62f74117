"""For verification by stock tools: the signed bytes, keys and signatures as plain files."""

from __future__ import annotations

import base64

from mars.errors import TrustError
from mars.wire.envelope import Envelope, pae
from mars.wire.keys import KeySet
from mars.wire.openpgp import dearmour
from mars_motd.signatures import Judge, looked_at, made_by

_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, 4)."""


def pem(public: str) -> bytes:
    """An Ed25519 public key (64 hex digits) as openssl reads it."""
    body = base64.b64encode(_SPKI + bytes.fromhex(public)).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode("ascii")


def extract(
    envelope: Envelope, keys: KeySet, name: str, judge: Judge
) -> tuple[dict[str, bytes], list[str]]:
    """The signatures by ``keys`` that really hold, of those that clients look at: files by name,
    and the commands (run beside them) that must all succeed.

    ``name`` begins each file's name; the rest are numbers, since key ids come with the document.
    Raises ``TrustError`` (``signature-threshold``) where they are too few to make a client accept.
    """
    message, blocks = f"{name}.pae", tuple(keys.openpgp.values())
    signed = pae(envelope.payload_type, envelope.payload)
    files, commands = {message: signed}, list[str]()
    makers: set[str] = set()
    for number, entry in enumerate(envelope.signatures[: looked_at(envelope)], 1):
        stem = f"{name}.{number}"
        public = made_by(entry, keys.ed25519.values(), signed)
        if public is not None and public not in makers:
            makers.add(public)
            files |= {f"{stem}.pem": pem(public), f"{stem}.sig": entry.sig}
            commands.append(
                f"openssl pkeyutl -verify -pubin -inkey {stem}.pem -rawin -in {message} "
                f"-sigfile {stem}.sig"
            )
        elif blocks and judge.objection(envelope, keys, entry) is None:
            block = keys.openpgp[judge.maker(envelope, keys, entry)]
            files |= {f"{stem}.gpg": dearmour(block), f"{stem}.sig": entry.sig}
            commands.append(f"gpgv --keyring ./{stem}.gpg {stem}.sig {message}")
    if len(makers) < keys.threshold:
        raise TrustError(
            "signature-threshold",
            f"Only {len(makers)} of {keys.threshold} Ed25519 signatures of {name} hold under the "
            f"keys before it, so other tools cannot follow it from this trust file.",
        )
    return files, commands
