"""A running console, a browser's part in a conversation with it, and a forwarded port."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from html import unescape
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from mars.wire.reports.fault import Fault
from tests.server.counting.commands import PROGRAM
from tests.server.triage import kit
from tests.server.triage.kit import Triage
from tests.waiting import PATIENCE, until

STARTUP = 60.0
"""Seconds a console may take until it says where it is; the machine may be busy."""
GUID = re.compile(r"(?<![a-z2-7])[a-z2-7]{32}(?![a-z2-7])")
DAMAGED = kit.fault("mail.store:load")
HOSTILE = (
    "<script>alert(1)</script><img src=//evil.example/x onerror=alert(2)> &amp; "
    "\x1b[31mred\x1b[0m \u202egnp.exe\u202c \u2028 {{ 7*7 }} ' \" end\nSecond line"
)
HOSTILE_FAULT = Fault.bounded(("ValueError", "</pre><b>Type"), ("mail.x:<b>draw\x9b31m\u202e+3",))


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    text: str

    @property
    def token(self) -> str:
        """Of the page's forms."""
        found = re.search(r'name="token" value="([0-9a-f]{64})"', self.text)
        assert found is not None, self.text
        return found[1]

    @property
    def words(self) -> str:
        """What a reader sees, roughly."""
        return unescape(re.sub(r"<[^>]*>", " ", self.text))


class UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass
class Visitor:
    """Keeps its cookie, and says of itself what a browser says of a form of the page's own."""

    path: str
    host: str = "localhost:8080"
    cookie: str = ""
    token: str = ""

    def ask(
        self, method: str, target: str, body: str | None = None, **headers: str | None
    ) -> Answer:
        """A header that is None is left out."""
        told: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie or None, **headers}
        connection = UnixConnection(self.path)
        sent = {name.replace("_", "-"): each for name, each in told.items() if each is not None}
        connection.request(method, target, body, sent)
        got = connection.getresponse()
        found = {name.lower(): each for name, each in got.getheaders()}
        answer = Answer(got.status, found, got.read().decode())
        connection.close()
        return answer

    def get(self, target: str = "/", **headers: str | None) -> Answer:
        answer = self.ask("GET", target, **headers)
        if cookie := answer.headers.get("set-cookie"):
            self.cookie = cookie.partition(";")[0]
        if 'name="token" value="' in answer.text and answer.status == 200:
            self.token = answer.token
        return answer

    def post(
        self, target: str, headers: Mapping[str, str | None] | None = None, /, **form: str
    ) -> Answer:
        """From a page of the console that was shown to this browser, unless ``headers`` or a
        ``token`` say otherwise."""
        told: dict[str, str | None] = {
            "Content_Type": "application/x-www-form-urlencoded",
            "Origin": "null",  # of a page that sends no referrer
            "Sec_Fetch_Site": "same-origin",
            **(headers or {}),
        }
        return self.ask("POST", target, urlencode({"token": self.token, **form}), **told)


@dataclass
class Running:
    """The process, and what it said."""

    process: subprocess.Popen[bytes]
    folder: Path
    path: str

    @property
    def said(self) -> str:
        return (self.folder / "stderr").read_text()

    def visitor(self) -> Visitor:
        """A browser that has seen the list."""
        visitor = Visitor(self.path)
        assert visitor.get().status == 200
        return visitor

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def console(triage: Triage, *more: object) -> Iterator[Running]:
    """In a folder with a short name, for its socket."""
    folder = Path(tempfile.mkdtemp(prefix="mars-cs-"))
    path = folder / "s"
    told = ("--db", triage.url, "--product", triage.product, "--socket", path, *more)
    with (folder / "stderr").open("wb") as stderr:
        command = [*PROGRAM, "errors", "console", *map(str, told)]
        process = subprocess.Popen(command, stderr=stderr)
    running = Running(process, folder, str(path))
    try:
        until(lambda: "console on unix:" in running.said or process.poll() is not None, STARTUP)
        assert process.poll() is None, running.said
        yield running
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def forwarded(path: str) -> Iterator[str]:
    """A port of loopback that leads to the socket, as ``ssh -L PORT:PATH`` makes one; its URL."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(asyncio.CancelledError):
            there_reader, there_writer = await asyncio.open_unix_connection(path)
            with closing(there_writer):
                await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    async def end() -> None:
        server.close()
        await asyncio.sleep(0.01)  # for what was just accepted
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.01)  # for the transports to close

    server = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(passed, "127.0.0.1", 0), loop
    ).result(PATIENCE)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


RULES = """
[[rule]]
number = 7
match = "FileNotFoundError and plantedmail.archive:planted_loading"
summary = "The archive is gone."
how = "It was moved while the program ran."
fix = "Choose it again in the settings."
release = "0.5.10"

[[rule]]
number = 8
match = "ValueError and not mail.view:draw"
summary = "A file is damaged."
releases = ">=0.5,<0.6"
"""


def filled(triage: Triage) -> Triage:
    """With faults of all kinds: one of a crowd and direct, one direct with a message, one that is
    hostile, one that too few met."""
    sender = triage.sender
    archive = kit.content(message="I opened the archive of 2019.\nTwice now.")
    triage.open([
        *sender.crowd(range(12)),
        *sender.direct(range(20, 23), archive),
        *sender.direct(range(30, 32), kit.content(DAMAGED), release="0.5.1"),
        *sender.direct([40], kit.content(HOSTILE_FAULT, HOSTILE)),
        *sender.crowd(range(50, 56), kit.fault("mail.imap:fetch", types=("TimeoutError",))),
    ])  # fmt: skip
    return triage
