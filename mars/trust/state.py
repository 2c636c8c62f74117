"""What an installation remembers between two documents, so that none can lead it back."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from mars.errors import StateError, TrustError, WireError
from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.envelope import MAX_ENVELOPE
from mars.wire.keys import KeysDocument
from mars.wire.times import LAST

STATE_VERSION = 1
MAX_EVIDENCE = 8
"""Equivocations kept; the first ones, since they are what the publisher wants to see."""

MAX_NAME = 40
"""Characters of a product or channel."""

_DIGEST = re.compile(r"(?:[0-9a-f]{64})?", re.ASCII)


@dataclass(frozen=True)
class Equivocation:
    """Two signed documents with one serial: proof against whoever holds the keys."""

    serial: int
    known: str
    """SHA-256 of the payload that was there first, hex."""
    other: str


@dataclass(frozen=True)
class TrustState:
    """Immutable; times and serials are Unix seconds, 0 for "none yet"."""

    product: str = ""
    channel: str = ""
    """Whose memory this is; both empty in one that has judged nothing yet, or that was written
    before states said so."""
    epoch: int = 0
    keys: KeysDocument | None = None
    """The last keys document that was followed; None while the pinned root holds."""
    serial: int = 0
    """The floor: the highest serial that was properly signed in this epoch."""
    digest: str = ""
    """SHA-256 of the payload with that serial, hex."""
    accepted: int = 0
    """The serial of the last document that was accepted, so also shown."""
    issued: int = 0
    expires: int = 0
    """Both of the last accepted document."""
    openpgp: bool = False
    """An OpenPGP signature was once verified, so one is needed from now on."""
    evidence: tuple[Equivocation, ...] = ()

    @classmethod
    def initial(cls) -> TrustState:
        """The state of a new installation."""
        return cls()

    def stale_since(self, now: int) -> int | None:
        """When the last accepted document expired, if it has by ``now``; None otherwise."""
        return self.expires if 0 < self.expires <= now else None

    def with_evidence(self, found: Equivocation) -> TrustState:
        """This state with one more piece of evidence, unless it is known or there is no room."""
        if found in self.evidence or len(self.evidence) >= MAX_EVIDENCE:
            return self
        return replace(self, evidence=(*self.evidence, found))

    def encode(self) -> bytes:
        """Versioned JSON with one final newline."""
        plain = {
            "type": "trust-state",
            "version": STATE_VERSION,
            **vars(self),
            "keys": self.keys.encode().decode("utf-8") if self.keys else "",
            "evidence": [vars(item) for item in self.evidence],
        }
        return strictjson.write(plain, indent=2) + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> TrustState:
        """Reads what ``encode`` wrote. Raises ``StateError`` (``state-invalid``)."""
        try:
            return _decode(m.table(strictjson.parse(data, MAX_ENVELOPE), "the state"))
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
    document = m.text(members, "keys", MAX_ENVELOPE)
    evidence = members.get("evidence")
    if not isinstance(evidence, list) or len(evidence) > MAX_EVIDENCE:
        raise m.bad("evidence")
    if type(members.get("openpgp")) is not bool:
        raise m.bad("openpgp")
    state = TrustState(
        epoch=m.whole(members, "epoch"),
        keys=KeysDocument.decode(document.encode("utf-8")) if document else None,
        digest=_digest(members, "digest"),
        **{name: _time(members, name) for name in ("serial", "accepted", "issued", "expires")},
        openpgp=members["openpgp"],
        evidence=tuple(_evidence(m.table(item, "evidence")) for item in evidence),
        product=m.text(members, "product", MAX_NAME, default=""),
        channel=m.text(members, "channel", MAX_NAME, default=""),
    )
    if state.keys is not None and state.keys.epoch != state.epoch:
        raise m.bad("keys of another epoch")
    return state


def _evidence(members: dict[str, Any]) -> Equivocation:
    return Equivocation(
        _time(members, "serial"), _digest(members, "known"), _digest(members, "other")
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
