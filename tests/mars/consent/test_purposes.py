"""Statistics and error events are agreed to apart, though both are answers to what is declared."""

from __future__ import annotations

from typing import Any

import pytest

from mars import consent
from mars.consent import EVENTS, STATISTICS, Choice, Decision, decided, new_entries
from mars.consent.entries import purpose_of
from mars.consent.lowering import policy_layer
from mars.core import state as states
from mars.core.state import State
from mars.wire.registry import Question

NOW = 1_795_219_200
A, B, DECRYPTION, SYNC = "backup/size", "python/version", "decryption/*", "sync/*"
ASKED = {name: Question(name, 0.25, 0.0) for name in (A, B, DECRYPTION, SYNC)}
OFFERED = (consent.NEWS, consent.METRICS, STATISTICS, EVENTS)


def after(old: Decision | None, now: int, level: str | None = "plain", **said: Any) -> Decision:
    choice = Choice(level, **said).meaning(tuple(ASKED))
    return decided(old, now, OFFERED, choice, ASKED)


BOTH = after(None, NOW, stats=True, events=True)


def test_a_bare_yes_to_events_is_one_to_all_domains_and_to_no_statistic() -> None:
    decision = after(None, NOW, events=True)
    assert decision.entries == {DECRYPTION: NOW, SYNC: NOW}
    assert set(decision.purposes) == {"news", "events"}
    assert new_entries(decision, ASKED) == (), "of statistics nobody was asked"
    assert new_entries(decision, ASKED, EVENTS) == ()
    assert BOTH.entries == dict.fromkeys(ASKED, NOW)
    later = {**ASKED, "later/*": ASKED[SYNC]}
    assert (new_entries(BOTH, later, EVENTS), new_entries(BOTH, later)) == (("later/*",), ())


def test_a_yes_to_a_domain_is_one_to_events_alone() -> None:
    decision = after(None, NOW, entries={DECRYPTION: True, A: False})
    assert (set(decision.purposes), decision.entries) == ({"news", "events"}, {DECRYPTION: NOW})
    assert purpose_of(DECRYPTION) is EVENTS
    assert purpose_of(A) is STATISTICS


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({"events": False}, {A, B}),
        ({"stats": False}, {DECRYPTION, SYNC}),
        ({"purposes": {"events": False}}, {A, B}),
        ({"entries": {DECRYPTION: False, SYNC: False}}, {A, B}),
        ({"entries": {A: False, B: False}}, {DECRYPTION, SYNC}),
        ({"entries": {SYNC: False}}, {A, B, DECRYPTION}),
        ({"level": "off"}, set()),
    ],
)
@pytest.mark.parametrize("level", ["plain", None])
def test_a_no_takes_back_what_it_names_and_nothing_else(
    said: dict[str, Any], left: set[str], level: str | None
) -> None:
    decision = after(BOTH, NOW + 5, **{"level": level, **said})
    assert set(decision.entries) == set(decision.questions) == left
    assert (EVENTS.name in decision.purposes) is any(name.endswith("*") for name in left)
    assert (STATISTICS.name in decision.purposes) is (A in left or B in left)
    assert set(decision.entries.values()) <= {NOW}, "what goes on keeps its date"


def test_an_administrator_refuses_one_of_both() -> None:
    user = consent.user_layer(BOTH, NOW, OFFERED)
    for switch, left in (("events", {A, B}), ("stats", {DECRYPTION, SYNC})):
        voice = consent.effective([user, policy_layer({switch: False})], OFFERED)
        assert set(voice.entries) == set(voice.agreed(ASKED)) == left


def test_domains_and_their_switch_are_kept_and_read_back() -> None:
    kept = states.decode(states.encode(State(decision=BOTH)))
    assert kept is not None
    assert kept.decision == BOTH


def test_what_a_domain_cannot_be_called_is_no_answer() -> None:
    for name in ("decryption/**", "*/*", "Decryption/*", "decryption/", "/*", "*"):
        assert decided(None, NOW, OFFERED, Choice("plain", entries=[name]), ASKED).entries == {}
