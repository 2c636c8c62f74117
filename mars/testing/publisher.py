"""A publisher in memory: makes keys, signs news and keys documents, rotates. For tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from mars.wire import ed25519, envelope, motd
from mars.wire.envelope import (
    KEYS_TYPE,
    MOTD_TYPE,
    RELEASE_TYPE,
    STEERING_TYPE,
    Envelope,
    Signature,
    pae,
)
from mars.wire.keys import (
    KEYS_LIFETIME_DAYS,
    OPENPGP_ROLES,
    ROLES,
    KeysDocument,
    KeySet,
    Role,
    TrustRoot,
    keyid,
)
from mars.wire.motd import Message, Motd
from mars.wire.release import Download, Release
from mars.wire.steering import Steering
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

    def another(self, name: str) -> OpenPGPKey:
        """A key of its own for each name, and always the same."""
        ...


@dataclass
class Publisher:
    """Holds the secret keys of one product and channel.

    ``seeds`` are the Ed25519 secrets of the role ``motd``, all of which sign; ``openpgp`` may be
    empty, then the policy is ``off``. The first OpenPGP key signs; the others are pinned too. Each
    other role has keys derived from these, as many and with the same threshold.
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
    x_steering: Envelope | None = None
    x_release: Envelope | None = None
    """What rides beside the news, too; ``steer`` and ``offer`` make them."""

    def key_set(self) -> KeySet:
        """The public side of the current epoch."""
        keys = [key for role in OPENPGP_ROLES for key in self._openpgp(role)]
        return KeySet(
            roles={role: self._role(role) for role in ROLES},
            openpgp={key.fingerprint: key.block for key in keys},
            policy=self.policy if self.openpgp else "off",
        )

    def _role(self, name: str) -> Role:
        public = [ed25519.public_key(seed) for seed in self.seeds_of(name)]
        primaries = tuple(key.fingerprint for key in self._openpgp(name))
        return Role({keyid(key): key.hex() for key in public}, self.threshold, primaries)

    def seeds_of(self, role: str) -> list[bytes]:
        """The Ed25519 secrets of ``role``."""
        if role == "motd":
            return self.seeds
        return [hashlib.sha256(role.encode() + seed).digest() for seed in self.seeds]

    def _openpgp(self, role: str) -> list[OpenPGPKey]:
        if role not in OPENPGP_ROLES or self.policy == "off":
            return []
        return [key if role == "motd" else key.another(role) for key in self.openpgp]

    def trust(self, minimum_serial: int = 0, **changes: Any) -> TrustRoot:
        """What an application of the current epoch pins."""
        root = TrustRoot(
            self.product,
            self.channel,
            self.epoch,
            self.key_set(),
            minimum_serial=minimum_serial,
            x_steering=self.x_steering,
        )
        return replace(root, **changes)

    def steer(self, issued: int = EXAMPLE_NOW, **changes: Any) -> Envelope:
        """A steering document signed by root, which rides along from now on."""
        plain = Steering(
            self.product, self.channel, self.epoch, issued, issued, links=("https://example.org/",)
        )
        payload = replace(plain, **changes).encode()
        self.x_steering = self._signed(payload, STEERING_TYPE, issued, "root")
        return self.x_steering

    def offer(self, issued: int = EXAMPLE_NOW, **changes: Any) -> Envelope:
        """A release document, which rides along from now on."""
        download = Download("linux", "https://example.org/m.tar.gz", 1_000_000, "ab" * 32)
        plain = Release(
            self.product,
            self.channel,
            self.epoch,
            issued,
            issued,
            "0.5.2",
            notes={"en": "Faster."},
            downloads=(download,),
        )
        payload = replace(plain, **changes).encode()
        self.x_release = self._signed(payload, RELEASE_TYPE, issued, "release")
        return self.x_release

    def trust_file(self, crowd: int, **changes: Any) -> bytes:
        """``trust.json`` of an application that so many installations share; it says for 400 days
        from ``built``."""
        return self.trust(crowd=crowd, **changes).encode()

    def motd(self, issued: int = EXAMPLE_NOW, **changes: Any) -> Motd:
        """A valid MOTD with one message that restates what steers; ``changes`` replace members."""
        steering = self.trust().steering
        plain = Motd(
            product=self.product,
            channel=self.channel,
            epoch=self.epoch,
            serial=issued,
            issued=issued,
            expires=issued + LIFETIME,
            reportback_next=steering.reportback_next,
            reportback_server=next(iter(steering.servers), ""),
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
        """``payload`` signed by all keys of the role ``motd``, the OpenPGP one dated ``at``."""
        return replace(
            self._signed(payload, payload_type, at, "motd"),
            x_keys=tuple(self.chain),
            x_steering=self.x_steering,
            x_release=self.x_release,
        )

    def _signed(self, payload: bytes, payload_type: str, at: int, role: str) -> Envelope:
        signatures = self.signatures(pae(payload_type, payload), at, role)
        return Envelope(payload_type, payload, signatures)

    def signatures(self, message: bytes, at: int, role: str = "motd") -> tuple[Signature, ...]:
        """One signature by each Ed25519 key of ``role`` and one by its first OpenPGP key."""
        signed = [ed25519_signature(seed, message) for seed in self.seeds_of(role)]
        keys = self._openpgp(role)[:1]
        signed += [Signature(key.fingerprint, key.sign(message, at)) for key in keys]
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
        """Moves to the next epoch: new Ed25519 keys (one, unless given), signed by root of the old
        and of the new. What rode along was of the old one, and stays behind."""
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
        self.x_steering = self.x_release = None
        return step

    def keys_envelope(self, document: KeysDocument, old: Publisher, at: int) -> Envelope:
        """``document`` signed by root of ``old`` and by ours, each key once."""
        payload = document.encode()
        message = pae(KEYS_TYPE, payload)
        signed = [*old.signatures(message, at, "root"), *self.signatures(message, at, "root")]
        return Envelope(KEYS_TYPE, payload, tuple({each.keyid: each for each in signed}.values()))


def ed25519_signature(seed: bytes, message: bytes) -> Signature:
    """The envelope entry of one Ed25519 signature."""
    return Signature(keyid(ed25519.public_key(seed)), ed25519.sign(seed, message))
