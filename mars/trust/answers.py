"""Whether a status document holds: what became of error reports, signed by the role ``status``.
Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mars.errors import TrustError
from mars.trust.chain import current_keys
from mars.trust.rules import MAX_LIFETIME
from mars.trust.signatures import FUTURE, LOOKED_AT, require_threshold
from mars.trust.state import TrustState
from mars.wire import envelope as envelopes
from mars.wire.envelope import STATUS_TYPE
from mars.wire.keys import TrustRoot
from mars.wire.reports.status import MAX_DOCUMENT, MAX_STATUS, Status
from mars.wire.times import format_time


@dataclass(frozen=True)
class Answers:
    """A status document that holds."""

    status: Status
    digest: str
    """SHA-256 of its payload, hex."""


def accept_status(
    data: bytes,
    root: TrustRoot,
    state: TrustState,
    now: int,
    serial: int = 0,
    digest: str = "",
) -> Answers:
    """Judges the envelope ``data`` at ``now`` (Unix seconds) by the keys that hold in ``state``.

    ``serial`` and ``digest`` are of the last that was accepted. It steers nothing and leads to no
    other keys, so that no state comes of it. Raises ``WireError`` as ``envelope.decode`` and
    ``Status.decode``, ``TrustError`` with the reasons of the news.
    """
    envelope = envelopes.decode(data, MAX_DOCUMENT, MAX_STATUS)
    if envelope.payload_type != STATUS_TYPE:
        raise TrustError("wrong-payload-type", "This is a signed document of another kind.")
    current = current_keys(root, state)
    keys = current.keys.signing("status")
    require_threshold(envelope, keys, LOOKED_AT, "signature-threshold")
    said = Status.decode(envelope.payload)
    if said.product != current.state.product:
        raise TrustError("wrong-product", "The document is for another product.")
    if said.channel != current.state.channel:
        raise TrustError("wrong-channel", "The document is for another channel of this product.")
    if said.epoch != current.state.epoch:
        raise TrustError("wrong-epoch", "The document is for another epoch of the keys.")
    found = Answers(said, hashlib.sha256(envelope.payload).hexdigest())
    _require_time(found, now, serial, digest)
    trusted_time = max(now, current.earliest, current.state.issued)
    if trusted_time >= said.expires:
        raise TrustError(
            "expired",
            f"The document expired at {format_time(said.expires)}; a newer one is awaited.",
        )
    if trusted_time >= current.state.keys_expire:
        raise TrustError(
            "keys-expired", "The publisher's keys document expired; a newer one is awaited."
        )
    return found


def _require_time(found: Answers, now: int, serial: int, digest: str) -> None:
    said = found.status
    if said.issued > now + FUTURE:
        raise TrustError("future", "The document is from the future, or the clock is behind.")
    if said.serial > said.issued:
        raise TrustError("fast-forward", "The document's serial runs ahead of its date.")
    if not 0 < said.expires - said.issued <= MAX_LIFETIME:
        raise TrustError("bad-lifetime", "The document must be valid for at most 60 days.")
    if said.serial < serial:
        raise TrustError("rollback", "The document is older than one that was seen before.")
    if said.serial == serial and digest not in ("", found.digest):
        raise TrustError(
            "equivocation",
            "Two different documents were signed with one serial number; tell the publisher.",
        )
