"""What one client tells by retries, by a late answer to its question, or by a full disk."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from mars.build import opener
from mars.channels.memory import Memory
from mars.channels.motd import Motd, check_url
from mars.channels.news import NewsClient
from mars.core import state as states
from mars.core.channel import NextRequest, View
from mars.core.journal import BEGUN
from mars.core.records import JOURNAL_FILE, STATE_FILE
from mars.errors import ConsentError, MarsError, StateError, TransportError
from mars.factory import fetcher
from mars.ports import Fetcher, Request, Response, TorSettings
from mars.testing.memory import MemoryStore, machine, session
from mars.testing.socks import Handler, SocksServer, Visit, answering, exactly, ok, read_request
from mars.testing.world import ONION, World
from mars.wire.request import HTTPRequest, request_bytes

DAY = 86_400
ALL = ("v", "os", "ia", "lang", "py", "cc")


@pytest.mark.parametrize("seed", range(12))
def test_f_a_server_that_answers_500_learns_one_optional_value_a_period(seed: int) -> None:
    world = World(seed=seed, host=machine(locale="is_IS.UTF-8"))
    world.grant("tracked", *ALL, country="IS")
    world.server.fault = TransportError("http-status", "500")
    client = world.client()
    session(client, world.clock, 40 * DAY)
    for first in range(0, len(world.server.visits) - 2, 3):
        tries = world.server.visits[first : first + 3]
        assert len({url.rpartition("&")[2] for url in tries}) == 1
    assert len({url.rpartition("&")[2] for url in world.server.visits}) > 1 or seed


def test_f_a_check_and_a_fetch_by_hand_do_not_draw_the_optional_value_anew() -> None:
    world = World()
    world.publish()
    world.grant("tracked", *ALL, country="IS")
    client = world.client()
    drawn = Memory.of(client.load()).pick
    client.check()
    client.fetch(asked="tracked")
    assert Memory.of(client.load()).pick == drawn


def test_f_the_first_optional_value_is_drawn_and_not_made_of_the_machine() -> None:
    """Else who knows a home folder and a day knew whose value it is."""
    sent = set()
    for seed in range(12):
        world = World(seed=seed, host=machine(environ={"HOME": "/home/somebody"}))
        world.grant("tracked", *ALL, country="IS")
        shown = world.mars().preview()
        assert shown is not None
        sent |= shown.values.keys() - {"v", "os", "ia"}
    assert sent == {"lang", "py", "cc"}


def test_f_a_preview_before_the_first_write_shows_what_will_be_sent() -> None:
    mars = World().mars()
    seen = {mars.preview("tracked", ALL, "IS").url for _ in range(5)}  # type: ignore[union-attr]
    mars.consent.grant("tracked", ALL, country="IS")
    assert seen == {mars.preview().url}  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["revoked", "fewer", "stopped"])
def test_f03_consent_that_falls_while_connecting_lets_nothing_out(how: str) -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("tracked")

    class Slow:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            if how == "revoked":
                mars.consent.revoke()
            elif how == "fewer":
                mars.consent.grant("tracked", ["v"])
            else:
                mars._client.halted = lambda: True
            return world.server.fetch(request)

    mars._client.ports = replace(mars._client.ports, fetcher=lambda _plan: Slow())
    assert mars._client.fetch(scheduled=True).reason == "withdrawn"
    assert world.server.visits == []
    assert [entry["sent"] for entry in mars.journal()] == [""]


def test_f_consent_is_asked_after_the_proxy_has_connected() -> None:
    order: list[str] = []

    class Slow(SocksServer):
        def _handshake(self, sock):  # type: ignore[no-untyped-def]
            visit = super()._handshake(sock)
            order.append("connected")
            return visit

    def leaving(request: HTTPRequest, route: str) -> None:
        order.append("leaving")
        assert route.startswith("tor ")
        raise ConsentError("withdrawn", request.url)

    with Slow(read_request) as proxy:
        with pytest.raises(ConsentError):
            fetcher(proxy.address).fetch(
                Request(HTTPRequest.get(f"http://{ONION}/m"), leaving=leaving)
            )
        (visit,) = proxy.visits
        assert visit.request == b""
    assert sorted(order) == ["connected", "leaving"]
    assert visit.host == ONION, "CONNECT came before the question"


def test_f_a_revocation_that_cannot_be_stored_holds_and_is_stored_later() -> None:
    world = World()
    world.publish()
    mars = world.mars()
    mars.consent.grant("tracked")
    world.store.full = True
    assert not mars.consent.revoke()
    assert mars.consent.level == "off"
    with pytest.raises(MarsError):
        mars._client.fetch()
    world.store.full = False
    session(mars._client, world.clock, 30 * DAY)
    assert world.server.visits == []
    decision = world.client().load().decision
    assert decision is not None
    assert decision.level == "off"


class FullOnce(MemoryStore):
    """A disk without room for one write."""

    def write(self, name: str, data: bytes) -> None:
        was, self.full = self.full, False
        if was:
            raise StateError("state-unwritable", "The disk is full; make room.")
        super().write(name, data)


@pytest.mark.parametrize("take_back", ["country", "revoke", "revoke twice", "another"])
def test_f_a_country_taken_back_is_never_sent_again_whatever_is_stored(take_back: str) -> None:
    world = World(store=FullOnce())
    world.publish()
    mars = world.mars()
    assert mars.consent.grant("tracked", ["cc"], country="IS")
    world.store.full = True
    if take_back == "country":
        assert not mars.consent.grant("tracked", ["cc"], country="")
    elif take_back == "another":
        assert not mars.consent.grant("tracked", ["cc"], country="DE")
    else:
        assert not mars.consent.revoke()
        world.store.full = take_back == "revoke twice"
        assert mars.consent.revoke() is not (take_back == "revoke twice")
    assert mars.consent.country == ""
    shown = mars.preview()
    assert shown is None or not shown.values
    mars._client.update(lambda state: (state, None))
    assert world.mars().consent.country == ""
    assert mars.consent.grant("tracked", ["cc"])
    assert not mars.preview().values  # type: ignore[union-attr]


def test_f_a_grant_after_a_revocation_that_was_not_stored_brings_nothing_back() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("tracked", ["cc"], stats=True, country="IS")
    world.store.full = True
    assert not mars.consent.revoke()
    assert not mars.consent.grant("tracked", ["cc"])
    assert mars.consent.level == "off"
    world.store.full = False
    assert mars.consent.grant("tracked", ["cc"])
    assert mars.consent.country == ""
    assert "statistics" not in mars._client.load().decision.purposes  # type: ignore[union-attr]


def test_f_an_age_reset_that_cannot_be_stored_holds_at_once() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("tracked", ["ia"])
    world.clock.advance(40 * DAY)
    assert mars.preview().values == {"ia": "100"}  # type: ignore[union-attr]
    world.store.full = True
    mars.reset_age()
    assert mars.preview().values == {"ia": "1"}  # type: ignore[union-attr]
    world.store.full = False
    mars._client.update(lambda state: (state, None))
    assert world.mars().preview().values == {"ia": "1"}  # type: ignore[union-attr]


def test_f_a_revocation_holds_after_the_clock_was_set_back() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("plain")
    world.clock.step(-DAY)
    world.store.full = True
    assert not mars.consent.revoke()
    assert mars.consent.level == "off"
    world.store.full = False
    mars._client.update(lambda state: (state, None))
    assert world.mars().consent.level == "off"


def test_f_a_later_decision_elsewhere_stands_before_one_that_was_not_stored() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("tracked")
    world.store.full = True
    assert not mars.consent.revoke()
    world.store.full = False
    world.clock.advance(1)
    world.grant("plain")
    assert mars.consent.level == "plain"


@pytest.mark.parametrize("how", ["country", "another", "age"])
def test_f_a_value_that_changes_while_connecting_lets_nothing_out(how: str) -> None:
    world = World()
    mars, elsewhere = world.mars(), world.mars()
    mars.consent.grant("tracked", ["ia", "cc"], country="IS")
    world.clock.advance(40 * DAY)

    class Slow:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            if how == "age":
                elsewhere.reset_age()
            else:
                country = "" if how == "country" else "DE"
                assert elsewhere.consent.grant("tracked", ["ia", "cc"], country=country)
            return world.server.fetch(request)

    mars._client.ports = replace(mars._client.ports, fetcher=lambda _plan: Slow())
    assert mars._client.fetch().reason == "withdrawn"
    assert world.server.visits == []


def test_f_a_choice_that_could_not_be_stored_never_raises() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("plain")
    world.store.full = True
    assert not mars.consent.grant("tracked", ALL, stats=True)
    assert mars.consent.level == "plain"


def test_f_a_process_that_dies_before_the_answer_leaves_its_request_in_the_journal() -> None:
    world = World()
    world.grant("tracked")

    class Dying:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            request.leaving(request.message, "tor 127.0.0.1:9050")
            raise KeyboardInterrupt

    mars = world.mars(fetcher=lambda _plan: Dying())
    with pytest.raises(KeyboardInterrupt):
        mars._client.fetch()
    (entry,) = world.mars().journal()
    assert entry["reason"] == BEGUN
    assert "v=0.5.1" in entry["sent"]
    assert entry["route"] == "tor 127.0.0.1:9050"


def test_f_a_request_that_cannot_be_recorded_is_not_sent() -> None:
    world = World()
    world.publish()
    world.grant("tracked")
    world.client().fetch()
    before = len(world.server.visits)
    world.store.full = True
    with pytest.raises(StateError):
        world.client().fetch()
    assert len(world.server.visits) == before


def test_f_the_journal_shows_no_query_that_was_never_sent() -> None:
    world = World(url="https://example.org/motd.json")
    world.grant("tracked", direct=True)

    class Unreachable:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            raise TransportError("host-unreachable", "Not there.")

    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _plan: Unreachable())
    client.fetch()
    (entry,) = client.journal()
    assert "?" not in entry["url"] + entry["sent"]


def test_f_what_an_own_fetcher_failed_with_unasked_is_shown_as_what_may_have_gone() -> None:
    world = World()
    world.grant("tracked")

    class Unasking:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            raise TransportError("timeout", "Nothing came.")

    mars = world.mars(fetcher=lambda _plan: Unasking())
    mars._client.fetch()
    (entry,) = mars.journal()
    assert "v=0.5.1" in entry["sent"]
    assert (entry["route"], entry["reason"]) == ("may have gone", "timeout")


def test_f_after_an_answer_nobody_asks_whether_it_might_be_asked_for() -> None:
    """The journal says what went, whatever was decided meanwhile."""
    world = World()
    world.publish()
    mars = world.mars()
    mars.consent.grant("tracked")

    class Unasking:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            mars.consent.revoke()
            return Response(200, world.server.body, "own")

    mars._client.ports = replace(mars._client.ports, fetcher=lambda _plan: Unasking())
    assert mars._client.fetch().ok
    (entry,) = mars.journal()
    assert ("v=0.5.1" in entry["sent"], entry["route"], entry["reason"]) == (True, "own", None)


class RevokedSince(MemoryStore):
    """A no comes just after the request was planned."""

    revoke: Callable[[], object] | None = None

    def read(self, name: str) -> bytes | None:
        if name == JOURNAL_FILE and (revoke := self.revoke):
            self.revoke = None
            revoke()
        return super().read(name)


def test_f03_a_fetch_by_hand_that_was_planned_before_a_no_does_not_go() -> None:
    store = RevokedSince()
    world = World(store=store)
    world.publish()
    world.grant("plain")
    client = world.client()
    store.revoke = world.mars().consent.revoke
    assert client.fetch(asked="tracked").reason == "withdrawn"
    assert world.server.visits == []


class Revoking(MemoryStore):
    """A decision is being written, slowly, while a request is about to leave."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.writing, self.leaving = threading.Event(), threading.Event()

    def write(self, name: str, data: bytes) -> None:
        if threading.current_thread().name == "revoking" and name == STATE_FILE:
            self.writing.set()
            self.leaving.wait(0.3)  # where the request waits for the lock, as it has to, in vain
        super().write(name, data)


