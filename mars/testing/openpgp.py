"""OpenPGP in memory: ``mars.ports.OpenPGP`` without a process, for tests that are not about gpg.

A key block is a text that looks armoured; a signature is bytes that look like a packet. Inside is
an Ed25519 signature, so that a changed byte is found as gpg would find it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from mars.channels import trial
from mars.ports import OpenPGPVerdict
from mars.wire import ed25519

_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nin-memory:"
_END = "\n-----END PGP PUBLIC KEY BLOCK-----\n"
_PACKET = b"\x88in-memory:"


@dataclass(frozen=True)
class MemoryKey:
    """A secret key of the in-memory kind."""

    seed: bytes = field(default_factory=ed25519.generate)

    @property
    def fingerprint(self) -> str:
        """40 upper-case hex digits."""
        return _fingerprint(ed25519.public_key(self.seed))

    @property
    def block(self) -> str:
        """What stands for the armoured public key."""
        return f"{_BEGIN}{ed25519.public_key(self.seed).hex()}{_END}"

    def sign(self, message: bytes, at: int) -> bytes:
        """A detached signature, made at Unix time ``at``."""
        created = at.to_bytes(8, "big")
        return _PACKET + created + ed25519.sign(self.seed, created + message)


@dataclass
class MemoryOpenPGP:
    """``failure`` set to a reason makes every verdict that one (``openpgp-absent``, ``clock``)."""

    failure: str | None = None
    asked: int = 0
    """How many verdicts were asked for."""

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        self.asked += 1
        if self.failure is not None:
            return OpenPGPVerdict(self.failure)
        if list(keys) == [trial.KEY]:
            return trial.VERDICT if signature == trial.SIGNATURE else OpenPGPVerdict("openpgp-bad")
        head, created, proof = signature[:11], signature[11:19], signature[19:]
        for block in keys:
            public = bytes.fromhex(block.removeprefix(_BEGIN).removesuffix(_END))
            if head == _PACKET and ed25519.verify(public, proof, created + message):
                return OpenPGPVerdict(None, _fingerprint(public), int.from_bytes(created, "big"))
        return OpenPGPVerdict("openpgp-bad")


def _fingerprint(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()[:40].upper()
