"""Who may sign what: the keys of an epoch by role, what a client pins of them (trust.json), and the
keys documents that move it on to a new epoch.

Source of the roles: The Update Framework, https://theupdateframework.github.io/specification/,
section 2.1.
"""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mars.wire import ed25519, strictjson
from mars.wire import envelope as envelopes
from mars.wire import members as m
from mars.wire.envelope import MAX_ENVELOPE, MAX_PAYLOAD, STEERING_TYPE, Envelope
from mars.wire.motd import FORMAT_VERSION, header, identity
from mars.wire.product import MAX_THRESHOLD, OPENPGP_POLICIES
from mars.wire.steering import Steering
from mars.wire.times import LAST, format_time

ROLES = ("root", "motd", "release", "status", "index")
"""``root`` hands over to other keys and steers, ``motd`` signs news, ``release`` downloads,
``status`` what became of error reports, ``index`` what the server publishes."""
OPENPGP_ROLES = ("root", "motd", "release")
"""The others have Ed25519 keys alone, since a program signs with them."""

MAX_KEYS = 16
"""Ed25519 keys of a role."""
MAX_OPENPGP = 4
"""OpenPGP primaries of a role."""
KEYS_LIFETIME_DAYS = 730
"""Days from ``issued`` to ``expires`` of a keys document, unless the publisher says otherwise."""
MAX_CROWD = 10**12

_FINGERPRINT = re.compile(r"[0-9A-F]{40}(?:[0-9A-F]{24})?", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


@dataclass(frozen=True)
class Role:
    """Whose signatures count for one kind of document."""

    ed25519: Mapping[str, str]
    """Key id (``keyid()``; any name will do) to the public key, 64 lower-case hex digits."""
    threshold: int = 1
    openpgp: tuple[str, ...] = ()
    """Primary fingerprints, upper-case hex; one signature by any of them is enough."""


@dataclass(frozen=True)
class Signing:
    """What the signatures on one document are judged by: a role, its OpenPGP keys, the rule."""

    ed25519: Mapping[str, str]
    threshold: int = 1
    openpgp: Mapping[str, str] = field(default_factory=dict)
    """Primary fingerprint to the armoured public key block."""
    policy: str = "off"


@dataclass(frozen=True)
class KeySet:
    """Who may sign in one epoch."""

    roles: Mapping[str, Role]
    """One for each of ``ROLES``."""
    openpgp: Mapping[str, str] = field(default_factory=dict)
    """Primary fingerprint to the armoured public key block, of all roles."""
    policy: str = "when-available"
    """``required | when-available | off``; only under ``off`` a role has no OpenPGP key."""

    def signing(self, role: str) -> Signing:
        """Those of ``role``."""
        found = self.roles[role]
        if role not in OPENPGP_ROLES:
            return Signing(found.ed25519, found.threshold)
        blocks = {name: self.openpgp[name] for name in found.openpgp}
        return Signing(found.ed25519, found.threshold, blocks, self.policy)

    def digest(self, product: str, channel: str, epoch: int) -> str:
        """SHA-256, hex, of all that decides who may sign in ``epoch``; the same of a trust file
        and of the keys document that began the epoch. What keys are called does not count."""
        said = {
            "product": product,
            "channel": channel,
            "epoch": epoch,
            "policy": self.policy,
            "openpgp": dict(sorted(self.openpgp.items())),
            "roles": {
                name: {
                    "threshold": role.threshold,
                    "ed25519": sorted(role.ed25519.values()),
                    "openpgp": sorted(role.openpgp),
                }
                for name, role in sorted(self.roles.items())
            },
        }
        return hashlib.sha256(strictjson.write(said)).hexdigest()

    def plain(self) -> dict[str, object]:
        """As ``read`` reads it."""
        return {
            "policy": self.policy,
            "openpgp": dict(self.openpgp),
            "roles": {name: _plain_role(name, self.roles[name]) for name in ROLES},
        }

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> KeySet:
        """Raises ``WireError`` (``bad-payload``)."""
        said = m.table(members.get("roles", {}), "roles")
        if set(said) != set(ROLES):
            raise m.bad(f"roles must be {', '.join(ROLES)}")
        policy = m.choice(members, "policy", OPENPGP_POLICIES, "when-available")
        blocks = _table_of_texts(members, "openpgp", MAX_OPENPGP * len(OPENPGP_ROLES))
        for fingerprint, block in blocks.items():
            if _FINGERPRINT.fullmatch(fingerprint) is None or not block.startswith(_ARMOUR):
                raise m.bad("openpgp must map full primary fingerprints to armoured key blocks")
        roles = {name: _role(name, m.table(said[name], name), policy) for name in ROLES}
        _require_apart(roles, blocks)
        return cls(roles, blocks, policy)


@dataclass(frozen=True)
class TrustRoot:
    """What an application pins: ``trust.json`` as ``mars-motd trust`` writes it."""

    product: str
    channel: str
    epoch: int
    keys: KeySet
    gen: int = 1
    """Grows with each release's file: the greater one overrules what an installation remembers."""
    minimum_serial: int = 0
    """Unix seconds; documents older than this are refused even by a new installation."""
    built: int = 0
    """Unix seconds when this release was made, 0 if unknown; a clock before it is wrong."""
    crowd: int = 0
    """How many tracked installations there are at least, 0 if unknown (``mars.wire.crowd``)."""
    servers: tuple[str, ...] = ()
    """The built-in servers, ``http(s)://<56 base32>.onion``."""
    x_steering: Envelope | None = None
    """The steering document that held when this was made."""

    @classmethod
    def decode(cls, data: bytes) -> TrustRoot:
        """Reads ``trust.json``. Raises ``WireError`` as ``envelope.decode``, ``bad-payload``.

        A byte order mark, which some editors put in front, is no part of it.
        """
        members = m.table(strictjson.parse(data.removeprefix(BOM_UTF8), MAX_ENVELOPE), "trust")
        header(members, "trust")
        product, channel, epoch = identity(members)
        gen, crowd = m.whole(members, "gen", 1), m.whole(members, "crowd", 0)
        minimum = m.whole(members, "minimum_serial", 0)
        if gen == 0 or crowd > MAX_CROWD or minimum > LAST:
            raise m.bad("gen starts at 1, crowd is a number of installations, serials are times")
        steering = envelopes.rider(members, "x-steering")
        if steering is not None and not _is_ours(steering, product, channel):
            raise m.bad("x-steering is no steering document of this product and channel")
        return cls(
            product,
            channel,
            epoch,
            keys=KeySet.read(members),
            gen=gen,
            minimum_serial=minimum,
            built=m.optional_time(members, "built") or 0,
            crowd=crowd,
            servers=m.servers(members),
            x_steering=steering,
        )

    def encode(self) -> bytes:
        """Indented JSON with one final newline, since people read and diff this file."""
        plain = _head("trust", self)
        plain |= {name: getattr(self, name) for name in ("gen", "crowd", "minimum_serial")}
        if self.built:
            plain["built"] = format_time(self.built)
        plain |= {"servers": list(self.servers), **self.keys.plain()}
        if self.x_steering is not None:
            plain["x-steering"] = envelopes.plain(self.x_steering)
        return strictjson.write(plain, indent=2) + b"\n"

    @property
    def digest(self) -> str:
        """``KeySet.digest``."""
        return self.keys.digest(self.product, self.channel, self.epoch)

    @property
    def steering(self) -> Steering:
        """What steers a client that has seen no document: ``x_steering``, or the bare servers."""
        if self.x_steering is not None:
            return Steering.decode(self.x_steering.payload)
        return Steering(self.product, self.channel, self.epoch, 0, 0, self.servers)


@dataclass(frozen=True)
class KeysDocument:
    """The payload that hands over from epoch N-1 to ``epoch`` N; signed by root of both."""

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
            *identity(members),
            issued=m.time(members, "issued"),
            expires=m.time(members, "expires"),
            keys=KeySet.read(members),
        )

    def encode(self) -> bytes:
        """The payload as we sign it."""
        times = {"issued": format_time(self.issued), "expires": format_time(self.expires)}
        return strictjson.write(_head("keys", self) | times | self.keys.plain())

    @property
    def digest(self) -> str:
        """``KeySet.digest``."""
        return self.keys.digest(self.product, self.channel, self.epoch)