def test_f03_a_revocation_under_way_and_a_departure_come_one_after_the_other() -> None:
    store = Revoking()
    world = World(store=store)
    world.publish()
    mars = world.mars()
    mars.consent.grant("tracked")
    revoking = threading.Thread(target=mars.consent.revoke, name="revoking")

    class Slow:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            revoking.start()
            assert store.writing.wait(5)
            return world.server.fetch(request)

    client = world.client()
    client.ports = replace(client.ports, fetcher=lambda _plan: Slow())
    assert client.fetch().reason == "withdrawn"
    revoking.join()
    assert world.server.visits == []


class Falsified(Motd):
    """Whose request was changed after it was made."""

    changed: dict[str, Any]

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        made = super().plan(view, url)
        return replace(made, request=replace(made.request, **self.changed))


def falsified(
    world: World, fetcher: Callable[[NextRequest], Fetcher], **changed: Any
) -> NewsClient:
    world.grant("tracked")
    client = world.client()
    client.ports = replace(client.ports, fetcher=fetcher)
    client.channel = Falsified(world.trust, client.app.product)
    client.channel.changed = changed
    return client


HERE = f"http://{ONION}/motd/motd.json"
OTHER = HTTPRequest.get(f"{HERE}?v=0.5.1&os=linux&ia=1000&name=me")
FALSE: list[dict[str, Any]] = [
    {"golden": OTHER.golden},
    {"golden": request_bytes(ONION)},
    {"golden": b""},
    {"url": OTHER.url},
    {"url": HERE},
    {"url": HERE.replace("http:", "https:")},
    {"url": "http://other.example/motd/motd.json"},
    {"fields": OTHER.fields[1:]},
    {"method": "POST"},
    {"body": b"added"},
    {"url": OTHER.url, "golden": OTHER.golden},
]


