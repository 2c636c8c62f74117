"""https, through the proxy and directly: a real TLS server with a certificate of our own making.

The client trusts certifi's roots alone. So it runs as a process of its own here, with a certifi
that names one root: ours.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mars.testing.socks import SocksServer, forward
from mars.wire.request import request_bytes
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[3]
NAME = "news.example"

FETCH = """
import sys
from mars import factory
from mars.errors import TransportError
from mars.ports import Request
from mars.wire.request import HTTPRequest
way, url, deadline = sys.argv[1:]
fetcher = factory.direct_fetcher() if way == "direct" else factory.fetcher(way)
try:
    print(fetcher.fetch(Request(HTTPRequest.get(url), float(deadline))).body.decode())
except TransportError as error:
    print(error.reason)
"""


WITHOUT_IPV6 = """
import socket

class Socket(socket.socket):
    def __init__(self, family=-1, *rest, **more):
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        super().__init__(family, *rest, **more)

found = socket.getaddrinfo
sixth = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 443, 0, 0))
socket.getaddrinfo = lambda *told, **more: [sixth, *found(*told, **more)]
socket.socket = Socket
"""
"""A system that knows an address of a protocol which its kernel lacks, as ``sitecustomize``."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``cert.pem``, ``key.pem`` and a certifi that trusts that certificate."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"),
            *("-keyout", "key.pem", "-out", "cert.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    (folder / "certifi").mkdir()
    code = f"def where():\n    return {str(folder / 'cert.pem')!r}\n"
    (folder / "certifi" / "__init__.py").write_text(code)
    return folder


@contextmanager
def serving(
    folder: Path, answer: Callable[[ssl.SSLSocket], None]
) -> Iterator[tuple[str, list[bytes]]]:
    """Address of a TLS server, and the requests that reach it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            raw, _ = listener.accept()
            with context.wrap_socket(raw, server_side=True) as sock:
                requests.append(sock.recv(65536))
                answer(sock)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}", requests
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def news(sock: ssl.SSLSocket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnews")


def dripping(sock: ssl.SSLSocket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        sock.sendall(b"x")
        time.sleep(0.05)


def fetch(
    way: str, url: str, certifi: Path | None, deadline: float = PATIENCE, **environ: str
) -> str:
    paths = [str(ROOT), *([str(certifi)] if certifi else [])]
    done = subprocess.run(
        [sys.executable, "-c", FETCH, way, url, str(deadline)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(paths), **environ},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=True,
    )
    return done.stdout.strip()


def test_https_goes_through_the_proxy_with_the_golden_bytes(certificate: Path) -> None:
    with serving(certificate, news) as (address, requests), SocksServer(forward(address)) as proxy:
        assert fetch(proxy.address, f"https://{NAME}/motd/motd.json?v=1.0", certificate) == "news"
    assert requests == [request_bytes(NAME, "v=1.0")]
    assert (proxy.visits[0].host, proxy.visits[0].port) == (NAME, 443)


def test_https_goes_directly_where_that_is_asked_for(certificate: Path) -> None:
    with serving(certificate, news) as (address, requests):
        assert fetch("direct", f"https://{address}/motd/motd.json", certificate) == "news"
    assert requests == [request_bytes(address)]


def test_a_system_without_ipv6_goes_directly_by_ipv4(certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_IPV6)
    paths = os.pathsep.join(map(str, (ROOT, certificate, tmp_path)))
    with serving(certificate, news) as (address, _):
        url = f"https://{address}/motd/motd.json"
        assert fetch("direct", url, None, PYTHONPATH=paths) == "news"


def test_no_variable_of_the_environment_has_the_keys_written_down(
    certificate: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    for way in ("direct", "tor"):
        with (
            serving(certificate, news) as (address, _),
            SocksServer(forward(address)) as proxy,
        ):
            by = "direct" if way == "direct" else proxy.address
            url = f"https://{address}/" if way == "direct" else f"https://{NAME}/"
            assert fetch(by, url, certificate, SSLKEYLOGFILE=str(keys)) == "news"
    assert not keys.exists()


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with serving(certificate, news) as (address, requests), SocksServer(forward(address)) as proxy:
        assert fetch(proxy.address, f"https://{NAME}/", None) == "tls"
    assert requests == []


def test_a_certificate_for_another_name_is_refused(certificate: Path) -> None:
    with serving(certificate, news) as (address, requests), SocksServer(forward(address)) as proxy:
        assert fetch(proxy.address, "https://other.example/", certificate) == "tls"
    assert requests == []


def test_e11_the_deadline_cuts_tls_too(certificate: Path) -> None:
    with (
        serving(certificate, dripping) as (address, _),
        SocksServer(forward(address)) as proxy,
    ):
        began = time.monotonic()
        assert fetch(proxy.address, f"https://{NAME}/", certificate, 2.0) == "timeout"
        assert time.monotonic() - began < 30
