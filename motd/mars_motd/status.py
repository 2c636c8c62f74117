"""How the published news stands: days to expiry, who signed, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mars.errors import MarsError
from mars.ports import OpenPGP
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.times import DAY, format_time
from mars_motd import signatures
from mars_motd.document import Document, require_accepted
from mars_motd.epochs import Epochs
from mars_motd.keystore import KeyRecord
from mars_motd.signatures import Judge

WARN_DAYS = 10
"""Clients fetch every 3 to 10 days, so less than this leaves some without valid news."""
_WARN_KEYS_DAYS = 60
NO_SERVER = (
    "servers in product.toml is empty, so clients fetch nothing: write there what "
    '"mars-server onion address" prints, then sign and trust anew'
)


@dataclass(frozen=True)
class Status:
    """Times are ISO 8601 texts, since this is what is printed."""

    serial: int | None
    issued: str | None
    expires: str | None
    days_left: int | None
    epoch: int
    keys_days_left: int | None
    """None in the first epoch, whose keys are pinned without an end."""
    signed_by: tuple[str, ...]
    could_sign: tuple[str, ...]
    """Keys of the epoch that have not signed this document."""
    threshold: int
    missing: int
    openpgp: bool
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems


def judge(
    document: Document | None,
    epochs: Epochs,
    records: Sequence[KeyRecord],
    now: int,
    openpgp: OpenPGP,
    warn_days: int = WARN_DAYS,
) -> Status:
    """``now`` in Unix seconds; ``document`` is the newest that was signed, complete or not.

    It is judged by the clients' own rules, so what they would refuse is a problem.
    """
    names = {record.keyid: record.name for record in records}
    keys = epochs.keys
    problems: list[str] = []
    keys_left = (epochs.expires - now) // DAY if epochs.expires is not None else None
    if keys_left is not None and keys_left < _WARN_KEYS_DAYS:
        problems.append(f"the keys document expires in {keys_left} days: mars-motd key rotate")
    if document is None:
        problems.append("nothing was signed yet: mars-motd sign")
        return Status(
            None, None, None, None, epochs.number, keys_left, (), tuple(names.values()),
            keys.threshold, keys.threshold, False, tuple(problems),
        )  # fmt: skip
    motd, about_keys = document.motd, len(problems)
    state = signatures.progress(
        document.envelope, keys, Judge(openpgp, motd.issued, max(now, motd.issued))
    )
    missing = max(0, keys.threshold - len(state.signed))
    left = (motd.expires - now) // DAY
    if motd.epoch != epochs.number:
        problems.append(f"the newest document is of epoch {motd.epoch}: mars-motd sign")
    elif not state.complete:
        problems.append(f"signatures are missing ({state}): mars-motd sign --add-to")
    if motd.issued > now + FUTURE:
        problems.append("the document is dated more than a day ahead of this computer's clock")
    if left < warn_days:
        said = "has expired" if now >= motd.expires else f"expires in {left} days"
        problems.append(f"the document {said}: mars-motd sign")
    if len(problems) == about_keys:  # nothing known is wrong with it; do clients agree?
        problems += _refusal(document, epochs, now, openpgp)
    return Status(
        serial=motd.serial,
        issued=format_time(motd.issued),
        expires=format_time(motd.expires),
        days_left=left,
        epoch=epochs.number,
        keys_days_left=keys_left,
        signed_by=tuple(names.get(keyid, keyid) for keyid in state.signed),
        could_sign=tuple(
            names.get(keyid, keyid) for keyid in keys.ed25519 if keyid not in state.signed
        ),
        threshold=keys.threshold,
        missing=missing,
        openpgp=state.openpgp_present,
        problems=tuple(problems),
    )


def _refusal(document: Document, epochs: Epochs, now: int, openpgp: OpenPGP) -> list[str]:
    data = envelopes.encode(document.envelope)
    try:
        require_accepted(data, epochs, now, openpgp)
    except MarsError as error:
        return [f"{error.message} [{error.reason}]"]
    return []
