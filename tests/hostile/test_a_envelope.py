"""HOSTILE A: the envelope, Ed25519 and the chain of keys."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from mars.errors import MarsError, TrustError, WireError
from mars.factory import openpgp as installed_gnupg
from mars.testing.openpgp import MemoryKey, MemoryOpenPGP
from mars.testing.packets import PacketKey
from mars.testing.publisher import EXAMPLE_NOW, Publisher, ed25519_signature
from mars.trust import TrustState, signers, verify
from mars.trust.rules import Accepted
from mars.wire import ed25519, envelope
from mars.wire import motd as motds
from mars.wire.envelope import KEYS_TYPE, MOTD_TYPE, Envelope, Signature, pae
from mars.wire.keys import KeysDocument, KeySet, TrustRoot, keyid
from mars.wire.times import DAY

NOW = EXAMPLE_NOW
SEEDS = [bytes([n]) * 32 for n in (1, 2, 3)]
ORDER = 2**252 + 27742317777372353535851937790883648493
"""L, the order of the prime-order group (RFC 8032, section 5.1)."""


def plain(**changes: Any) -> Publisher:
    """One Ed25519 key, no OpenPGP."""
    return Publisher(**{"seeds": SEEDS[:1], **changes})


def judge(
    data: bytes | Envelope, root: TrustRoot, state: TrustState | None = None, now: int = NOW
) -> Accepted:
    raw = data if isinstance(data, bytes) else envelope.encode(data)
    return verify(raw, root, state or TrustState.initial(), now, MemoryOpenPGP())


def reason(data: bytes | Envelope, root: TrustRoot, state: TrustState | None = None) -> str:
    with pytest.raises(MarsError) as caught:
        judge(data, root, state)
    assert isinstance(caught.value, TrustError | WireError)
    return caught.value.reason


def opened(publisher: Publisher) -> Envelope:
    return envelope.decode(publisher.document())


def edited(publisher: Publisher, **members: Any) -> bytes:
    """The signed document as JSON, with members of the envelope replaced."""
    return json.dumps({**json.loads(publisher.document()), **members}).encode()


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
    bad = replace(publisher.key_set(), ed25519={"bad": public})
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


def test_a18_key_removed_by_the_next_epoch_is_rejected() -> None:
    publisher = plain()
    root, old = publisher.trust(), replace(publisher, chain=[])
    publisher.rotate(seeds=[SEEDS[1]])
    moved = judge(publisher.document(), root)
    assert moved.state.epoch == 2
    thief = replace(old, epoch=2, chain=publisher.chain)
    for document in (old.document(NOW + 60), thief.document(NOW + 60)):
        assert reason(document, root, moved.state) == "signature-threshold"
    assert reason(thief.document(NOW + 60), root) == "signature-threshold"


def rotated(old: Publisher, new_seeds: list[bytes], threshold: int = 1) -> Publisher:
    new = replace(old, chain=[])
    new.rotate(seeds=new_seeds, threshold=threshold)
    return new


@pytest.mark.parametrize(
    "signing", [SEEDS[1:], SEEDS[:1], [SEEDS[0], SEEDS[1]], []], ids=["new", "old", "few", "none"]
)
def test_a19_keys_document_below_either_threshold_is_rejected(signing: list[bytes]) -> None:
    old = plain()
    new = rotated(old, SEEDS[1:], threshold=2)
    step = new.chain[0]
    assert judge(new.document(), old.trust()).state.epoch == 2
    message = pae(KEYS_TYPE, step.payload)
    signatures = [ed25519_signature(seed, message) for seed in signing] or [Signature("", b"x")]
    new.chain = [replace(step, signatures=tuple(signatures))]
    assert reason(new.document(), old.trust()) == "keys-threshold"


def test_a19_stolen_ed25519_keys_alone_cannot_rotate_openpgp_away() -> None:
    old = plain(openpgp=[MemoryKey(), MemoryKey()])
    thief = rotated(replace(old, openpgp=[MemoryKey()]), SEEDS[1:2])
    assert reason(thief.document(), old.trust()) == "openpgp-bad"
    step = thief.chain[0]
    without = [entry for entry in step.signatures if len(entry.sig) == 64]
    thief.chain = [replace(step, signatures=tuple(without))]
    assert reason(thief.document(), old.trust()) == "openpgp-missing"


def test_a19_second_openpgp_key_recovers_when_the_first_is_lost() -> None:
    lost, offline = MemoryKey(), MemoryKey()
    old = plain(openpgp=[lost, offline])
    new = replace(old, openpgp=[offline, lost])
    new.rotate(seeds=SEEDS[1:2], openpgp=[offline])
    assert judge(new.document(), old.trust()).state.epoch == 2


def chain_of(steps: int) -> tuple[Publisher, TrustRoot]:
    publisher = plain()
    root = publisher.trust()
    for n in range(steps):
        publisher.rotate(seeds=[bytes([100 + n]) * 32])
    return publisher, root


def test_a20_chain_goes_in_steps_of_one() -> None:
    publisher, root = chain_of(2)
    whole = list(publisher.chain)
    assert judge(publisher.document(), root).state.epoch == 3
    for broken in ([whole[1]], [whole[1], whole[0]], [whole[0], whole[0], whole[1]]):
        publisher.chain = broken
        assert reason(publisher.document(), root) == "keys-chain"


def test_a20_known_epochs_are_passed_over_and_change_nothing() -> None:
    publisher, root = chain_of(2)
    state = judge(publisher.document(), root).state
    again = judge(publisher.document(), root, state)
    assert again.state == state
    assert not again.news
    # Back to the epoch before: the document of that epoch is for another one now.
    back, _ = chain_of(1)
    assert reason(back.document(NOW + 60), root, state) in {"signature-threshold", "wrong-epoch"}


def test_a20_other_content_for_the_present_epoch_is_rejected() -> None:
    publisher, root = chain_of(1)
    state = judge(publisher.document(), root).state
    twin = plain()
    twin.rotate(seeds=[SEEDS[2]])
    publisher.chain = twin.chain
    assert reason(publisher.document(NOW + 60), root, state) == "keys-equivocation"


def test_a20_a_twin_that_its_own_keys_did_not_sign_is_no_equivocation() -> None:
    """Anybody can put a keys document together; only a signed one accuses somebody."""
    publisher, root = chain_of(1)
    state = judge(publisher.document(), root).state
    twin = plain()
    twin.rotate(seeds=[SEEDS[2]])
    publisher.chain = [replace(twin.chain[0], signatures=publisher.chain[0].signatures)]
    assert reason(publisher.document(NOW + 60), root, state) == "keys-threshold"


@pytest.mark.parametrize("member", ["product", "channel"])
def test_c16_a_state_of_another_product_is_neither_used_nor_overwritten(member: str) -> None:
    publisher, root = chain_of(1)
    state = judge(publisher.document(), root).state
    other = (
        replace(root, product="other") if member == "product" else replace(root, channel="other")
    )
    assert reason(publisher.document(NOW + 60), other, state) == "state-other-product"


def test_a20_at_most_eight_steps() -> None:
    publisher, root = chain_of(8)
    assert judge(publisher.document(), root).state.epoch == 9
    publisher.rotate(seeds=[SEEDS[1]])
    assert reason(publisher.document(), root) == "keys-chain"


@pytest.mark.parametrize("chain", [None, {}, "x", [1]])
def test_a20_malformed_chain_is_rejected(chain: object) -> None:
    publisher = plain()
    due = {"bad-envelope"} if chain == [1] else {"keys-chain"}
    assert reason(edited(publisher, **{"x-keys": chain}), publisher.trust()) in due


def test_a20_chain_of_another_kind_product_or_form_is_rejected() -> None:
    publisher, root = chain_of(1)
    step = publisher.chain[0]
    other = replace(publisher, product="other", chain=[])
    other.rotate(seeds=[SEEDS[2]])
    for wrong in (
        replace(step, payload_type=MOTD_TYPE),
        replace(step, payload=b"{}"),
        other.chain[0],
    ):
        publisher.chain = [wrong]
        assert reason(publisher.document(), root) == "keys-invalid"


def test_a21_expired_link_is_fine_when_the_last_is_not() -> None:
    publisher = plain()
    root = publisher.trust()
    publisher.rotate(NOW - 400 * DAY, seeds=[SEEDS[1]], lifetime=100 * DAY)
    assert reason(publisher.document(), root) == "keys-expired"
    publisher.rotate(NOW - DAY, seeds=[SEEDS[2]])
    assert judge(publisher.document(), root).state.epoch == 3


def test_a21_keys_document_from_the_future_is_rejected() -> None:
    publisher = plain()
    root = publisher.trust()
    publisher.rotate(NOW + 2 * DAY, seeds=[SEEDS[1]])
    assert reason(publisher.document(), root) == "future"


def test_a22_fast_forward_is_rejected() -> None:
    publisher = plain()
    root = publisher.trust()
    assert reason(publisher.document(serial=2**53 - 1), root) == "fast-forward"
    assert reason(publisher.document(serial=NOW + 1), root) == "fast-forward"
    assert reason(publisher.document(NOW + DAY + 1), root) == "future"
    assert judge(publisher.document(NOW + DAY), root).news


def test_a22_new_epoch_resets_the_serial_floor() -> None:
    publisher = plain()
    root = publisher.trust()
    stolen = judge(publisher.document(NOW + DAY), root).state
    assert stolen.serial == NOW + DAY
    assert reason(publisher.document(NOW + 60), root, stolen) == "rollback"
    publisher.rotate(seeds=[SEEDS[1]])
    recovered = judge(publisher.document(NOW + 60), root, stolen)
    assert recovered.news
    assert recovered.state.serial == NOW + 60


def test_key_sets_refuse_the_same_key_under_two_names() -> None:
    public = ed25519.public_key(SEEDS[0]).hex()
    keys = KeySet({"a": public, "b": public}, threshold=2, policy="off")
    with pytest.raises(WireError) as caught:
        TrustRoot.decode(TrustRoot("examplemail", "stable", 1, keys).encode())
    assert caught.value.reason == "bad-payload"


def test_signers_names_every_pinned_key_that_signed() -> None:
    publisher = plain(seeds=SEEDS[:2])
    signed = opened(publisher)
    pinned = replace(publisher, seeds=SEEDS).key_set()
    names = [keyid(ed25519.public_key(seed)) for seed in SEEDS[:2]]
    assert sorted(signers(signed, pinned)) == sorted(names)
