"""A time limit that holds whatever the other end does: it cuts the connection itself.

Timeouts of sockets, and so those of requests, begin anew with every byte received. A server that
sends one byte every 25 seconds, or ``100 Continue`` for ever, is never late for them.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import threading
from typing import Self

from mars.errors import TransportError, starting_thread
from mars.ports import Clock

_RESET = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER of no seconds: closing resets the connection, so that a sender that fills our buffer
notices at once and not at its next probe."""


class Deadline:
    """Cuts the watched sockets ``seconds`` after it was entered.

    A context manager that raises ``TransportError`` (``timeout``) in the place of whatever failed,
    or came, after that.
    """

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self.expired = False

    def __enter__(self) -> Self:
        with starting_thread():
            self._timer.start()
        return self

    def __exit__(self, _kind: object, error: object, _trace: object) -> None:
        """Cuts look like any broken connection, so what fails after the end is ``timeout``."""
        self._timer.cancel()
        with self._lock:
            for held in self._watched:
                held.close()
            self._watched.clear()
        if error is None:
            self.remaining()
        elif self.expired and isinstance(error, TransportError):
            raise late() from None

    def remaining(self) -> float:
        """Seconds left, more than 0. Raises ``TransportError`` (``timeout``) when none are."""
        left = self._end - self._clock.monotonic()
        if left <= 0 or self.expired:
            raise late() from None
        return left

    def watch(self, sock: socket.socket) -> None:
        """From now on ``sock`` dies with the deadline.

        Holds a duplicate: TLS detaches the original socket from its descriptor, and shutting
        down a duplicate shuts down the connection.
        """
        held = socket.fromfd(sock.fileno(), sock.family, sock.type)
        with self._lock:
            self._watched.append(held)
            if self.expired:
                _shut(held)

    def _cut(self) -> None:
        with self._lock:
            self.expired = True
            for held in self._watched:
                _shut(held)


def late() -> TransportError:
    """Whoever noticed it: we, or a socket's own timeout."""
    return TransportError(
        "timeout", "No complete answer came in time; the next attempt comes by itself."
    )


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected any more: nothing left to cut
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.shutdown(socket.SHUT_RDWR)
