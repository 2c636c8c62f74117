"""Serves what was published on 127.0.0.1, and looks at it as a browser without JavaScript would."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from examples.demo.stage import Stage, server
from testbed.tornet.network import free_ports

TIMEOUT = 10.0
"""Seconds."""


@contextmanager
def dashboard(stage: Stage, port: int) -> Iterator[str]:
    """The dashboard at ``http://127.0.0.1:PORT/``, or at another port where that one is taken."""
    if _taken(port):
        wanted, port = port, free_ports(1)[0]
        stage.say(f"port {wanted} is taken, so the dashboard moves to {port}")
    words = ["--motd", "motd.json", "--product", "motd/product.toml", "--trust", "trust.json"]
    words += ["--log", "logs-dashboard", "--site", "site"]
    with server(stage, "dashboard", f"127.0.0.1:{port}", *words):
        url = f"http://127.0.0.1:{port}/"
        _look(stage, url)
        yield url


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def _look(stage: Stage, url: str) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=TIMEOUT) as answer:
        page = answer.read().decode("utf-8")
        policy = answer.headers.get("Content-Security-Policy", "")
    stage.check("<table" in page, "the page has its figures as tables")
    stage.check(
        "<script" not in page and "default-src 'none'" in policy,
        "it needs no JavaScript, and its policy forbids any",
    )
    stage.check("http://" not in page and 'src="//' not in page, "it loads nothing from elsewhere")
