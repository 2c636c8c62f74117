"""An application with the client inside, on a real Tor network: from consent to the message."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mars import Mars, factory
from mars.testing.memory import machine
from mars.testing.publisher import Publisher
from mars.wire.targeting import Shown
from testbed.tornet import TorNetwork

pytestmark = pytest.mark.tor


@pytest.fixture(scope="module")
def served(tornet: TorNetwork) -> Iterator[tuple[Publisher, str, list[str]]]:
    """A publisher, the onion address of its document, and the paths that were asked for."""
    publisher, asked = Publisher(), list[str]()
    body = publisher.document(factory.system_clock().now() - 60)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        onion = tornet.add_onion(80, f"127.0.0.1:{server.server_address[1]}")
        yield publisher, f"{onion.url}/motd/motd.json", asked
        server.shutdown()
        thread.join()


def test_from_consent_to_the_message(
    tornet: TorNetwork, served: tuple[Publisher, str, list[str]], tmp_path: Path
) -> None:
    publisher, url, asked = served
    shown: list[Shown] = []
    mars = Mars(
        "examplemail",
        "0.5.1",
        publisher.trust_file(1000, built=factory.system_clock().now() - 60),
        ["en", "is"],
        url=url,
        socks=tornet.socks,
        folder=tmp_path,
        host=machine(locale="is_IS.UTF-8"),
    )
    mars.on_motd(shown.append)
    mars.start()
    assert not mars.check_now(), "nobody has decided yet"
    assert mars.consent.grant("tracked", ["v", "os"])
    assert mars.check_now()
    end = time.monotonic() + 90
    while not shown and time.monotonic() < end:
        time.sleep(0.05)
    mars.stop()
    assert [message.title for message in shown] == ["Halló"], mars.journal()
    assert asked == ["/motd/motd.json"], "a check says nothing"
    entry = mars.journal()[-1]
    assert entry["route"] == f"tor {tornet.socks}"
    assert entry["reason"] is None
    plan = mars.preview()
    assert plan is not None
    assert plan.url.endswith("?v=0.5.1&os=linux"), "the scheduled one will say what was agreed to"
