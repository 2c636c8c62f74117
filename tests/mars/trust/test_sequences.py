"""Random histories on the rules of trust; ``python -m bench.soak histories`` plays 10,000."""

from __future__ import annotations

from mars.testing.memory import MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import TrustState, verify
from mars.wire.times import DAY
from tests.mars.trust import sequences

HISTORIES = 250


def test_random_histories_agree_with_the_model_and_nobody_is_shut_out() -> None:
    seen = sequences.search(range(HISTORIES))
    # What never comes up proves nothing.
    for what in (
        "steps on the wrong history",
        "histories rescued from the wrong one",
        "overruled by a release",
        "steered by the thief",
        "evidence found",
        "keys-equivocation",
        "equivocation",
        "rollback",
    ):
        assert seen[what], what


def test_an_equivocation_of_steering_is_noted_once_and_then_no_more() -> None:
    publisher = Publisher()
    root, gpg = publisher.trust(), MemoryOpenPGP()

    def notes(days: int, state: TrustState, **changes: int) -> tuple[TrustState, tuple[str, ...]]:
        at = EXAMPLE_NOW + days * DAY
        publisher.steer(EXAMPLE_NOW + (days // 2) * DAY, **changes)
        accepted = verify(publisher.document(at, **changes), root, state, at, gpg)
        return accepted.state, accepted.notes

    state, noted = notes(0, TrustState.initial())
    assert noted == ()
    state, noted = notes(1, state, reportback_next=5 * DAY)
    assert noted == ("steering: equivocation", "steering: differs")
    assert [one.kind for one in state.evidence] == ["steering"]
    state, noted = notes(2, state)
    assert noted == ()
