"""The signed answers to error reports, as the site shows them: the same bytes that are served.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from mars.errors import TrustError
from mars.trust import TrustState
from mars.trust.answers import accept_status
from mars.wire import envelope
from mars.wire.envelope import STATUS_TYPE
from mars.wire.keys import TrustRoot
from mars.wire.product import Product
from mars.wire.reports.status import MAX_DOCUMENT, MAX_STATUS, Status
from mars.wire.times import format_time


@dataclass(frozen=True)
class Answers:
    """A document, and what it says."""

    document: bytes
    status: Status


def judged(
    document: bytes,
    product: Product,
    now: int,
    root: TrustRoot | None,
    state: TrustState | None = None,
) -> Answers:
    """``document`` as it may be shown at ``now`` (Unix seconds).

    With ``root``, what clients pin, by all that a client asks of it that has this ``state``, or is
    new; without, its signature is not looked at. Raises ``WireError``, and ``TrustError`` with the
    client's reasons.
    """
    if root is not None:
        status = accept_status(document, root, state or TrustState.initial(), now).status
    else:
        status = said(document)
    if (status.product, status.channel) != (product.product, product.channel):
        raise TrustError("wrong-product", "The answers are for another product or channel.")
    if status.expires <= now:
        raise TrustError(
            "expired",
            f"The answers expired at {format_time(status.expires)}, so no client takes them; make "
            "new ones (mars-server errors status).",
        )
    return Answers(document, status)


def said(document: bytes) -> Status:
    """What it says, without its signature. Raises ``WireError``, ``TrustError``
    (``wrong-payload-type``)."""
    found = envelope.decode(document, MAX_DOCUMENT, MAX_STATUS)
    if found.payload_type != STATUS_TYPE:
        raise TrustError("wrong-payload-type", "This is a signed document of another kind.")
    return Status.decode(found.payload)
