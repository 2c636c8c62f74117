"""From one epoch of keys to the next: the keys document and its two thresholds.

A keys document is signed by the Ed25519 thresholds of the old and of the new epoch, and by an
OpenPGP key of the old one, so that stolen Ed25519 keys alone cannot rotate anything away. A new
epoch also forgets the serials of the old one, which undoes what a thief pushed ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mars.commandline import safe
from mars.errors import ConfigError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.trust import TrustState, answered
from mars.trust.chain import current_keys, follow
from mars.wire import envelope as envelopes
from mars.wire.envelope import KEYS_TYPE, Envelope
from mars.wire.keys import KeysDocument, keyid
from mars.wire.openpgp import primary
from mars.wire.times import DAY, format_time
from mars_motd import files, signatures
from mars_motd.epochs import Epochs, key_set
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.signatures import Judge, Progress


@dataclass(frozen=True)
class Step:
    """A keys document on its way to being signed, and the epoch that it leads away from."""

    envelope: Envelope
    document: KeysDocument
    epochs: Epochs
    judge: Judge

    @property
    def progress(self) -> tuple[Progress, Progress]:
        """Under the old keys (OpenPGP included) and under the new ones (Ed25519 alone)."""
        old = signatures.progress(self.envelope, self.epochs.keys, self.judge)
        keys = replace(self.document.keys, policy="off")
        new = signatures.progress(self.envelope, keys, self.judge)
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
    epochs: Epochs,
    revoked: Iterable[str],
    issued: int,
    openpgp: OpenPGP,
    lifetime_days: int,
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
    records = [
        replace(record, revoked=record.revoked or record.name in gone)
        for record in folder.keys.records()
    ]
    document = KeysDocument(
        product=epochs.root.product,
        channel=epochs.root.channel,
        epoch=epochs.number + 1,
        issued=issued,
        expires=issued + lifetime_days * DAY,
        keys=key_set(records, folder.product),
    )
    judge = Judge(openpgp, issued, issued)
    return Step(Envelope(KEYS_TYPE, document.encode(), ()), document, epochs, judge)


def resume(
    data: bytes,
    epochs: Epochs,
    records: Sequence[KeyRecord],
    where: object,
    now: int,
    openpgp: OpenPGP,
) -> Step:
    """A keys document that others made and have signed, at ``now`` (Unix seconds).

    Raises ``WireError`` (also ``key-damaged``); ``ConfigError``: ``wrong-payload-type``,
    ``wrong-document``, ``key-mismatch`` (a key under another's name).
    """
    envelope = envelopes.decode(data)
    if envelope.payload_type != KEYS_TYPE:
        raise ConfigError("wrong-payload-type", f"{where} is not a keys document.")
    document = KeysDocument.decode(envelope.payload)
    epochs.require_ours(document, epochs.number + 1, where)
    _require_own_names(document, epochs, records, where)
    return Step(envelope, document, epochs, Judge(openpgp, document.issued, now))


def _require_own_names(
    document: KeysDocument, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """Each key must stand under its own name, since people compare names.

    Otherwise whoever passes the file on could put a key of his own under a colleague's key id, or
    a changed block under a known fingerprint, and be signed into the next epoch.
    """
    for name, public in document.keys.ed25519.items():
        if name != keyid(bytes.fromhex(public)):
            raise ConfigError(
                "key-mismatch",
                f"{where} holds an Ed25519 key under the key id {name}, which is not its own. Do "
                f"not sign it, and ask who made it.",
            )
    known = {record.fingerprint: record.block for record in records} | epochs.keys.openpgp
    for fingerprint, block in document.keys.openpgp.items():
        same = known.get(fingerprint, block) == block
        if not same or primary(block).fingerprint != fingerprint:
            raise ConfigError(
                "key-mismatch",
                f"{where} holds another OpenPGP key block under the fingerprint {fingerprint} than "
                f"is known here, or than it says. Do not sign it, and ask who made it.",
            )


def describe(step: Step, folder: Folder) -> str:
    """What a holder is about to sign: who joins, who leaves, and under which policy.

    Keys are compared by themselves, never by the names that a document gives them.
    """
    records = folder.keys.records()
    old, new, document = step.epochs.keys, step.document.keys, step.document
    names = {record.ed25519: record.name for record in records}
    names |= {record.fingerprint: record.name for record in records}
    dates = f"issued {format_time(document.issued)}, expires {format_time(document.expires)}"
    threshold = f"{_turned(old.threshold, new.threshold)} of {len(new.ed25519)} keys"
    lines = [
        f"keys document for epoch {document.epoch} of {document.product} {document.channel}",
        f"  {dates}",
        *_changes("ed25519", old.ed25519.values(), new.ed25519.values(), names),
        *_changes("openpgp", old.openpgp, new.openpgp, names),
        f"  threshold {threshold}, openpgp {_turned(old.policy, new.policy)}",
    ]
    return safe("\n".join(lines))


def _changes(kind: str, old: Iterable[str], new: Iterable[str], names: dict[str, str]) -> list[str]:
    """Every key of two epochs on a line of its own."""
    before, after = set(old), set(new)
    signs = [("new", after - before), ("gone", before - after), ("stays", before & after)]
    return [
        f"  {sign + ':':<6} {kind} {names.get(key, 'NOT A KEY OF THIS FOLDER')} {key}"
        for sign, keys in signs
        for key in sorted(keys, key=lambda key: (names.get(key, ""), key))
    ]


def _turned(old: object, new: object) -> str:
    return str(new) if old == new else f"{old} -> {new}"


def add_signatures(
    step: Step,
    folder: Folder,
    wanted: Sequence[str],
    passphrase: signatures.Passphrase,
    avoid: Iterable[str] = (),
) -> Step:
    """``step`` with what the keys at hand can add; keys named in ``avoid`` come last."""
    old, new = step.epochs.keys, step.document.keys
    records = signatures.at_hand(folder.keys, [old, new], wanted)
    last = set(avoid)
    records.sort(key=lambda record: record.name in last)
    envelope = signatures.add_signatures(
        step.envelope, [old, new], folder.keys, records, step.judge, passphrase
    )
    return replace(step, envelope=envelope)


def finish(step: Step, folder: Folder) -> list[KeyRecord]:
    """Checks the step as clients will, then records it; the records that are out from now on.

    Raises ``TrustError`` as the client does, ``StateError`` (``signatures-missing``).
    """
    if not step.complete:
        raise StateError("signatures-missing", f"The keys document is not complete: {step}.")
    _require_followed(step)
    out = [
        record
        for record in folder.keys.records()
        if record.ed25519 in step.epochs.keys.ed25519.values()
        and record.ed25519 not in step.document.keys.ed25519.values()
    ]
    for record in out:  # first, for whoever is stopped between: no later epoch takes them back
        folder.keys.save(replace(record, revoked=True))
    target = folder.trust / f"epoch-{step.document.epoch}.json"
    files.create(target, envelopes.encode(step.envelope))
    return out


def _require_followed(step: Step) -> None:
    """What a client of the old epoch does; with gpg there, so that nothing is overlooked."""
    current = current_keys(step.epochs.root_at(step.epochs.number), TrustState(openpgp=True))
    try:
        answered(
            step.judge.openpgp,
            lambda verdicts: follow((step.envelope,), current, verdicts, step.judge.now),
        )
    except (TrustError, WireError) as error:
        said = f"Clients would not follow this rotation: {error.message}"
        raise TrustError(error.reason, said) from None