def keyid(public: bytes) -> str:
    """The name we give to an Ed25519 key: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def _is_ours(steering: Envelope, product: str, channel: str) -> bool:
    said = Steering.decode(steering.payload)
    return steering.payload_type == STEERING_TYPE and (said.product, said.channel) == (
        product,
        channel,
    )


def _head(kind: str, document: TrustRoot | KeysDocument) -> dict[str, object]:
    said = {member: getattr(document, member) for member in ("product", "channel", "epoch")}
    return {"type": kind, "version": FORMAT_VERSION, **said}


def _plain_role(name: str, role: Role) -> dict[str, object]:
    plain: dict[str, object] = {"threshold": role.threshold, "ed25519": dict(role.ed25519)}
    return plain | ({"openpgp": list(role.openpgp)} if name in OPENPGP_ROLES else {})


def _role(name: str, members: dict[str, Any], policy: str) -> Role:
    public = _table_of_texts(members, "ed25519", MAX_KEYS)
    for value in public.values():
        if _HEX.fullmatch(value) is None or not ed25519.is_public_key(bytes.fromhex(value)):
            raise m.bad("an Ed25519 key must be 64 hex digits of a point of the right order")
    threshold = m.whole(members, "threshold")
    if not 1 <= threshold <= min(len(public), MAX_THRESHOLD):
        raise m.bad(f"threshold must be from 1 to the number of keys, {MAX_THRESHOLD} at most")
    primaries = m.texts(members, "openpgp", MAX_OPENPGP, 64) or ()
    needed = name in OPENPGP_ROLES and policy != "off"
    if bool(primaries) != needed:
        said = f"1 to {MAX_OPENPGP}" if needed else "no"
        raise m.bad(f"under the policy {policy} {name} must name {said} OpenPGP keys")
    return Role(public, threshold, primaries)


def _require_apart(roles: Mapping[str, Role], blocks: Mapping[str, str]) -> None:
    """A key that two roles had would give the thief of one the other; OpenPGP keys may be shared
    where the same people sign, but never root's."""
    public = [key for role in roles.values() for key in role.ed25519.values()]
    if len(set(public)) != len(public):
        raise m.bad("an Ed25519 key stands there twice")
    if any(len(set(role.openpgp)) != len(role.openpgp) for role in roles.values()):
        raise m.bad("a role names an OpenPGP key twice")
    others = {name for role in ROLES[1:] for name in roles[role].openpgp}
    if not others.isdisjoint(roles["root"].openpgp):
        raise m.bad("an OpenPGP key of root must be root's alone")
    if others.union(roles["root"].openpgp) != set(blocks):
        raise m.bad("openpgp must hold the blocks of the roles' keys, and no others")


def _table_of_texts(members: Mapping[str, Any], member: str, most: int) -> dict[str, str]:
    value = m.table(members.get(member, {}), member)
    if len(value) > most:
        raise m.bad(f"{member} has more than {most} entries")
    for key in value:
        if len(key) > 64:
            raise m.bad(f"{member} has a name of more than 64 characters")
        m.text(value, key, MAX_PAYLOAD)
    return value
