"""What each stolen role can do, and what it cannot: to move, to follow and to keep a client."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.errors import TrustError, WireError
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import (
    Accepted,
    Equivocation,
    RefusedError,
    TrustState,
    start,
    verify,
    verify_chain,
)
from mars.trust.chain import current_keys, steering
from mars.wire import envelope
from mars.wire.envelope import KEYS_TYPE, MOTD_TYPE, RELEASE_TYPE, STEERING_TYPE, Envelope, pae
from mars.wire.keys import KeysDocument, TrustRoot
from mars.wire.release import MAX_RELEASE, Release
from mars.wire.steering import Steering
from mars.wire.times import DAY

NOW = EXAMPLE_NOW
SEEDS = [bytes([n]) * 32 for n in range(1, 10)]
ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
NEW = TrustState.initial()
ROLES = ("root", "motd", "release", "status", "index")


def publisher(seed: int = 0, policy: str = "when-available") -> Publisher:
    key = MemoryKey(b"k" * 32)
    return Publisher(seeds=SEEDS[seed : seed + 1], openpgp=[key], policy=policy)


def judge(data: bytes, root: TrustRoot, state: TrustState = NEW, now: int = NOW) -> Accepted:
    return verify(data, root, state, now, MemoryOpenPGP())


def signed(by: Publisher, role: str, kind: str, payload: bytes) -> Envelope:
    return Envelope(kind, payload, by.signatures(pae(kind, payload), NOW, role))


def taken_over(role: str, policy: str) -> list[str]:
    """The kinds of documents that a thief of ``role`` makes believed."""
    owner = publisher(policy=policy)
    root, found = owner.trust(), []
    heir = Publisher(seeds=SEEDS[5:6], openpgp=[MemoryKey(b"h" * 32)], epoch=2, policy=policy)
    step = KeysDocument("examplemail", "stable", 2, NOW, NOW + DAY, heir.key_set()).encode()
    both = signed(owner, role, KEYS_TYPE, step)
    its_own = heir.signatures(pae(KEYS_TYPE, step), NOW, "root")
    both = replace(both, signatures=(*both.signatures, *its_own))
    follows = envelope.encode_chain([both])
    try:
        verify_chain(follows, root, NEW, NOW, MemoryOpenPGP())
        found.append("keys")
    except Exception as error:  # noqa: BLE001 - whatever it raises, it was not believed
        assert "threshold" in str(error) or "openpgp" in str(error)
    plain = envelope.decode(owner.document())
    said = Steering("examplemail", "stable", 1, NOW, NOW, (ONION,))
    offer = Release("examplemail", "stable", 1, NOW, NOW, "9.9")
    carried = replace(
        plain,
        x_steering=signed(owner, role, STEERING_TYPE, said.encode()),
        x_release=signed(owner, role, RELEASE_TYPE, offer.encode()),
    )
    state = judge(envelope.encode(carried), root).state
    found += ["steering"] * (state.steering is not None) + ["release"] * (state.release is not None)
    news = signed(owner, role, MOTD_TYPE, plain.payload)
    try:
        judge(envelope.encode(news), root)
        found.append("motd")
    except Exception as error:  # noqa: BLE001
        assert "signature" in str(error)
    return found


@pytest.mark.parametrize("policy", ["when-available", "off"])
@pytest.mark.parametrize("role", ROLES)
def test_a23_a_role_signs_its_own_kind_and_nothing_else(role: str, policy: str) -> None:
    """By its Ed25519 keys already: under ``off`` there are no others."""
    own = {"root": ["keys", "steering"], "motd": ["motd"], "release": ["release"]}
    assert taken_over(role, policy) == own.get(role, [])


@pytest.mark.parametrize("role", ["motd", "release"])
def test_a23_key_sets_refuse_an_openpgp_key_of_root_in_another_role(role: str) -> None:
    owner = publisher()
    keys = owner.key_set()
    roles = {**keys.roles, role: replace(keys.roles[role], openpgp=keys.roles["root"].openpgp)}
    blocks = {name: keys.openpgp[name] for each in roles.values() for name in each.openpgp}
    shared = replace(owner.trust(), keys=replace(keys, roles=roles, openpgp=blocks))
    with pytest.raises(WireError, match="must be root's alone"):
        TrustRoot.decode(shared.encode())


def test_a25_the_news_move_nothing() -> None:
    owner = publisher()
    owner.steer(reportback_next=7 * DAY)
    found = judge(owner.document(reportback_server=ONION, reportback_next=1), owner.trust())
    assert (found.steering.servers, found.steering.reportback_next) == ((), 7 * DAY)
    assert found.notes == ("steering: differs",)
    owner.steer(NOW + 60, servers=(ONION,))
    again = judge(owner.document(NOW + 60), owner.trust())
    assert (again.notes, again.steering.servers) == ((), (ONION,))


@pytest.mark.parametrize("later", [-60, 50 * DAY])
def test_a25_a_refusal_says_when_the_document_was_made_if_its_signatures_hold(later: int) -> None:
    owner = publisher()
    known = judge(owner.document(), owner.trust()).state
    issued = NOW + min(later, 0)
    with pytest.raises(TrustError) as caught:
        judge(owner.document(issued, news="x"), owner.trust(), known, NOW + max(later, 0))
    assert (caught.value.reason, caught.value.offered.issued) == (
        "rollback" if later < 0 else "equivocation",
        issued,
    )
    with pytest.raises(TrustError) as forged:
        judge(publisher(3).document(issued), owner.trust(), known)
    assert forged.value.offered is None


def test_a24_an_older_steering_document_does_not_lead_back() -> None:
    owner = publisher()
    owner.steer(NOW - DAY, servers=(ONION,))
    before = owner.document()
    owner.steer(NOW)
    known = judge(owner.document(NOW + 60), owner.trust()).state
    replayed = replace(envelope.decode(before), signatures=())
    carried = replace(envelope.decode(owner.document(NOW + 90)), x_steering=replayed.x_steering)
    found = judge(envelope.encode(carried), owner.trust(), known)
    assert found.steering == known.steering
    assert "steering: rollback" in found.notes


def test_a24_two_steering_documents_of_one_serial_are_evidence_and_change_nothing() -> None:
    owner = publisher()
    root = owner.trust()
    owner.steer(NOW)
    known = judge(owner.document(), root).state
    owner.steer(NOW, servers=(ONION,))
    found = judge(owner.document(NOW + 60), root, known)
    assert found.state.steering == known.steering
    assert [(one.kind, one.number) for one in found.state.evidence] == [("steering", NOW)]
    again = judge(owner.document(NOW + 90), root, found.state)
    assert again.state.evidence == found.state.evidence


@pytest.mark.parametrize(
    ("issued", "serial", "epoch", "note"),
    [
        (NOW + DAY + 1, NOW, 1, "future"),
        (NOW, NOW + 1, 1, "fast-forward"),
        (NOW, NOW, 2, "wrong-epoch"),
        (NOW + DAY, NOW + DAY, 1, None),
    ],
)
def test_a24_times_and_epoch_of_what_rides_along(
    issued: int, serial: int, epoch: int, note: str | None
) -> None:
    owner = publisher()
    root = owner.trust()
    owner.offer(issued, serial=serial, epoch=epoch)
    found = judge(owner.document(), root)
    assert found.notes == (() if note is None else (f"release: {note}",))
    assert (found.state.release is None) is (note is not None)


def test_a24_a_release_document_that_grows_when_it_is_kept_is_passed_over() -> None:
    """Members that it leaves out stand there once it is written again: past the limit it could not
    be read back, and all that is remembered against rollback would be forgotten."""
    owner = publisher()
    plain = Release("examplemail", "stable", 1, NOW, NOW, "0.5.3")
    room = (MAX_RELEASE - len(plain.encode())) // 3
    grown = replace(plain, notes=dict.fromkeys(("de", "en", "is"), "\u00e9" * (room // 2 - 2)))
    payload = grown.encode().replace(b'"minimum_version":"",', b"").replace(b',"downloads":[]', b"")
    assert Release.decode(payload) == grown
    assert len(payload) <= MAX_RELEASE < len(grown.encode())
    owner.x_release = signed(owner, "release", RELEASE_TYPE, payload)
    found = judge(owner.document(), owner.trust())
    assert found.notes == ("release: too-large",)
    assert TrustState.decode(found.state.encode()) == found.state


def test_a24_what_rides_along_under_another_name_is_passed_over() -> None:
    owner = publisher()
    root = owner.trust()
    rider = owner.offer()
    owner.x_release, owner.x_steering = None, None
    carried = replace(envelope.decode(owner.document()), x_steering=rider)
    found = judge(envelope.encode(carried), root)
    assert found.notes == ("steering: wrong-payload-type",)
    assert found.state.steering is None


def test_a24_a_rider_that_needs_openpgp_is_passed_over_without_it() -> None:
    owner = publisher()
    root = owner.trust()
    rider = owner.steer()
    bare = tuple(entry for entry in rider.signatures if len(entry.sig) == 64)
    owner.x_steering = replace(rider, signatures=bare)
    assert judge(owner.document(), root).notes == ("steering: openpgp-missing",)


def test_a24_openpgp_verified_on_a_rider_alone_is_remembered() -> None:
    owner = publisher()
    root = owner.trust()
    rider = owner.steer()
    off = replace(owner, policy="when-available")
    known = replace(start(root, NEW), openpgp=False)
    carried = replace(envelope.decode(off.document()), x_steering=rider)
    assert judge(envelope.encode(carried), root, known).state.openpgp


def test_a24_a_rotation_ends_what_rode_along() -> None:
    owner = publisher()
    root = owner.trust()
    owner.steer(servers=(ONION,))
    owner.offer()
    known = judge(owner.document(), root).state
    owner.rotate(seeds=SEEDS[1:2])
    found = judge(owner.document(NOW + 60), root, known)
    assert (found.state.steering, found.state.release) == (None, None)
    assert found.steering == root.steering


def test_a25_what_a_release_pins_steers_a_new_client_and_an_old_one() -> None:
    owner = publisher()
    first = owner.trust()
    owner.steer(NOW, servers=(ONION,))
    known = judge(owner.document(), first).state
    owner.steer(NOW + 60, reportback_next=9 * DAY)
    second = owner.trust(gen=2)
    for state in (NEW, known):
        begun = start(second, state)
        assert begun.steering == second.steering
        assert steering(current_keys(second, state)).reportback_next == 9 * DAY
    bare = replace(second, x_steering=None, servers=(ONION,))
    assert start(bare, NEW).steering is None
    assert start(replace(bare, gen=3), known).steering == known.steering
    other = publisher(2)
    other.epoch = 9
    elsewhere = replace(bare, gen=4, x_steering=other.steer())
    assert start(elsewhere, NEW).steering is None, "it is of another epoch than these keys"
    older = owner.trust(gen=3, x_steering=None)
    assert steering(current_keys(older, known)).servers == (ONION,)


def test_a26_a_thief_of_everything_is_out_after_a_release() -> None:
    owner, thief = publisher(), publisher()
    root = owner.trust()
    thief.rotate(NOW - DAY, seeds=SEEDS[6:7])
    thief.steer(servers=(ONION,))
    captured = judge(thief.document(), root).state
    assert captured.steering is not None
    owner.rotate(NOW, seeds=SEEDS[3:4])
    # The honest history is evidence to who followed the other one, and no more than that.
    with pytest.raises(RefusedError) as caught:
        judge(owner.document(), root, captured)
    assert caught.value.reason == "keys-equivocation"
    (seen,) = caught.value.state.evidence
    assert (seen.number, seen.known) == (2, captured.hashes[2])
    assert seen.other == owner.trust().digest
    release = owner.trust(gen=2)
    found = judge(owner.document(), release, caught.value.state)
    assert found.state.hashes == {2: release.digest}
    assert found.steering.servers == ()
    theirs = Equivocation("keys", 2, captured.hashes[2], release.digest)
    assert found.state.evidence == (theirs,)
    # An older installer, and the thief, change nothing any more.
    assert start(root, found.state) == found.state
    with pytest.raises(TrustError) as refused:
        judge(thief.document(NOW + 60), release, found.state)
    assert refused.value.reason == "signature-threshold"


def test_a26_an_older_program_changes_nothing_and_two_never_flip_a_state() -> None:
    owner = publisher()
    older = owner.trust(minimum_serial=NOW + 9, x_steering=owner.steer(servers=(ONION,)))
    owner.x_steering = None
    owner.rotate(seeds=SEEDS[3:4])
    newer = owner.trust(gen=2)
    state = judge(owner.document(), newer).state
    for root in (older, newer, older, newer):
        state = start(root, state)
        assert (state.gen, state.epoch, state.floor, state.steering) == (2, 2, 0, None)
    # What was followed under the older release is kept under the newer one that pins it.
    known = judge(owner.document(), replace(older, minimum_serial=0)).state
    agreed = start(replace(newer, minimum_serial=NOW), known)
    assert (agreed.gen, agreed.floor, agreed.hashes) == (2, NOW, known.hashes)
    owner.rotate(seeds=SEEDS[4:5])
    assert judge(owner.document(NOW + 60), newer, agreed).state.floor == NOW
    # Of epochs that the release does not know there is nothing to compare, only to keep.
    thief = publisher()
    for n in (5, 6):
        thief.rotate(seeds=SEEDS[n : n + 1])
    far = judge(thief.document(), replace(older, minimum_serial=0)).state
    overruled = start(newer, far).evidence
    assert [(one.number, one.other) for one in overruled] == [(2, newer.digest), (3, "")]
    assert [one.known for one in overruled] == [far.hashes[2], far.hashes[3]]


def test_a27_a_whole_chain_is_followed_by_who_was_away() -> None:
    owner = publisher()
    root = owner.trust()
    for n in range(40):
        owner.rotate(seeds=[bytes([100 + n]) * 32])
    file = envelope.encode_chain(owner.chain)
    state = verify_chain(file, root, NEW, NOW, MemoryOpenPGP())
    assert (state.epoch, len(state.hashes)) == (41, 41)
    broken = [*owner.chain[:-1], replace(owner.chain[-1], payload=b"{}")]
    part = verify_chain(envelope.encode_chain(broken), root, NEW, NOW, MemoryOpenPGP())
    assert part.epoch == 40
    owner.chain = owner.chain[-8:]
    assert judge(owner.document(), root, state).news
    assert verify_chain(file, root, state, NOW, MemoryOpenPGP()) == state
    gap = envelope.encode_chain(owner.chain)
    with pytest.raises(Exception, match="leaves out an epoch"):
        verify_chain(gap, root, NEW, NOW, MemoryOpenPGP())


def test_a27_a_file_of_the_chain_has_a_limit() -> None:
    owner = publisher()
    step = owner.rotate(seeds=SEEDS[1:2])
    assert len(envelope.decode_chain(envelope.encode_chain([step] * 70))) == 64
    large = replace(step, payload=b"x" * 30_000)
    few = envelope.encode_chain([large] * 64)
    assert len(few) <= envelope.MAX_CHAIN
    assert 5 < len(envelope.decode_chain(few)) < 64
