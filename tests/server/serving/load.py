"""Clients that fetch as fast as they can and know how many answers they got whole."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field

from mars.wire.sealed import SMALL
from tests.server.serving import kit


@dataclass
class Load:
    """``connections`` clients, each with one request at a time over a connection of its own."""

    connections: int = 8
    query: str = "v=0.5.2&os=linux&ia=100"
    complete: int = 0
    """Answers that arrived to the last byte."""
    wrong: int = 0
    """Whole answers that are not the document."""
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self, path: str, body: bytes) -> None:
        """Fetches from the unix socket until ``stop`` is called; may be started again."""
        self._stop.clear()
        self._threads = [
            threading.Thread(target=self._client, args=(path, body))
            for _ in range(self.connections)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when no client runs any more."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _client(self, path: str, body: bytes) -> None:
        request = kit.golden(self.query)
        while not self._stop.is_set():
            try:
                with kit.connect_unix(path) as sock:
                    sock.sendall(request)
                    answer = kit.read_all(sock)
            except OSError:
                time.sleep(0.005)  # killed, or not there yet
                continue
            self._judge(answer, body)

    def _judge(self, answer: bytes, body: bytes) -> None:
        got = kit.body(answer)
        with self._lock:
            if len(got) == len(body):
                self.complete += 1
                self.wrong += got != body or kit.status(answer) != 200
            elif answer and not answer.startswith(b"HTTP/1.1 200 OK\r\n"[: len(answer)]):
                self.wrong += 1


@dataclass
class Reports(Load):
    """The same of reports, each another; ``start`` with what is answered to each."""

    kept: set[bytes] = field(default_factory=set)
    """Those that were answered."""

    def _client(self, path: str, body: bytes) -> None:
        while not self._stop.is_set():
            report = os.urandom(SMALL)
            try:
                with kit.connect_unix(path) as sock:
                    sock.sendall(kit.post(report))
                    answer = kit.read_all(sock)
            except OSError:
                time.sleep(0.005)
                continue
            with self._lock:
                if answer == body:
                    self.kept.add(report)
                elif not body.startswith(answer):
                    self.wrong += 1
