"""What clients would make of an OpenPGP signature: asked of gpg, never read off a keyid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mars.errors import TrustError
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.trust import Question, UnansweredError
from mars.trust.signatures import require_openpgp
from mars.wire.ed25519 import SIGNATURE_BYTES
from mars.wire.envelope import Envelope, Signature, pae
from mars.wire.keys import KeySet


@dataclass(frozen=True)
class Remembering:
    """Asks ``openpgp`` each question once, since every answer costs a run of gpg."""

    openpgp: OpenPGP
    _known: dict[Question, OpenPGPVerdict] = field(default_factory=dict)

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        question = Question(signature, message, tuple(keys))
        if question not in self._known:
            self._known[question] = self.openpgp.verify(signature, message, keys)
        return self._known[question]


@dataclass(frozen=True)
class Judge:
    """Judges signatures on one document as clients do at ``now``; times are Unix seconds."""

    openpgp: OpenPGP
    issued: int
    """Of the document: a signature must not be much older."""
    now: int

    def maker(self, envelope: Envelope, keys: KeySet, entry: Signature) -> str:
        """The primary fingerprint of the key that made ``entry``; empty where gpg names none."""
        message = pae(envelope.payload_type, envelope.payload)
        return self.openpgp.verify(entry.sig, message, tuple(keys.openpgp.values())).fingerprint

    def objection(self, envelope: Envelope, keys: KeySet, entry: Signature) -> str | None:
        """Why ``entry`` does not satisfy the OpenPGP policy of ``keys``; None where it does."""
        if len(entry.sig) == SIGNATURE_BYTES or not keys.openpgp:
            return "openpgp-missing"
        alone = replace(envelope, signatures=(entry,), x_keys=())
        verdicts: dict[Question, OpenPGPVerdict] = {}
        while True:
            try:
                require_openpgp(alone, keys, verdicts, self.issued, self.now, sticky=True)
            except UnansweredError as need:
                ask = need.question
                verdicts[ask] = self.openpgp.verify(ask.signature, ask.message, ask.keys)
            except TrustError as error:
                return error.reason
            else:
                return None
