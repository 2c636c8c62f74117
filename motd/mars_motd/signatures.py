"""Signatures on a document of any kind: which hold, as clients judge them, who is missing, and one
holder's turn. Of an OpenPGP signature gpg is asked; a keyid is never believed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from mars.errors import StateError, TrustError
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.trust import answered, signers
from mars.trust.signatures import require_openpgp
from mars.wire import ed25519
from mars.wire.ed25519 import SIGNATURE_BYTES
from mars.wire.envelope import Envelope, Signature, pae
from mars.wire.keys import Signing
from mars.wire.openpgp import dearmour
from mars_motd import kinds
from mars_motd.keystore import KeyRecord, KeyStore
from mars_motd.kinds import Document

T = TypeVar("T")

Passphrase = Callable[[KeyRecord], str | None]
"""Asks for, or remembers, the passphrase of a key; None where there is none to be had."""

_PASSED_OVER = (
    *("passphrase-needed", "passphrase-wrong", "openpgp-failed", "openpgp-unavailable"),
    *("openpgp-expired", "openpgp-revoked", "openpgp-unusable"),
)
"""Why one key cannot sign while another may: it has another passphrase, is elsewhere, or ended."""
_UNDECIDED = ("openpgp-unavailable", "clock")
"""gpg could not say: then a signature is not thrown away."""
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, 4)."""


class Remembering:
    """Asks ``openpgp`` each question once, since every answer costs a run of gpg."""

    def __init__(self, openpgp: OpenPGP) -> None:
        self._ask = cache(openpgp.verify)

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        return self._ask(signature, message, tuple(keys))


@dataclass(frozen=True)
class Judge:
    """Judges signatures on one document as clients do at ``now``; times are Unix seconds."""

    openpgp: OpenPGP
    issued: int
    """Of the document: a signature must not be much older."""
    now: int

    def verdict(self, envelope: Envelope, keys: Signing, entry: Signature) -> OpenPGPVerdict:
        """What gpg says of ``entry``: which key made it, if it names one."""
        message = pae(envelope.payload_type, envelope.payload)
        return self.openpgp.verify(entry.sig, message, tuple(keys.openpgp.values()))

    def objection(self, envelope: Envelope, keys: Signing, entry: Signature) -> str | None:
        """Why ``entry`` does not satisfy the OpenPGP policy of ``keys``; None where it does."""
        if len(entry.sig) == SIGNATURE_BYTES or not keys.openpgp:
            return "openpgp-missing"
        alone = replace(envelope, signatures=(entry,), x_keys=())
        try:
            answered(
                self.openpgp,
                lambda known: require_openpgp(
                    alone, keys, known, self.issued, self.now, sticky=True
                ),
            )
        except TrustError as error:
            return error.reason
        return None


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


def progress(envelope: Envelope, keys: Signing, judge: Judge) -> Progress:
    """What is there and what is missing under ``keys``, as clients would count it."""
    needed, most = keys.policy != "off", kinds.of(envelope).looked_at
    return Progress(
        signed=tuple(signers(envelope, keys, most)),
        threshold=keys.threshold,
        openpgp_needed=needed,
        openpgp_present=needed
        and any(
            judge.objection(envelope, keys, entry) is None for entry in envelope.signatures[:most]
        ),
    )


def _made_by(entry: Signature, public: Iterable[str], message: bytes) -> str | None:
    """The Ed25519 key among ``public`` (64 hex digits each) that made ``entry``."""
    return next(
        (key for key in public if ed25519.verify(bytes.fromhex(key), entry.sig, message)), None
    )


