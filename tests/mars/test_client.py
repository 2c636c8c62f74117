"""``Mars`` as a host calls it: real threads, real files, a world in memory or on loopback."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from mars import Mars, consent, factory
from mars.channels.memory import Memory
from mars.core.channel import NextRequest
from mars.core.schedule import HOUR
from mars.core.state import App
from mars.errors import ConfigError, MarsError
from mars.ports import Request, Response
from mars.testing.memory import MemoryStore, machine, session
from mars.testing.world import World
from mars.wire.motd import Message
from mars.wire.targeting import Shown
from mars.wire.times import DAY
from tests.waiting import until


def test_a_new_message_is_new_once_whatever_the_number_of_processes() -> None:
    world = World()
    world.publish()
    world.grant("plain")
    world.client().fetch()
    shown: list[Shown] = []
    first, second = world.mars(), world.mars()
    first.on_motd(shown.append)
    second.on_motd(shown.append)
    for mars in (first, second):
        mars.start()
    until(lambda: shown)
    time.sleep(0.1)
    for mars in (first, second):
        mars.stop()
    assert [message.title for message in shown] == ["Hello"]
    third = world.mars()
    third.on_motd(shown.append)
    third.start()
    time.sleep(0.1)
    third.stop()
    assert len(shown) == 1


def test_b20_shown_again_only_when_the_revision_grew() -> None:
    world, shown = World(), []
    world.grant("plain")
    for revision, text in ((1, "one"), (1, "two"), (2, "three")):
        world.clock.advance(HOUR)
        message = Message("a", {"en": text}, revision=revision, severity="critical")
        world.publish(messages=(message,))
        world.client().fetch()
        shown += [item.title for item in world.client().claim()]
    assert shown == ["one", "three"]


def test_check_now_fetches_plainly_in_the_background() -> None:
    world = World()
    world.publish()
    world.grant("tracked")
    titles: list[str] = []
    mars = world.mars(dispatch=lambda call: call())
    mars.on_motd(lambda message: titles.append(message.severity + " " + message.title))
    mars.start()
    assert mars.check_now()
    until(lambda: titles)
    assert not mars.check_now(), "once an hour"
    mars.stop()
    assert titles == ["info Hello"]
    assert [url for url in world.server.visits if "?" in url] == []
    reading = mars.motd()
    assert reading is not None
    assert reading.update == "update"
    assert mars.journal()[0]["reason"] is None
    assert mars.status()["last"] == {"time": "2026-11-21T00:00:00Z", "reason": None}


def test_nothing_raises_into_the_host(tmp_path: Path) -> None:
    broken: list[Mars] = [
        World().mars(trust=b"garbage"),
        World().mars(trust=str(tmp_path / "missing.json")),
        World().mars(product="other"),
        World().mars(url="javascript:alert(1)"),
        World().mars(socks="nonsense", fetcher=None),
        World().mars(ceiling="nonsense"),
        World().mars(store=None, folder="/dev/null/x"),
        World().mars(version="\r\n", languages=()),
    ]
    for mars in broken:
        mars.on_motd(lambda message: 1 / 0)
        mars.consent.grant("tracked")
        mars.consent.grant("nonsense")
        mars.start()
        mars.check_now()
        assert mars.motd() is None
        mars.preview()
        assert "level" in mars.status()
        mars.reset_age()
        mars.journal()
        mars.consent.explain()
        mars.stop()


def test_a_callback_that_raises_harms_nobody() -> None:
    world = World()
    seen: list[Shown] = []
    world.publish()
    world.grant("plain")
    mars = world.mars()
    mars.on_motd(lambda message: 1 / 0)
    mars.on_motd(seen.append)
    mars.start()
    mars.check_now()
    until(lambda: seen)
    mars.stop()
    assert mars.status()["problem"]["reason"] == "callback"


def test_debug_tells_the_developer() -> None:
    with pytest.raises(ConfigError):
        World().mars(trust=b"garbage", debug=True)
    with pytest.raises(ConfigError):
        World().mars(product="other", debug=True)


@pytest.mark.parametrize(
    ("system", "environ", "folder"),
    [
        (
            "windows",
            {"LOCALAPPDATA": r"C:\Users\Jón\AppData\Local"},
            r"C:\Users\Jón\AppData\Local\mars\examplemail\stable",
        ),
        ("macos", {}, "Library/Application Support/mars/examplemail/stable"),
        ("linux", {}, ".local/state/mars/examplemail/stable"),
    ],
)
def test_each_platform_has_its_own_folder(
    system: str, environ: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    host = machine(system, environ=environ)
    assert factory.state_folder(host, "examplemail", "stable").endswith(folder)


def test_do_not_track_leaves_the_users_own_button() -> None:
    world = World(host=machine(environ={"DO_NOT_TRACK": "1"}))
    world.publish()
    world.grant("tracked")
    outcome = world.client().check()
    assert outcome is not None
    assert outcome.ok
    assert "?" not in world.server.visits[0]


def test_c08_a_clock_at_1970_sends_no_age_and_fetches_nothing() -> None:
    world = World()
    world.publish()
    world.grant("tracked")
    session(world.client(), world.clock, 11 * DAY)
    fetched = len(world.server.visits)
    assert fetched
    world.clock.wall = 3 * DAY
    client = world.client()
    session(client, world.clock, 20 * DAY)
    assert len(world.server.visits) == fetched
    state = client.load()
    assert "ia" not in client.plan(state, client.voice(state, asked="tracked")).values


def test_by_the_direct_way_the_journal_shows_the_request_without_its_query() -> None:
    world = World(url="https://example.org/motd.json")
    world.publish()
    world.grant("tracked", direct=True)

    class Direct:
        def __init__(self, plan: NextRequest) -> None:
            self.plan = plan

        def fetch(self, request: Request) -> Response:
            assert self.plan.direct is not None
            assert request.leaving is not None
            request.leaving(self.plan.direct, "direct")
            return Response(200, world.server.body, "direct")

    mars = world.mars(fetcher=Direct)
    mars._client.fetch()
    assert mars.journal()[-1]["sent"].startswith("GET /motd.json HTTP/1.1\r\nHost: example.org\r\n")


def test_what_is_wrong_in_the_state_is_told() -> None:
    store = MemoryStore(full=True)
    world = World(store=store)
    mars = world.mars()
    mars.start()
    until(lambda: mars.status()["problem"] is not None)
    mars.stop()
    assert mars.status()["problem"]["reason"] == "state-unwritable"


def test_the_age_can_be_changed_at_any_time() -> None:
    world = World(crowd=1000)
    world.grant("tracked")
    mars = world.mars()
    plan = mars.preview()
    assert plan is not None
    assert plan.values["ia"] == "1"
    mars.reset_age(world.clock.wall - 400 * DAY)
    assert "ia=1000" in mars.preview().url  # type: ignore[union-attr]
    mars.reset_age()
    assert "ia=1&" in mars.preview().url + "&"  # type: ignore[union-attr]


def test_every_error_has_a_reason_and_a_sentence() -> None:
    voice = World().client().voice(World().client().load())
    refused: MarsError = consent.refusal(voice)
    assert refused.reason == "no-consent"
    assert "mars consent grant" in refused.message


def test_a_message_is_not_lost_when_the_host_takes_no_more_calls() -> None:
    world = World()
    shown: list[Shown] = []
    world.publish()
    world.grant("plain")
    world.client().fetch()

    def closing(_call: object) -> None:
        raise RuntimeError("main thread is not in main loop")

    for dispatch in (closing, lambda _call: None):  # refused, and taken but never run
        mars = world.mars(dispatch=dispatch)
        mars.on_motd(shown.append)
        mars.start()
        time.sleep(0.1)
        mars.stop()
        assert not Memory.of(world.client().load()).seen
    mars = world.mars()
    mars.on_motd(shown.append)
    mars.start()
    until(lambda: shown)
    mars.stop()
    assert [message.title for message in shown] == ["Hello"]


def test_a_check_needs_a_running_thread_and_calls_that_are_wrong_raise_nothing() -> None:
    world = World()
    world.grant("plain")
    mars: Any = world.mars(languages=None)  # as untyped code would call it
    assert mars.check_now() is False
    assert mars.status()["problem"] is None
    assert mars.preview("plain", country=5) is None
    mars.reset_age("x")
    assert mars.status()["problem"]["reason"] == "bad-time"
    nothing: Any = None
    assert Mars("examplemail", "1.0", nothing, store=MemoryStore()).preview() is None


def test_a_client_that_knows_no_server_says_so_at_once() -> None:
    """It would else wait for ever, with a next fetch in its status and no problem."""
    world = World(url="")
    world.grant("tracked")
    mars = world.mars()
    mars.start()
    until(lambda: Memory.of(world.client().load()).schedule)
    status = mars.status()
    mars.stop()
    assert status["problem"]["reason"] == "no-url"
    assert "mars-motd trust" in status["problem"]["message"]
    assert (status["next"], status["server"]) == (None, None)
    assert mars.preview() is None
    assert not world.server.visits


def test_the_commands_keep_the_ceiling_that_the_application_set() -> None:
    world = World()
    world.grant("tracked")
    mars = world.mars(ceiling="plain")
    mars.start()
    until(lambda: world.client().load().app)
    mars.stop()
    app = App.of(world.client().load().app)
    client = world.client(ceiling=app.ceiling)
    assert client.voice(client.load()).level == "plain"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"ceiling": "trakced"}, "level-unknown"), ({"languages": "is"}, "wrong-call")],
)
def test_a_mistake_in_the_call_is_told(wrong: dict[str, Any], reason: str) -> None:
    world = World()
    mars = world.mars(**wrong)
    problem = mars.status()["problem"]
    assert problem["reason"] == reason
    with pytest.raises(ConfigError):
        world.mars(**wrong, debug=True)
    mars.consent.grant("tracked")
    assert mars.consent.level == ("off" if "ceiling" in wrong else "tracked")


def test_what_a_callback_raised_is_told_with_its_words() -> None:
    def fail(_: object) -> None:
        raise ValueError("no such\n window")

    world = World()
    world.publish()
    world.grant("plain")
    world.client().fetch()
    mars = world.mars()
    mars.on_motd(fail)
    mars.start()
    until(lambda: mars.status()["problem"])
    mars.stop()
    problem = mars.status()["problem"]
    assert problem["reason"] == "callback"
    assert problem["message"] == "on_motd raised ValueError: no such window."