def only_http(answer: bytes) -> Handler:
    """A server that hangs up at once on whoever wants to speak TLS."""

    def handle(sock: socket.socket, visit: Visit) -> None:
        visit.request = exactly(sock, 1)
        if visit.request == b"G":
            answering(answer)(sock, visit)

    return handle


@pytest.mark.parametrize("changed", FALSE)
def test_f08_a_falsified_plan_goes_as_it_is_recorded_or_not_at_all(changed: dict[str, Any]) -> None:
    world = World()
    world.publish()
    with SocksServer(only_http(ok(world.server.body))) as proxy:
        client = falsified(world, opener(TorSettings(socks=proxy.address)), **changed)
        outcome = client.fetch()
        sent = [visit.request for visit in proxy.visits if visit.request[:1] == b"G"]
    consistent = changed.keys() == {"url", "golden"}
    (entry,) = client.journal()
    assert sent == ([OTHER.golden] if consistent else [])
    assert entry["sent"].encode() == b"".join(sent)
    assert consistent is outcome.ok is (entry["route"] != "")


@pytest.mark.parametrize("changed", FALSE)
def test_f08_an_adapter_sends_no_other_bytes_than_those_of_the_plan(
    changed: dict[str, Any],
) -> None:
    class Falsifier:
        def __init__(self, plan: NextRequest) -> None:
            self.way = way(plan)

        def fetch(self, request: Request) -> Response:
            return self.way.fetch(replace(request, message=replace(request.message, **changed)))

    world = World()
    world.publish()
    world.grant("tracked")
    with SocksServer(only_http(ok(world.server.body))) as proxy:
        way = opener(TorSettings(socks=proxy.address))
        client = world.client()
        client.ports = replace(client.ports, fetcher=Falsifier)
        assert not client.fetch().ok
        assert [visit for visit in proxy.visits if visit.request[:1] == b"G"] == []
    (entry,) = client.journal()
    assert (entry["sent"], entry["route"]) == ("", "")


