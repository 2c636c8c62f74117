"""What tests of transport share: an address, one fetch through a recording proxy, its reason."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from mars.errors import TransportError
from mars.factory import fetcher
from mars.ports import Request, Response
from mars.testing.socks import SocksServer
from mars.wire.request import HTTPRequest

ROOT = Path(__file__).parents[2]
ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
OTHER_ONION = "xlgkwxbiy3h5rgcwq6pqp2hlpdkbr2w6lhgqiyqyfs6qhvqpy37qnaad.onion"
URL = f"http://{ONION}/motd/motd.json"
SHORT = 0.6
"""Seconds: a total deadline that a test can wait for."""
ENDLESS = 5.0
"""Seconds after which a server gives up that would have gone on for ever, had nobody cut it."""
SLACK = 5.0
"""Seconds within which a cut must have happened on a busy machine."""


def get(proxy: SocksServer, url: str = URL, deadline: float = 30.0) -> Response:
    return fetcher(proxy.address).fetch(Request(HTTPRequest.get(url), deadline=deadline))


def refusal(proxy: SocksServer, url: str = URL, deadline: float = 30.0) -> str:
    """The reason code; the sentence must be one for people and quote nothing from outside."""
    with pytest.raises(TransportError) as caught:
        get(proxy, url, deadline)
    assert caught.value.message.endswith(".")
    assert "Error" not in caught.value.message
    return caught.value.reason


def address_of(proxy: SocksServer) -> tuple[str, int]:
    host, _, port = proxy.address.rpartition(":")
    return host, int(port)


def wait_for_end(sock: socket.socket) -> None:
    """Answers nothing until the other side hangs up, or as good as for ever."""
    sock.settimeout(ENDLESS)
    while sock.recv(65536):
        pass
