"""The metrics socket: what an operator needs, and nothing that tells when an answer went out."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path

from mars_server.serving import prometheus
from mars_server.serving.prometheus import EVERY, Metrics
from tests.server.serving import kit


def test_metrics_have_no_label_and_no_single_answer_can_be_timed(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with kit.served("--metrics", str(path), unix=True, folder=tmp_path) as server:
        server.ask(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        for query in ("v=0.5.2", "v=evil", "cc=IS"):
            for _ in range(5):
                server.get(query)
        server.settled(15)
        text = _scrape(path)
        assert "mars_motd_answers_total 10.0" in text
        assert "mars_requests_refused_total 1.0" in text
        assert "mars_log_healthy 1.0" in text
        assert "{" not in text
        assert "evil" not in text
        for _ in range(15):
            server.get()
        server.settled(30)
        time.sleep(1.2)  # a round of housekeeping
        with server.connect():
            assert _scrape(path) == text, "an hour long nothing moves that a client moves"


def test_metrics_of_clients_come_in_tens_once_an_hour() -> None:
    metrics, row = Metrics(), dict.fromkeys(prometheus.NAMES, 0)

    def shown(now: float, **values: int) -> list[str]:
        text = metrics.exposition([row | values, row], now).decode()
        return [line for line in text.splitlines() if line.startswith("mars_") and "0.0" in line]

    assert "mars_motd_answers_total 10.0" in shown(0.0, answers=19)
    assert "mars_motd_answers_total 10.0" in shown(EVERY - 1, answers=1900, log_lost=1)
    later = shown(EVERY, answers=1999, incomplete=9, log_lost=1, connections=199)
    assert "mars_motd_answers_total 1990.0" in later
    assert "mars_motd_incomplete_total 0.0" in later
    assert "mars_log_lines_lost_total 10.0" in later, "a loss is never shown as none"
    assert "mars_connections 100.0" in later


def test_scrapers_that_say_nothing_hold_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "m"
    with (
        kit.served("--metrics", str(path), unix=True, folder=tmp_path) as server,
        ExitStack() as all_,
    ):
        for _ in range(20):
            all_.enter_context(kit.connect_unix(str(path)))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            assert kit.status(server.get()) == 200
        assert "mars_log_healthy 1.0" in _scrape(path, patience=30)


def _scrape(path: Path, patience: float = 10.0) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(patience)
        sock.connect(str(path))
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        return kit.body(kit.read_all(sock)).decode()
