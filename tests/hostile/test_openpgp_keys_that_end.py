"""Keys that end, are prolonged, get new subkeys or are revoked: made by real gpg in days of 2020,
and judged by real gpg and gpgv by today's clock, which is after them all."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mars.adapters.gpg import GnuPG
from mars.errors import MarsError
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.testing.publisher import OpenPGPKey, Publisher
from mars.trust import TrustState, verify
from mars.wire.openpgp import primary, public_keys
from mars.wire.times import DAY
from testbed.packets import EARLY, PacketKey
from tests.hostile.openpgp import BOTH

LATE = 4_070_908_800
"""2099-01-01, after any clock that runs these tests."""


class Home:
    """One home of gpg; what it does, it does at the time that it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, at: int, *arguments: str, data: bytes = b"") -> bytes:
        moment = f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%S}!"
        command = ["gpg", "--homedir", str(self.path), "--batch", "--pinentry-mode", "loopback"]
        command += ["--passphrase", "", "--faked-system-time", moment, *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, name: str, *usage_and_end: str, at: int = EARLY) -> str:
        """The fingerprint of a new key."""
        self.run(at, "--quick-gen-key", name, "ed25519", *usage_and_end)
        return self.fingerprints(name)[0]

    def fingerprints(self, name: str) -> list[str]:
        """The primary's, then its subkeys'."""
        listed = self.run(EARLY, "--with-colons", "--list-keys", name).decode().splitlines()
        return [line.split(":")[9] for line in listed if line.startswith("fpr:")]

    def block(self, name: str) -> str:
        return self.run(
            EARLY, "--armor", "--export-options", "export-minimal", "--export", name
        ).decode()

    def sign(self, fingerprint: str, message: bytes, at: int) -> bytes:
        return self.run(at, "--local-user", f"{fingerprint}!", "--detach-sign", data=message)

    def revoke(self, fingerprint: str) -> None:
        path = self.path / "openpgp-revocs.d" / f"{fingerprint}.rev"
        text = path.read_text().replace(":-----BEGIN", "-----BEGIN")
        self.run(EARLY, "--import", data=text.encode())

    def revoke_subkey(self, fingerprint: str) -> None:
        said = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
        self.run(EARLY + DAY, "--command-fd", "0", "--edit-key", fingerprint, data=said)


@dataclass(frozen=True)
class Pinned:
    """A block that clients have pinned, and the key of ``home`` that signs."""

    home: Home
    block: str
    signer: str

    @property
    def fingerprint(self) -> str:
        return primary(self.block).fingerprint

    def sign(self, message: bytes, at: int) -> bytes:
        return self.home.sign(self.signer, message, at)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    # A short path: the agent's socket has at most 108 characters.
    folder = Path("/tmp") / f"mars-ends-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        yield Home(folder)
    finally:
        agent = ["gpgconf", "--homedir", str(folder), "--kill", "all"]
        subprocess.run(agent, timeout=30, check=True)
        shutil.rmtree(folder, ignore_errors=True)


def document(key: OpenPGPKey, at: int) -> bytes:
    """News of the time ``at``, signed then."""
    return Publisher(seeds=[b"e" * 32], openpgp=[key]).document(at)


def judged(gnupg: OpenPGP, data: bytes, key: OpenPGPKey, at: int) -> str:
    """What becomes of it a day later where ``key`` is pinned: ``ok`` or a reason."""
    root = Publisher(seeds=[b"e" * 32], openpgp=[key]).trust()
    try:
        accepted = verify(data, root, TrustState.initial(), at + DAY, gnupg)
    except MarsError as error:
        return error.reason
    assert accepted.state.openpgp
    return "ok"


def outcome(gnupg: OpenPGP, key: OpenPGPKey, at: int) -> str:
    return judged(gnupg, document(key, at), key, at)


@BOTH
def test_d01_a_key_holds_until_the_second_before_its_end(gnupg: GnuPG) -> None:
    end = EARLY + 30 * DAY
    key = PacketKey(b"k" * 32, expires_after=end - EARLY)
    assert outcome(gnupg, key, end - 1) == "ok"
    assert outcome(gnupg, key, end) == "openpgp-expired"
    assert outcome(gnupg, replace(key, expires_after=LATE - EARLY), end) == "ok"


@BOTH
def test_d02_a_revoked_key_that_has_ended_is_not_only_ended(gnupg: GnuPG) -> None:
    """Of such a key gpgv says what it says of one that has ended."""
    for subkey in (None, b"s" * 32):
        key = PacketKey(b"k" * 32, expires_after=30 * DAY, revoked=True, subkey=subkey)
        assert outcome(gnupg, key, EARLY + DAY) == "openpgp-bad"
        assert outcome(gnupg, replace(key, revoked=False), EARLY + DAY) == "ok"


@BOTH
def test_d01_a_key_that_has_ended_holds_for_what_it_signed_before(gnupg: GnuPG, home: Home) -> None:
    own = home.make(f"ends {gnupg.programs}", "sign", "30d")
    old = Pinned(home, home.block(own), own)
    assert outcome(gnupg, old, EARLY + 29 * DAY) == "ok"
    # Prolonged twice: until a day that has passed too, and without end.
    for day, end in ((20, "90d"), (21, "never")):
        home.run(EARLY + day * DAY, "--quick-set-expire", own, end)
        new = Pinned(home, home.block(own), own)
        assert outcome(gnupg, old, EARLY + 29 * DAY) == "ok"
        assert outcome(gnupg, old, EARLY + 31 * DAY) == "openpgp-expired"
        assert outcome(gnupg, new, EARLY + 29 * DAY) == "ok"
        assert outcome(gnupg, new, EARLY + 31 * DAY) == "ok"


