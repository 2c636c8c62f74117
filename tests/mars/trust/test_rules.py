"""What the trust rules remember and where exactly they draw the line.

Most of these were written because a mutation of the rules survived the tests by number.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.errors import MarsError
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import Accepted, Equivocation, RefusedError, TrustState, signers, verify
from mars.wire import envelope
from mars.wire.envelope import Signature
from mars.wire.keys import TrustRoot
from mars.wire.times import DAY, LAST

NOW = EXAMPLE_NOW
SEEDS = [bytes([n]) * 32 for n in range(1, 10)]
KEY = MemoryKey(b"k" * 32)
ABSENT = "openpgp-absent"


def publisher(policy: str = "when-available") -> Publisher:
    return Publisher(seeds=SEEDS[:1], openpgp=[KEY], policy=policy)


def judge(
    signer: Publisher,
    root: TrustRoot,
    state: TrustState | None = None,
    now: int = NOW,
    failure: str | None = None,
) -> Accepted:
    start = TrustState.initial() if state is None else state
    return verify(signer.document(), root, start, now, MemoryOpenPGP(failure=failure))


def reason(
    signer: Publisher,
    root: TrustRoot,
    state: TrustState | None = None,
    now: int = NOW,
    failure: str | None = None,
) -> str:
    with pytest.raises(MarsError) as caught:
        judge(signer, root, state, now, failure)
    return caught.value.reason


def test_openpgp_once_verified_is_remembered_over_a_rotation() -> None:
    signer, root = publisher(), publisher().trust()
    before = judge(signer, root).state
    assert before.openpgp
    signer.rotate(seeds=SEEDS[1:2])
    assert judge(signer, root, before).state.openpgp
    assert reason(signer, root, before, failure=ABSENT) == "openpgp-unavailable"


def test_openpgp_once_verified_is_remembered_where_a_newer_epoch_is_pinned() -> None:
    signer = publisher()
    before = judge(signer, signer.trust()).state
    signer.rotate(seeds=SEEDS[1:2])
    assert reason(signer, signer.trust(), before, failure=ABSENT) == "openpgp-unavailable"
    assert judge(signer, signer.trust(), failure=ABSENT).news


def test_openpgp_verified_for_the_rotation_alone_is_remembered() -> None:
    signer, root = publisher(), publisher().trust()
    signer.rotate(seeds=SEEDS[1:2], policy="off")
    assert judge(signer, root).state.openpgp
    assert not judge(signer, root, failure=ABSENT).state.openpgp


def test_a_rotation_needs_openpgp_where_it_was_verified_before() -> None:
    signer, root = publisher(), publisher().trust()
    before = judge(signer, root).state
    # The new epoch asks for none, so only the step itself can refuse.
    signer.rotate(seeds=SEEDS[1:2], policy="off")
    assert reason(signer, root, before, failure=ABSENT) == "openpgp-unavailable"
    assert judge(signer, root, replace(before, openpgp=False), failure=ABSENT).state.epoch == 2


def test_the_second_step_needs_openpgp_where_the_first_verified_it() -> None:
    class OnlyOnce(MemoryOpenPGP):
        """Loses its program after the first answer."""

        def verify(self, signature, message, keys):  # type: ignore[no-untyped-def]
            verdict = super().verify(signature, message, keys)
            self.failure = ABSENT
            return verdict

    signer, root = publisher(), publisher().trust()
    signer.rotate(seeds=SEEDS[1:2])
    signer.rotate(seeds=SEEDS[2:3])
    with pytest.raises(MarsError) as caught:
        verify(signer.document(), root, TrustState.initial(), NOW, OnlyOnce())
    assert caught.value.reason == "openpgp-unavailable"


def test_evidence_is_kept_over_a_rotation_and_a_new_pin() -> None:
    signer, root = publisher(), publisher().trust()
    found = Equivocation("motd", NOW, "0" * 64, "1" * 64)
    before = judge(signer, root).state.with_evidence(found)
    signer.rotate(seeds=SEEDS[1:2])
    assert judge(signer, root, before).state.evidence == (found,)
    pinned = judge(signer, signer.trust(), before).state
    assert pinned.evidence == (found,)
    assert pinned.openpgp


def test_all_sixteen_signatures_of_a_keys_document_are_looked_at() -> None:
    signer, root = publisher("required"), publisher("required").trust()
    step = signer.rotate(seeds=SEEDS[1:2])
    crowd = (*[Signature("", bytes(64))] * 13, *step.signatures)
    assert len(crowd) == 16
    signer.chain = [replace(step, signatures=crowd)]
    assert judge(signer, root).state.epoch == 2
    others = tuple(entry for entry in step.signatures if len(entry.sig) != 64)
    late = tuple(entry for entry in step.signatures if len(entry.sig) == 64)
    signer.chain = [replace(step, signatures=(*late, *[Signature("", b"?")] * 13, *others))]
    assert judge(signer, root).state.epoch == 2


def test_an_openpgp_signature_after_the_eighth_entry_of_a_motd_is_not_looked_at() -> None:
    signer = publisher()
    signed = envelope.decode(signer.document())
    ed25519, openpgp = signed.signatures
    for fill, due in ((6, None), (7, "openpgp-missing")):
        entries = (ed25519, *[Signature("", b"?")] * fill, openpgp)
        data = envelope.encode(replace(signed, signatures=entries))
        try:
            verify(data, signer.trust(), TrustState.initial(), NOW, MemoryOpenPGP())
        except MarsError as error:
            assert error.reason == due
        else:
            assert due is None


def test_signers_looks_at_as_many_entries_as_a_client_does() -> None:
    signer = Publisher(seeds=SEEDS)
    signed = envelope.decode(signer.document())
    keys = signer.key_set().signing("motd")
    assert len(signed.signatures) == 9
    assert len(signers(signed, keys)) == 8
    assert len(signers(signed, keys, looked_at=16)) == 9


@pytest.mark.parametrize(("ahead", "due"), [(DAY, None), (DAY + 1, "future")])
def test_a_keys_document_may_be_a_day_ahead(ahead: int, due: str | None) -> None:
    signer, root = publisher(), publisher().trust()
    signer.rotate(NOW + ahead, seeds=SEEDS[1:2])
    if due is None:
        assert judge(signer, root).state.epoch == 2
    else:
        assert reason(signer, root) == due


@pytest.mark.parametrize(("left", "due"), [(1, None), (0, "keys-expired")])
def test_a_keys_document_expires_at_its_second(left: int, due: str | None) -> None:
    signer, root = publisher(), publisher().trust()
    signer.rotate(NOW - DAY, seeds=SEEDS[1:2], lifetime=DAY + left)
    if due is None:
        assert judge(signer, root).state.epoch == 2
    else:
        assert reason(signer, root) == due


@pytest.mark.parametrize(("failure", "remembered"), [(None, True), (ABSENT, False)])
def test_an_expired_document_says_whether_openpgp_was_verified(
    failure: str | None, remembered: bool
) -> None:
    signer = publisher()
    with pytest.raises(RefusedError) as caught:
        judge(signer, signer.trust(), now=NOW + 50 * DAY, failure=failure)
    assert caught.value.reason == "expired"
    assert caught.value.message.endswith("a newer one is awaited.")
    assert caught.value.state.openpgp is remembered


def test_an_accepted_document_is_remembered_whole() -> None:
    signer = publisher()
    accepted = judge(signer, signer.trust())
    motd, state = accepted.motd, accepted.state
    assert (state.epoch, state.keys) == (1, signer.key_set())
    assert state.serial == state.accepted == motd.serial == NOW
    assert (state.issued, state.expires) == (motd.issued, motd.expires)
    assert len(state.digest) == 64
    assert state.openpgp
    assert accepted.news


def test_a_state_may_hold_the_last_second_that_can_be_written() -> None:
    state = TrustState(expires=LAST)
    assert TrustState.decode(state.encode()) == state


def test_a_state_says_whose_it_is_from_its_first_document_on() -> None:
    signer = publisher()
    state = judge(signer, signer.trust()).state
    assert (state.product, state.channel) == (signer.trust().product, signer.trust().channel)
    assert TrustState.decode(state.encode()) == state
    for foreign in (replace(state, product="other"), replace(state, channel="beta")):
        with pytest.raises(MarsError) as caught:
            verify(signer.document(), signer.trust(), foreign, NOW, MemoryOpenPGP())
        assert caught.value.reason == "state-other-product"


def test_stale_since_is_a_matter_of_the_second() -> None:
    state = TrustState(expires=100)
    assert [state.stale_since(at) for at in (99, 100, 101)] == [None, 100, 100]
    assert TrustState.initial().stale_since(2**40) is None


def test_refusals_are_sentences_for_people() -> None:
    signer = publisher()
    for failure in (ABSENT, "clock", "openpgp-bad"):
        with pytest.raises(MarsError) as caught:
            judge(
                signer,
                replace(signer.trust(), keys=publisher("required").key_set()),
                failure=failure,
            )
        assert caught.value.message[0].isupper()
        assert caught.value.message.endswith(".")
        assert str(caught.value).endswith(f"[{caught.value.reason}]")


@pytest.mark.parametrize(
    ("dated", "due"),
    [
        (NOW - 2 * DAY, None),
        (NOW - 2 * DAY - 1, "openpgp-date"),
        (NOW + DAY, None),
        (NOW + DAY + 1, "openpgp-date"),
    ],
)
def test_the_window_of_an_openpgp_date_includes_its_ends(dated: int, due: str | None) -> None:
    signer = publisher()
    signed = envelope.decode(signer.document())
    message = envelope.pae(signed.payload_type, signed.payload)
    entries = (signed.signatures[0], Signature("", KEY.sign(message, dated)))
    data = envelope.encode(replace(signed, signatures=entries))
    try:
        verify(data, signer.trust(), TrustState.initial(), NOW, MemoryOpenPGP())
    except MarsError as error:
        assert error.reason == due
    else:
        assert due is None