@pytest.mark.parametrize(
    "false", [OTHER.url, "https://news.example/motd/motd.json?v=1", f"https://{ONION}/"]
)
def test_f08_a_falsified_direct_request_is_refused_by_the_adapter(false: str) -> None:
    world = World(url="https://news.example/motd/motd.json")
    world.grant("tracked", direct=True)
    client = world.client()
    way = opener(TorSettings(launch=False, socks="127.0.0.1:1"))

    def directly(plan: NextRequest) -> Fetcher:
        return way(replace(plan, direct=HTTPRequest.get(false)))

    client.ports = replace(client.ports, fetcher=directly)
    assert client.fetch().reason == "direct-refused"
    assert client.journal()[-1]["sent"] == ""


def test_f08_preview_and_journal_show_what_was_sealed_and_its_size() -> None:
    from mars.cli.consent import plain

    world = World()
    said = '{"statistic": "theme", "value": "dark"}'
    post = HTTPRequest.post(f"http://{ONION}/motd/in", bytes(range(256)) * 4, said)
    client = falsified(world, lambda _plan: world.server, **vars(post))
    client.fetch()
    state = client.load()
    shown = plain(client, state, client.plan(state, client.voice(state)))["bytes"]
    assert shown.startswith(f"POST /motd/in HTTP/1.1\r\nHost: {ONION}\r\n")
    seal = f"[1024 bytes, sealed, SHA-256 {sha256(bytes(range(256)) * 4).hexdigest()}]"
    assert shown.endswith(f"Content-Length: 1024\r\n\r\n{said}\r\n{seal}\r\n")
    (entry,) = client.journal()
    assert (entry["url"], entry["sent"]) == (post.url, shown)


