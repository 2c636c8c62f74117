"""A plan that is changed after it was shown: it goes as it is recorded, or not at all."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from mars.build import opener
from mars.channels.motd import Motd
from mars.channels.news import NewsClient
from mars.core.channel import NextRequest, View
from mars.ports import Fetcher, Request, Response, TorSettings
from mars.testing.socks import Handler, SocksServer, Visit, answering, exactly, ok
from mars.testing.world import ONION, World
from mars.wire.request import HTTPRequest, request_bytes


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
    ready = client.plan(state, client.voice(state))
    shown = plain(client, state, ready, client.channel)["bytes"]
    assert shown.startswith(f"POST /motd/in HTTP/1.1\r\nHost: {ONION}\r\n")
    seal = f"[1024 bytes, sealed, SHA-256 {sha256(bytes(range(256)) * 4).hexdigest()}]"
    assert shown.endswith(f"Content-Length: 1024\r\n\r\n{said}\r\n{seal}\r\n")
    (entry,) = client.journal()
    assert (entry["url"], entry["sent"]) == (post.url, shown)
