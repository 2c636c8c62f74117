"""The kinds of documents that the keys sign. Pure.

A new kind is an entry here, and somebody who makes its payload: what signs it in turns, judges its
signatures, keeps it apart from the other kinds and shows it to the next holder asks this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from mars.errors import ConfigError, TrustError, WireError
from mars.trust.signatures import FUTURE, LOOKED_AT
from mars.wire import envelope as envelopes
from mars.wire import motd as motds
from mars.wire.envelope import (
    KEYS_TYPE,
    MAX_SIGNATURES,
    MOTD_TYPE,
    RELEASE_TYPE,
    STEERING_TYPE,
    Envelope,
)
from mars.wire.keys import ROLES, KeysDocument, KeySet, Role
from mars.wire.motd import Message, Motd, Target
from mars.wire.release import Download, Release
from mars.wire.steering import Steering
from mars.wire.times import format_time

T = TypeVar("T")


@dataclass(frozen=True)
class Document(Generic[T]):
    """An envelope and what its payload says; nothing is known of its signatures."""

    envelope: Envelope
    said: T


@dataclass(frozen=True)
class Kind(Generic[T]):
    """``read`` and ``write`` are those of the payload and raise ``WireError``."""

    payload_type: str
    name: str
    role: str
    """Whose keys sign it."""
    read: Callable[[bytes], T]
    write: Callable[[T], bytes]
    looked_at: int
    """Signatures in an envelope that clients look at."""
    members: Mapping[str, frozenset[str]]
    """What clients know in the payload (``""``) and in the objects in it, by their names."""

    def decode(self, data: bytes) -> Document[T]:
        """The document in the envelope ``data``. Raises ``WireError``, for another kind
        ``wrong-payload-type``."""
        envelope = envelopes.decode(data)
        if envelope.payload_type != self.payload_type:
            raise WireError("wrong-payload-type", f"This is not a {self.name}.")
        return Document(envelope, self.read(envelope.payload))

    def unsigned(self, said: T) -> Document[T]:
        """Before the first signature."""
        return Document(Envelope(self.payload_type, self.write(said), ()), said)


def _members(*documents: Any) -> frozenset[str]:
    return frozenset(member.name for each in documents for member in fields(each))


_HEADER = ("type", "version")

NEWS = Kind(
    MOTD_TYPE,
    "document of news",
    "motd",
    motds.decode,
    motds.encode,
    LOOKED_AT,
    {
        "": _members(Motd).union(_HEADER),
        "messages": _members(Message),
        "target": _members(Target) - {"unknown"},
    },
)
KEYS = Kind(
    KEYS_TYPE,
    "keys document",
    "root",
    KeysDocument.decode,
    KeysDocument.encode,
    MAX_SIGNATURES,
    {
        "": _members(KeysDocument, KeySet).union(_HEADER) - {"keys"},
        "roles": frozenset(ROLES),
        **dict.fromkeys(ROLES, _members(Role)),
    },
)
STEERING = Kind(
    STEERING_TYPE,
    "steering document",
    "root",
    Steering.decode,
    Steering.encode,
    LOOKED_AT,
    {"": _members(Steering).union(_HEADER)},
)
RELEASE = Kind(
    RELEASE_TYPE,
    "release document",
    "release",
    Release.decode,
    Release.encode,
    LOOKED_AT,
    {"": _members(Release).union(_HEADER), "downloads": _members(Download)},
)
_ALL: Mapping[str, Kind[Any]] = {
    kind.payload_type: kind for kind in (NEWS, KEYS, STEERING, RELEASE)
}


def of(envelope: Envelope) -> Kind[Any]:
    """Raises ``ConfigError`` (``wrong-payload-type``) where it is none of ours."""
    kind = _ALL.get(envelope.payload_type)
    if kind is None:
        said = " nor a ".join(known.name for known in _ALL.values())
        raise ConfigError("wrong-payload-type", f"This is neither a {said}.")
    return kind


def require_dated(said: Motd | Steering | Release, where: object, now: int) -> None:
    """Raises ``TrustError``: ``future`` where clients would at ``now`` (Unix seconds),
    ``fast-forward`` where the serial is not the date, as it is in all that we make."""
    if said.issued > now + FUTURE:
        raise TrustError(
            "future",
            f"{where} is dated {format_time(said.issued)}, more than a day ahead of the clock, and "
            f"clients would refuse it until then. Set the clock, or make it anew.",
        )
    if said.serial != said.issued:
        raise TrustError(
            "fast-forward",
            f"{where} has the serial {said.serial}, which is not its date ({said.issued}), so "
            f"mars-motd did not make it. Do not sign it, and ask who did.",
        )
