"""Signatures on one envelope: who has signed, who is missing, and one holder's turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mars.errors import StateError
from mars.trust import signers
from mars.wire import ed25519
from mars.wire.envelope import MAX_SIGNATURES, Envelope, Signature, pae
from mars.wire.keys import KeySet
from mars_motd.keystore import KeyRecord, KeyStore

Passphrase = Callable[[KeyRecord], str | None]
"""Asks for, or remembers, the passphrase of a key; None where there is none to be had."""


_LOCKED = ("passphrase-needed", "passphrase-wrong")


@dataclass(frozen=True)
class Progress:
    """How far an envelope is under one set of keys."""

    signed: tuple[str, ...]
    """Key ids whose Ed25519 signature is valid."""
    threshold: int
    openpgp_needed: bool
    openpgp_present: bool
    """A signature that says it is by a pinned OpenPGP key; gpg judges it when it is accepted."""

    @property
    def complete(self) -> bool:
        enough = len(self.signed) >= self.threshold
        return enough and (self.openpgp_present or not self.openpgp_needed)

    def __str__(self) -> str:
        said = f"{len(self.signed)} of {self.threshold} Ed25519 signatures"
        if self.openpgp_needed:
            said += f", OpenPGP signature {'present' if self.openpgp_present else 'missing'}"
        return said


def progress(envelope: Envelope, keys: KeySet) -> Progress:
    """What is there and what is missing under ``keys``."""
    ids = {entry.keyid for entry in envelope.signatures}
    return Progress(
        signed=tuple(signers(envelope, keys, MAX_SIGNATURES)) if envelope.signatures else (),
        threshold=keys.threshold,
        openpgp_needed=keys.policy != "off",
        openpgp_present=not ids.isdisjoint(keys.openpgp),
    )


def at_hand(store: KeyStore, sets: Sequence[KeySet], wanted: Sequence[str] = ()) -> list[KeyRecord]:
    """The records of ``sets`` whose secrets are on this machine, or those named in ``wanted``.

    Raises ``ConfigError`` (``key-unknown``), ``StateError`` (``key-not-in-epoch``, ``no-secret``).
    """
    known = {keyid for keys in sets for keyid in keys.ed25519}
    if not wanted:
        return [
            record
            for record in store.records()
            if record.keyid in known and store.has_secret(record)
        ]
    found = [store.record(name) for name in wanted]
    for record in found:
        if record.keyid not in known:
            raise StateError(
                "key-not-in-epoch",
                f"Clients do not accept the key {record.name!r} (see: mars-motd key list DIR). "
                f"A new key is brought in with: mars-motd key rotate DIR",
            )
        if not store.has_secret(record):
            raise StateError("no-secret", f"The secret of {record.name!r} is not on this machine.")
    return found


def add_signatures(
    envelope: Envelope,
    sets: Iterable[KeySet],
    store: KeyStore,
    records: Sequence[KeyRecord],
    now: int,
    passphrase: Passphrase,
) -> Envelope:
    """``envelope`` with the signatures that are still missing and that ``records`` can make.

    ``sets`` are the key sets whose thresholds count (one for news, two for a rotation); the
    OpenPGP signature belongs to the first. Existing signatures stay as they are.
    """
    first, *others = sets
    envelope = _drop_invalid(envelope, [first, *others])
    locked: StateError | None = None
    for record in records:
        try:
            envelope = _turn(envelope, record, [first, *others], store, now, passphrase)
        except StateError as error:
            if error.reason not in _LOCKED:
                raise
            locked = locked or error  # another key may do: it may have another passphrase
    if locked is not None and not progress(envelope, first).complete:
        raise locked
    return envelope


def _turn(
    envelope: Envelope,
    record: KeyRecord,
    sets: Sequence[KeySet],
    store: KeyStore,
    now: int,
    passphrase: Passphrase,
) -> Envelope:
    """What one holder adds: an Ed25519 signature where one is wanting, the OpenPGP one likewise."""
    message = pae(envelope.payload_type, envelope.payload)
    envelope = _add_ed25519(envelope, record, sets, store, message, passphrase)
    state = progress(envelope, sets[0])
    if not state.openpgp_needed or state.openpgp_present:
        return envelope
    if record.fingerprint not in sets[0].openpgp:
        return envelope
    phrase = passphrase(record) if store.needs_passphrase(record) else None
    signature = store.openpgp_sign(record, message, now, phrase)
    return _with(envelope, record.fingerprint, signature)


def _add_ed25519(
    envelope: Envelope,
    record: KeyRecord,
    sets: Sequence[KeySet],
    store: KeyStore,
    message: bytes,
    passphrase: Passphrase,
) -> Envelope:
    wanting = [
        keys
        for keys in sets
        if record.keyid in keys.ed25519
        and record.keyid not in (signed := progress(envelope, keys).signed)
        and len(signed) < keys.threshold
    ]
    if not wanting:
        return envelope
    phrase = passphrase(record) if store.needs_passphrase(record) else None
    return _with(envelope, record.keyid, ed25519.sign(store.seed(record, phrase), message))


def _drop_invalid(envelope: Envelope, sets: Sequence[KeySet]) -> Envelope:
    """Without Ed25519 entries that no key of ``sets`` made: they would only take up room."""
    good = {keyid for keys in sets for keyid in progress(envelope, keys).signed}
    blocks = {fingerprint for keys in sets for fingerprint in keys.openpgp}
    kept = [entry for entry in envelope.signatures if entry.keyid in good | blocks]
    return replace(envelope, signatures=tuple(kept))


def _with(envelope: Envelope, keyid: str, signature: bytes) -> Envelope:
    entry = Signature(keyid, signature)
    return replace(envelope, signatures=(*envelope.signatures, entry))
