"""Signatures on one envelope: who has signed, who is missing, and one holder's turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from mars.errors import StateError
from mars.trust import signers
from mars.trust.signatures import LOOKED_AT
from mars.wire import ed25519
from mars.wire.envelope import MAX_SIGNATURES, MOTD_TYPE, Envelope, Signature, pae
from mars.wire.keys import KeySet
from mars_motd.keystore import KeyRecord, KeyStore
from mars_motd.verdicts import Judge

Passphrase = Callable[[KeyRecord], str | None]
"""Asks for, or remembers, the passphrase of a key; None where there is none to be had."""


_LOCKED = ("passphrase-needed", "passphrase-wrong")
_UNDECIDED = ("openpgp-unavailable", "clock")
"""gpg could not say: then a signature is not thrown away."""


@dataclass(frozen=True)
class Progress:
    """How far an envelope is under one set of keys."""

    signed: tuple[str, ...]
    """Key ids whose Ed25519 signature is valid."""
    threshold: int
    openpgp_needed: bool
    openpgp_present: bool
    """A signature by a pinned OpenPGP key that clients would take."""

    @property
    def complete(self) -> bool:
        enough = len(self.signed) >= self.threshold
        return enough and (self.openpgp_present or not self.openpgp_needed)

    def __str__(self) -> str:
        said = f"{len(self.signed)} of {self.threshold} Ed25519 signatures"
        if self.openpgp_needed:
            said += f", OpenPGP signature {'present' if self.openpgp_present else 'missing'}"
        return said


def looked_at(envelope: Envelope) -> int:
    """How many of its signatures clients look at."""
    return LOOKED_AT if envelope.payload_type == MOTD_TYPE else MAX_SIGNATURES


def progress(envelope: Envelope, keys: KeySet, judge: Judge) -> Progress:
    """What is there and what is missing under ``keys``, as clients would count it."""
    needed, most = keys.policy != "off", looked_at(envelope)
    return Progress(
        signed=tuple(signers(envelope, keys, most)) if envelope.signatures else (),
        threshold=keys.threshold,
        openpgp_needed=needed,
        openpgp_present=needed
        and any(
            judge.objection(envelope, keys, entry) is None for entry in envelope.signatures[:most]
        ),
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
    judge: Judge,
    passphrase: Passphrase,
) -> Envelope:
    """``envelope`` with the signatures that are still missing and that ``records`` can make.

    ``sets`` are the key sets whose thresholds count (one for news, two for a rotation); the
    OpenPGP signature belongs to the first. Existing signatures stay; entries that are none go.
    """
    first, *others = sets
    envelope = _drop_invalid(envelope, [first, *others], judge)
    locked: StateError | None = None
    for record in records:
        try:
            envelope = _turn(envelope, record, [first, *others], store, judge, passphrase)
        except StateError as error:
            if error.reason not in _LOCKED:
                raise
            locked = locked or error  # another key may do: it may have another passphrase
    if locked is not None and not progress(envelope, first, judge).complete:
        raise locked
    return envelope


def _turn(
    envelope: Envelope,
    record: KeyRecord,
    sets: Sequence[KeySet],
    store: KeyStore,
    judge: Judge,
    passphrase: Passphrase,
) -> Envelope:
    """What one holder adds: an Ed25519 signature where one is wanting, the OpenPGP one likewise."""
    message = pae(envelope.payload_type, envelope.payload)
    envelope = _add_ed25519(envelope, record, sets, store, message, passphrase)
    state = progress(envelope, sets[0], judge)
    if not state.openpgp_needed or state.openpgp_present:
        return envelope
    if record.fingerprint not in sets[0].openpgp:
        return envelope
    phrase = passphrase(record) if store.needs_passphrase(record) else None
    signature = store.openpgp_sign(record, message, judge.now, phrase)
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
        and record.keyid not in (signed := _signed(envelope, keys))
        and len(signed) < keys.threshold
    ]
    if not wanting:
        return envelope
    phrase = passphrase(record) if store.needs_passphrase(record) else None
    return _with(envelope, record.keyid, ed25519.sign(store.seed(record, phrase), message))


def _signed(envelope: Envelope, keys: KeySet) -> list[str]:
    return signers(envelope, keys, MAX_SIGNATURES) if envelope.signatures else []


def _drop_invalid(envelope: Envelope, sets: Sequence[KeySet], judge: Judge) -> Envelope:
    """Without entries that no key of ``sets`` made: clients look at few, and a forged one that
    claims to be somebody's would keep that holder from signing.

    What a good entry calls itself proves nothing, so it gets the name of the key that made it.
    """
    message = pae(envelope.payload_type, envelope.payload)
    public = {key: name for keys in sets for name, key in keys.ed25519.items()}
    kept: dict[str, Signature] = {}
    for entry in envelope.signatures:
        name = _maker(entry, public, message)
        if name is None:
            reason = judge.objection(envelope, sets[0], entry)
            if reason not in (None, *_UNDECIDED):
                continue
            name = judge.maker(envelope, sets[0], entry) or entry.keyid
        kept.setdefault(name, replace(entry, keyid=name))
    return replace(envelope, signatures=tuple(kept.values()))


def _maker(entry: Signature, public: dict[str, str], message: bytes) -> str | None:
    """The name of the Ed25519 key that made ``entry``."""
    return next(
        (
            name
            for key, name in public.items()
            if ed25519.verify(bytes.fromhex(key), entry.sig, message)
        ),
        None,
    )


def _with(envelope: Envelope, keyid: str, signature: bytes) -> Envelope:
    entry = Signature(keyid, signature)
    return replace(envelope, signatures=(*envelope.signatures, entry))
