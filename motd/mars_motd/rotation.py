"""From one epoch of keys to the next: the keys document and its two thresholds.

A keys document is signed by the Ed25519 thresholds of the old and of the new epoch, and by an
OpenPGP key of the old one, so that stolen Ed25519 keys alone cannot rotate anything away. A new
epoch also forgets the serials of the old one, which undoes what a thief pushed ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mars.errors import ConfigError, MarsError, StateError, TrustError, WireError
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.trust import Question, TrustState, UnansweredError
from mars.trust.chain import current_keys, follow
from mars.wire import envelope as envelopes
from mars.wire.envelope import KEYS_TYPE, Envelope
from mars.wire.keys import KEYS_LIFETIME_DAYS, KeysDocument
from mars.wire.product import Product
from mars.wire.times import DAY, format_time
from mars_motd import files, signing
from mars_motd.epochs import Epochs, key_set
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.signing import Progress

LIFETIME_DAYS = KEYS_LIFETIME_DAYS


@dataclass(frozen=True)
class Step:
    """A keys document on its way to being signed, and the epoch that it leads away from."""

    envelope: Envelope
    document: KeysDocument
    epochs: Epochs

    @property
    def progress(self) -> tuple[Progress, Progress]:
        """Under the old keys (OpenPGP included) and under the new ones (Ed25519 alone)."""
        old = signing.progress(self.envelope, self.epochs.keys)
        new = signing.progress(self.envelope, replace(self.document.keys, policy="off"))
        return old, new

    @property
    def complete(self) -> bool:
        return all(part.complete for part in self.progress)

    def __str__(self) -> str:
        old, new = self.progress
        number = self.epochs.number
        return f"epoch {number}: {old}; epoch {number + 1}: {new}"


def begin(
    folder: Folder,
    product: Product,
    epochs: Epochs,
    revoked: Iterable[str],
    issued: int,
    lifetime_days: int = LIFETIME_DAYS,
) -> Step:
    """An unsigned keys document for the next epoch: all keys of the folder but those revoked.

    Raises ``ConfigError``: ``not-published`` (the first epoch still changes freely),
    ``key-unknown``, ``no-keys``, ``policy-invalid``.
    """
    if not epochs.pinned:
        raise ConfigError(
            "not-published",
            "Nothing was signed with these keys yet, so there is nothing to rotate: new keys "
            "join by themselves, and key revoke takes one away.",
        )
    gone = {folder.keys.record(name).name for name in revoked}
    records = [record for record in folder.keys.records() if record.name not in gone]
    document = KeysDocument(
        product=epochs.root.product,
        channel=epochs.root.channel,
        epoch=epochs.number + 1,
        issued=issued,
        expires=issued + lifetime_days * DAY,
        keys=key_set(records, product),
    )
    return Step(Envelope(KEYS_TYPE, document.encode(), ()), document, epochs)


def resume(data: bytes, epochs: Epochs, where: str) -> Step:
    """A keys document that others have signed. Raises ``WireError``, ``ConfigError``."""
    envelope = envelopes.decode(data)
    if envelope.payload_type != KEYS_TYPE:
        raise ConfigError("wrong-payload-type", f"{where} is not a keys document.")
    document = KeysDocument.decode(envelope.payload)
    ours = (epochs.root.product, epochs.root.channel, epochs.number + 1)
    if (document.product, document.channel, document.epoch) != ours:
        raise ConfigError(
            "wrong-document",
            f"{where} leads to epoch {document.epoch} of {document.product} {document.channel}; "
            f"the next one here is epoch {ours[2]} of {ours[0]} {ours[1]}.",
        )
    return Step(envelope, document, epochs)


def describe(step: Step, folder: Folder) -> str:
    """What a holder is about to sign: who joins, who leaves, and under which policy."""
    names = {record.keyid: record.name for record in folder.keys.records()}
    old, new = step.epochs.keys.ed25519, step.document.keys.ed25519
    keys = step.document.keys
    expires = format_time(step.document.expires)
    joining, leaving = _names(set(new) - set(old), names), _names(set(old) - set(new), names)
    return "\n".join(
        [
            f"keys document for epoch {step.document.epoch}, expires {expires}",
            f"  keys: {_names(new, names)}",
            f"  new: {joining}; gone: {leaving}",
            f"  threshold {keys.threshold}, openpgp {keys.policy} ({len(keys.openpgp)} keys)",
        ]
    )


def _names(keyids: Iterable[str], names: dict[str, str]) -> str:
    return ", ".join(sorted(names.get(keyid, keyid) for keyid in keyids)) or "none"


def add_signatures(
    step: Step,
    folder: Folder,
    wanted: Sequence[str],
    now: int,
    passphrase: signing.Passphrase,
    avoid: Iterable[str] = (),
) -> Step:
    """``step`` with what the keys at hand can add; keys named in ``avoid`` come last."""
    old, new = step.epochs.keys, step.document.keys
    records = signing.at_hand(folder.keys, [old, new], wanted)
    last = set(avoid)
    records.sort(key=lambda record: record.name in last)
    envelope = signing.add_signatures(
        step.envelope, [old, new], folder.keys, records, now, passphrase
    )
    return replace(step, envelope=envelope)


def finish(step: Step, folder: Folder, now: int, openpgp: OpenPGP) -> list[KeyRecord]:
    """Checks the step as clients will, then records it; the records that are out from now on.

    Raises ``TrustError`` as the client does, ``StateError`` (``signatures-missing``).
    """
    if not step.complete:
        raise StateError("signatures-missing", f"The keys document is not complete: {step}.")
    _require_followed(step, now, openpgp)
    target = folder.trust / f"epoch-{step.document.epoch}.json"
    files.create(target, envelopes.encode(step.envelope))
    out = [
        record
        for record in folder.keys.records()
        if record.keyid in step.epochs.keys.ed25519
        and record.keyid not in step.document.keys.ed25519
    ]
    for record in out:
        folder.keys.save(replace(record, revoked=True))
    return out


def _require_followed(step: Step, now: int, openpgp: OpenPGP) -> None:
    """What a client of the old epoch does; with gpg there, so that nothing is overlooked."""
    current = current_keys(step.epochs.root_at(step.epochs.number), TrustState(openpgp=True))
    verdicts: dict[Question, OpenPGPVerdict] = {}
    while True:
        try:
            follow((step.envelope,), current, verdicts, now)
        except UnansweredError as need:
            ask = need.question
            verdicts[ask] = openpgp.verify(ask.signature, ask.message, ask.keys)
        except (TrustError, WireError) as error:
            raise _explained(error) from None
        else:
            return


def _explained(error: MarsError) -> TrustError:
    return TrustError(error.reason, f"Clients would not follow this rotation: {error.message}")
