"""Prometheus metrics of the server. No label, so none that a client could choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_COUNTERS = {
    "answers": ("mars_motd_answers", "MOTD answers that arrived whole and are counted"),
    "incomplete": ("mars_motd_incomplete", "MOTD answers that their client did not take whole"),
    "capped": ("mars_motd_capped", "MOTD answers beyond the cap of one Tor circuit"),
    "refused": ("mars_requests_refused", "Requests answered with a 4xx status"),
    "evicted": ("mars_connections_evicted", "Idle connections closed to make room"),
    "errors": ("mars_internal_errors", "Defects that were caught"),
    "log_written": ("mars_log_lines_written", "Lines of the access log that were written"),
    "log_lost": ("mars_log_lines_lost", "Lines of the access log that the disk refused"),
    "reload_failed": ("mars_motd_reloads_refused", "New documents that were not taken over"),
}


class _Rows:
    """A collector over the counters of all serving processes."""

    def __init__(self, rows: Sequence[Mapping[str, int]]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        rows = self._rows
        for name, (metric, text) in _COUNTERS.items():
            yield CounterMetricFamily(metric, text, value=sum(row[name] for row in rows))
        for metric, text, value in (
            ("mars_motd_serial", "Serial of the document that is served", "serial"),
            ("mars_motd_expires_timestamp_seconds", "When that document expires", "expires"),
        ):
            yield GaugeMetricFamily(metric, text, value=min(row[value] for row in rows))
        yield GaugeMetricFamily(
            "mars_connections", "Open connections", value=sum(row["connections"] for row in rows)
        )
        yield GaugeMetricFamily(
            "mars_log_healthy",
            "1 while every process can write its access log",
            value=min(row["log_healthy"] for row in rows),
        )
        yield GaugeMetricFamily("mars_processes", "Serving processes", value=len(rows))


def exposition(rows: Sequence[Mapping[str, int]]) -> bytes:
    """The text format, version 0.0.4, of the counters of each process."""
    registry = CollectorRegistry()
    registry.register(_Rows(rows))
    return generate_latest(registry)
