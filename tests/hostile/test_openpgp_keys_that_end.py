"""Keys that end, are prolonged, get new subkeys or are revoked: made by real gpg in days of 2020,
and judged by real gpg and gpgv by today's clock, which is after them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from mars.adapters.gpg import GnuPG
from mars.errors import MarsError
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.testing.publisher import OpenPGPKey, Publisher
from mars.trust import TrustState, verify
from mars.wire.keys import TrustRoot
from mars.wire.openpgp import primary, public_keys
from mars.wire.times import DAY
from testbed.gpg_home import Home, running
from testbed.packets import EARLY, PacketKey
from tests.hostile.openpgp import BOTH

LATE = 4_070_908_800
"""2099-01-01, after any clock that runs these tests."""


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

    def another(self, name: str) -> PacketKey:
        return PacketKey(b"p" * 32).another(name)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with running() as home:
        yield home


def document(key: OpenPGPKey, at: int) -> bytes:
    """News of the time ``at``, signed then."""
    return Publisher(seeds=[b"e" * 32], openpgp=[key]).document(at)


def judged(gnupg: OpenPGP, data: bytes, key: OpenPGPKey, at: int) -> str:
    """What becomes of it a day later where ``key`` is pinned: ``ok`` or a reason."""
    return under(gnupg, data, Publisher(seeds=[b"e" * 32], openpgp=[key]).trust(), at)


def under(gnupg: OpenPGP, data: bytes, root: TrustRoot, at: int) -> str:
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
def test_d01_a_keys_document_of_before_the_end_prolongs_it_for_clients(gnupg: GnuPG) -> None:
    """Before the old end and after it, also for who sees that step only then."""
    old = PacketKey(b"k" * 32, expires_after=30 * DAY)
    for day, due in ((29, "ok"), (30, "openpgp-expired")):
        publisher = Publisher(seeds=[b"e" * 32], openpgp=[old])
        root = publisher.trust()
        publisher.rotate(EARLY + day * DAY, [b"e" * 32], openpgp=[replace(old, expires_after=0)])
        for at in (day, 31, 60):
            data = publisher.document(EARLY + at * DAY)
            assert under(gnupg, data, root, EARLY + at * DAY) == due


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


def test_d13_a_primary_that_only_certifies_signs_nothing(home: Home) -> None:
    own = home.make("certifies", "cert", "never")
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", "never")
    _, subkey = home.fingerprints(own)
    pinned, at = Pinned(home, home.block(own), subkey), EARLY + DAY
    assert outcome(Says(own, subkey), pinned, at) == "ok"
    assert outcome(Says(own, own), pinned, at) == "openpgp-bad"


@dataclass(frozen=True)
class Renamed:
    """A block that stands beside the fingerprint of another key, or that is none."""

    fingerprint: str
    block: str

    def sign(self, message: bytes, at: int) -> bytes:
        return PacketKey(b"o" * 32).sign(message, at)

    def another(self, name: str) -> PacketKey:
        return PacketKey(b"p" * 32).another(name)


@pytest.mark.parametrize(
    "block", [PacketKey(b"o" * 32).block, "-----BEGIN PGP PUBLIC KEY BLOCK-----"]
)
def test_d14_a_block_that_is_not_of_the_pinned_fingerprint_holds_for_nothing(block: str) -> None:
    pinned, signer = Renamed("A" * 40, block), PacketKey(b"o" * 32).fingerprint
    assert outcome(Says("A" * 40, signer), pinned, EARLY + DAY) == "openpgp-bad"
