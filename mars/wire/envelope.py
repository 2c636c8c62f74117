"""The DSSE 1.0 envelope and its pre-authentication encoding.

Source: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mars.errors import WireError
from mars.wire import strictjson

MOTD_TYPE = "application/vnd.mars.motd.v1+json"
KEYS_TYPE = "application/vnd.mars.keys.v1+json"
STEERING_TYPE = "application/vnd.mars.steering.v1+json"
STATUS_TYPE = "application/vnd.mars.status.v1+json"
RELEASE_TYPE = "application/vnd.mars.release.v1+json"

MAX_ENVELOPE = 64 * 1024
"""Bytes of the whole envelope, the chain of keys documents included."""
MAX_PAYLOAD = 32 * 1024
"""Bytes of one payload."""
MAX_SIGNATURES = 16
"""Entries; more is refused."""
MAX_STEPS = 8
"""Keys documents that ride in one envelope."""
MAX_CHAIN_STEPS = 64
"""Keys documents in a file of the whole chain."""
MAX_CHAIN = 512 * 1024
"""Bytes of that file."""

_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Signature:
    """``keyid`` is a hint and proves nothing; ``sig`` is raw Ed25519 or an OpenPGP signature."""

    keyid: str
    sig: bytes


@dataclass(frozen=True)
class Envelope:
    """What was signed, byte for byte, and by whom it claims to be signed."""

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]
    x_keys: tuple[Envelope, ...] = ()
    """Keys documents, oldest first. All that rides along is outside of the signature, since each
    document is signed by itself."""
    x_steering: Envelope | None = None
    x_release: Envelope | None = None


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes that are signed: ``DSSEv1 <length> <type> <length> <payload>``."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def decode(data: bytes, most: int = MAX_ENVELOPE, payload: int = MAX_PAYLOAD) -> Envelope:
    """Reads an envelope of at most ``most`` bytes, that holds at most ``payload``; unknown members
    are ignored.

    Raises ``WireError``: the reasons of ``strictjson.parse``, ``bad-envelope``, ``bad-base64``,
    ``too-large`` (payload) and ``keys-chain`` (``x-keys`` is no list of at most 8 envelopes).
    """
    members = _members(strictjson.parse(data, most))
    return replace(
        _envelope(members, payload),
        x_keys=_chain(members.get("x-keys", []), MAX_STEPS),
        x_steering=rider(members, "x-steering"),
        x_release=rider(members, "x-release"),
    )


def rider(members: Mapping[str, Any], name: str) -> Envelope | None:
    """The envelope in the member ``name``, if there is one. Raises ``WireError`` as ``decode``."""
    return _envelope(_members(members[name])) if name in members else None


def decode_chain(data: bytes) -> tuple[Envelope, ...]:
    """A file of keys documents, oldest first: ``{"steps": [...]}``.

    Raises ``WireError`` as ``decode``.
    """
    members = _members(strictjson.parse(data, MAX_CHAIN))
    return _chain(members.get("steps"), MAX_CHAIN_STEPS, 1)


def encode_chain(steps: Sequence[Envelope]) -> bytes:
    """What ``decode_chain`` reads: the last steps, as many as fit."""
    some = [plain(step) for step in steps[-MAX_CHAIN_STEPS:]]
    while len(data := strictjson.write({"steps": some}) + b"\n") > MAX_CHAIN:
        del some[0]
    return data


def encode(envelope: Envelope) -> bytes:
    """The envelope in its canonical form: compact JSON, standard base64, one final newline."""
    return strictjson.write(plain(envelope)) + b"\n"


def plain(envelope: Envelope) -> dict[str, object]:
    """The envelope as JSON."""
    members: dict[str, object] = {
        "payloadType": envelope.payload_type,
        "payload": base64.b64encode(envelope.payload).decode("ascii"),
        "signatures": [
            {"keyid": entry.keyid, "sig": base64.b64encode(entry.sig).decode("ascii")}
            for entry in envelope.signatures
        ],
    }
    if envelope.x_keys:
        members["x-keys"] = [plain(step) for step in envelope.x_keys]
    for name, document in (("x-steering", envelope.x_steering), ("x-release", envelope.x_release)):
        if document is not None:
            members[name] = plain(document)
    return members


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _bad("it is not a JSON object")
    return value


def _chain(value: object, most: int, least: int = 0) -> tuple[Envelope, ...]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise WireError("keys-chain", f"A chain of keys is a list of at most {most} envelopes.")
    return tuple(_envelope(_members(step)) for step in value)


def _envelope(members: Mapping[str, object], most: int = MAX_PAYLOAD) -> Envelope:
    payload_type = members.get("payloadType")
    if not isinstance(payload_type, str):
        raise _bad("payloadType is not a text")
    payload = _bytes(members.get("payload"), "payload")
    if len(payload) > most:
        raise WireError("too-large", f"The payload has more than {most} bytes; make it shorter.")
    return Envelope(payload_type, payload, _signatures(members.get("signatures")))


def _signatures(value: object) -> tuple[Signature, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_SIGNATURES:
        raise _bad(f"signatures must be a list of 1 to {MAX_SIGNATURES} entries")
    return tuple(_signature(_members(entry)) for entry in value)


def _signature(members: dict[str, object]) -> Signature:
    keyid = members.get("keyid", "")
    if not isinstance(keyid, str):
        raise _bad("a keyid is not a text")
    return Signature(keyid, _bytes(members.get("sig"), "sig"))


def _bytes(value: object, name: str) -> bytes:
    """Base64, standard or URL-safe, padded; exactly one text for each value (RFC 4648, 3.5)."""
    if not isinstance(value, str):
        raise _bad(f"{name} is not a text")
    standard = value.translate(_URL_SAFE) if "-" in value or "_" in value else value
    if standard is not value and ("+" in value or "/" in value):
        raise _base64(name)
    try:
        decoded = binascii.a2b_base64(standard, strict_mode=True)
    except ValueError:
        raise _base64(name) from None
    # The decoder lets bits after the end pass, so the text must be what we would have written.
    if binascii.b2a_base64(decoded, newline=False).decode("ascii") != standard:
        raise _base64(name)
    return decoded


def _bad(what: str) -> WireError:
    return WireError("bad-envelope", f"This is no DSSE envelope: {what}.")


def _base64(name: str) -> WireError:
    return WireError("bad-base64", f"The member {name} is not canonical base64.")
