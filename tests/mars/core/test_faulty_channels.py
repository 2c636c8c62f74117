"""A channel that says more than was agreed to, keeps too much, fails or lies: what of it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from mars import consent
from mars.consent import Purpose
from mars.core.channel import Ending, Kept, NextRequest, View
from mars.core.schedule import HOUR, PAUSE
from mars.core.state import SHARE, State
from mars.errors import ConfigError, StateError
from mars.ports import Chance, OpenPGP, Request, Response
from mars.testing.memory import session
from mars.testing.world import World
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY
from tests.mars.core.test_channels import STATISTICS, WHERE, Postcards, a_world, posted
from tests.mars.core.test_largest_state import largest


def sending(world: World, between: Callable[[], object], channel: int = 1) -> str | None:
    """The reason of one request, ``between`` whose plan and departure something happens."""

    class Slow:
        def fetch(self, request: Request) -> Response:
            between()
            return world.server.fetch(request)

    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _ready: Slow())
    return client.send(client.channels[channel]).reason


def test_a_second_purpose_taken_back_at_the_last_moment_holds_whatever_the_channel_says() -> None:
    class Both(Postcards):
        """Says nothing of what it says."""

        def plan(self, view: View, url: str | None = None) -> NextRequest:
            return replace(super().plan(view, url), values={})

    channel = Both()
    channel.purposes = (STATISTICS, consent.SWITCHES["errors"])
    world = a_world(channel)
    world.grant("plain", stats=True, errors=True)
    taken_back = sending(world, lambda: world.grant("plain", errors=False))
    assert (taken_back, posted(world)) == ("withdrawn", [])
    assert sending(world, lambda: world.grant("tracked")) is None


def test_a_yes_to_any_of_its_purposes_is_one_to_its_requests() -> None:
    channel = Postcards()
    channel.purposes = (STATISTICS, consent.SWITCHES["errors"])
    world = a_world(channel)
    world.grant("plain", errors=True)
    session(world.client(), world.clock, 5 * DAY)
    went = len(posted(world))
    assert went
    world.grant("plain", errors=False)
    session(world.client(), world.clock, 5 * DAY)
    assert len(posted(world)) == went


class Greedy(Postcards):
    """Wants to say more than was agreed to."""

    changes: Mapping[str, Any] = MappingProxyType({})

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        return replace(super().plan(view, url), **self.changes)


@pytest.mark.parametrize(
    ("purpose", "changes"),
    [
        (STATISTICS, {"level": "tracked"}),
        (STATISTICS, {"direct": HTTPRequest.get("https://news.example/")}),
        (consent.NEWS, {"values": {"os": "linux"}}),
        (STATISTICS, {"lowered": (consent.cap("address", "off"),)}),
    ],
)
def test_more_than_was_agreed_to_is_not_planned(purpose: Purpose, changes: dict[str, Any]) -> None:
    channel = Greedy(purpose)
    channel.changes = changes
    world = a_world(channel)
    mars = world.mars()
    mars.consent.grant("plain", stats=True)
    assert mars.preview(channel="postcards") is None
    assert mars.status()["problem"]["reason"] == "not-agreed"
    session(world.client(), world.clock, 5 * DAY)
    assert posted(world) == []


@pytest.mark.parametrize(
    "said",
    [
        {"sent": "", "url": "", "time": 0, "reason": "x", "more": 1},
        {"more": b"no JSON"},
        {"more": "x" * 600_000},
        None,
    ],
)
def test_a_channel_adds_to_the_journal_and_overwrites_nothing(said: Any) -> None:
    class Liar(Postcards):
        def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
            return Ending("thanked", said=said)

    world = a_world(Liar())
    world.grant("plain", stats=True)
    client = world.client()
    assert client.send(client.channels[1]).ok
    (entry,) = client.journal()
    assert (entry["url"], entry["time"], entry["reason"]) == (WHERE, world.clock.wall, None)
    assert entry.get("more") == (1 if said and "sent" in said else None)
    assert entry["sent"].startswith("POST ")
    assert client.load().kept("postcards")["last"] == "thanked"


def test_what_the_journal_cannot_hold_is_not_sent() -> None:
    class Long(Postcards):
        def plan(self, view: View, url: str | None = None) -> NextRequest:
            request = HTTPRequest.post(WHERE, b"1", "x" * 600_000)
            return replace(super().plan(view, url), request=request)

    world = a_world(Long())
    world.grant("plain", stats=True)
    client = world.client()
    client.fetch()
    before = client.journal()
    with pytest.raises(StateError):
        client.send(client.channels[1])
    assert (posted(world), client.journal()) == ([], before)


def test_two_bodies_are_two_entries_and_the_server_in_memory_keeps_them() -> None:
    channel = Greedy()
    world = a_world(channel)
    mars = world.mars()
    mars.consent.grant("plain", stats=True)
    client, shown = world.client(), []
    for seal in (b"\1", b"\2"):
        channel.changes = {"request": HTTPRequest.post(WHERE, seal * 64, "what was sealed")}
        shown.append(mars.preview(channel="postcards").request)  # type: ignore[union-attr]
        client.send(channel)
    assert [request.body for request in world.server.requests] == [b"\1" * 64, b"\2" * 64]
    entries = [entry["sent"] for entry in client.journal()]
    assert entries == [request.shown for request in shown]
    assert entries[0] != entries[1]


@pytest.mark.parametrize(
    "forged",
    [
        {"decision": {"level": "tracked"}, "trust": {}, "installed": 1, "schedule": None},
        {"due": b"no JSON"},
        {"pending": "x" * 300_000},
    ],
)
def test_a_channel_changes_nothing_but_what_it_remembers_itself(forged: dict[str, Any]) -> None:
    class Forger(Postcards):
        def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
            return forged, HOUR

        def stopped(self, state: State) -> Kept:
            return forged

    world = a_world(Forger())
    world.publish()
    assert world.client().fetch(asked="plain").ok
    mars = world.mars()
    assert mars.consent.grant("plain", stats=True)
    session(world.client(), world.clock, 20 * DAY)
    kept = world.client().load()
    assert mars.consent.decision.level == "plain"  # type: ignore[union-attr]
    assert kept.members["trust"]["serial"]
    assert kept.installed != 1
    assert kept.kept("postcards") == (forged if "decision" in forged else {})
    assert len(world.server.visits) > 1, "the news come all the same"
    assert (mars.status()["problem"] is None) is ("decision" in forged)


class Hoarder(Postcards):
    """Remembers whatever it is given, whenever it looks."""

    hoard: object = None

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        return {"hoard": self.hoard} if self.hoard else {}, HOUR


def nested(levels: int, inner: object) -> object:
    for _ in range(levels):
        inner = [inner]
    return inner


def test_whatever_channels_remember_core_and_news_have_room_and_one_alone_is_refused() -> None:
    letters = [Purpose(f"letters{n}", "Letters") for n in range(5)]
    channels = [Hoarder(one, one.name) for one in letters]
    world = a_world(*channels)
    world.grant("plain", purposes=[one.name for one in letters])
    for one in channels:
        one.hoard = nested(40, [0] * (SHARE // 3 - 100))
    client = world.client()
    client.step(None)
    kept = [bool(client.load().kept(one.name)) for one in channels]
    assert kept == [True] * 4 + [False]
    assert client.failed["look letters4"] is not None
    assert client.failed["look letters0"] is None
    client.update(lambda state: (largest().into(state), None))
    assert world.mars().consent.revoke()


def test_what_nests_too_deep_for_a_reader_is_refused_and_the_old_stays() -> None:
    channel = Hoarder()
    world = a_world(channel)
    world.grant("plain", stats=True)
    client = world.client()
    for channel.hoard in ([1], nested(900, 1)):
        client.step(None)
    assert client.load().kept("postcards") == {"hoard": [1]}
    assert client.failed["look postcards"] is not None


class Restless(Postcards):
    """Is always due."""

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        return {}, 0


def test_a_channel_that_is_always_due_pauses_after_each_exchange() -> None:
    channel = Restless()
    channel.judges = False
    world = a_world(channel)
    world.grant("plain", stats=True)
    client = world.client()
    session(client, world.clock, 10 * PAUSE)
    assert len(client.journal()) == 10


@pytest.mark.parametrize("planned", [ValueError("No."), SystemExit(3), 7, "request"])
def test_one_that_plans_nothing_is_told_and_keeps_no_other_waiting(planned: Any) -> None:
    class Bad(Restless):
        def plan(self, view: View, url: str | None = None) -> NextRequest:
            if isinstance(planned, BaseException):
                raise planned
            if planned == "request":
                return replace(super().plan(view, url), request=planned)
            return planned  # type: ignore[no-any-return]

    world = a_world(Bad(), Restless(Purpose("letters", "Letters"), "letters"))
    world.grant("plain", stats=True, purposes=["letters"])
    client = world.client()
    assert [client.step(60) for _ in range(4)] == [PAUSE, PAUSE, HOUR, HOUR]
    assert len(posted(world)) == 1, "they take turns, and one goes a day"
    told = client.failed["send postcards"]
    assert told is not None
    assert "An error of postcards" in told.message
    assert client.failed["send letters"] is None


@pytest.mark.parametrize("taken", [ValueError("No."), SystemExit(3), 7, Ending(error="x")])  # type: ignore[arg-type]
def test_what_takes_an_answer_wrongly_is_told_learnt_and_recorded(taken: Any) -> None:
    class Bad(Postcards):
        def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
            if isinstance(taken, BaseException):
                raise taken
            return taken  # type: ignore[no-any-return]

    world = a_world(Bad())
    world.grant("plain", stats=True)
    client = world.client()
    assert client.send(client.channels[1]).reason == "internal"
    assert [entry["reason"] for entry in client.journal()] == ["internal"]
    assert "last" in client.load().kept("postcards")
    assert "An error of postcards" in client.failed["fetch postcards"].message  # type: ignore[union-attr]


def test_a_channel_that_exits_ends_no_grant() -> None:
    class Leaving(Postcards):
        def stopped(self, state: State) -> Kept:
            raise SystemExit(3)

    assert a_world(Leaving()).mars().consent.grant("plain")


class Broken(Postcards):
    """Raises where it is told to."""

    broken = ""

    def __getattribute__(self, name: str) -> Any:
        if name == super().__getattribute__("broken"):
            raise KeyError(name)
        return super().__getattribute__(name)


@pytest.mark.parametrize("hook", ["stopped", "look", "attempt", "rested", "learn", "is_damaged"])
def test_a_channel_that_fails_is_told_and_harms_neither_news_nor_consent(hook: str) -> None:
    channel = Broken()
    world = a_world(channel)
    world.publish()
    channel.broken = hook
    mars = world.mars()
    assert mars.consent.grant("plain", stats=True)
    client = mars._client
    session(client, world.clock, 12 * DAY)
    assert set(world.server.visits) - {WHERE}, "the news come all the same"
    assert world.store.files
    told = [error.message for error in client.failed.values() if error]
    assert "An error of postcards (KeyError); please report it." in told
    assert mars.consent.revoke()
    kept = world.client().load()
    assert kept.decision.level == "off"  # type: ignore[union-attr]
    assert hook != "stopped" or kept.kept("postcards") == {}, "what it may not have forgotten"


@pytest.mark.parametrize(
    ("names", "purposes"),
    [
        (["motd"], [STATISTICS]),
        (["trust"], [STATISTICS]),
        (["decision"], [STATISTICS]),
        (["Post cards"], [STATISTICS]),
        (["one", "one"], [STATISTICS, consent.SWITCHES["errors"]]),
        (["one"], [Purpose("news", "All your files", telling=False)]),
        (["one"], [Purpose("statistics", "Others")]),
        (["one"], [Purpose("letters", "Letters", least="off")]),
        (["one", "two"], [Purpose("letters", "Letters"), Purpose("letters", "Parcels")]),
        (["one"], [None]),
    ],
)
def test_channels_of_no_name_or_purpose_of_their_own_are_refused_and_told(
    names: list[str], purposes: list[Purpose | None]
) -> None:
    channels = [
        Postcards(purpose or STATISTICS, name)
        for name, purpose in zip(names, purposes, strict=True)
    ]
    if purposes == [None]:
        channels[0].purposes = ()
    world = a_world(*channels)
    mars = world.mars()
    assert mars.status()["problem"]["reason"] == "channel-invalid"
    assert mars.consent.grant("plain")
    assert mars.preview() is not None, "the news come all the same"
    with pytest.raises(ConfigError, match="give each of"):
        world.mars(debug=True)


def test_a_channel_that_is_not_there_is_named() -> None:
    mars = a_world().mars()
    assert mars.preview(channel="letters") is None
    assert "'letters'" in mars.status()["problem"]["message"]


def test_what_an_answer_is_is_the_channels_to_say() -> None:
    channel = Greedy()
    world = a_world(channel)
    world.grant("plain", stats=True)
    client = world.client()
    world.server.status = 202
    assert client.send(channel).reason == "http-status"
    channel.changes = {"expect": frozenset({202}), "limit": 7, "deadline": 9.0}
    asked: list[Request] = []

    class Seen:
        def fetch(self, request: Request) -> Response:
            asked.append(request)
            return world.server.fetch(request)

    client.ports = replace(client.ports, fetcher=lambda _ready: Seen())
    assert client.send(channel).ok
    assert (asked[0].expect, asked[0].limit, asked[0].deadline) == (frozenset({202}), 7, 9.0)


def test_ones_success_does_not_hide_anothers_failure() -> None:
    world = a_world()
    mars = world.mars()
    mars.consent.grant("plain", stats=True)
    client = mars._client
    assert client.fetch().reason != "timeout"
    assert client.send(client.channels[1]).ok
    assert mars.status()["problem"]["reason"] == client.load().members["last"]["reason"]


def test_an_error_of_an_answer_never_says_that_nothing_went() -> None:
    class Forgetful(Postcards):
        def take(self, body: bytes, view: View, openpgp: Callable[[], OpenPGP]) -> Ending:
            raise StateError("state-invalid", "What it compares with is gone.")

    class Unasking:
        def fetch(self, request: Request) -> Response:
            return world.server.fetch(replace(request, leaving=None))

    world = a_world(Forgetful())
    world.grant("plain", stats=True)
    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _ready: Unasking())
    assert client.send(client.channels[1]).reason == "state-invalid"
    assert client.journal()[-1]["sent"].startswith("POST ")
