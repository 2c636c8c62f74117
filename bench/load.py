"""Load on a server, each kind in a process of its own so that measuring disturbs nobody.

    python -m bench.load steady PORT RATE SECONDS news|reports    # prints latencies as JSON
    python -m bench.load crowd PORT COUNT            # holds connections until its input ends

``steady`` is an open loop: requests go out at fixed times, each on a connection of its own, whether
or not earlier answers came, and a latency counts from the time at which the request was due.
"""

from __future__ import annotations

import errno
import gc
import itertools
import json
import os
import select
import socket
import sys
import time
from array import array
from dataclasses import dataclass, field

from mars.wire.sealed import SMALL
from tests.server.serving import kit

QUERY = "v=0.5.2&os=linux&ia=100"
GIVE_UP = 10.0
"""Seconds after the last request was due."""
TURN = 0.02
"""Seconds between two rounds of the crowd."""
DRIP = 100
"""Rounds between two bytes of one slow connection: two seconds."""
OPENING = 4
"""Connections that the crowd opens in one round, so 200 a second."""
START = b"GET /motd/motd.json HTTP/1.1\r\nX-Slow: "


@dataclass
class _Request:
    due: float
    sock: socket.socket
    sent: bool = False
    answer: bytearray = field(default_factory=bytearray)


class Steady:
    """``rate`` requests a second for ``seconds``, to 127.0.0.1:``port``."""

    def __init__(self, port: int, rate: float, seconds: float, reports: bool = False) -> None:
        self._address = ("127.0.0.1", port)
        self._rate = rate
        self._count = int(rate * seconds)
        self._request = kit.post(os.urandom(SMALL)) if reports else kit.golden(QUERY)
        self._epoll = select.epoll()
        self._open: dict[int, _Request] = {}
        self.latencies = array("d")
        """Seconds, of whole answers."""

    def run(self) -> None:
        begun = time.perf_counter() + 0.1
        sent, last = 0, begun + self._count / self._rate
        while sent < self._count or (self._open and time.perf_counter() < last + GIVE_UP):
            now = time.perf_counter()
            while sent < self._count and (due := begun + sent / self._rate) <= now:
                self._begin(due)
                sent += 1
            wait = max(0.0, due - now) if sent < self._count else TURN
            for descriptor, _events in self._epoll.poll(wait):
                self._go_on(self._open[descriptor])

    def _begin(self, due: float) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        code = sock.connect_ex(self._address)
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            return
        request = self._open[sock.fileno()] = _Request(due, sock)
        self._epoll.register(sock, select.EPOLLOUT)
        if code == 0:
            self._go_on(request)

    def _go_on(self, request: _Request) -> None:
        try:
            if not request.sent:
                request.sock.send(self._request)
                request.sent = True
                self._epoll.modify(request.sock, select.EPOLLIN)
                return
            data = request.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
            request.answer.clear()
        request.answer += data
        if not data:
            if kit.status(bytes(request.answer)) in (200, 204):
                self.latencies.append(time.perf_counter() - request.due)
            del self._open[request.sock.fileno()]
            request.sock.close()

    def report(self) -> dict[str, float]:
        """Quantiles in milliseconds; ``lost`` requests got no whole answer."""
        found = sorted(self.latencies)
        marks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1.0}
        at = {name: found[min(len(found) - 1, int(len(found) * q))] for name, q in marks.items()}
        lost = self._count - len(found)
        return {"answers": len(found), "lost": lost, **{n: 1e3 * v for n, v in at.items()}}


def crowd(port: int, count: int) -> None:
    """``count`` connections, of which every second sends nothing and the others a byte now and
    then. Those that the server ends are replaced. Says ``ready`` once all are open."""
    held: list[socket.socket | None] = [None] * count
    for turn in itertools.count():
        missing = [number for number, sock in enumerate(held) if sock is None]
        for number in missing[:OPENING]:
            held[number] = _connect(port, slow=number % 2 == 1)
        if turn and not missing:
            print("ready", flush=True)
        for number in range(turn % DRIP, count, DRIP):
            sock = held[number]
            if sock is not None and not _alive(sock, drip=number % 2 == 1):
                sock.close()
                held[number] = None
        if select.select([sys.stdin], [], [], TURN)[0]:
            return


def _connect(port: int, slow: bool) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setblocking(False)
    if slow:
        sock.send(START)
    return sock


def _alive(sock: socket.socket, drip: bool) -> bool:
    try:
        if drip:
            sock.send(b"x")
        return bool(sock.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    gc.disable()
    if arguments[0] == "crowd":
        crowd(int(arguments[1]), int(arguments[2]))
        return 0
    port, rate, seconds = int(arguments[1]), float(arguments[2]), float(arguments[3])
    steady = Steady(port, rate, seconds, reports=arguments[4] == "reports")
    steady.run()
    print(json.dumps(steady.report()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
