"""A user's terminal: ``mars`` in this process, and a server behind a recording proxy."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mars import cli, factory
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, Visit, answering, exactly, ok, read_request
from mars.wire.times import WEEK, week_of
from tests.mars.channels.kit import publishing

URL = "http://127.0.0.1:8080/motd/motd.json"
INTAKE = "http://127.0.0.1:8080/motd/in"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
FULL = b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        table: dict[str, Any] = json.loads(self.out)
        return table


@dataclass
class Desk:
    """A user's terminal: ``run`` is the command; the server's answer can be changed."""

    folder: Path
    call: Callable[..., Done]
    socks: SocksServer
    publisher: Publisher = field(default_factory=Publisher)

    def __post_init__(self) -> None:
        self.trust = self.folder / "trust.json"
        self.state = self.folder / "a b" / "staté"
        self.pin(1000)
        self.publish()

    def pin(self, crowd: int) -> None:
        built = factory.system_clock().now() - 3600
        self.trust.write_bytes(self.publisher.trust_file(crowd, built=built))

    def publish(self, **changes: Any) -> None:
        now = factory.system_clock().now() - 60
        self.socks.handler = answering(ok(self.publisher.document(now, **changes)))

    def fetch(self, *arguments: str) -> Done:
        return self.call(
            *("fetch", "--url", URL, "--trust", str(self.trust), "--socks", self.socks.address),
            *("--state", str(self.state), "--product", "examplemail", "--app-version", "0.5.1"),
            *arguments,
        )

    def run(self, *arguments: str) -> Done:
        return self.call(*arguments, "--state", str(self.state))

    def grant(self, *arguments: str) -> Done:
        """A decision needs an application, also before that has run."""
        return self.run("consent", "grant", *arguments, "--product", "examplemail")


def with_intake(desk: Desk, registry: bytes) -> Desk:
    """With a registry that root signed, and an intake at the other end."""
    now = factory.system_clock().now()
    weeks = tuple(week_of(now + number * WEEK) for number in range(3))
    desk.publisher.steer(now - 120, **publishing(registry, weeks))
    desk.pin(1000)
    answer(desk, NO_CONTENT)
    (desk.folder / "registry.json").write_bytes(registry)
    return desk


def answer(desk: Desk, said: bytes) -> None:
    """To a report, once it has come whole."""

    def handle(sock: socket.socket, visit: Visit) -> None:
        read_request(sock, visit)
        head, _, body = visit.request.partition(b"\r\n\r\n")
        length = int(head.partition(b"\r\nContent-Length: ")[2].split(b"\r\n")[0])
        visit.request += exactly(sock, length - len(body)) if len(body) < length else b""
        sock.sendall(said)

    desk.socks.handler = handle


@pytest.fixture
def desk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    def call(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["mars", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return Done(int(end.value.code or 0), captured.out, captured.err)

    with SocksServer(answering(b"")) as socks:
        yield Desk(tmp_path, call, socks)
