"""A publisher in memory: makes keys, signs news and keys documents, rotates. For tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mars.wire import ed25519, envelope, motd
from mars.wire.envelope import KEYS_TYPE, MOTD_TYPE, Envelope, Signature, pae
from mars.wire.keys import KEYS_LIFETIME_DAYS, KeysDocument, KeySet, TrustRoot, keyid
from mars.wire.motd import Message, Motd
from mars.wire.times import DAY

EXAMPLE_NOW = 1_795_219_200
"""2026-11-21T00:00:00Z."""
LIFETIME = 45 * DAY


class OpenPGPKey(Protocol):
    """``mars.testing.memory.MemoryKey``, or a key whose signatures real gpg can judge."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def block(self) -> str: ...

    def sign(self, message: bytes, at: int) -> bytes: ...


@dataclass
class Publisher:
    """Holds the secret keys of one product and channel.

    ``seeds`` are Ed25519 secrets, all of which sign; ``openpgp`` may be empty, then the policy is
    ``off``. The first OpenPGP key signs; the others are pinned too.
    """

    product: str = "examplemail"
    channel: str = "stable"
    seeds: list[bytes] = field(default_factory=lambda: [ed25519.generate()])
    threshold: int = 1
    openpgp: Sequence[OpenPGPKey] = field(default_factory=list)
    policy: str = "when-available"
    epoch: int = 1
    chain: list[Envelope] = field(default_factory=list)
    """Keys documents since epoch 1; rides in every document."""

    def key_set(self) -> KeySet:
        """The public side of the current epoch."""
        public = [ed25519.public_key(seed) for seed in self.seeds]
        return KeySet(
            ed25519={keyid(key): key.hex() for key in public},
            threshold=self.threshold,
            openpgp={key.fingerprint: key.block for key in self.openpgp},
            policy=self.policy if self.openpgp else "off",
        )

    def trust(self, minimum_serial: int = 0, **changes: Any) -> TrustRoot:
        """What an application of the current epoch pins."""
        root = TrustRoot(self.product, self.channel, self.epoch, self.key_set(), minimum_serial)
        return replace(root, **changes)

    def trust_file(self, crowd: int, **changes: Any) -> bytes:
        """``trust.json`` of an application that so many installations share; it says for 400 days
        from ``built``."""
        members = json.loads(self.trust(**changes).encode())
        return json.dumps({**members, "crowd": crowd}).encode("ascii")

    def motd(self, issued: int = EXAMPLE_NOW, **changes: Any) -> Motd:
        """A valid MOTD with one message; ``changes`` replace members."""
        plain = Motd(
            product=self.product,
            channel=self.channel,
            epoch=self.epoch,
            serial=issued,
            issued=issued,
            expires=issued + LIFETIME,
            newest_version="0.5.2",
            messages=(
                Message(
                    id="2026-11-a",
                    title={"en": "Hello", "is": "Halló"},
                    text={"en": "Version 0.5.2 is out.", "is": "Útgáfa 0.5.2 er komin."},
                    url="https://example.org/news",
                ),
            ),
        )
        return replace(plain, **changes)

    def envelope(self, payload: bytes, payload_type: str = MOTD_TYPE, at: int = 0) -> Envelope:
        """``payload`` signed by all keys; OpenPGP signatures are dated ``at``."""
        return Envelope(
            payload_type,
            payload,
            self.signatures(pae(payload_type, payload), at),
            tuple(self.chain),
        )

    def signatures(self, message: bytes, at: int) -> tuple[Signature, ...]:
        """One signature by each Ed25519 key and one by the first OpenPGP key."""
        signed = [ed25519_signature(seed, message) for seed in self.seeds]
        signed += [Signature(key.fingerprint, key.sign(message, at)) for key in self.openpgp[:1]]
        return tuple(signed)

    def document(self, issued: int = EXAMPLE_NOW, **changes: Any) -> bytes:
        """A complete signed document as the server would serve it."""
        return envelope.encode(self.envelope(motd.encode(self.motd(issued, **changes)), at=issued))

    def rotate(
        self,
        issued: int = EXAMPLE_NOW,
        seeds: list[bytes] | None = None,
        threshold: int | None = None,
        openpgp: Sequence[OpenPGPKey] | None = None,
        lifetime: int = KEYS_LIFETIME_DAYS * DAY,
        policy: str | None = None,
    ) -> Envelope:
        """Moves to the next epoch: new Ed25519 keys (one, unless given), signed by old and new."""
        old = replace(self, seeds=list(self.seeds), openpgp=list(self.openpgp))
        self.seeds = [ed25519.generate()] if seeds is None else seeds
        self.threshold = min(self.threshold, len(self.seeds)) if threshold is None else threshold
        self.openpgp = self.openpgp if openpgp is None else openpgp
        self.policy = self.policy if policy is None else policy
        self.epoch += 1
        document = KeysDocument(
            self.product, self.channel, self.epoch, issued, issued + lifetime, self.key_set()
        )
        step = self.keys_envelope(document, old, issued)
        self.chain.append(step)
        return step

    def keys_envelope(self, document: KeysDocument, old: Publisher, at: int) -> Envelope:
        """``document`` signed by the keys of ``old`` and by ours, each once."""
        payload = document.encode()
        message = pae(KEYS_TYPE, payload)
        new = [ed25519_signature(seed, message) for seed in self.seeds if seed not in old.seeds]
        return Envelope(KEYS_TYPE, payload, (*old.signatures(message, at), *new))


def ed25519_signature(seed: bytes, message: bytes) -> Signature:
    """The envelope entry of one Ed25519 signature."""
    return Signature(keyid(ed25519.public_key(seed)), ed25519.sign(seed, message))
