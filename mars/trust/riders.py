"""What rides beside the news: steering and downloads, each signed by a role of its own.

One that does not hold is passed over, as if it had been withheld, which whoever serves can do
anyway; the news stand without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from mars.errors import TrustError, WireError
from mars.trust.chain import Current
from mars.trust.signatures import (
    FUTURE,
    LOOKED_AT,
    UnansweredError,
    Verdicts,
    require_openpgp,
    require_threshold,
)
from mars.trust.state import Equivocation, RefusedError, TrustState
from mars.wire.envelope import RELEASE_TYPE, STEERING_TYPE, Envelope
from mars.wire.release import MAX_RELEASE, Release
from mars.wire.steering import MAX_STEERING, Steering


@dataclass(frozen=True)
class _Kind:
    """``name`` is that of the state's member."""

    name: str
    payload_type: str
    role: str
    decode: Callable[[bytes], Steering | Release]
    limit: int
    """Bytes of the payload as we write it."""


_STEERING = _Kind("steering", STEERING_TYPE, "root", Steering.decode, MAX_STEERING)
_RELEASE = _Kind("release", RELEASE_TYPE, "release", Release.decode, MAX_RELEASE)


def ridden(
    envelope: Envelope, current: Current, verdicts: Verdicts, now: int
) -> tuple[TrustState, tuple[str, ...]]:
    """The state with what rides along, and a note on each that was passed over, such as
    ``steering: rollback``. Raises ``UnansweredError``."""
    notes: list[str] = []
    for kind, rider in ((_STEERING, envelope.x_steering), (_RELEASE, envelope.x_release)):
        if rider is None:
            continue
        try:
            current = replace(current, state=_followed(kind, rider, current, verdicts, now))
        except UnansweredError:
            raise
        except (TrustError, WireError) as error:
            notes.append(f"{kind.name}: {error.reason}")
            current = replace(current, state=getattr(error, "state", current.state))
    return current.state, tuple(notes)


def _followed(
    kind: _Kind, rider: Envelope, current: Current, verdicts: Verdicts, now: int
) -> TrustState:
    """Raises ``TrustError`` or ``WireError`` where it does not hold; ``RefusedError`` brings the
    evidence."""
    state = current.state
    known: Steering | Release | None = getattr(state, kind.name)
    if rider.payload_type != kind.payload_type:
        raise TrustError("wrong-payload-type", "This is a signed document of another kind.")
    role = current.keys.signing(kind.role)
    require_threshold(rider, role, LOOKED_AT, "signature-threshold")
    said = kind.decode(rider.payload)
    if said == known:
        return state
    if (said.product, said.channel, said.epoch) != (state.product, state.channel, state.epoch):
        raise TrustError("wrong-epoch", "The document is of another product, channel or epoch.")
    if said.issued > now + FUTURE:
        raise TrustError("future", "The document is from the future, or the clock is behind.")
    if said.serial > said.issued:
        raise TrustError("fast-forward", "The document's serial runs ahead of its date.")
    if known is not None and said.serial < known.serial:
        raise TrustError("rollback", "The document is older than one that was seen before.")
    if len(said.encode()) > kind.limit:
        # It could not be read back from where it is kept, and all that is kept with it be lost.
        raise TrustError("too-large", "The document leaves out members that do not fit into it.")
    verified = require_openpgp(rider, role, verdicts, said.issued, now, state.openpgp)
    if known is None or said.serial > known.serial:
        changed: dict[str, object] = {kind.name: said, "openpgp": state.openpgp or verified}
        return replace(state, **changed)  # type: ignore[arg-type]
    digests = [hashlib.sha256(each.encode()).hexdigest() for each in (known, said)]
    found = Equivocation(kind.name, said.serial, *digests)
    raise RefusedError(
        "equivocation",
        "Two different documents were signed with one serial number; tell the publisher.",
        state=state.with_evidence(found),
    )
