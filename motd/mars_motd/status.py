"""How the published news stands: days to expiry, who signed, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mars.errors import MarsError
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.times import DAY, format_time
from mars_motd.document import Clients, Document
from mars_motd.keystore import KeyRecord

WARN_DAYS = 10
"""Clients fetch every 3 to 10 days, so less than this leaves some without valid news."""
_WARN_KEYS_DAYS = 60
NO_SERVER = (
    "servers in product.toml is empty, so clients fetch nothing: write there what "
    '"mars-server onion address" prints, then sign and trust anew'
)


@dataclass(frozen=True, kw_only=True)
class Status:
    """Times are ISO 8601 texts, since this is what is printed; None where nothing was signed."""

    serial: int | None = None
    issued: str | None = None
    expires: str | None = None
    days_left: int | None = None
    epoch: int
    keys_days_left: int | None
    """None in the first epoch, whose keys are pinned without an end."""
    signed_by: tuple[str, ...]
    could_sign: tuple[str, ...]
    """Keys of the epoch that have not signed this document."""
    threshold: int
    missing: int
    openpgp: bool = False
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def judge(
    document: Document | None,
    clients: Clients,
    records: Sequence[KeyRecord],
    warn_days: int = WARN_DAYS,
) -> Status:
    """``document`` is the newest that was signed, complete or not.

    It is judged by the clients' own rules, so what they would refuse is a problem.
    """
    epochs, names = clients.epochs, {record.keyid: record.name for record in records}
    signed = clients.progress(document).signed if document is not None else ()
    keys_left = (epochs.expires - clients.now) // DAY if epochs.expires is not None else None
    problems = []
    if keys_left is not None and keys_left < _WARN_KEYS_DAYS:
        problems.append(f"the keys document expires in {keys_left} days: mars-motd key rotate")
    waiting = [keyid for keyid in epochs.keys.ed25519 if keyid not in signed]
    status = Status(
        epoch=epochs.number,
        keys_days_left=keys_left,
        signed_by=tuple(names.get(keyid, keyid) for keyid in signed),
        could_sign=tuple(names.get(keyid, keyid) for keyid in waiting),
        threshold=epochs.keys.threshold,
        missing=max(0, epochs.keys.threshold - len(signed)),
        problems=(*problems, *_problems(document, clients, warn_days)),
    )
    if document is None:
        return status
    return replace(
        status,
        serial=document.motd.serial,
        issued=format_time(document.motd.issued),
        expires=format_time(document.motd.expires),
        days_left=(document.motd.expires - clients.now) // DAY,
        openpgp=clients.progress(document).openpgp_present,
    )


def _problems(document: Document | None, clients: Clients, warn_days: int) -> list[str]:
    if document is None:
        return ["nothing was signed yet: mars-motd sign"]
    motd, now, state, found = document.motd, clients.now, clients.progress(document), []
    left = (motd.expires - now) // DAY
    if motd.epoch != clients.epochs.number:
        found.append(f"the newest document is of epoch {motd.epoch}: mars-motd sign")
    elif not state.complete:
        found.append(f"signatures are missing ({state}): mars-motd sign --add-to")
    if motd.issued > now + FUTURE:
        found.append("the document is dated more than a day ahead of this computer's clock")
    if left < warn_days:
        said = "has expired" if now >= motd.expires else f"expires in {left} days"
        found.append(f"the document {said}: mars-motd sign")
    if not found:  # nothing known is wrong with it; do clients agree?
        try:
            clients.accepted(envelopes.encode(document.envelope))
        except MarsError as error:
            found.append(f"{error.message} [{error.reason}]")
    return found
