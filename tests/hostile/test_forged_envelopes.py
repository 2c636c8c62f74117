"""The envelope and its Ed25519 signatures."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from mars.errors import WireError
from mars.factory import openpgp as installed_gnupg
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import Publisher, ed25519_signature
from mars.trust import TrustState, signers, verify
from mars.wire import ed25519, envelope
from mars.wire import motd as motds
from mars.wire.envelope import KEYS_TYPE, MOTD_TYPE, Signature, pae
from mars.wire.keys import KeysDocument, Role, TrustRoot, keyid
from mars.wire.times import DAY
from testbed.packets import PacketKey
from tests.hostile.envelopes import NOW, SEEDS, edited, judge, opened, plain, reason

ORDER = 2**252 + 27742317777372353535851937790883648493
"""L, the order of the prime-order group (RFC 8032, section 5.1)."""


def signed_json(publisher: Publisher, **members: Any) -> bytes:
    """A signed document whose payload has ``members`` replaced."""
    payload = json.loads(motds.encode(publisher.motd()))
    return envelope.encode(publisher.envelope(json.dumps({**payload, **members}).encode()))


def flips(data: bytes) -> list[bytes]:
    """``data`` with one bit flipped, once in each octet."""
    return [data[:i] + bytes([data[i] ^ 1 << i % 8]) + data[i + 1 :] for i in range(len(data))]


def test_a01_one_flipped_bit_of_payload_type_or_ed25519_signature_is_rejected() -> None:
    publisher = plain()
    good, root = opened(publisher), publisher.trust()
    assert judge(good, root).news
    for payload in flips(good.payload):
        assert reason(replace(good, payload=payload), root) == "signature-threshold"
    for sig in flips(good.signatures[0].sig):
        changed = replace(good, signatures=(Signature("", sig),))
        assert reason(changed, root) == "signature-threshold"
    for kind in flips(good.payload_type.encode()):
        changed = replace(good, payload_type=kind.decode("latin-1"))
        assert reason(changed, root) == "wrong-payload-type"


def test_a01_one_flipped_bit_of_an_openpgp_signature_is_rejected_by_real_gpg() -> None:
    key = PacketKey(SEEDS[2])
    message = pae(MOTD_TYPE, b"{}")
    gnupg = installed_gnupg()
    good = key.sign(message, NOW)
    assert gnupg.verify(good, message, [key.block]).reason is None
    # Packet header 3, fixed fields 4, hashed length 2, hashed 23 + 6; then the unhashed part
    # (length 2, issuer 10), which is not signed; two octets of the hash; two numbers.
    hashed = range(3, 3 + 4 + 2 + 29)
    values = range(hashed.stop + 2 + 10 + 2, len(good))
    for at in [*hashed[::3], *values[::5]]:
        flipped = flips(good)[at]
        assert gnupg.verify(flipped, message, [key.block]).reason is not None, at


def test_a02_signature_over_the_raw_payload_is_rejected() -> None:
    publisher = plain()
    good = opened(publisher)
    raw = replace(good, signatures=(ed25519_signature(SEEDS[0], good.payload),))
    assert reason(raw, publisher.trust()) == "signature-threshold"


def test_a03_other_payload_type_is_rejected_before_the_payload_is_parsed() -> None:
    publisher = plain()
    for kind in (KEYS_TYPE, "application/vnd.mars.stats-receipt.v1+json"):
        # The payload is not JSON at all, and still the type is what is refused.
        other = publisher.envelope(b"\xff not JSON", kind)
        assert reason(other, publisher.trust()) == "wrong-payload-type"


@pytest.mark.parametrize(
    ("members", "due"),
    [
        ({"type": "keys"}, "wrong-kind"),
        ({"product": "other"}, "wrong-product"),
        ({"channel": "beta"}, "wrong-channel"),
        ({"epoch": 2}, "wrong-epoch"),
    ],
)
def test_a04_payload_of_another_kind_product_or_channel_is_rejected(
    members: dict[str, Any], due: str
) -> None:
    publisher = plain()
    assert reason(signed_json(publisher, **members), publisher.trust()) == due


@pytest.mark.parametrize("kind", [MOTD_TYPE.upper(), MOTD_TYPE + " ", " " + MOTD_TYPE, "mötd", ""])
def test_a05_payload_type_is_compared_byte_for_byte(kind: str) -> None:
    publisher = plain()
    payload = motds.encode(publisher.motd())
    assert reason(publisher.envelope(payload, kind), publisher.trust()) == "wrong-payload-type"


@pytest.mark.parametrize("signatures", [[], None, {}, "x", 17, ["x"], [None]])
def test_a06_malformed_signatures_are_rejected(signatures: object) -> None:
    publisher = plain()
    assert reason(edited(publisher, signatures=signatures), publisher.trust()) == "bad-envelope"


def test_a06_missing_signatures_are_rejected() -> None:
    publisher = plain()
    members = json.loads(publisher.document())
    del members["signatures"]
    assert reason(json.dumps(members).encode(), publisher.trust()) == "bad-envelope"


def test_a06_seventeen_signatures_are_rejected_and_eight_are_looked_at() -> None:
    publisher = plain()
    good, junk = opened(publisher), Signature("junk", bytes(64))
    ninth = replace(good, signatures=(*[junk] * 8, *good.signatures))
    eighth = replace(good, signatures=(*[junk] * 7, *good.signatures))
    too_many = replace(good, signatures=good.signatures * 17)
    assert judge(eighth, publisher.trust()).news
    assert reason(ninth, publisher.trust()) == "signature-threshold"
    assert reason(too_many, publisher.trust()) == "bad-envelope"


@pytest.mark.parametrize("hint", ["", "another"])
def test_a07_same_key_twice_counts_once(hint: str) -> None:
    publisher = plain(seeds=SEEDS[:2], threshold=2)
    good = opened(publisher)
    one = good.signatures[0]
    twice = replace(good, signatures=(one, Signature(hint or one.keyid, one.sig)))
    assert judge(good, publisher.trust()).news
    assert reason(twice, publisher.trust()) == "signature-threshold"


@pytest.mark.parametrize("hint", ["", "unknown", keyid(ed25519.public_key(SEEDS[1]))])
def test_a08_keyid_is_only_a_hint(hint: str) -> None:
    publisher = plain(seeds=SEEDS[:2])
    good = opened(publisher)
    lie = replace(good, signatures=(Signature(hint, good.signatures[0].sig),))
    assert judge(lie, publisher.trust()).news


def test_a08_absent_keyid_changes_nothing() -> None:
    publisher = plain()
    members = json.loads(publisher.document())
    for entry in members["signatures"]:
        del entry["keyid"]
    assert judge(json.dumps(members).encode(), publisher.trust()).news


def test_a09_extra_unknown_signature_is_accepted() -> None:
    publisher = plain(openpgp=[MemoryKey()])
    good = opened(publisher)
    stranger = ed25519_signature(SEEDS[2], pae(good.payload_type, good.payload))
    other = MemoryKey().sign(pae(good.payload_type, good.payload), NOW)
    extra = (stranger, Signature("", other), *good.signatures)
    assert judge(replace(good, signatures=extra), publisher.trust()).news


def test_a10_both_kinds_of_signature_are_needed() -> None:
    publisher = plain(openpgp=[MemoryKey()], policy="required")
    good, root = opened(publisher), publisher.trust()
    ed, pgp = good.signatures
    bad_pgp = Signature("", pgp.sig[:-1] + bytes([pgp.sig[-1] ^ 1]))
    assert reason(replace(good, signatures=(ed, bad_pgp)), root) == "openpgp-bad"
    bad_ed = Signature("", bytes(64))
    assert reason(replace(good, signatures=(bad_ed, pgp)), root) == "signature-threshold"


def test_a11_stripped_openpgp_signature_is_rejected_where_gpg_is_present() -> None:
    publisher = plain(openpgp=[MemoryKey()])
    good, root = opened(publisher), publisher.trust()
    stripped = envelope.encode(replace(good, signatures=good.signatures[:1]))
    assert reason(stripped, root) == "openpgp-missing"
    absent = MemoryOpenPGP(failure="openpgp-absent")
    assert verify(stripped, root, TrustState.initial(), NOW, absent).news


def test_a12_malleated_signature_is_rejected() -> None:
    publisher = plain()
    good = opened(publisher)
    sig = good.signatures[0].sig
    scalar = int.from_bytes(sig[32:], "little") + ORDER
    malleated = sig[:32] + scalar.to_bytes(32, "little")
    changed = replace(good, signatures=(Signature("", malleated),))
    assert reason(changed, publisher.trust()) == "signature-threshold"


SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
)
"""Points of order 1, 2, 4 and 8."""


@pytest.mark.parametrize("public", SMALL_ORDER)
def test_a13_small_order_key_is_refused_on_load_and_verifies_nothing(public: str) -> None:
    publisher = plain()
    keys = publisher.key_set()
    bad = replace(keys, roles={**keys.roles, "status": Role({"bad": public})})
    document = KeysDocument("examplemail", "stable", 2, NOW, NOW + DAY, bad)
    for load, data in (
        (KeysDocument.decode, document.encode()),
        (TrustRoot.decode, replace(publisher.trust(), keys=bad).encode()),
    ):
        with pytest.raises(WireError) as caught:
            load(data)
        assert caught.value.reason == "bad-payload"
    # R of small order and S = 0 verify for such a key wherever it is not refused.
    assert not ed25519.verify(bytes.fromhex(public), bytes.fromhex(public) + bytes(32), b"any")


@pytest.mark.parametrize("length", [0, 1, 63, 65, 128])
def test_a14_signature_of_another_length_is_rejected(length: int) -> None:
    publisher = plain()
    good = opened(publisher)
    sig = (good.signatures[0].sig * 2)[:length]
    changed = replace(good, signatures=(Signature("", sig),))
    assert reason(changed, publisher.trust()) == "signature-threshold"
    assert not ed25519.verify(ed25519.public_key(SEEDS[0]), sig, b"")


def test_a14_what_follows_a_signature_is_no_part_of_the_message() -> None:
    """libsodium takes signature and message in one piece, so 65 octets move the border."""
    public, whole = ed25519.public_key(SEEDS[0]), ed25519.sign(SEEDS[0], b"no news")
    assert ed25519.verify(public, whole, b"no news")
    assert not ed25519.verify(public, whole + b"no ", b"news")


@pytest.mark.parametrize(
    "text",
    ["aGk", "aG k=", "aGk=\n", "aGk=AAAA", "aGl=", "aGk==", "=aGk", "aG=k", "a+-/", "aGké", "a"],
)
def test_a15_base64_that_is_not_canonical_is_rejected(text: str) -> None:
    publisher = plain()
    root = publisher.trust()
    assert reason(edited(publisher, payload=text), root) == "bad-base64"
    assert reason(edited(publisher, signatures=[{"sig": text}]), root) == "bad-base64"


def test_a15_url_safe_base64_is_accepted() -> None:
    publisher = plain()
    # A text with many non-ASCII letters makes both characters that differ appear.
    motd = publisher.motd(news="þæö?>~" * 40)
    members = json.loads(envelope.encode(publisher.envelope(motds.encode(motd))))
    standard = json.dumps(members)
    members["payload"] = members["payload"].replace("+", "-").replace("/", "_")
    for entry in members["signatures"]:
        entry["sig"] = entry["sig"].replace("+", "-").replace("/", "_")
    assert json.dumps(members) != standard
    assert judge(json.dumps(members).encode(), publisher.trust()).motd == motd


def test_a16_duplicate_payload_members_are_rejected() -> None:
    publisher = plain()
    text = publisher.document().decode()
    other = base64.b64encode(b"{}").decode()
    doubled = text.replace('"signatures"', f'"payload":"{other}","signatures"', 1)
    assert reason(doubled.encode(), publisher.trust()) == "duplicate-member"


def test_a17_unknown_envelope_members_are_ignored() -> None:
    publisher = plain()
    data = edited(publisher, padding="x" * 500, **{"x-new": {"a": [1, None, True]}})
    assert judge(data, publisher.trust()).news


@pytest.mark.parametrize("roles", [("motd", "motd"), ("motd", "root"), ("status", "index")])
def test_a23_key_sets_refuse_the_same_key_under_two_names(roles: tuple[str, str]) -> None:
    """Nor in two roles: a thief of one would have the other."""
    keys = plain().key_set()
    public = ed25519.public_key(SEEDS[0]).hex()
    twice = dict(keys.roles)
    for name, role in zip("ab", roles, strict=True):
        twice[role] = replace(twice[role], ed25519={**twice[role].ed25519, name: public})
    root = replace(plain().trust(), keys=replace(keys, roles=twice))
    with pytest.raises(WireError) as caught:
        TrustRoot.decode(root.encode())
    assert caught.value.reason == "bad-payload"


def test_signers_names_every_pinned_key_that_signed() -> None:
    publisher = plain(seeds=SEEDS[:2])
    signed = opened(publisher)
    pinned = replace(publisher, seeds=SEEDS).key_set().signing("motd")
    names = [keyid(ed25519.public_key(seed)) for seed in SEEDS[:2]]
    assert sorted(signers(signed, pinned)) == sorted(names)
