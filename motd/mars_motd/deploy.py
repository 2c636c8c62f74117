"""The last gate before the public: a document replaces the deployed one only where every client
that accepted the old one will accept the new one."""

from __future__ import annotations

from mars.errors import MarsError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.trust import RefusedError, TrustState, verify
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.times import DAY, format_time
from mars_motd import publish
from mars_motd.epochs import Epochs
from mars_motd.publish import Document

MIN_DAYS = 7
"""Days that a document must still be valid: clients fetch every 3 to 10 days."""


def require_deployable(
    data: bytes, deployed: bytes | None, epochs: Epochs, now: int, openpgp: OpenPGP, min_days: int
) -> Motd:
    """Raises ``TrustError`` as clients would, or ``expires-soon``; ``StateError``
    (``deploy-unreadable``) where ``deployed`` is not a document of this product."""
    memory = [] if deployed is None else [_memory(deployed, epochs, now, openpgp)]
    motd = publish.require_accepted(data, epochs, now, openpgp, memory)
    left = (motd.expires - now) // DAY
    if left < min_days:
        raise TrustError(
            "expires-soon",
            f"The document expires on {format_time(motd.expires)}, in {left} days; at least "
            f"{min_days} are asked for. Sign a new one.",
        )
    return motd


def _memory(
    deployed: bytes, epochs: Epochs, now: int, openpgp: OpenPGP
) -> tuple[TrustRoot, TrustState]:
    """What a client remembers that pinned the deployed document's epoch and then fetched it."""
    try:
        epoch = Document.decode(deployed).motd.epoch
        if not epochs.root.epoch <= epoch <= epochs.number:
            raise _unreadable(f"it is of epoch {epoch}")
        root = epochs.root_at(epoch)
        return root, verify(deployed, root, TrustState(openpgp=True), now, openpgp).state
    except RefusedError as error:
        return root, error.state
    except (TrustError, WireError) as error:
        raise _unreadable(error.message) from None


def _unreadable(why: str) -> MarsError:
    return StateError(
        "deploy-unreadable",
        f"What lies at the destination is not a document that clients of this product accepted "
        f"({why}). Make sure that the destination is right, then move that file away.",
    )
