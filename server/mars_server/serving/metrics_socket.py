"""Prometheus metrics on a unix socket, answered a few times a second from the main loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from mars_server.serving.bind import Bind, listen

PER_LOOK = 8
"""Scrapes answered at one look."""
PATIENCE = 0.05
"""Seconds a scraper may keep us waiting; it is on this machine and speaks at once."""
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"


class MetricsSocket:
    """Whoever may open the socket gets the metrics; the request itself is not looked at."""

    def __init__(self, path: str, exposition: Callable[[], bytes]) -> None:
        """Raises ``StateError`` (``bind-busy``), ``OSError``."""
        self._path = path
        self._sock = listen(Bind(path=path))
        self._exposition = exposition

    def answer(self) -> None:
        """Answers whoever waits, without ever blocking for long."""
        for _ in range(PER_LOOK):
            try:
                peer, _ = self._sock.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.settimeout(PATIENCE)
                peer.recv(4096)
                body = self._exposition()
                head = _HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                peer.sendall(head + body)

    def close(self) -> None:
        self._sock.close()
        Path(self._path).unlink(missing_ok=True)
