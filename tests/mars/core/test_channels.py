"""A channel that the core has never heard of: its consent, its times, its preview, its journal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars import consent
from mars.channels.memory import Memory
from mars.consent import Choice, Purpose
from mars.core.channel import Channel, Ending, Kept, NextRequest, View
from mars.core.installation import Installation
from mars.core.records import STATE_FILE
from mars.core.schedule import HOUR, PAUSE
from mars.core.state import State, read, time
from mars.errors import ConfigError, ConsentError, StateError, TransportError
from mars.ports import Chance, OpenPGP, Request, Response
from mars.testing.memory import MemoryStore, machine, session
from mars.testing.publisher import Publisher
from mars.testing.world import ONION, World
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY

STATISTICS = consent.SWITCHES["stats"]
EVERY = 2 * DAY
WHERE = f"http://{ONION}/motd/in"


class Postcards:
    """Sends one of 1,024 bytes every two days: all that a channel has to be."""

    def __init__(self, purpose: Purpose = STATISTICS, name: str = "postcards") -> None:
        self.name = name
        self.purposes: tuple[Purpose, ...] = (purpose,)
        self.judges = True

    def due(self, state: State) -> int | None:
        return read(time, state.kept(self.name).get("due"))

    def stopped(self, state: State) -> Kept:
        return {}

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        due = self.due(view.state) or view.now + EVERY
        return {**view.state.kept(self.name), "due": due}, min(max(due - view.now, 0), HOUR)

    def attempt(self, view: View, chance: Chance) -> Kept:
        return {"due": view.now + EVERY}

    def rested(self, state: State, ran: int | None) -> Kept:
        return state.kept(self.name)

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        said = {"os": view.host.system, "country": view.state.country or "none"}
        text = json.dumps(said)
        body = text.encode().ljust(1024, b"\0")
        request = HTTPRequest.post(url or WHERE, body, text)
        return NextRequest(view.voice.level, request, None, said)

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:
        if not self.judges:
            raise TransportError("cannot-judge", "No.")

    def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
        if body != b"thanks":
            raise TransportError("bad-answer", "That is no thanks.")
        return Ending("thanked", said={"thanks": 1})

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        return {**view.state.kept(self.name), "last": ending.taken, "left": ending.left}

    def is_damaged(self, state: State) -> bool:
        return "due" in state.kept(self.name) and self.due(state) is None


def a_world(*channels: Channel, **more: Any) -> World:
    world = World(channels=channels or (Postcards(),), **more)
    world.server.body = b"thanks"
    return world


def posted(world: World) -> list[str]:
    return [url for url in world.server.visits if url == WHERE]


def test_a_channel_of_its_own_purpose_is_asked_for_planned_shown_and_recorded() -> None:
    world = a_world()
    mars = world.mars()
    assert mars.consent.grant("plain", stats=True)
    assert mars.status()["problem"] is None
    decision = mars.consent.decision
    assert decision is not None
    assert decision.purposes == {"news": world.clock.wall, "statistics": world.clock.wall}
    shown = mars.preview(channel="postcards")
    assert shown is not None
    assert shown.bytes.startswith(b"POST /motd/in HTTP/1.1\r\n")
    assert '{"os": "linux", "country": "none"}\r\n[1024 bytes, sealed, ' in shown.request.shown
    assert mars.status()["purposes"] == {
        "news": "2026-11-21T00:00:00Z",
        "metrics": None,
        "statistics": "2026-11-21T00:00:00Z",
    }
    session(world.client(), world.clock, EVERY - 1)
    assert posted(world) == [], "not before it is due"
    session(world.client(), world.clock, 3 * EVERY)
    assert len(posted(world)) == 3
    entries = [entry for entry in mars.journal() if entry["channel"] == "postcards"]
    assert len(entries) == 3
    assert entries[0]["sent"] == shown.request.shown
    assert (entries[0]["reason"], entries[0]["thanks"]) == (None, 1)
    assert world.client().load().kept("postcards")["last"] == "thanked"


def test_without_a_yes_to_its_purpose_nothing_of_it_goes_whatever_else_was_agreed() -> None:
    world = a_world()
    world.grant("tracked")
    session(world.client(), world.clock, 20 * DAY)
    assert posted(world) == []
    assert world.server.visits, "the news come all the same"
    assert world.mars().preview(channel="postcards") is None
    client = world.client()
    with pytest.raises(ConsentError):
        client.send(client.channels[1])


@pytest.mark.parametrize("how", ["off", "ceiling", "environment", "policy"])
def test_off_and_what_lowers_silence_every_channel(how: str) -> None:
    host = machine(
        environ={"MARS_LEVEL": "plain"} if how == "environment" else {},
        policy=b"stats = false" if how == "policy" else None,
    )
    world = a_world(host=host)
    world.grant("tracked", stats=True)
    if how == "off":
        world.grant("off", stats=True)
        assert world.client().load().decision.purposes == {}  # type: ignore[union-attr]
    ceiling = consent.cap("application", "plain" if how == "ceiling" else "tracked")
    session(world.client(ceiling=ceiling), world.clock, 20 * DAY)
    assert posted(world) == []
    assert (world.server.visits == []) is (how == "off")


def test_a_yes_is_kept_only_where_something_serves_its_purpose() -> None:
    world = World()
    mars = world.mars()
    assert mars.consent.grant("tracked", stats=True, purposes=["postcards"])
    problem = mars.status()["problem"]
    assert problem["reason"] == "not-offered"
    assert "'statistics', 'postcards'" in problem["message"]
    assert mars.consent.decision.purposes.keys() == {"news", "metrics"}  # type: ignore[union-attr]
    with pytest.raises(ConfigError, match="statistics"):
        world.mars(debug=True).consent.grant("plain", stats=True)
    world.channels = (Postcards(),)
    session(world.client(), world.clock, 20 * DAY)
    assert posted(world) == [], "what was said before it could be shown is no yes"


def test_each_purpose_has_its_own_date_and_keeps_it_until_it_is_decided_anew() -> None:
    world = a_world(Postcards(), Postcards(Purpose("letters", "Letters"), "letters"))
    begun = world.clock.wall
    world.grant("plain", stats=True)
    world.clock.advance(DAY)
    world.grant("tracked", purposes={"letters": True})
    decision = world.client().load().decision
    assert decision is not None
    later = begun + DAY
    expected = {"news": later, "metrics": later, "statistics": begun, "letters": later}
    assert decision.purposes == expected
    world.grant("tracked", purposes={"letters": False})
    decision = world.client().load().decision
    assert decision is not None
    assert decision.purposes.keys() == {"news", "metrics", "statistics"}
    world.clock.step(-3 * DAY)
    voice = world.client().voice(world.client().load())
    assert voice.purposes == {"news"}, "nothing from before its date"


@pytest.mark.parametrize("how", ["revoked", "purpose", "value", "stopped"])
def test_a_yes_taken_back_at_the_last_moment_holds_for_any_channel(how: str) -> None:
    world = a_world()
    mars = world.mars()
    mars.consent.grant("plain", stats=True, country="IS")
    client = world.client()

    class Slow:
        def fetch(self, request: Request) -> Response:
            if how == "revoked":
                mars.consent.revoke()
            elif how == "purpose":
                mars.consent.grant("plain", stats=False)
            elif how == "value":
                mars.consent.grant("plain", country="DE")
            else:
                client.halted = lambda: True
            return world.server.fetch(request)

    client.ports = replace(client.ports, fetcher=lambda _ready: Slow())
    assert client.send(client.channels[1]).reason == "withdrawn"
    assert world.server.visits == []
    assert [entry["sent"] for entry in client.journal()] == [""]


@pytest.mark.parametrize("what", ["unreachable", "fault", "body"])
def test_e19_every_channel_is_told_whether_a_byte_of_its_request_left(what: str) -> None:
    """So that each can keep to the rule: what left is not sent again before its next period."""
    world = a_world()
    world.grant("plain", stats=True)
    if what == "body":
        world.server.body = b"no thanks"
    else:
        setattr(world.server, what, TransportError("timeout", "Nothing came."))
    client = world.client()
    assert not client.send(client.channels[1], scheduled=True).ok
    left = what != "unreachable"
    assert client.load().kept("postcards")["left"] is left
    assert [bool(entry["sent"]) for entry in client.journal()] == [left]


def test_no_bytes_but_those_of_the_plan_go_for_any_channel() -> None:
    world = a_world()
    world.grant("plain", stats=True)
    client = world.client()

    class Falsifier:
        def fetch(self, request: Request) -> Response:
            other = HTTPRequest.post(WHERE, b"\1" * 1024)
            return world.server.fetch(replace(request, message=other))

    client.ports = replace(client.ports, fetcher=lambda _ready: Falsifier())
    assert client.send(client.channels[1]).reason == "not-golden"
    assert world.server.visits == []


def test_an_answer_that_could_not_be_judged_or_a_journal_that_is_full_asks_for_nothing() -> None:
    channel, store = Postcards(), MemoryStore()
    world = a_world(channel, store=store)
    world.grant("plain", stats=True)
    channel.judges = False
    client = world.client()
    assert client.send(channel).reason == "cannot-judge"
    channel.judges = True
    store.full = True
    with pytest.raises(StateError):
        client.send(channel)
    assert world.server.visits == []


def test_of_two_that_are_due_at_once_one_goes_at_a_time() -> None:
    channels = (Postcards(), Postcards(Purpose("letters", "Letters"), "letters"))
    world = a_world(*channels)
    world.grant("plain", stats=True, purposes=["letters"])
    client = world.client()
    client.step(None)
    world.clock.advance(EVERY)
    before = len(posted(world))
    assert client.step(60) == PAUSE
    assert len(posted(world)) == before + 1


def test_a_revocation_that_cannot_be_stored_silences_every_channel() -> None:
    world = a_world()
    mars = world.mars()
    mars.consent.grant("plain", stats=True)
    world.store.full = True
    assert not mars.consent.revoke()
    world.store.full = False
    session(mars._client, world.clock, 20 * DAY)
    assert world.server.visits == []


def test_what_a_channel_remembers_outlives_a_process_that_does_not_know_it() -> None:
    world = a_world()
    world.grant("plain", stats=True)
    due = world.client().load().kept("postcards")
    world.channels = ()
    world.grant("tracked")
    kept = world.client().load()
    assert kept.kept("postcards") == due != {}
    assert kept.decision is not None
    assert "statistics" in kept.decision.purposes, "nor is its consent lost"
    assert "statistics" not in world.client().voice(kept).purposes


@pytest.mark.parametrize("damaged", ["soon", {"due": "soon"}])
def test_a_damaged_memory_is_told_and_costs_nothing_else(damaged: object) -> None:
    world = a_world()
    world.grant("plain", stats=True)
    table = json.loads(world.store.files[STATE_FILE])
    world.store.files[STATE_FILE] = json.dumps({**table, "postcards": damaged}).encode()
    mars = world.mars()
    assert mars.consent.level == "plain"
    assert mars.status()["problem"]["reason"] == "state-damaged"


def test_a_state_of_the_release_before_there_were_purposes_is_read_with_its_consent() -> None:
    """Bytes that it wrote. Its yes to statistics was one to what nobody could be shown yet."""
    world = a_world(publisher=Publisher(seeds=[bytes(32)]), crowd=1000)
    world.store.files[STATE_FILE] = (Path(__file__).parents[1] / "golden/state.json").read_bytes()
    mars, then = world.mars(), world.clock.wall
    decision = mars.consent.decision
    assert decision is not None
    assert (decision.level, decision.decided) == ("tracked", then)
    assert decision.purposes == {"news": then, "metrics": then}
    assert (decision.variables, decision.direct) == (("v", "ia", "cc"), True)
    assert (mars.consent.country, mars.consent.to_ask) == ("IS", ())
    said = mars.preview().values  # type: ignore[union-attr]
    assert (said["v"], said["ia"]) == ("0.5.1", "1")
    status = mars.status()
    assert {status[name] for name in ("problem", "next", "serial")} == {None}, "all else is new"
    assert mars.consent.grant("tracked", ["v"])
    table = json.loads(world.store.files[STATE_FILE])
    kept = Memory.of(world.client().load())
    assert replace(kept, pick=None, schedule=None) == Memory()
    assert table["installed"] == then
    earlier = {"level", "decided", "variables", "asked", "stats", "errors", "direct"}
    later = {"purposes", "entries", "declined", "questions", "always"}
    assert table["decision"].keys() == earlier | later, "an earlier release reads it too"


def test_what_a_level_does_not_allow_no_purpose_in_the_file_brings_back() -> None:
    world = a_world()
    world.grant("tracked", stats=True)
    for level, left in (("plain", {"news", "statistics"}), ("off", set())):
        table = json.loads(world.store.files[STATE_FILE])
        table["decision"]["level"] = level
        world.store.files[STATE_FILE] = json.dumps(table).encode()
        assert world.client().load().decision.purposes.keys() == left  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ({"purposes": {}}, set()),
        ({"purposes": {"news": 1}}, {"news"}),
        ({"purposes": {"news": 1, "statistics": 1}}, {"news", "statistics"}),
        ({"purposes": {"metrics": 1, "statistics": 1}}, set()),
        ({"stats": False}, {"news", "metrics"}),
    ],
)
def test_where_what_is_kept_contradicts_itself_the_least_holds(
    change: dict[str, object], left: set[str]
) -> None:
    world = a_world()
    world.grant("tracked", stats=True)
    table = json.loads(world.store.files[STATE_FILE])
    table["decision"] |= change
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    assert world.client().load().decision.purposes.keys() == left  # type: ignore[union-attr]
    assert world.client().voice(world.client().load()).purposes == left


@pytest.mark.parametrize("on", [True, False])
def test_of_a_yes_and_a_no_to_one_purpose_the_no_holds(on: bool) -> None:
    world = a_world()
    world.grant("plain", stats=on, purposes={"statistics": not on})
    assert world.client().load().decision.purposes.keys() == {"news"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (b'refused = ["letters"]', {"news", "metrics", "statistics"}),
        (b'refused = ["letters", "statistics"]', {"news", "metrics"}),
        (b'stats = false\nrefused = ["letters"]', {"news", "metrics"}),
        (b'refused = "letters"', set()),
        (b"refused = [1]", set()),
        (b'refused = ["metrics"]', set()),
    ],
)
def test_a_policy_refuses_any_purpose(policy: bytes, left: set[str]) -> None:
    channels = (Postcards(), Postcards(Purpose("letters", "Letters"), "letters"))
    world = a_world(*channels, host=machine(policy=policy))
    world.grant("tracked", stats=True, purposes=["letters"])
    assert world.client().voice(world.client().load()).purposes == left


def test_a_yes_that_nothing_here_serves_is_told_and_asked_of_nobody_again() -> None:
    world = a_world(Postcards(), Postcards(Purpose("letters", "Letters"), "letters"))
    world.grant("plain", stats=True, purposes=["letters"])
    world.channels = ()
    mars, then = world.mars(), "2026-11-21T00:00:00Z"
    assert mars.status()["unserved"] == {"statistics": then, "letters": then}
    assert mars.status()["stats"] is True
    assert mars.status()["purposes"] == {"news": then, "metrics": None}
    assert mars.consent.grant("plain", stats=True)
    assert mars.status()["problem"] is None, "it is kept, as it was"


def test_the_core_alone_serves_a_channel() -> None:
    """Without the news."""
    world = a_world()
    client = world.client()
    alone = Installation(client.app, client.ports, [Postcards()])
    alone.choose(Choice("plain", stats=True))
    session(alone, world.clock, 2 * EVERY)
    assert set(world.server.visits) == {WHERE}
