"""What an installation remembers between two documents, so that none can lead it back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mars.errors import StateError, TrustError, WireError
from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.keys import KeySet
from mars.wire.release import Release
from mars.wire.steering import Steering
from mars.wire.times import LAST

STATE_VERSION = 2
MAX_STATE = 256 * 1024
"""Bytes; more than the largest keys, steering and release documents take together."""
MAX_EVIDENCE = 8
"""Contradictions kept of each kind; the first ones, since they are what the publisher wants to see.
A thief of one role must not use up the room of the others."""
MAX_HASHES = 256
"""Epochs whose keys are remembered, the newest."""

MAX_NAME = 40
"""Characters of a product or channel."""
KINDS = ("motd", "keys", "steering", "release")

_DIGEST = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)
_TIMES = ("keys_expire", "floor", "serial", "accepted", "issued", "expires")


@dataclass(frozen=True)
class Equivocation:
    """Two signed documents where there can be one: proof against whoever held the keys."""

    kind: str
    """One of ``KINDS``."""
    number: int
    """The epoch of keys documents, the serial of others."""
    known: str
    """SHA-256 of what was there first, hex: the news' payload, ``KeySet.digest``, or a steering or
    release document as we would write it."""
    other: str
    """Of what contradicts it; empty where a release just pinned no such epoch."""


@dataclass(frozen=True)
class TrustState:
    """Immutable; times and serials are Unix seconds, 0 for "none yet"."""

    product: str = ""
    channel: str = ""
    """Whose memory this is; both empty in one that has judged nothing yet."""
    gen: int = 0
    """Of the newest release that was started on it."""
    epoch: int = 0
    hashes: Mapping[int, str] = field(default_factory=dict)
    """``KeySet.digest`` of each epoch that was pinned or followed since a release overruled."""
    keys: KeySet | None = None
    """Of the epoch; None only in one that has judged nothing yet."""
    keys_expire: int = 0
    floor: int = 0
    """Documents older than this are refused; a release says so, and it outlives epochs."""
    serial: int = 0
    """The highest serial that was properly signed in this epoch."""
    digest: str = ""
    """SHA-256 of the payload with that serial, hex."""
    accepted: int = 0
    """The serial of the last document that was accepted, so also shown."""
    issued: int = 0
    expires: int = 0
    """Both of the last accepted document."""
    openpgp: bool = False
    """An OpenPGP signature was once verified, so one is needed from now on."""
    steering: Steering | None = None
    """The last one of this epoch that root signed."""
    release: Release | None = None
    """The last one of this epoch that the role ``release`` signed."""
    evidence: tuple[Equivocation, ...] = ()

    @classmethod
    def initial(cls) -> TrustState:
        """The state of a new installation."""
        return cls()

    @property
    def order(self) -> tuple[int, int, int]:
        """The greater state is the newer one, whichever process wrote it."""
        return self.gen, self.epoch, self.serial

    def stale_since(self, now: int) -> int | None:
        """When the last accepted document expired, if it has by ``now``; None otherwise."""
        return self.expires if 0 < self.expires <= now else None

    def with_evidence(self, *found: Equivocation) -> TrustState:
        """This state with further evidence, unless it is known or there is no room."""
        kept = list(dict.fromkeys((*self.evidence, *found)))
        of = {kind: [each for each in kept if each.kind == kind][:MAX_EVIDENCE] for kind in KINDS}
        return replace(self, evidence=tuple(each for each in kept if each in of[each.kind]))

    def plain(self) -> dict[str, object]:
        """The state as JSON."""
        return {
            "type": "trust-state",
            "version": STATE_VERSION,
            **vars(self),
            "hashes": {str(epoch): digest for epoch, digest in self.hashes.items()},
            "keys": self.keys.plain() if self.keys else {},
            "steering": self.steering.encode().decode("utf-8") if self.steering else "",
            "release": self.release.encode().decode("utf-8") if self.release else "",
            "evidence": [vars(item) for item in self.evidence],
        }

    def encode(self) -> bytes:
        """Versioned JSON with one final newline."""
        return strictjson.write(self.plain(), indent=2) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> TrustState:
        """Reads what ``encode`` wrote. Raises ``StateError`` (``state-invalid``)."""
        try:
            return _decode(m.table(strictjson.parse(data, MAX_STATE), "the state"))
        except WireError as error:
            raise StateError(
                "state-invalid",
                "The trust state cannot be read; remove the file to start again from the "
                f"pinned keys. ({error.reason})",
            ) from None


class RefusedError(TrustError):
    """A refusal that must be remembered: keep ``state`` although nothing is shown."""

    def __init__(self, reason: str, message: str, state: TrustState) -> None:
        super().__init__(reason, message)
        self.state = state


def _decode(members: dict[str, Any]) -> TrustState:
    if members.get("type") != "trust-state" or m.whole(members, "version") != STATE_VERSION:
        raise m.bad("type or version")
    evidence = members.get("evidence")
    if not isinstance(evidence, list) or len(evidence) > MAX_EVIDENCE * len(KINDS):
        raise m.bad("evidence")
    if type(members.get("openpgp")) is not bool:
        raise m.bad("openpgp")
    keys = m.table(members.get("keys"), "keys")
    steering = m.text(members, "steering", MAX_STATE).encode("utf-8")
    release = m.text(members, "release", MAX_STATE).encode("utf-8")
    state = TrustState(
        product=m.text(members, "product", MAX_NAME),
        channel=m.text(members, "channel", MAX_NAME),
        gen=m.whole(members, "gen"),
        epoch=m.whole(members, "epoch"),
        hashes=_hashes(m.table(members.get("hashes"), "hashes")),
        keys=KeySet.read(keys) if keys else None,
        digest=_digest(members, "digest"),
        **{name: _time(members, name) for name in _TIMES},
        openpgp=members["openpgp"],
        steering=Steering.decode(steering) if steering else None,
        release=Release.decode(release) if release else None,
        evidence=tuple(_evidence(m.table(item, "evidence")) for item in evidence),
    )
    _require_whole(state)
    return state


def _require_whole(state: TrustState) -> None:
    """Its parts must be of one epoch and product, or none of them says what holds."""
    ours = (state.product, state.channel, state.epoch)
    riders = [one for one in (state.steering, state.release) if one is not None]
    if any((one.product, one.channel, one.epoch) != ours for one in riders):
        raise m.bad("steering or release of another epoch")
    if state.keys is None:
        if state.epoch or state.gen or riders:
            raise m.bad("keys")
    elif state.hashes.get(state.epoch) != state.keys.digest(*ours):
        raise m.bad("keys of another epoch")


def _hashes(table: dict[str, Any]) -> dict[int, str]:
    if len(table) > MAX_HASHES or not all(name.isascii() and name.isdigit() for name in table):
        raise m.bad("hashes")
    return {int(name): _digest(table, name) for name in table}


def _evidence(members: dict[str, Any]) -> Equivocation:
    return Equivocation(
        m.choice(members, "kind", KINDS, ""),
        _time(members, "number"),
        _digest(members, "known"),
        _digest(members, "other"),
    )


def _time(members: dict[str, Any], name: str) -> int:
    value = m.whole(members, name)
    if value > LAST:
        raise m.bad(name)
    return value


def _digest(members: dict[str, Any], name: str) -> str:
    value = m.text(members, name, 64)
    if _DIGEST.fullmatch(value) is None:
        raise m.bad(name)
    return value
