"""What one client tells by retries, by a late answer to its question, or by a full disk."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from mars.channels.memory import Memory
from mars.channels.motd import check_url
from mars.core import state as states
from mars.core.journal import BEGUN
from mars.core.records import JOURNAL_FILE, STATE_FILE
from mars.errors import ConsentError, StateError, TransportError
from mars.factory import fetcher
from mars.ports import Request, Response
from mars.testing.memory import START, MemoryStore, machine, session
from mars.testing.socks import SocksServer, read_request
from mars.testing.world import ONION, World
from mars.wire.crowd import CROWDS
from mars.wire.request import HTTPRequest
from mars.wire.times import WEEK, week_start
from tests.mars.channels.kit import FOLDERS, a_world, often

DAY = 86_400
ALL = ("v", "os", "ia", "lang", "py", "cc")


def names(url: str) -> tuple[str, ...]:
    """What is said there, whatever it is: an age grows between two tries."""
    return tuple(pair.partition("=")[0] for pair in url.partition("?")[2].split("&"))


SAYS_COUNTRY = 2
"""A seed whose first draw falls on the country."""


@pytest.mark.parametrize("crowd", CROWDS)
@pytest.mark.parametrize("seed", range(6))
def test_f_a_server_that_answers_500_learns_one_draw_a_period(seed: int, crowd: int) -> None:
    world = World(seed=seed, host=machine(locale="is_IS.UTF-8"), crowd=crowd)
    world.grant("tracked", *ALL, country="IS")
    world.server.fault = TransportError("http-status", "500")
    client = world.client()
    session(client, world.clock, 40 * DAY)
    times = [entry["time"] for entry in client.journal()]
    assert len(times) == len(world.server.visits) >= 3
    assert all(later - earlier >= 3 * DAY for earlier, later in itertools.pairwise(times))
    assert len(set(map(names, world.server.visits))) > 1 or seed


def test_f_a_retry_of_what_never_left_repeats_the_optional_value() -> None:
    world = World()
    world.grant("tracked", *ALL, country="IS")
    client = world.client()
    world.server.unreachable = TransportError("tor-unavailable", "No Tor here.")
    picks: list[float | None] = []
    while len(picks) < 6:
        before = len(client.journal())
        world.clock.advance(client.step(3600))
        if len(client.journal()) > before:
            picks.append(Memory.of(client.load()).pick)
    assert picks[0] == picks[1] != picks[2] == picks[3] == picks[4] != picks[5]


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
        host = machine(environ={"HOME": "/home/somebody"})
        world = World(seed=seed, host=host, crowd=1000)
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
    world = World(crowd=1000)
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


@pytest.mark.parametrize("how", ["country", "another", "age"])
def test_f_a_value_that_changes_while_connecting_lets_nothing_out(how: str) -> None:
    world = World(crowd=1000, seed=SAYS_COUNTRY)
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


@pytest.mark.parametrize("how", ["the user", "the administrator", "a veto"])
def test_f03_less_that_is_asked_for_while_connecting_lets_no_report_out(how: str) -> None:
    world = a_world(often(FOLDERS), given={FOLDERS.name: 12})
    session(world.client(), world.clock, week_start(START) + WEEK + 60 - START)
    mars, client = world.mars(), world.client()
    assert client.planned(client.statistics, client.load(), client.voice(client.load()))

    class Slow:
        def fetch(self, request):  # type: ignore[no-untyped-def]
            if how == "the user":
                assert mars.statistics.coarsen(FOLDERS.name, (100,))
            else:
                table = (
                    f'.coarsen]\n"{FOLDERS.name}" = [100]' if "adm" in how else ']\nveto = ["*"]'
                )
                less = machine(policy=f"[statistics{table}".encode())
                client.ports = replace(client.ports, host=less)
            return world.server.fetch(request)

    client.ports = replace(client.ports, fetcher=lambda _plan: Slow())
    before = len(world.server.requests)
    assert client.send(client.statistics).reason == "withdrawn"
    assert len(world.server.requests) == before