@BOTH
def test_d01_a_signing_subkey_that_has_ended_likewise(gnupg: GnuPG, home: Home) -> None:
    own = home.make(f"sub {gnupg.programs}", "cert", "never")
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", "30d")
    _, subkey = home.fingerprints(own)
    old = Pinned(home, home.block(own), subkey)
    assert outcome(gnupg, old, EARLY + 29 * DAY) == "ok"
    home.run(EARLY + 20 * DAY, "--quick-set-expire", own, "90d", "*")
    new = Pinned(home, home.block(own), subkey)
    assert outcome(gnupg, old, EARLY + 31 * DAY) == "openpgp-expired"
    assert outcome(gnupg, new, EARLY + 29 * DAY) == outcome(gnupg, new, EARLY + 31 * DAY) == "ok"


@BOTH
def test_d01_a_subkey_does_not_outlive_its_primary(gnupg: GnuPG, home: Home) -> None:
    own = home.make(f"short {gnupg.programs}", "sign", "30d")
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", "never")
    _, subkey = home.fingerprints(own)
    pinned = Pinned(home, home.block(own), subkey)
    assert outcome(gnupg, pinned, EARLY + 29 * DAY) == "ok"
    home.run(EARLY + 20 * DAY, "--quick-set-expire", own, "never")
    assert outcome(gnupg, pinned, EARLY + 31 * DAY) == "openpgp-expired"


@BOTH
def test_d13_a_new_subkey_counts_once_it_is_pinned(gnupg: GnuPG, home: Home) -> None:
    own = home.make(f"more {gnupg.programs}", "sign", "never")
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", "never")
    before = home.block(own)
    home.run(EARLY + DAY, "--quick-add-key", own, "ed25519", "sign", "never")
    _, first, second = home.fingerprints(own)
    at = EARLY + 2 * DAY
    assert outcome(gnupg, Pinned(home, before, second), at) == "openpgp-bad"
    for signer in (own, first):
        assert outcome(gnupg, Pinned(home, before, signer), at) == "ok"
    for signer in (own, first, second):
        assert outcome(gnupg, Pinned(home, home.block(own), signer), at) == "ok"


@BOTH
@pytest.mark.parametrize("end", ["never", "30d"])
def test_d02_a_revoked_subkey_holds_for_nothing(gnupg: GnuPG, home: Home, end: str) -> None:
    own = home.make(f"subkey {end} {gnupg.programs}", "sign", "never")
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", end)
    at, pinned = EARLY + 2 * DAY, Pinned(home, home.block(own), home.fingerprints(own)[1])
    signed = document(pinned, at)
    assert judged(gnupg, signed, pinned, at) == "ok"
    home.revoke_subkey(own)
    revoked = Pinned(home, home.block(own), own)
    assert judged(gnupg, signed, revoked, at) == "openpgp-bad"
    assert outcome(gnupg, revoked, at) == "ok"


@BOTH
@pytest.mark.parametrize("end", ["never", "30d"])
def test_d02_a_revoked_key_holds_for_nothing(gnupg: GnuPG, home: Home, end: str) -> None:
    """Also one that has ended as well, of which gpgv says nothing but that."""
    own = home.make(f"revoked {end} {gnupg.programs}", "sign", end)
    at, pinned = EARLY + 2 * DAY, Pinned(home, home.block(own), own)
    signed = document(pinned, at)
    assert judged(gnupg, signed, pinned, at) == "ok"
    home.revoke(own)
    assert judged(gnupg, signed, replace(pinned, block=home.block(own)), at) == "openpgp-bad"


@BOTH
def test_d19_a_clock_before_a_subkey_was_made_is_named(gnupg: GnuPG, home: Home) -> None:
    own = home.make(f"future {gnupg.programs}", "sign", "never")
    home.run(LATE, "--quick-add-key", own, "ed25519", "sign", "never")
    pinned = Pinned(home, home.block(own), home.fingerprints(own)[1])
    assert outcome(gnupg, pinned, LATE) == "clock"
    assert outcome(gnupg, replace(pinned, signer=own), EARLY + DAY) == "ok"


class Says:
    """A gpg that finds all good, by a key of our choice."""

    def __init__(self, primary: str, signer: str, created: int = EARLY + DAY) -> None:
        self.verdict = OpenPGPVerdict(None, primary, created, signer)

    def verify(self, signature: bytes, message: bytes, keys: object) -> OpenPGPVerdict:
        return self.verdict


def test_d13_the_pinned_block_must_have_the_key_that_signed() -> None:
    key, other = PacketKey(b"k" * 32, subkey=b"s" * 32), PacketKey(b"o" * 32)
    own, at = key.fingerprint, EARLY + DAY
    _, subkey = public_keys(key.block)
    assert outcome(Says(own, subkey.fingerprint), key, at) == "ok"
    assert outcome(Says(own, own), key, at) == "ok"
    assert outcome(Says(own, other.fingerprint), key, at) == "openpgp-bad"
    assert outcome(Says(own, ""), key, at) == "openpgp-bad"


@dataclass(frozen=True)
class Renamed:
    """A block that stands beside the fingerprint of another key, or that is none."""

    fingerprint: str
    block: str

    def sign(self, message: bytes, at: int) -> bytes:
        return PacketKey(b"o" * 32).sign(message, at)


@pytest.mark.parametrize(
    "block", [PacketKey(b"o" * 32).block, "-----BEGIN PGP PUBLIC KEY BLOCK-----"]
)
def test_d14_a_block_that_is_not_of_the_pinned_fingerprint_holds_for_nothing(block: str) -> None:
    pinned, signer = Renamed("A" * 40, block), PacketKey(b"o" * 32).fingerprint
    assert outcome(Says("A" * 40, signer), pinned, EARLY + DAY) == "openpgp-bad"