def test_f_metrics_never_go_over_plain_http_that_others_read() -> None:
    client = World().client()
    state = client.load()
    voice = client.voice(state, asked="tracked")
    plan = client.plan(state, voice, "http://example.org/motd.json")
    assert (plan.level, dict(plan.values)) == ("plain", {})
    assert b"?" not in plan.bytes


def test_e_short_sessions_ended_by_a_signal_fetch_all_the_same() -> None:
    for seed in range(5):
        world = World(seed=seed)
        world.publish()
        world.grant("plain")
        for _ in range(120):
            session(world.client(), world.clock, 25 * 60, crash=True)
            world.clock.suspend(DAY - 25 * 60)
        assert world.server.visits


def test_e_a_garbled_server_in_the_state_stops_no_fetch() -> None:
    world = World()
    world.publish()
    world.grant("plain")
    stored = states.decode(world.store.files[STATE_FILE])
    assert stored is not None
    data = states.encode(stored).replace(
        b'"server": null', b'"server": {"url": "garbage", "since": 1, "failures": 0}'
    )
    world.store.files[STATE_FILE] = data
    assert world.client().fetch().ok


@pytest.mark.parametrize(
    "path", ["/%7Euser/motd.json", "/a/../motd.json", "/a/./b", "//b/motd.json", "/%zz", "/%e9"]
)
def test_e_a_path_that_would_be_rewritten_is_refused_with_a_sentence(path: str) -> None:
    with pytest.raises(TransportError, match="rewritten") as refused:
        check_url(f"http://{ONION}{path}")
    assert refused.value.reason == "url-invalid"


@pytest.mark.parametrize("path", ["/a//b", "/a'b", "/%C3%A9/m", "/m:80@x", "/..a/b."])
def test_e_a_path_that_is_accepted_goes_as_it_is(path: str) -> None:
    from mars.adapters.http import prepare

    message = HTTPRequest.get(check_url(f"http://{ONION}{path}").url)
    assert prepare(message).path_url == path
