"""The real nginx and the real Caddy with our configurations, against our own server."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.serving import kit
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]
QUERIES = (
    "", "v=0.5.2&os=linux&ia=100", "v=0.5.2&os=linux&ia=100", "v=0.5.1&lang=is", "v=9.9",
    "v=0.5.1&v=0.5.2", "os=beos", "name=x", "cc=IS", "cc=is", "py=3.11", "v=", "=&=", "v=dev",
    "ia=10&os=windows", "a" * 255,
)  # fmt: skip
"""All within the grammar of the counter."""


@dataclass
class Front:
    folder: Path
    command: list[str]
    text: str
    """Its configuration, whose head says how to start it."""

    def start(self) -> None:
        # A zone in which it is another day now, unless the head of the file says how to start it.
        elsewhere = "Etc/GMT-14" if time.gmtime().tm_hour >= 12 else "Etc/GMT+12"
        zone = "UTC" if "\n#   TZ=UTC " in self.text else elsewhere
        path = f"{os.environ['PATH']}:/usr/sbin"
        umask = 0o007 if "UMask=0007" in self.text else 0o022
        environment = {"PATH": path, "TZ": zone, "HOME": str(self.folder)}
        with (self.folder / "stderr").open("wb") as out:
            self.process = subprocess.Popen(
                self.command, stderr=out, stdout=out, env=environment, umask=umask
            )
        until(lambda: _answers(self.folder) or self.process.poll() is not None)
        assert self.process.poll() is None, (self.folder / "stderr").read_text()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.wait()

    def ask(self, request: bytes) -> bytes:
        with kit.connect_unix(str(self.folder / "http.sock")) as sock:
            sock.sendall(request)
            return kit.read_all(sock)

    @property
    def log(self) -> Path:
        return self.folder / "log"


def configured(name: str, folder: Path, behind: str) -> Path:
    """The file of deploy/ with the lines marked CHANGE changed; ``behind``: our server's socket."""
    text = (ROOT / "deploy" / name).read_text()
    text = re.sub(r"/(?:run|var/log)/mars-(?:nginx|caddy)/(?=access)", f"{folder}/log/", text)
    text = re.sub(r"/run/mars-(?:nginx|caddy)/", f"{folder}/", text)
    text = text.replace("/var/lib/mars/www", f"{folder}/www")
    text = text.replace("/run/mars/motd.sock", behind or f"{folder}/none.sock")
    path = folder / name
    path.write_text(text)
    return path


@contextmanager
def front(name: str, body: bytes, folder: Path | None = None, behind: str = "") -> Iterator[Front]:
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="mars-front-"))
        folder.chmod(0o755)  # nginx's worker is another user when root starts it
    (folder / "www" / "motd").mkdir(parents=True)
    (folder / "log").mkdir()
    (folder / "www" / "motd" / "motd.json").write_bytes(body)
    file = configured(name, folder, behind)
    command = {
        "nginx.conf": ["nginx", "-c", str(file), "-g", "daemon off;"],
        "Caddyfile": ["caddy", "run", "--config", str(file), "--adapter", "caddyfile"],
    }[name]
    theirs = Front(folder, command, file.read_text())
    try:
        theirs.start()
        yield theirs
    finally:
        theirs.stop()
        shutil.rmtree(folder)


def _answers(folder: Path) -> bool:
    try:
        with kit.connect_unix(str(folder / "http.sock")):
            return True
    except OSError:
        return False


def counts(log: Path, product: Path) -> dict[str, object]:
    arguments = ["count", str(log), "--product", str(product), "--dry-run", "--json"]
    done = subprocess.run([kit.COMMAND, *arguments], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)["days"]
    return found


def fields(answer: bytes) -> set[bytes]:
    """Names and values of the head that matter, without what the front adds of itself."""
    head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    return {line.lower() for line in head[1:] if not re.match(rb"(?i)(date|server):", line)}


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_same_answers_and_same_counts_as_ours(name: str) -> None:
    with kit.served() as ours, front(name, ours.body) as theirs:
        for query in QUERIES:
            request = kit.golden(query)
            one, other = ours.get(query), theirs.ask(request)
            assert kit.body(other) == kit.body(one) == ours.body
            assert kit.status(other) == 200
            assert fields(other) == fields(one)
        for odd in ("Range: bytes=0-3", "If-None-Match: *", "Accept-Encoding: gzip", "Cookie: a"):
            if "None" in odd and name == "nginx.conf":
                continue  # nginx answers 304, which is no hit; our clients never ask so
            request = kit.golden().replace(b"Accept: */*", odd.encode())
            assert fields(theirs.ask(request)) == fields(ours.ask(request))
        for path in ("/", "/motd/", "/motd/%6dotd.json", "/motd/motd.json/", "/etc/passwd"):
            request = kit.golden().replace(b"/motd/motd.json", path.encode())
            assert kit.status(theirs.ask(request)) == 404
        for method in (b"POST", b"OPTIONS", b"HEAD"):
            request = (
                kit.golden()
                .replace(b"GET", method)
                .replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n")
            )
            assert kit.status(theirs.ask(request)) == kit.status(ours.ask(request))
        assert kit.status(theirs.ask(kit.golden(host="evil.example"))) == 404
        proxied = b"PROXY TCP6 fc00:dead:beef:4dad::1 ::1 1 80\r\n" + kit.golden()
        assert kit.status(theirs.ask(proxied)) == 400, "its head names a torrc without this line"
        ours.stop()
        product = ours.folder / "product.toml"
        until(lambda: counts(theirs.log, product) == counts(ours.logs, product))
        written = b"".join(path.read_bytes() for path in theirs.log.iterdir())
        assert not re.search(rb"\d+\.\d+\.\d+\.\d+|mars/1|evil|[0-2]\d:[0-5]\d:[1-9]", written)