@dataclass(frozen=True)
class Pending(Document[T]):
    """A document on its way to being signed, and who must sign it."""

    sets: Mapping[str, Signing]
    """Who must sign, by what people call them: one role for news, root of two epochs for a
    rotation."""
    judge: Judge

    @property
    def complete(self) -> bool:
        return all(self._progress(keys).complete for keys in self.sets.values())

    def __str__(self) -> str:
        return "; ".join(f"{name}: {self._progress(keys)}" for name, keys in self.sets.items())

    def signed(
        self,
        store: KeyStore,
        wanted: Sequence[str],
        passphrase: Passphrase,
        avoid: Iterable[str] = (),
        *,
        partial: bool,
    ) -> Pending[T]:
        """With the signatures that are still missing and that the keys at hand can make.

        Those that are ``wanted`` sign, or all; those to ``avoid`` come last. Existing signatures
        stay; entries that are none go. Raises ``ConfigError`` (``key-unknown``), ``StateError``
        (``key-not-in-epoch``, ``no-secret``, those of a secret, and ``signatures-missing`` where
        it is not complete, unless it is to be ``partial`` and of use to the next holder).
        """
        pending, last = self._without_invalid(), set(avoid)
        failures: list[StateError] = []
        records = self._wanted(store, wanted) if wanted else self.can_sign(store)
        turns = (
            (record, half, keys)
            for record in sorted(records, key=lambda record: record.name in last)
            for half in record.halves
            for keys in self.sets.values()
        )
        for record, half, keys in turns:
            try:
                if pending._wants(half, keys):
                    entry = pending._entry(record, half, keys, store, passphrase)
                    pending = pending._signed_by(*pending.envelope.signatures, entry)
            except StateError as error:
                if error.reason not in _PASSED_OVER:
                    raise
                failures.append(error)
        if failures and not pending.complete:
            raise failures[0]
        if not pending.complete and not (partial and pending.envelope.signatures):
            raise StateError(
                "signatures-missing",
                f"{pending}. Nothing was written; --partial keeps it for the next holder.",
            )
        return pending

    def _progress(self, keys: Signing) -> Progress:
        return progress(self.envelope, keys, self.judge)

    def _is_asked(self, record: KeyRecord) -> bool:
        return any(record.ed25519 in keys.ed25519.values() for keys in self.sets.values())

    def can_sign(self, store: KeyStore) -> list[KeyRecord]:
        """The keys of ``sets`` whose secrets are on this machine."""
        return [it for it in store.records() if self._is_asked(it) and store.has_secret(it)]

    def _wanted(self, store: KeyStore, names: Sequence[str]) -> list[KeyRecord]:
        found = [store.record(name) for name in names]
        for record in found:
            if not self._is_asked(record):
                raise StateError(
                    "key-not-in-epoch",
                    f"Clients do not accept the key {record.name!r} here (see: mars-motd key list "
                    f"DIR). A new key is brought in with: mars-motd key rotate DIR",
                )
            if not store.has_secret(record):
                said = f"The secret of {record.name!r} is not on this machine."
                raise StateError("no-secret", said)
        return found

    def _wants(self, half: str, keys: Signing) -> bool:
        """Whether a signature by this Ed25519 key, or OpenPGP fingerprint, is still missing."""
        state = self._progress(keys)
        if half in keys.openpgp:
            return state.openpgp_needed and not state.openpgp_present
        known = {key: name for name, key in keys.ed25519.items()}
        has_room = len(state.signed) < keys.threshold
        return half in known and known[half] not in state.signed and has_room

    def _entry(
        self, record: KeyRecord, half: str, keys: Signing, store: KeyStore, passphrase: Passphrase
    ) -> Signature:
        message = pae(self.envelope.payload_type, self.envelope.payload)
        phrase = passphrase(record) if store.needs_passphrase(record) else None
        if half in keys.openpgp:
            return store.openpgp_sign(record, keys.openpgp[half], message, self.judge.now, phrase)
        return Signature(record.keyid, ed25519.sign(store.seed(record, phrase), message))

    def _without_invalid(self) -> Pending[T]:
        """Without entries that no key of ``sets`` made: clients look at few, and a forged one that
        claims to be somebody's would keep that holder from signing.

        What a good entry calls itself proves nothing, so it gets the name of the key that made it.
        """
        envelope = self.envelope
        message = pae(envelope.payload_type, envelope.payload)
        public = {key: name for keys in self.sets.values() for name, key in keys.ed25519.items()}
        kept: dict[str, Signature] = {}
        for entry in envelope.signatures:
            name = public.get(_made_by(entry, public, message) or "")
            if name is None:
                name = self._openpgp_maker(entry)
                if name is None:
                    continue
            kept.setdefault(name, replace(entry, keyid=name))
        return self._signed_by(*kept.values())

    def _openpgp_maker(self, entry: Signature) -> str | None:
        """What to call ``entry``, unless it is no OpenPGP signature by one of ``sets``."""
        for keys in self.sets.values():
            reason = self.judge.objection(self.envelope, keys, entry)
            if reason in (None, *_UNDECIDED):
                return self.judge.verdict(self.envelope, keys, entry).signer or entry.keyid
        return None

    def _signed_by(self, *entries: Signature) -> Pending[T]:
        return replace(self, envelope=replace(self.envelope, signatures=entries))


def pem(public: str) -> bytes:
    """An Ed25519 public key (64 hex digits) as openssl reads it."""
    body = base64.b64encode(_SPKI + bytes.fromhex(public)).decode("ascii")
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n".encode("ascii")


def extract_signatures(
    envelope: Envelope, keys: Signing, name: str, judge: Judge
) -> tuple[dict[str, bytes], list[str]]:
    """The signatures by ``keys`` that really hold, of those that clients look at: files by name,
    and the commands (run beside them) that must all succeed.

    ``name`` begins each file's name; the rest are numbers, since key ids come with the document.
    Raises ``TrustError`` (``signature-threshold``) where they are too few to make a client accept.
    """
    message, blocks = f"{name}.pae", tuple(keys.openpgp.values())
    signed = pae(envelope.payload_type, envelope.payload)
    files, commands = {message: signed}, list[str]()
    makers: set[str] = set()
    for number, entry in enumerate(envelope.signatures[: kinds.of(envelope).looked_at], 1):
        stem = f"{name}.{number}"
        public = _made_by(entry, keys.ed25519.values(), signed)
        if public is not None and public not in makers:
            makers.add(public)
            files |= {f"{stem}.pem": pem(public), f"{stem}.sig": entry.sig}
            commands.append(
                f"openssl pkeyutl -verify -pubin -inkey {stem}.pem -rawin -in {message} "
                f"-sigfile {stem}.sig"
            )
        elif blocks and judge.objection(envelope, keys, entry) is None:
            block = keys.openpgp[judge.verdict(envelope, keys, entry).fingerprint]
            files |= {f"{stem}.gpg": dearmour(block), f"{stem}.sig": entry.sig}
            commands.append(f"gpgv --keyring ./{stem}.gpg {stem}.sig {message}")
    if len(makers) < keys.threshold:
        raise TrustError(
            "signature-threshold",
            f"Only {len(makers)} of {keys.threshold} Ed25519 signatures of {name} hold under the "
            f"keys before it, so other tools cannot follow it from this trust file.",
        )
    return files, commands
