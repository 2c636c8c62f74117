"""Counters of the serving processes, and what Prometheus gets of them: no label, so none that a
client could choose.

Whoever scrapes every few seconds and keeps what he gets would have the time of each single answer,
which the access log takes care not to know. So what grows by clients moves once an hour at most,
and by tens.
"""

from __future__ import annotations

import contextlib
import mmap
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

EVERY = 3600.0
"""Seconds for which figures of clients stand still."""
STEP = 10
"""As in what is published: the units are nobody's business."""
_CONNECTIONS_STEP = 100
"""The number of open connections is told at once, for it tells of a flood; but in hundreds."""

_OF_CLIENTS = {
    "answers": ("mars_motd_answers", "MOTD answers that arrived whole and are counted"),
    "incomplete": ("mars_motd_incomplete", "MOTD answers that their client did not take whole"),
    "capped": ("mars_motd_capped", "MOTD answers beyond the cap of one Tor circuit"),
    "log_written": ("mars_log_lines_written", "Lines of the access log that were written"),
    "log_lost": ("mars_log_lines_lost", "Lines of the access log that the disk refused"),
    "reports_taken": ("mars_reports_taken", "Reports that the spool holds"),
    "reports_refused": (
        "mars_reports_refused",
        "Requests to the intake that held no report",
    ),
    "reports_capped": ("mars_reports_capped", "Reports beyond the cap of one Tor circuit"),
    "reports_lost": ("mars_reports_lost", "Reports that the disk refused"),
}
"""In tens (rounded down, losses up) and as they stood up to an hour ago."""
_LOSSES = ("log_lost", "reports_lost")
_EXACT = {
    "refused": ("mars_requests_refused", "Requests answered with a 4xx status"),
    "evicted": ("mars_connections_evicted", "Idle connections closed to make room"),
    "errors": ("mars_internal_errors", "Defects that were caught"),
    "reload_failed": ("mars_motd_reloads_refused", "New documents that were not taken over"),
}
_LEAST = {
    "serial": ("mars_motd_serial", "Serial of the document that is served"),
    "expires": ("mars_motd_expires_timestamp_seconds", "When that document expires"),
    "log_healthy": ("mars_log_healthy", "1 while every process can write its access log"),
    "spool_healthy": (
        "mars_spool_healthy",
        "1 while every process with a spool can write it",
    ),
}
"""The least of all processes."""
_MOST = {
    "unlisted": (
        "mars_motd_newest_version_unlisted",
        "1 while product.toml does not list the newest version that the document names",
    ),
    "companions": (
        "mars_motd_companions_refused",
        "Files beside the document that were not taken over with it",
    ),
}
"""The most of all processes."""
NAMES = (*_OF_CLIENTS, *_EXACT, *_LEAST, *_MOST, "connections", "heartbeat")
"""Slots of one process. Those of ``_LEAST``, ``_MOST`` and the last two are states, the others only
grow."""
_ROW = 8 * len(NAMES)
"""Bytes of one process's counters, an unsigned integer of 64 bits each."""
_PLACES = {name: place for place, name in enumerate(NAMES)}
Rows = Sequence[Mapping[str, int]]
_DISK = "Free share of the fullest disk that holds logs or spools, in hundredths"


def shared(processes: int) -> mmap.mmap:
    """Memory for ``processes`` rows that forked processes share."""
    return mmap.mmap(-1, _ROW * processes)


class Counters:
    """One row of the shared memory. Each row has one writer."""

    def __init__(self, memory: mmap.mmap, row: int) -> None:
        self._row = memoryview(memory)[row * _ROW : (row + 1) * _ROW].cast("Q")

    def add(self, name: str, times: int = 1) -> None:
        self._row[_PLACES[name]] += times

    def set(self, name: str, value: int) -> None:
        self._row[_PLACES[name]] = value

    def read(self) -> Mapping[str, int]:
        return dict(zip(NAMES, self._row, strict=True))


class Metrics(Collector):
    """Remembers what was shown of clients, and since when. ``now`` is a monotonic time, seconds."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._shown: dict[str, int] = {}
        self._rows: Rows = ()
        self._free: float | None = None

    def exposition(self, rows: Rows, now: float, free: float | None = None) -> bytes:
        """The text format, version 0.0.4, of the counters of each process, and of the ``free``
        share of the disk where that is known."""
        self._rows, self._free = rows, free
        if now - self._since >= EVERY:
            self._since = now
            self._shown = {name: self._total(name) // STEP * STEP for name in _OF_CLIENTS}
            self._shown |= {name: -(-self._total(name) // STEP) * STEP for name in _LOSSES}
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """For ``generate_latest``."""
        for name, (metric, text) in _OF_CLIENTS.items():
            coarse = f"{text}; in tens, as of up to an hour ago"
            yield CounterMetricFamily(metric, coarse, value=self._shown[name])
        for name, (metric, text) in _EXACT.items():
            yield CounterMetricFamily(metric, text, value=self._total(name))
        for name, (metric, text) in _LEAST.items():
            yield GaugeMetricFamily(metric, text, value=min(row[name] for row in self._rows))
        for name, (metric, text) in _MOST.items():
            yield GaugeMetricFamily(metric, text, value=max(row[name] for row in self._rows))
        if self._free is not None:
            yield GaugeMetricFamily("mars_disk_free_ratio", _DISK, value=self._free)
        open_ = self._total("connections") // _CONNECTIONS_STEP * _CONNECTIONS_STEP
        yield GaugeMetricFamily("mars_connections", "Open connections, in hundreds", value=open_)
        yield GaugeMetricFamily("mars_processes", "Serving processes", value=len(self._rows))

    def _total(self, name: str) -> int:
        return sum(row[name] for row in self._rows)


class Gauges(Collector):
    """Figures of one moment, as a file for node_exporter. Each family is a name, a help text, the
    name of its label (empty for none) and figures by that label's value."""

    def __init__(self, families: Iterable[tuple[str, str, str, Mapping[str, float]]]) -> None:
        self._families = list(families)

    def exposition(self) -> bytes:
        """The text format, version 0.0.4."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """For ``generate_latest``."""
        for name, text, label, figures in self._families:
            family = GaugeMetricFamily(name, text, labels=[label] if label else [])
            for value, figure in figures.items():
                family.add_metric([value] if label else [], figure)
            yield family


# --- The socket, answered at each look of the main loop; waits for nobody ---

_ASKERS = 8
"""Scrapers that are waited for at a time; for more the longest silent ones have to go."""
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"


class MetricsSocket:
    """Whoever may open the socket gets the metrics; the request itself is not looked at."""

    def __init__(self, sock: socket.socket, exposition: Callable[[], bytes]) -> None:
        """``sock`` listens, and does not block."""
        self._sock = sock
        self._exposition = exposition
        self._waiting: list[socket.socket] = []
        """Scrapers that have asked for nothing yet, the longest silent first."""

    def answer(self) -> None:
        """Answers whoever has asked; blocks for nobody."""
        with contextlib.suppress(OSError):
            for _ in range(_ASKERS):
                peer, _address = self._sock.accept()
                peer.setblocking(False)
                self._waiting.append(peer)
        silent = [peer for peer in self._waiting if not self._attend(peer)]
        self._waiting = silent[-_ASKERS:]
        for peer in silent[:-_ASKERS]:
            peer.close()

    def _attend(self, peer: socket.socket) -> bool:
        """False where it has asked for nothing yet."""
        try:
            if peer.recv(4096):
                body = self._exposition()
                head = _HEAD + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                peer.sendall(head + body)
        except BlockingIOError:
            return False
        except OSError:
            pass
        peer.close()
        return True
