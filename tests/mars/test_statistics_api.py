"""``mars.statistics`` of an application: values come in, and a settings screen shows all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mars.channels.draws import MOST
from mars.channels.upcoming import Memory
from mars.core.journal import KEPT
from mars.core.records import STATE_FILE
from mars.errors import ConfigError
from mars.testing.memory import START, machine, session
from mars.testing.world import World
from mars.wire.registry import Metric
from mars.wire.report import decode
from mars.wire.sealed import SMALL
from mars.wire.times import DAY, WEEK, week_start
from tests.mars.channels.kit import (
    ENCRYPTION,
    FOLDERS,
    INTAKE,
    PROTOCOL,
    a_world,
    catalogue,
    often,
    posted,
)

MONDAY = week_start(START) + WEEK
NOISY = replace(ENCRYPTION, rate=0.07, epsilon=1.0986)


def unasked(*metrics: Metric) -> World:
    return a_world(*metrics, agreed=False)


def test_local_mode_shows_values_and_is_no_consent() -> None:
    world = unasked(often(FOLDERS))
    statistics = world.mars().statistics
    assert (statistics.mode, statistics.entries()[0]["value"]) == ("off", None)
    assert statistics.show()
    (entry,) = statistics.entries()
    assert (statistics.mode, entry["value"], entry["said"]) == ("local", "10-99", "10-99")
    assert (entry["on"], entry["next"], entry["last"]) == (False, False, None)
    world.grant("plain")
    session(world.client(), world.clock, 3 * WEEK)
    assert posted(world) == []
    assert world.mars().statistics.mode == "local", "a decision leaves it as it was"
    assert world.mars().statistics.show(False)
    assert world.mars().statistics.mode == "off"


def test_off_collects_nothing() -> None:
    called: list[int] = []
    world = unasked(FOLDERS)
    world.given[FOLDERS.name] = lambda: len(called.append(1) or called)  # type: ignore[func-returns-value]
    mars = world.mars()
    mars.statistics.entries()
    assert mars.statistics.preview(FOLDERS.name) is None
    assert called == []


def test_an_entry_says_all_that_a_settings_screen_shows() -> None:
    world = unasked(FOLDERS, NOISY)
    world.mars().statistics.show()
    first, second = world.mars().statistics.entries()
    assert json.loads(json.dumps(first)) == first
    assert first["values"] == ["0", "1-9", "10-99", "100+"]
    assert (first["project"], first["label"]) == ("examplemail", "Mail folders")
    assert first["reason"] == FOLDERS.reason
    assert (first["rate"], first["expires"], first["state"]) == (0.25, "2027-12-31", "collected")
    assert first["randomized"] == "The true value is sent."
    assert second["randomized"].startswith("One time in two a random answer is sent")


def test_what_went_is_shown_with_its_time_from_the_journal() -> None:
    world = a_world(often(FOLDERS))
    while not posted(world):
        session(world.client(), world.clock, DAY)
    mars = world.mars()
    (entry,) = mars.statistics.entries()
    assert entry["last"]["value"] == "10-99"
    assert entry["last"]["release"] == "0.5.1"
    assert entry["last"]["time"] > "2026-11-23"
    assert entry["on"]
    world.client().delete_journal()
    assert world.mars().statistics.entries()[0]["last"] is None, "nothing else keeps it"


def test_the_preview_is_the_very_report_that_goes_next_or_such_a_one() -> None:
    world = a_world(often(FOLDERS), PROTOCOL, agreed=False)
    world.grant("plain", entries={FOLDERS.name: True})
    session(world.client(), world.clock, MONDAY + 60 - START)
    statistics = world.mars().statistics
    ready = world.mars().preview(channel="statistics")
    assert ready is not None
    shown = statistics.preview(FOLDERS.name)
    assert shown == {
        "name": FOLDERS.name,
        "next": True,
        "text": ready.request.sealed,
        "bytes": SMALL,
        "url": INTAKE,
        "shown": ready.request.shown,
    }
    other = statistics.preview(PROTOCOL.name)
    assert other is not None
    assert (other["next"], other["url"], other["bytes"]) == (False, INTAKE, SMALL)
    assert decode(other["text"].encode()).value == "imap"
    with pytest.raises(ConfigError):
        statistics.preview("examplemail/none")


def test_the_user_chooses_each_and_is_asked_again_when_more_is_declared() -> None:
    world = unasked(FOLDERS, PROTOCOL)
    world.grant("tracked", "v")
    mars = world.mars()
    assert mars.statistics.choose({FOLDERS.name: True, PROTOCOL.name: False})
    decision = mars.consent.decision
    assert decision is not None
    assert (decision.level, decision.variables) == ("tracked", ("v",)), "all else stays"
    assert (set(decision.entries), mars.statistics.to_ask) == ({FOLDERS.name}, ())
    later = a_world(FOLDERS, PROTOCOL, ENCRYPTION, agreed=False)
    later.store = world.store
    assert later.mars().statistics.to_ask == (ENCRYPTION.name,)
    assert later.mars().status()["statistics"]["to_ask"] == [ENCRYPTION.name]


def test_a_wrong_name_is_told_and_the_others_are_kept() -> None:
    world = unasked(FOLDERS, PROTOCOL)
    world.grant("plain")
    mars = world.mars()
    assert mars.statistics.choose({"folders": True}), "of the own project the key will do"
    assert set(mars.consent.decision.entries) == {FOLDERS.name}  # type: ignore[union-attr]
    for answer in (True, False):
        assert not mars.statistics.choose({"folders": answer, "unheard_of": answer})
        assert mars.status()["problem"]["reason"] == "undeclared"
        kept = mars.consent.decision.entries  # type: ignore[union-attr]
        assert (FOLDERS.name in kept) is answer
    assert not mars.statistics.choose({"unheard_of": True})
    ended = unasked(replace(FOLDERS, expires=date(2026, 11, 21)))
    ended.grant("plain")
    assert not ended.mars().statistics.choose({FOLDERS.name: True}), "it is not collected"


def test_a_page_that_saves_some_leaves_what_else_is_to_be_asked() -> None:
    world = unasked(FOLDERS, PROTOCOL)
    world.grant("tracked", "v")
    before = world.client().load().decision
    world.client().update(
        lambda state: (replace(state, decision=replace(before, asked=("v",))), None)  # type: ignore[type-var]
    )
    mars = world.mars()
    to_ask = mars.consent.to_ask
    assert to_ask
    world.clock.advance(DAY)
    assert mars.statistics.choose({FOLDERS.name: True})
    assert mars.consent.to_ask == to_ask
    after = mars.consent.decision
    assert before is not None
    assert after is not None
    assert before.purposes.items() <= after.purposes.items(), "with their dates"


def test_statistics_come_with_the_news() -> None:
    world = unasked(FOLDERS)
    mars = world.mars(isolate=None, raises=False)
    assert not mars.statistics.choose({FOLDERS.name: True})
    assert mars.status()["problem"]["reason"] == "level-off"


def test_in_an_application_a_faulty_provider_is_told_and_raises_nothing() -> None:
    world = a_world(FOLDERS, PROTOCOL)
    world.given[FOLDERS.name] = lambda: 1 // 0
    found = {
        one["name"]: one for one in world.mars(isolate=None, raises=False).statistics.entries()
    }
    assert (found[FOLDERS.name]["value"], found[PROTOCOL.name]["value"]) == (None, "imap")
    assert found[FOLDERS.name]["problem"]["reason"] == "provider-failed"
    assert found[PROTOCOL.name]["problem"] is None
    with pytest.raises(ZeroDivisionError):
        world.mars().statistics.entries()


def test_a_key_alone_is_of_the_own_project_and_what_is_not_declared_is_a_mistake() -> None:
    world = unasked(FOLDERS)
    world.given.clear()
    mars = world.mars()
    mars.statistics.provide("folders", 3)
    mars.statistics.show()
    assert mars.statistics.entries()[0]["value"] == "1-9"
    with pytest.raises(ConfigError):
        mars.statistics.provide("unheard_of", 3)


def test_what_has_ended_is_listed_and_not_collected() -> None:
    ended = replace(PROTOCOL, expires=date(2026, 11, 21))
    withdrawn = replace(ENCRYPTION, withdrawn=date(2026, 11, 20))
    world = unasked(FOLDERS, ended, withdrawn)
    world.mars().statistics.show()
    found = world.mars().statistics.entries()
    assert [one["state"] for one in found] == ["collected", "expired", "withdrawn"]
    assert [one["value"] for one in found] == ["10-99", None, None]


def test_less_may_be_said_by_the_host_and_by_the_user() -> None:
    world = unasked(FOLDERS, PROTOCOL)
    mars = world.mars()
    mars.statistics.show()
    mars.statistics.alter(lambda name, value: None if name == PROTOCOL.name else value)
    assert mars.statistics.coarsen("folders", [100])
    assert [one["value"] for one in mars.statistics.entries()] == ["0", None]
    mars.statistics.coarsen(FOLDERS.name, None)
    assert mars.statistics.entries()[0]["value"] == "10-99"


@pytest.mark.parametrize(
    ("name", "rule", "reason"),
    [
        ("x/y", "0", "undeclared"),
        ("unheard_of", [10], "undeclared"),
        ("folders", "5", "bad-value"),
        ("folders", [11], "bad-value"),
        ("folders", [True], "bad-value"),
        ("folders", ["1"], "bad-value"),
        ("protocol", [10], "bad-value"),
        ("folders", 5, "bad-value"),
    ],
    ids=str,
)
def test_less_that_could_never_be_said_is_refused(name: str, rule: Any, reason: str) -> None:
    mars = unasked(FOLDERS, PROTOCOL).mars()
    mars.statistics.show()
    assert not mars.statistics.coarsen(name, rule)
    assert mars.status()["problem"]["reason"] == reason
    assert [one["value"] for one in mars.statistics.entries()] == ["10-99", "imap"]
    assert mars.statistics.coarsen(name, None), "an end is never refused"


def test_damaged_rules_of_the_user_veto_all_and_are_told() -> None:
    world = unasked(FOLDERS)
    world.mars().statistics.show()
    table = json.loads(world.store.files[STATE_FILE])
    table["statistics"]["rules"] = {"coarsen": {FOLDERS.name: 5}}
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    mars = world.mars()
    (entry,) = mars.statistics.entries()
    assert (entry["value"], entry["vetoed"]) == (None, True)
    assert mars.status()["problem"]["reason"] == "state-damaged"


def test_local_mode_is_switched_by_true_or_false() -> None:
    mars = unasked(FOLDERS).mars()
    mars.statistics.show()
    wrong: Any = "no"
    assert not mars.statistics.show(wrong)
    assert mars.statistics.mode == "local", "it stays as it was"
    assert mars.status()["problem"]["reason"] == "wrong-call"


def test_what_was_declined_is_not_collected_for_a_page() -> None:
    called: list[str] = []
    world = unasked(FOLDERS, PROTOCOL)
    world.given[PROTOCOL.name] = lambda: called.append("asked") or "imap"  # type: ignore[func-returns-value]
    world.grant("plain", entries={FOLDERS.name: True, PROTOCOL.name: False})
    mars = world.mars()
    assert [one["value"] for one in mars.statistics.entries()] == ["10-99", None]
    assert mars.statistics.preview(PROTOCOL.name) is None
    assert called == []
    mars.statistics.show()
    assert mars.statistics.entries()[1]["value"] == "imap", "who wants to see it sees it"


def test_what_the_user_agreed_to_is_told_beside_what_may_be_sent() -> None:
    world = a_world(FOLDERS, PROTOCOL, host=machine(environ={"DO_NOT_TRACK": "1"}))
    found = world.mars().statistics.entries()
    assert [(one["agreed"], one["on"]) for one in found] == [(True, False)] * 2
    world.host = machine()
    world.mars().statistics.choose({PROTOCOL.name: False})
    found = world.mars().statistics.entries()
    assert [(one["agreed"], one["on"]) for one in found] == [(True, True), (False, False)]


def test_what_is_wrong_with_the_shipped_registry_is_told() -> None:
    whole = catalogue(replace(FOLDERS, description="x" * 2_001)).encode()
    mars = World(registry=whole).mars(isolate=None, raises=False)
    assert mars.statistics.entries() == []
    told = mars.status()["problem"]
    assert told["reason"] == "registry-invalid"
    assert "none of this product" not in told["message"]
    assert "cannot be read (" in told["message"]


def test_without_a_registry_there_is_nothing_to_list() -> None:
    mars = World().mars()
    assert mars.statistics.entries() == []
    assert mars.status()["statistics"] == {"mode": "off", "to_ask": [], "problems": {}}


def test_a_faulty_provider_stands_in_the_journal_once_a_week() -> None:
    world = a_world(FOLDERS)
    world.given[FOLDERS.name] = lambda: 1 // 0
    for _ in range(3):  # starts of the application
        mars = world.mars(isolate=None, raises=False)
        mars.statistics.entries()
        mars.statistics.note()
    (entry,) = world.mars().journal()
    assert (entry["channel"], entry["reason"], entry["sent"]) == (
        "statistics",
        "provider-failed",
        "",
    )
    assert entry["notes"] == [f"{FOLDERS.name} raised ZeroDivisionError; have it mended."]
    world.clock.advance(8 * DAY)
    mars.statistics.note()
    assert len(world.mars().journal()) == 2


def test_no_provider_has_what_was_sent_forgotten() -> None:
    """Another error each time is still one note a week, and notes go before requests."""
    world = a_world(often(FOLDERS))
    while not posted(world):
        session(world.client(), world.clock, DAY)
    kinds = iter([KeyError, ValueError, OSError, TypeError])

    def failing() -> int:
        raise next(kinds)

    mars = world.mars(isolate=None, raises=False)
    mars.statistics.provide(FOLDERS.name, failing)
    for _ in range(4):
        mars.statistics.entries()
        mars.statistics.note()
    assert len([one for one in mars.journal() if one.get("provider")]) == 1
    requests = [one for one in mars.journal() if one["url"]]
    (note,) = [one for one in mars.journal() if one.get("provider")]
    for _ in range(KEPT + 10):
        world.client().record(note)
    after = world.mars().journal()
    assert [one for one in after if one["url"]] == requests
    assert len(after) == KEPT


@pytest.mark.parametrize("rule", [5, 1.5, ["1"], [True], {}, b"10"])
def test_a_rule_that_is_none_is_refused_and_silences_nothing(rule: object) -> None:
    world = unasked(FOLDERS)
    mars = world.mars()
    mars.statistics.show()
    assert not mars.statistics.coarsen(FOLDERS.name, rule)  # type: ignore[arg-type]
    assert mars.status()["problem"]["reason"] == "bad-value"
    assert mars.statistics.entries()[0]["value"] == "10-99"
    assert mars.statistics.coarsen(FOLDERS.name, [10])


def test_damaged_rules_are_told() -> None:
    world = unasked(FOLDERS)
    mars = world.mars()
    mars.statistics.coarsen(FOLDERS.name, (10,))
    data = world.store.files[STATE_FILE]
    world.store.files[STATE_FILE] = data.replace(b'"coarsen"', b'"coarse"')
    assert world.mars().status()["problem"]["reason"] == "state-damaged"


def test_what_is_provided_and_not_declared_is_told() -> None:
    class Plugin:
        def info(self) -> dict[str, object]:
            return {"project": "examplemail", "keys": ["folders", "unheard_of"]}

        def data(self, key: str) -> int:
            return len(key)

    mars = unasked(FOLDERS).mars()
    mars.statistics.register(Plugin())
    problems = mars.status()["statistics"]["problems"]
    assert {name: one["reason"] for name, one in problems.items()} == {
        "examplemail/unheard_of": "undeclared"
    }


def test_more_draws_than_can_go_are_dropped_and_told() -> None:
    many = [replace(often(FOLDERS), key=f"key{number}") for number in range(MOST + 20)]
    world = a_world(*many, given={})
    client = world.client()
    session(client, world.clock, MONDAY + 60 - START)
    assert len(Memory.of(client.load()).draws.pending) == MOST
    told = client.failed["draws"]
    assert told is not None
    assert told.reason == "too-many-draws"
