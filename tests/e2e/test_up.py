"""From a product.toml to a client that has the news, by one command, through Tor."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mars import factory
from mars.errors import TransportError
from mars.ports import Request
from mars.wire.request import HTTPRequest
from testbed.tornet import TorNetwork
from tests.server.counting.commands import completed, run_json
from tests.server.serving import kit
from tests.server.up.test_run import handed_over, up

pytestmark = [pytest.mark.tor, pytest.mark.usefixtures("one_day")]
PATIENCE = 60.0
"""Seconds for the descriptor of a new onion service to be found."""


@pytest.fixture
def place(tornet: TorNetwork) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mars-up-", dir="/tmp") as folder:
        here = Path(folder)
        (here / "product.toml").write_text(kit.PRODUCT)
        (here / "torrc").write_text("\n".join(tornet.joining) + "\n")
        yield here


def fetched(socks: str, url: str) -> bytes:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            request = Request(HTTPRequest.get(f"{url}/motd/motd.json"), deadline=30.0)
            return factory.fetcher(socks).fetch(request).body
        except TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def test_a_client_has_the_news_and_the_next_start_counts_it(
    tornet: TorNetwork, place: Path
) -> None:
    with up(place, "--product", place / "product.toml") as running:
        url = running.shown.split()[0]
        handed_over(running.data)
        running.says("tor is connected")
        running.says("serving serial")
        assert fetched(tornet.socks, url) == (running.data / "motd.json").read_bytes()
        file = running.data / "server.toml"
        done = completed("status", "--config", file, "--json")
        assert done.returncode == 0, done.stdout
        onion = json.loads(done.stdout)["checks"]["onion"]
        assert "mars_onion_fetch_seconds" in onion["metrics"], onion
        assert "product.toml does not name it" in onion["text"] or url in onion["text"]
        assert running.stop() == 0
    with up(place) as again:
        again.says("publish begins")
        told = run_json("counts", "show", "--config", file)
        assert again.stop() == 0
    assert told["hits"] == 1, told
