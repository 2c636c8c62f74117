"""Each declared statistic is agreed to by itself, with a date of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mars import consent
from mars.consent import STATISTICS, Choice, Decision, Layer, decided, new_entries
from mars.consent.entries import outgrown
from mars.core import state as states
from mars.core.records import STATE_FILE
from mars.core.state import State, narrowed
from mars.testing.memory import machine
from mars.testing.world import World
from mars.wire.registry import Question, questions
from tests.mars.channels.kit import Between
from tests.mars.channels.registries import A, B, C, a_world, metric, registry

NOW = 1_795_219_200
ASKED = questions(metric(name) for name in (A, B, C))
OFFERED = (consent.NEWS, consent.METRICS, STATISTICS)


def after(old: Decision | None, now: int, level: str = "plain", **said: Any) -> Decision:
    return decided(old, now, OFFERED, Choice(level, **said), ASKED)


def heard(decision: Decision, now: int = NOW, *lower: Layer) -> dict[str, int]:
    layers = [consent.user_layer(decision, now, OFFERED), *lower]
    return dict(consent.effective(layers, OFFERED).entries)


def test_a_yes_to_some_is_one_to_their_purpose_and_to_no_others() -> None:
    decision = after(None, NOW, entries={A: True, B: False})
    assert (decision.entries, decision.declined) == ({A: NOW}, (B,))
    assert STATISTICS.name in decision.purposes
    assert heard(decision) == {A: NOW}
    assert new_entries(decision, ASKED) == (C,)


def test_what_is_not_named_stays_and_a_yes_that_goes_on_keeps_its_date() -> None:
    decision = after(after(None, NOW, entries=[A, B]), NOW + 5, entries={A: True, C: True})
    assert decision.entries == {A: NOW, B: NOW, C: NOW + 5}
    assert after(decision, NOW + 9).entries == decision.entries
    assert after(decision, NOW + 9, entries={B: False}).entries == {A: NOW, C: NOW + 5}
    assert after(decision, NOW - 9, entries=[A]).entries[A] == NOW - 9, "the clock was wrong"


@pytest.mark.parametrize(
    "said", [{"level": "off"}, {"stats": False}, {"purposes": {"statistics": False}}], ids=str
)
def test_a_no_to_all_of_them_takes_back_each_and_no_later_yes_revives_one(
    said: dict[str, Any],
) -> None:
    gone = after(after(None, NOW, entries={A: True, B: False}), NOW, **said)
    assert (gone.entries, gone.declined) == ({}, ())
    assert after(gone, NOW, stats=True).entries == {}
    both = after(None, NOW, **{**said, "entries": [A]})
    assert both.entries == {}, "of a yes and a no the no holds"


def test_of_what_is_not_declared_nobody_was_asked() -> None:
    world = a_world(registry(A))
    mars = world.mars()
    for answer in (True, False):
        assert mars.consent.grant("plain", entries={A: True, B: answer})
        assert mars.consent.decision.declined == ()  # type: ignore[union-attr]
    later = a_world(registry(A, B), store=world.store).mars()
    assert later.statistics.to_ask == (B,)


def test_noes_alone_leave_no_purpose_and_nothing_is_asked_for() -> None:
    world = a_world()
    world.grant("plain", entries=[A, B])
    mars = world.mars()
    assert mars.statistics.choose({A: False})
    assert STATISTICS.name in mars.consent.decision.purposes  # type: ignore[union-attr]
    assert mars.statistics.choose({B: False})
    assert set(mars.consent.decision.purposes) == {"news"}  # type: ignore[union-attr]
    assert mars.preview(channel="registry") is None
    assert after(None, NOW, entries={A: False}).purposes.keys() == {"news"}
    assert mars.status()["problem"] is None


def test_an_answer_to_one_leaves_all_else_with_its_date() -> None:
    old = after(None, NOW, "tracked", variables=["v"], direct=True, entries={A: True, B: False})
    old = replace(old, asked=("v", "os"))
    new = decided(old, NOW + 9, OFFERED, Choice(None, entries={C: True}), ASKED)
    assert new == replace(old, entries={A: NOW, C: NOW + 9}, questions={A: ASKED[A], C: ASKED[C]})
    none = decided(old, NOW + 9, OFFERED, Choice(None, entries={A: False}), ASKED)
    assert (none.purposes, none.entries, none.declined) == ({"news": NOW, "metrics": NOW}, {}, ())
    assert (none.decided, none.asked, none.variables) == (NOW, ("v", "os"), ("v",))


def test_a_revoke_just_before_an_answer_to_one_stands() -> None:
    world = a_world()
    world.grant("plain")
    page = world.mars()

    between: Any = Between(world, world.mars().consent.revoke)
    page._client.ports = replace(page._client.ports, store=between)
    assert not page.statistics.choose({A: True})
    assert page.status()["problem"]["reason"] == "level-off"
    decision = world.client().load().decision
    assert decision is not None
    assert (decision.level, decision.entries) == ("off", {})


def test_a_bare_yes_means_what_is_declared_now() -> None:
    assert Choice("plain", stats=True).meaning((A, B)).entries == (A, B)
    assert Choice("plain", purposes=[STATISTICS.name]).meaning((A,)).entries == (A,)
    for said in ({}, {"stats": False}, {"stats": True, "entries": {A: True, B: False}}):
        choice = Choice("plain", **said)
        assert choice.meaning((A,)) == choice
    assert Choice("plain", entries=[A, B]).meaning((A,)).entries == {A: True}, "no no to B"
    later = after(None, NOW, stats=True, entries=(A,))
    assert new_entries(later, ASKED) == (B, C)
    assert heard(later) == {A: NOW}


def test_it_is_off_where_any_layer_lowers_its_purpose_or_the_clock_stands_before_it() -> None:
    decision = after(None, NOW, entries=[A])
    assert heard(decision, NOW - 1) == {}
    assert heard(decision, NOW, consent.cap("application", "plain")) == {}
    refuses = replace(consent.cap("policy", "tracked"), refused=frozenset({STATISTICS.name}))
    assert heard(decision, NOW, refuses) == {}
    assert heard(decision, NOW, consent.cap("application", "tracked")) == {A: NOW}


@pytest.mark.parametrize("name", ["", "/", "size", "a/b/c", "A/b", "a/B", "../x", f"a/{'b' * 41}"])
def test_what_is_no_name_of_a_statistic_is_not_kept(name: str) -> None:
    assert after(None, NOW, entries={name: True, A: True}).entries == {A: NOW}
    assert after(None, NOW, entries={name: False, A: True}).declined == ()


@pytest.mark.parametrize("switches", [A, {A: "no"}, {A: 1}, {A: None}], ids=repr)
def test_a_switch_of_a_statistic_is_true_or_false(switches: Any) -> None:
    mars = a_world().mars()
    assert not mars.consent.grant("plain", entries=switches)
    assert mars.status()["problem"]["reason"] == "wrong-call"
    assert (mars.consent.decision, mars.preview("plain", entries=switches)) == (None, None)


def kept_after(**changes: object) -> World:
    world = a_world(registry(A, B))
    world.grant("plain", entries={A: True, B: False})
    table = json.loads(world.store.files[STATE_FILE])
    assert table["decision"]["entries"] == {A: world.clock.wall}
    table["decision"] |= changes
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    return world


@pytest.mark.parametrize("damage", [5, "all", [A], {A: "x"}, {A: True}, {A: -1}], ids=repr)
def test_what_cannot_be_read_of_it_is_no_yes_is_told_and_costs_nothing_else(damage: object) -> None:
    mars = kept_after(entries=damage).mars()
    decision = mars.consent.decision
    assert decision is not None
    assert (decision.level, decision.entries) == ("plain", {})
    assert mars.status()["problem"]["reason"] == "state-damaged"


def test_the_purpose_alone_in_the_file_decides_whether_any_of_it_counts() -> None:
    client = kept_after(purposes={"news": NOW}).client()
    assert client.load().decision.entries == {}  # type: ignore[union-attr]
    assert client.voice(client.load()).entries == {}


def test_a_state_that_knew_no_statistics_by_name_is_read() -> None:
    world = kept_after()
    table = json.loads(world.store.files[STATE_FILE])
    for name in ("entries", "declined", "questions"):
        del table["decision"][name]
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    mars = world.mars()
    assert mars.consent.decision.entries == {}  # type: ignore[union-attr]
    assert mars.status()["problem"] is None
    assert mars.status()["stats"] is True


def test_a_choice_that_could_not_be_stored_takes_back_and_adds_nothing() -> None:
    old = after(None, NOW, entries=[A, B])
    wanted = after(old, NOW, entries={A: False, C: True})
    held = narrowed(State(decision=old), State(decision=wanted), old).decision
    assert held is not None
    assert (held.entries, held.declined) == ({B: NOW}, (A,))
    off = narrowed(State(decision=old), State(decision=after(old, NOW, stats=False)), old).decision
    assert off is not None
    assert off.entries == {}


def test_it_is_written_and_read_back() -> None:
    state = State(decision=after(None, NOW, entries={A: True, B: False}))
    assert states.decode(states.encode(state)) == state


def test_what_a_purpose_refused_by_policy_would_send_is_nothing() -> None:
    world = a_world(host=machine(policy=b"stats = false"))
    world.grant("tracked", entries=[A])
    client = world.client()
    assert client.load().decision.entries == {A: world.clock.wall}  # type: ignore[union-attr]
    assert client.voice(client.load()).entries == {}


def test_a_yes_is_kept_with_what_was_asked_and_a_no_forgets_it() -> None:
    decision = after(None, NOW, entries={A: True, B: False})
    assert decision.questions == {A: ASKED[A]}
    assert after(decision, NOW + 9, entries={C: True}).questions == {A: ASKED[A], C: ASKED[C]}
    refused: tuple[dict[str, Any], ...]
    refused = ({"entries": {A: False}}, {"stats": False}, {"level": "off"})
    assert all(after(decision, NOW + 9, **said).questions == {} for said in refused)


def test_a_yes_to_a_larger_question_is_a_new_one_and_to_a_smaller_one_goes_on() -> None:
    old = after(None, NOW, entries=[A, B])
    larger = {**ASKED, A: replace(ASKED[A], rate=0.5), B: replace(ASKED[B], rate=0.125)}
    assert (outgrown(old, larger), new_entries(old, larger)) == ({A}, (A, C))
    anew = decided(old, NOW + 5, OFFERED, Choice("plain", entries=[A, B]), larger)
    assert (anew.entries, anew.questions) == (
        {A: NOW + 5, B: NOW},
        {name: larger[name] for name in (A, B)},
    )
    assert outgrown(anew, ASKED) == {B}, "less was agreed to the last time"
    untouched = decided(old, NOW + 5, OFFERED, Choice("plain"), larger)
    assert (untouched.entries, outgrown(untouched, larger)) == (old.entries, {A})


def test_a_yes_without_the_question_holds_for_nothing_that_is_declared() -> None:
    decision = decided(None, NOW, OFFERED, Choice("plain", entries=[A]))
    assert (decision.entries, decision.questions) == ({A: NOW}, {})
    assert new_entries(decision, ASKED) == (A, B, C)
    voice = consent.effective([consent.user_layer(decision, NOW, OFFERED)], OFFERED)
    assert voice.agreed(ASKED) == {}


def test_a_question_that_could_not_be_stored_only_takes_back() -> None:
    old = after(None, NOW, entries=[A, B])
    now = {**ASKED, A: replace(ASKED[A], rate=0.5), B: replace(ASKED[B], rate=0.125)}
    wanted = decided(old, NOW, OFFERED, Choice("plain", entries=[A, B, C]), now)
    held = narrowed(State(decision=old), State(decision=wanted), old).decision
    assert held is not None
    assert (set(held.entries), held.questions) == ({A, B}, {B: now[B]})


DIGEST = ASKED[A].digest
SOUND = {"digest": DIGEST, "rate": 0.25, "epsilon": 0.0}


@pytest.mark.parametrize(
    "damage",
    [
        5,
        [A],
        {A: DIGEST},
        {A: {**SOUND, "digest": 5}},
        {A: {**SOUND, "rate": float("inf")}},
        {A: {**SOUND, "rate": float("nan")}},
        {A: {**SOUND, "rate": True}},
        {A: {**SOUND, "rate": 0.0}},
        {A: {**SOUND, "epsilon": -1.0}},
        {A: {**SOUND, "epsilon": float("nan")}},
        {A: {"digest": DIGEST}},
    ],
    ids=str,
)
def test_of_a_question_that_cannot_be_read_nothing_was_agreed_to(damage: object) -> None:
    world = kept_after(questions=damage)
    mars = world.mars()
    assert mars.statistics.to_ask == (A,)
    assert mars.status()["problem"]["reason"] == "state-damaged"
    assert [one["on"] for one in mars.statistics.entries()] == [False, False]


def test_a_question_as_it_is_kept_is_read() -> None:
    assert kept_after(questions={A: SOUND}).mars().statistics.to_ask == ()
    other = {**SOUND, "digest": "0" * 32}
    assert kept_after(questions={A: other}).mars().statistics.to_ask == (A,)


@pytest.mark.parametrize(
    ("agreed", "now", "holds"),
    [
        ((0.25, 0.0), (0.25, 0.0), True),
        ((0.25, 0.0), (0.1, 0.0), True),
        ((0.25, 0.0), (0.2501, 0.0), False),
        ((0.25, 0.0), (0.25, 9.0), True),
        ((0.25, 1.0), (0.25, 0.5), True),
        ((0.25, 1.0), (0.25, 1.1), False),
        ((0.25, 1.0), (0.25, 0.0), False),
        ((0.25, 1.0), (0.5, 0.5), False),
    ],
)
def test_a_yes_covers_what_asks_no_oftener_and_is_no_less_random(
    agreed: tuple[float, float], now: tuple[float, float], holds: bool
) -> None:
    assert Question("same", *agreed).covers(Question("same", *now)) is holds
    assert not Question("same", *agreed).covers(Question("other", *now))
