"""What a client pins (trust.json) and the keys documents that move it on to a new epoch."""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8
from dataclasses import dataclass, field
from typing import Any

from mars.wire import ed25519, strictjson
from mars.wire import members as m
from mars.wire.envelope import MAX_ENVELOPE, MAX_PAYLOAD
from mars.wire.motd import FORMAT_VERSION, header, name
from mars.wire.product import MAX_THRESHOLD, OPENPGP_POLICIES
from mars.wire.times import format_time
from mars.wire.url import is_onion_server

MAX_KEYS = 16
MAX_OPENPGP = 4
MAX_SERVERS = 8
KEYS_LIFETIME_DAYS = 730
"""Days from ``issued`` to ``expires`` of a keys document, unless the publisher says otherwise."""

_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


@dataclass(frozen=True)
class KeySet:
    """Who may sign in one epoch."""

    ed25519: dict[str, str]
    """Key id (``keyid()``; any name will do) to the public key, 64 lower-case hex digits."""
    threshold: int = 1
    openpgp: dict[str, str] = field(default_factory=dict)
    """Primary fingerprint, upper-case hex, to the armoured public key block."""
    policy: str = "when-available"
    """``required | when-available | off``; without OpenPGP keys it must be ``off``."""


@dataclass(frozen=True)
class TrustRoot:
    """What an application pins: ``trust.json`` as ``mars-motd trust`` writes it."""

    product: str
    channel: str
    epoch: int
    keys: KeySet
    minimum_serial: int = 0
    """Unix seconds; documents older than this are refused even by a new installation."""
    built: int = 0
    """Unix seconds when this release was made, 0 if unknown; a clock before it is wrong."""
    servers: tuple[str, ...] = ()
    """The built-in servers, ``http(s)://<56 base32>.onion``."""

    @classmethod
    def decode(cls, data: bytes) -> TrustRoot:
        """Reads ``trust.json``. Raises ``WireError`` as ``strictjson.parse``, ``bad-payload``.

        A byte order mark, which some editors put in front, is no part of it.
        """
        members = m.table(strictjson.parse(data.removeprefix(BOM_UTF8), MAX_ENVELOPE), "trust")
        header(members, "trust")
        return cls(
            *_identity(members),
            keys=_key_set(members),
            minimum_serial=m.whole(members, "minimum_serial", 0),
            built=m.optional_time(members, "built") or 0,
            servers=_servers(members),
        )

    def encode(self) -> bytes:
        """Indented JSON with one final newline, since people read and diff this file."""
        plain = _head("trust", self) | {"minimum_serial": self.minimum_serial}
        if self.built:
            plain["built"] = format_time(self.built)
        plain["servers"] = list(self.servers)
        plain |= _plain(self.keys)
        return strictjson.write(plain, indent=2) + b"\n"


@dataclass(frozen=True)
class KeysDocument:
    """The payload that hands over from epoch N-1 to ``epoch`` N."""

    product: str
    channel: str
    epoch: int
    issued: int
    expires: int
    keys: KeySet

    @classmethod
    def decode(cls, payload: bytes) -> KeysDocument:
        """Raises ``WireError`` as ``motd.decode``."""
        members = m.table(strictjson.parse(payload, MAX_PAYLOAD), "the payload")
        header(members, "keys")
        return cls(
            *_identity(members),
            issued=m.time(members, "issued"),
            expires=m.time(members, "expires"),
            keys=_key_set(members),
        )

    def encode(self) -> bytes:
        """The payload as we sign it."""
        times = {"issued": format_time(self.issued), "expires": format_time(self.expires)}
        return strictjson.write(_head("keys", self) | times | _plain(self.keys))


def keyid(public: bytes) -> str:
    """The name we give to an Ed25519 key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def _head(kind: str, document: TrustRoot | KeysDocument) -> dict[str, object]:
    said = {member: getattr(document, member) for member in ("product", "channel", "epoch")}
    return {"type": kind, "version": FORMAT_VERSION, **said}


def _identity(members: dict[str, Any]) -> tuple[str, str, int]:
    epoch = m.whole(members, "epoch")
    if epoch == 0:
        raise m.bad("epoch starts at 1")
    return name(members, "product"), name(members, "channel"), epoch


def _plain(keys: KeySet) -> dict[str, object]:
    return {
        "threshold": keys.threshold,
        "ed25519": keys.ed25519,
        "policy": keys.policy,
        "openpgp": keys.openpgp,
    }


def _key_set(members: dict[str, Any]) -> KeySet:
    public = _table_of_texts(members, "ed25519", MAX_KEYS)
    for value in public.values():
        if _HEX.fullmatch(value) is None or not ed25519.is_public_key(bytes.fromhex(value)):
            raise m.bad("an Ed25519 key must be 64 hex digits of a point of the right order")
    if len(set(public.values())) != len(public):
        raise m.bad("an Ed25519 key stands there twice")
    threshold = m.whole(members, "threshold")
    if not 1 <= threshold <= min(len(public), MAX_THRESHOLD):
        raise m.bad(f"threshold must be from 1 to the number of keys, {MAX_THRESHOLD} at most")
    blocks = _table_of_texts(members, "openpgp", MAX_OPENPGP)
    for fingerprint, block in blocks.items():
        if _FINGERPRINT.fullmatch(fingerprint) is None or not block.startswith(_ARMOUR):
            raise m.bad("openpgp must map full primary fingerprints to armoured key blocks")
    policy = m.choice(members, "policy", OPENPGP_POLICIES, "when-available")
    if not blocks and policy != "off":
        raise m.bad("policy must be off where no OpenPGP key is pinned")
    return KeySet(public, threshold, blocks, policy)


def _table_of_texts(members: dict[str, Any], member: str, most: int) -> dict[str, str]:
    value = m.table(members.get(member, {}), member)
    if len(value) > most:
        raise m.bad(f"{member} has more than {most} entries")
    for key in value:
        if len(key) > 64:
            raise m.bad(f"{member} has a name of more than 64 characters")
        m.text(value, key, MAX_PAYLOAD)
    return value


def _servers(members: dict[str, Any]) -> tuple[str, ...]:
    servers = m.texts(members, "servers", MAX_SERVERS, 80) or ()
    if not all(is_onion_server(server) for server in servers):
        raise m.bad("servers must be bare onion addresses, http://<56 base32>.onion")
    return servers
