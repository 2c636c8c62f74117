"""The chain of keys, and what a rotation ends."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.testing.memory import MemoryKey
from mars.testing.publisher import Publisher, ed25519_signature
from mars.trust import RefusedError
from mars.wire.envelope import KEYS_TYPE, MOTD_TYPE, Signature, pae
from mars.wire.keys import ROLES, TrustRoot
from mars.wire.times import DAY
from tests.hostile.envelopes import NOW, SEEDS, edited, judge, plain, reason


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


@pytest.mark.parametrize("signing", ["new", "old", "few", "none", *ROLES[1:]])
def test_a19_keys_document_below_either_threshold_of_root_is_rejected(signing: str) -> None:
    old = plain()
    new = rotated(old, SEEDS[1:], threshold=2)
    step = new.chain[0]
    assert judge(new.document(), old.trust()).state.epoch == 2
    message = pae(KEYS_TYPE, step.payload)
    before, after = old.seeds_of("root"), new.seeds_of("root")
    by = {"new": after, "old": before, "few": before + after[:1], "none": []}
    # No other role rotates anything, were all of its keys stolen.
    by |= {role: old.seeds_of(role) + new.seeds_of(role) for role in ROLES[1:]}
    signed = [ed25519_signature(seed, message) for seed in by[signing]]
    signatures = signed or [Signature("", b"x")]
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


def test_a20_a_twin_that_root_did_not_sign_is_passed_over() -> None:
    """Anybody can put a keys document together; only a signed one accuses somebody."""
    publisher, root = chain_of(1)
    state = judge(publisher.document(), root).state
    twin = plain()
    twin.rotate(seeds=[SEEDS[2]])
    message = pae(KEYS_TYPE, twin.chain[0].payload)
    its_own = twin.signatures(message, NOW, "root")
    for signatures in (publisher.chain[0].signatures, its_own):
        publisher.chain = [replace(twin.chain[0], signatures=signatures)]
        assert judge(publisher.document(NOW + 60), root, state).state.evidence == ()


def test_a20_a_twin_of_a_later_step_is_known_by_the_chain_before_it() -> None:
    publisher, root = chain_of(2)
    state = judge(publisher.document(), root).state
    twin, _ = chain_of(1)
    twin.rotate(seeds=[SEEDS[2]])
    with pytest.raises(RefusedError) as caught:
        judge(twin.document(NOW + 60), root, state)
    assert caught.value.reason == "keys-equivocation"
    (found,) = caught.value.state.evidence
    assert (found.kind, found.number, found.known) == ("keys", 3, state.hashes[3])
    # Without the step before, nobody can say whose signatures these are.
    twin.chain = twin.chain[1:]
    assert reason(twin.document(NOW + 60), root, state) == "signature-threshold"


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
