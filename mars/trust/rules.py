"""``accept``: signatures first, then what is said, then when. Nothing is shown before all hold."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from mars.errors import TrustError
from mars.ports import OpenPGP
from mars.trust.chain import Current, current_keys, follow, steering
from mars.trust.riders import ridden
from mars.trust.signatures import (
    FUTURE,
    LOOKED_AT,
    Verdicts,
    answered,
    require_openpgp,
    require_threshold,
)
from mars.trust.state import Equivocation, RefusedError, TrustState
from mars.wire import envelope as envelopes
from mars.wire import motd as motds
from mars.wire.envelope import MOTD_TYPE, Envelope
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.steering import Steering
from mars.wire.times import DAY, format_time

MIN_LIFETIME = 14 * DAY
MAX_LIFETIME = 60 * DAY


@dataclass(frozen=True)
class Offered:
    """What a document said that the keys of our epoch have signed, and that was refused for its
    age, its serial or its twin."""

    issued: int
    """Unix seconds."""
    steering: Steering
    """What steers from now on: what rode along is judged by itself."""


@dataclass(frozen=True)
class Accepted:
    """A document that holds, and the state to keep from now on."""

    motd: Motd
    payload: bytes
    """Of the envelope: what ``motd`` was read from."""
    state: TrustState
    steering: Steering
    """What steers from now on."""
    news: bool
    """False where this very document was accepted before."""
    notes: tuple[str, ...] = ()
    """For the journal: what rode along and was passed over, ``steering: differs`` where the news
    restate it wrongly."""

    @property
    def issued(self) -> int:
        """When it was made, Unix seconds."""
        return self.motd.issued


def accept(
    data: bytes, verdicts: Verdicts, now: int, root: TrustRoot, state: TrustState
) -> Accepted:
    """Judges the envelope ``data`` at ``now`` (Unix seconds, the raw clock). Pure.

    ``verdicts`` answers the OpenPGP questions; without the one that is needed
    ``UnansweredError`` tells which. Raises ``WireError`` or ``TrustError``; among them
    ``RefusedError`` brings a state that must be kept although the document is refused: the epoch
    that it led to, what rode along, evidence. All reasons stand in docs/wire-format.md.
    """
    envelope = envelopes.decode(data)
    if envelope.payload_type != MOTD_TYPE:
        raise TrustError("wrong-payload-type", "This is a signed document of another kind.")
    current = follow(envelope.x_keys, current_keys(root, state), verdicts, now)
    keys, sticky = current.keys.signing("motd"), current.state.openpgp
    try:
        require_threshold(envelope, keys, LOOKED_AT, "signature-threshold")
        motd = motds.decode(envelope.payload)
        _require_identity(motd, current)
    except TrustError as error:
        raise current.problem or error from None
    _require_sane_times(motd, now)
    verified = require_openpgp(envelope, keys, verdicts, motd.issued, now, sticky)
    ridden_state, notes = ridden(envelope, current, verdicts, now)
    kept = replace(ridden_state, openpgp=ridden_state.openpgp or verified)
    current = replace(current, state=kept)
    try:
        accepted = _judge(motd, envelope, now, current)
    except RefusedError as error:
        error.offered = Offered(motd.issued, steering(current))
        raise
    if _restates_wrongly(motd, accepted.steering):
        notes = (*notes, "steering: differs")
    return replace(accepted, notes=notes)


def verify(data: bytes, root: TrustRoot, state: TrustState, now: int, openpgp: OpenPGP) -> Accepted:
    """``accept`` with the verdicts asked of ``openpgp`` as they are needed.

    gpg is never started for a document whose Ed25519 signatures do not hold.
    """
    return answered(openpgp, lambda verdicts: accept(data, verdicts, now, root, state))


def accept_chain(
    data: bytes, verdicts: Verdicts, now: int, root: TrustRoot, state: TrustState
) -> TrustState:
    """The state after the keys documents in ``data``, for one who was away for long. Pure.

    Raises as ``accept``; where not one step was followed, with what was wrong.
    """
    current = current_keys(root, state)
    after = follow(envelopes.decode_chain(data), current, verdicts, now)
    if after.problem is not None and after.state == current.state:
        raise after.problem
    return after.state


def verify_chain(
    data: bytes, root: TrustRoot, state: TrustState, now: int, openpgp: OpenPGP
) -> TrustState:
    """``accept_chain`` with the verdicts asked of ``openpgp`` as they are needed."""
    return answered(openpgp, lambda verdicts: accept_chain(data, verdicts, now, root, state))


def _restates_wrongly(motd: Motd, holds: Steering) -> bool:
    server = holds.servers[0] if holds.servers else ""
    return (motd.reportback_next, motd.reportback_server) != (holds.reportback_next, server)


def _require_identity(motd: Motd, current: Current) -> None:
    if motd.product != current.root.product:
        raise TrustError("wrong-product", "The document is for another product.")
    if motd.channel != current.root.channel:
        raise TrustError("wrong-channel", "The document is for another channel of this product.")
    if motd.epoch != current.state.epoch:
        raise TrustError("wrong-epoch", "The document is for another epoch of the keys.")


def _judge(motd: Motd, envelope: Envelope, now: int, current: Current) -> Accepted:
    """The rules of time, on a document whose signatures hold."""
    state = current.state
    digest = hashlib.sha256(envelope.payload).hexdigest()
    if motd.serial < max(state.serial, state.floor):
        raise RefusedError(
            "rollback", "The document is older than one that was seen before.", state=state
        )
    if motd.serial == state.serial and digest != state.digest:
        raise RefusedError(
            "equivocation",
            "Two different documents were signed with one serial number; tell the publisher.",
            state=state.with_evidence(Equivocation("motd", motd.serial, state.digest, digest)),
        )
    trusted_time = max(now, current.earliest, state.issued)
    if trusted_time >= motd.expires:
        raise RefusedError(
            "expired",
            f"The document expired at {format_time(motd.expires)}; a newer one is awaited.",
            state=replace(state, serial=motd.serial, digest=digest),
        )
    if trusted_time >= state.keys_expire:
        raise RefusedError(
            "keys-expired",
            f"The publisher's keys document expired at {format_time(state.keys_expire)}; a newer "
            "one is awaited.",
            state=state,
        )
    accepted = replace(
        state,
        serial=motd.serial,
        digest=digest,
        accepted=motd.serial,
        issued=motd.issued,
        expires=motd.expires,
    )
    return Accepted(
        motd, envelope.payload, accepted, steering(current), news=state.accepted != motd.serial
    )


def _require_sane_times(motd: Motd, now: int) -> None:
    if motd.issued > now + FUTURE:
        raise TrustError(
            "future", "The document is from the future, or this computer's clock is behind."
        )
    if motd.serial > motd.issued:
        raise TrustError("fast-forward", "The document's serial runs ahead of its date.")
    if not MIN_LIFETIME <= motd.expires - motd.issued <= MAX_LIFETIME:
        raise TrustError("bad-lifetime", "The document must be valid for 14 to 60 days.")
