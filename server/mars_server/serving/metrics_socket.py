"""Prometheus metrics on a unix socket, answered at each look of the main loop; waits for nobody."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable

from mars_server.serving.bind import Bind, listen, mark, remove

MOST = 8
"""Scrapers that are waited for at a time; more stay in the kernel's queue."""
PATIENCE = 5
"""Looks after which a scraper that has asked for nothing is sent away."""
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"


class MetricsSocket:
    """Whoever may open the socket gets the metrics; the request itself is not looked at."""

    def __init__(self, path: str, exposition: Callable[[], bytes]) -> None:
        """Raises ``StateError`` (``bind-busy``, ``bind-failed``)."""
        self._path = path
        self._sock = listen(Bind(path=path))
        self._mine = mark(path)
        self._exposition = exposition
        self._waiting: dict[socket.socket, int] = {}
        """Scrapers, with the looks for which they have been silent."""

    def answer(self) -> None:
        """Answers whoever has asked; blocks for nobody."""
        while len(self._waiting) < MOST:
            try:
                peer, _ = self._sock.accept()
            except OSError:
                break
            peer.setblocking(False)
            self._waiting[peer] = 0
        for peer in list(self._waiting):
            self._attend(peer)

    def _attend(self, peer: socket.socket) -> None:
        try:
            if peer.recv(4096):
                body = self._exposition()
                head = _HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                peer.sendall(head + body)
        except BlockingIOError:
            self._waiting[peer] += 1
            if self._waiting[peer] < PATIENCE:
                return
        except OSError:
            pass
        del self._waiting[peer]
        peer.close()

    def close(self) -> None:
        for sock in (self._sock, *self._waiting):
            with contextlib.suppress(OSError):
                sock.close()
        remove(self._path, self._mine)
