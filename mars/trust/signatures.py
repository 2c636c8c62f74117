"""Who signed: Ed25519 thresholds, and what an OpenPGP verdict is worth under the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mars.errors import TrustError, WireError
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.wire import ed25519
from mars.wire.envelope import MAX_SIGNATURES, Envelope, pae
from mars.wire.keys import Signing
from mars.wire.openpgp import public_keys, signing_keys
from mars.wire.times import DAY

LOOKED_AT = 8
"""Signature entries of a MOTD that are looked at. Keys documents carry the signatures of two
epochs, so all their entries (16 at most) are."""
SIGNED_BEFORE_ISSUED = 2 * DAY
"""An OpenPGP signature may be this much older than ``issued``: holders sign in turn, offline."""
FUTURE = DAY
"""How far ahead of our clock a document or a signature may be."""
MAX_OPENPGP_SIGNATURE = 8 * 1024
"""Bytes; real ones have 100 to 1200."""

_ARMOUR = b"-----BEGIN PGP SIGNATURE-----"
_PACKET_BIT = 0x80
"""Set in the first octet of every OpenPGP packet (RFC 4880, section 4.2)."""


@dataclass(frozen=True)
class Question:
    """What gpg must be asked: is ``signature`` a good one over ``message`` by one of ``keys``?

    An empty ``signature`` asks only whether an executable is there to verify one.
    """

    signature: bytes
    message: bytes
    keys: tuple[str, ...]
    """Armoured public key blocks."""


Verdicts = Mapping[Question, OpenPGPVerdict]
_T = TypeVar("_T")


class UnansweredError(TrustError):
    """The rules need a verdict that was not handed in; ``question`` says which."""

    def __init__(self, question: Question) -> None:
        super().__init__(
            "openpgp-unavailable",
            "The OpenPGP signature was not verified; install GnuPG and try again.",
        )
        self.question = question


def answered(openpgp: OpenPGP, rule: Callable[[Verdicts], _T]) -> _T:
    """What ``rule`` gives, with each verdict that it needs asked of ``openpgp``."""
    verdicts: dict[Question, OpenPGPVerdict] = {}
    while True:
        try:
            return rule(verdicts)
        except UnansweredError as need:
            ask = need.question
            verdicts[ask] = openpgp.verify(ask.signature, ask.message, ask.keys)


def require_threshold(envelope: Envelope, keys: Signing, looked_at: int, reason: str) -> None:
    """Raises ``TrustError(reason)`` unless ``keys.threshold`` different pinned keys signed."""
    found = len(signers(envelope, keys, looked_at, enough=keys.threshold))
    if found < keys.threshold:
        raise TrustError(
            reason,
            f"{found} of the {keys.threshold} Ed25519 signatures that are needed are valid: the "
            "document was changed on its way or signed with other keys.",
        )


def signers(
    envelope: Envelope, keys: Signing, looked_at: int = LOOKED_AT, enough: int = MAX_SIGNATURES
) -> list[str]:
    """The names of the pinned Ed25519 keys that signed, each once; the first ``enough``."""
    message = pae(envelope.payload_type, envelope.payload)
    entries = [
        entry
        for entry in envelope.signatures[:looked_at]
        if len(entry.sig) == ed25519.SIGNATURE_BYTES
    ]
    # The hint decides which pairs are tried first, never which count.
    hinted = [(entry, entry.keyid) for entry in entries if entry.keyid in keys.ed25519]
    others = [(entry, name) for entry in entries for name in keys.ed25519 if name != entry.keyid]
    found: list[str] = []
    for entry, name in hinted + others:
        if len(found) == enough:
            break
        public = bytes.fromhex(keys.ed25519[name])
        if name not in found and ed25519.verify(public, entry.sig, message):
            found.append(name)
    return found


def require_openpgp(
    envelope: Envelope,
    keys: Signing,
    verdicts: Verdicts,
    issued: int,
    now: int,
    sticky: bool,
    looked_at: int = LOOKED_AT,
) -> bool:
    """Applies the policy of ``keys``; True when a signature was verified, False when skipped.

    ``sticky``: an OpenPGP signature was verified before, so one is always needed. Raises
    ``TrustError`` (``openpgp-missing``, ``openpgp-bad``, ``openpgp-date``, ``openpgp-expired``,
    ``openpgp-unavailable``, ``clock``) or ``UnansweredError``.
    """
    if keys.policy == "off":
        return False
    message = pae(envelope.payload_type, envelope.payload)
    blocks = tuple(keys.openpgp.values())
    problems: list[TrustError] = []
    for signature in _candidates(envelope, looked_at) or [b""]:
        question = Question(signature, message, blocks)
        verdict = verdicts.get(question)
        if verdict is None:
            raise UnansweredError(question)
        if verdict.reason == "openpgp-absent" and keys.policy == "when-available" and not sticky:
            return False
        if verdict.reason in ("openpgp-absent", "openpgp-unavailable"):
            # At once: another signature would only make a program hang again.
            raise TrustError(
                "openpgp-unavailable",
                "The OpenPGP signature could not be verified; install or repair GnuPG.",
            )
        problem = _problem(signature, verdict, keys, issued, now)
        if problem is None:
            return True
        problems.append(problem)
    raise problems[0]


def _candidates(envelope: Envelope, looked_at: int) -> list[bytes]:
    return [
        entry.sig
        for entry in envelope.signatures[:looked_at]
        if len(entry.sig) != ed25519.SIGNATURE_BYTES
        and 0 < len(entry.sig) <= MAX_OPENPGP_SIGNATURE
        and (entry.sig[0] & _PACKET_BIT or entry.sig.startswith(_ARMOUR))
    ]


def _problem(
    signature: bytes, verdict: OpenPGPVerdict, keys: Signing, issued: int, now: int
) -> TrustError | None:
    if verdict.reason == "clock":
        return TrustError(
            "clock", "This computer's clock stands before the OpenPGP key was made; set it."
        )
    if not signature:
        return TrustError("openpgp-missing", "The document has no OpenPGP signature.")
    if verdict.reason is not None or verdict.fingerprint not in keys.openpgp:
        return _bad()
    if not issued - SIGNED_BEFORE_ISSUED <= verdict.created <= now + FUTURE:
        return TrustError(
            "openpgp-date",
            "The OpenPGP signature was made too long before the document, or after now.",
        )
    return _key_problem(verdict, keys.openpgp[verdict.fingerprint])


def _bad() -> TrustError:
    return TrustError("openpgp-bad", "The OpenPGP signature is not a good one by a pinned key.")


def _key_problem(verdict: OpenPGPVerdict, block: str) -> TrustError | None:
    """What the pinned block has against the key that signed.

    gpg knows no other time than now, and keeps quiet about the revocation of a key that has ended.
    """
    try:
        keys = public_keys(block)
        usable = [key.fingerprint for key in signing_keys(block, verdict.created)]
    except WireError:
        return _bad()
    known = [key.fingerprint for key in keys if key.signs and not key.revoked]
    first = keys[0]
    if first.revoked or first.fingerprint != verdict.fingerprint or verdict.signer not in known:
        return _bad()
    if verdict.signer not in usable:
        return TrustError(
            "openpgp-expired",
            "The OpenPGP key was not valid when it signed: it had ended, as far as is known here.",
        )
    return None
