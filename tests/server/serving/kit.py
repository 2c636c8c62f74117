"""The real ``mars-server serve`` as a process, and raw sockets to speak to it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mars.wire import envelope, motd
from mars.wire.times import DAY
from tests.waiting import PATIENCE, until

PRODUCT = """product = "examplemail"
channel = "stable"
releases = ["0.5.1", "0.5.2"]
platforms = ["linux", "windows", "macos"]
languages = ["en", "is"]
"""
COMMAND = str(Path(sys.executable).with_name("mars-server"))
STARTUP = 60.0
"""Seconds a server may take until it says that it serves; the machine may be busy."""
SOCKET = "s"
"""Of a server in a folder; a socket's path is short."""
GOLDEN = (
    "User-Agent: mars/1\r\nAccept: */*\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n"
)


def document(size: int = 0, age: int = 0, lifetime: int = 45 * DAY, **members: object) -> bytes:
    """An envelope with a signature that is none: servers without ``--trust`` do not look at it.

    ``age`` in seconds lies between ``issued`` and now; ``size`` pads the envelope to some bytes.
    """
    issued = int(time.time()) - age
    text = motd.Motd(
        "examplemail",
        "stable",
        1,
        issued,
        issued,
        issued + lifetime,
        **members,  # type: ignore[arg-type]
    )
    signature = envelope.Signature("test", b"x" * 64)
    data = envelope.encode(envelope.Envelope(envelope.MOTD_TYPE, motd.encode(text), (signature,)))
    return data + b" " * max(0, size - len(data))


@dataclass
class Served:
    """A running server. ``port`` for TCP, else ``path`` of its unix socket."""

    folder: Path
    process: subprocess.Popen[bytes]
    body: bytes
    port: int = 0
    path: str = ""
    said: list[str] = field(default_factory=list)
    idle: int = 0
    """Descriptors without a connection, once ``counted`` has looked."""

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def spools(self) -> Path:
        """Where ``--spool`` puts reports, if ``served`` was given ``spool=True``."""
        return self.folder / "spool"

    def connect(self, timeout: float = PATIENCE, receive_buffer: int = 0) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        sock.settimeout(timeout)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect(self.path or ("127.0.0.1", self.port))
        return sock

    def ask(self, request: bytes, timeout: float = PATIENCE) -> bytes:
        """Everything the server sends until it closes, after ``request`` and a half-close."""
        with self.connect(timeout) as sock:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            return read_all(sock)

    def get(self, query: str = "", host: str = "localhost") -> bytes:
        """One fetch as the client sends it."""
        return self.ask(golden(query, host))

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 30.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout)

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - one system call

    def wait_for(self, text: str, seconds: float = PATIENCE, times: int = 1) -> None:
        """Returns when the server has said ``text`` on stderr."""
        end = time.monotonic() + seconds
        while self.stderr.count(text) < times:
            assert time.monotonic() < end, f"never said {text!r}:\n{self.stderr}"
            time.sleep(0.02)

    def settled(self, lines: int) -> None:
        """Returns when the open generations hold that many lines; an answer to a peer that has
        only half closed is accounted for within a tenth of a second."""
        until(lambda: self.written() >= lines)

    def written(self) -> int:
        """Lines that the open generations hold at this moment."""
        return sum(len(answers_in(part)) for part in self.logs.glob("*.part"))

    def reports(self) -> list[bytes]:
        """The bodies in all closed spools. Stop the server first."""
        return [b64decode(line, validate=True) for line in self.lines(self.spools)]

    def lines(self, folder: Path | None = None) -> list[str]:
        """The lines of all closed generations, without the comments. Stop the server first."""
        found = []
        for path in sorted((folder or self.logs).glob("*.log")):
            found += [line for line in path.read_text().splitlines() if line[:1] != "#"]
        return found


def counted(server: Served) -> int:
    """Lines of the open generation once every answer is accounted for.

    An answer's line is written before its connection is closed, so it is enough that none is left
    open; what still is after three seconds is not waited for.
    """
    end = time.monotonic() + 3.0
    if not server.idle:  # the first time: nobody asks yet
        time.sleep(0.2)
        server.idle = server.descriptors()
    while server.descriptors() > server.idle and time.monotonic() < end:
        time.sleep(0.005)
    return server.written()


def added(server: Served, before: int) -> list[str]:
    """The lines since ``before``; the part keeps the order of the answers."""
    counted(server)
    (part,) = server.logs.glob("*.part")
    return answers_in(part)[before:]


def answers_in(part: Path) -> list[str]:
    """The whole lines of an open generation, without the comments."""
    lines = part.read_text().split("\n")[:-1]
    return [line for line in lines if line[:1] != "#"]


def connect_unix(path: str, timeout: float = PATIENCE) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(timeout)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def now() -> int:
    """Unix seconds."""
    return int(time.time())


def golden(query: str = "", host: str = "localhost") -> bytes:
    target = "/motd/motd.json" + (f"?{query}" if query else "")
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{GOLDEN}".encode()


def post(body: bytes, host: str = "localhost", fields: str = "", length: int = -1) -> bytes:
    """A report as the client posts it; ``fields`` before its own, ``length`` where it shall lie."""
    size = len(body) if length < 0 else length
    own = GOLDEN.removesuffix("\r\n") + (
        f"Content-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    )
    return f"POST /motd/in HTTP/1.1\r\nHost: {host}\r\n{fields}{own}".encode() + body


def read_all(sock: socket.socket) -> bytes:
    parts = []
    try:
        while part := sock.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def status(answer: bytes) -> int:
    """The status of a raw answer, 0 for none."""
    found = re.match(rb"HTTP/1\.[01] (\d{3}) ", answer)
    return int(found[1]) if found else 0


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def command(folder: Path, bind: str, *extra: str) -> list[str]:
    return [
        COMMAND, "serve", "--bind", bind, "--motd", str(folder / "motd.json"),
        "--log", str(folder / "log"), "--product", str(folder / "product.toml"), *extra,
    ]  # fmt: skip


@contextmanager
def served(
    *extra: str, unix: bool = False, motd_file: bytes | None = None, product: str = PRODUCT,
    folder: Path | None = None, prefix: Sequence[str] = (), spool: bool = False,
) -> Iterator[Served]:  # fmt: skip
    """A server in a folder of its own (short path, for the unix socket); ends with the test."""
    own = folder is None
    folder = folder or Path(tempfile.mkdtemp(prefix="mars-sv-"))
    data = motd_file if motd_file is not None else document()
    (folder / "product.toml").write_text(product)
    (folder / "motd.json").write_bytes(data)
    path = str(folder / SOCKET) if unix else ""
    bind = f"unix:{path}" if unix else "127.0.0.1:0"
    if spool:
        extra = (*extra, "--spool", str(folder / "spool"))
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen([*prefix, *command(folder, bind, *extra)], stderr=stderr)
    server = Served(folder, process, data, path=path)
    try:
        _await_start(server)
        yield server
    except BaseException:
        process.kill()  # a test that has failed waits for nothing more
        raise
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if own:
            shutil.rmtree(folder, ignore_errors=True)


def _await_start(server: Served) -> None:
    end = time.monotonic() + STARTUP
    while (found := re.search(r"serving serial \d+ on (\S+)", server.stderr)) is None:
        assert server.process.poll() is None, server.stderr
        assert time.monotonic() < end, server.stderr
        time.sleep(0.02)
    if not server.path:
        server.port = int(found[1].rpartition(":")[2])
