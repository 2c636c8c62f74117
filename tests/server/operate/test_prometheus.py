"""Debian's Prometheus watches a real server and its textfile, and an alert fires when counting
stops."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from mars.wire.times import DAY
from mars_server.common.config import Config
from tests.server.cli.test_ops import run
from tests.server.operate.test_alerts import DEPLOY
from tests.server.operate.test_monitors import settings
from tests.server.operate.watched import NOW, PUBLISHER, database
from tests.server.serving import kit
from tests.waiting import until


class Files(http.server.SimpleHTTPRequestHandler):
    """In node_exporter's place: passes a textfile on."""

    extensions_map = {".prom": "text/plain; version=0.0.4"}  # noqa: RUF012 - of the class above

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def files(folder: Path) -> Iterator[int]:
    """The port on which the files of ``folder`` are served."""
    handler = partial(Files, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def prometheus(folder: Path, server: int, node: int) -> Iterator[str]:
    """URL of one with the configuration of deploy/, in seconds instead of minutes."""
    assert shutil.which("prometheus"), "install prometheus"
    deployed = DEPLOY / "prometheus"
    text = (deployed / "prometheus.yml").read_text().replace(": 1m", ": 2s")
    text = text.replace("127.0.0.1:9464", f"127.0.0.1:{server}")
    text = text.replace("127.0.0.1:9100", f"127.0.0.1:{node}")
    text = text.replace("job_name: node\n", "job_name: node\n    metrics_path: /mars.prom\n")
    (folder / "prometheus.yml").write_text(text)
    rules = re.sub(r"for: \w+", "for: 2s", (deployed / "mars-alerts.yml").read_text())
    (folder / "mars-alerts.yml").write_text(rules)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
    command = [
        *("prometheus", f"--config.file={folder}/prometheus.yml"),
        *(f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={place}"),
    ]
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        yield f"http://{place}"
    finally:
        process.terminate()
        process.wait(30)


def asked(url: str, path: str) -> Any:
    """None while nobody answers."""
    try:
        with urlopen(f"{url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def value(url: str, query: str) -> float | None:
    found = asked(url, f"query?query={quote(query)}")
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def firing(url: str) -> set[str]:
    alerts = (asked(url, "alerts") or {"alerts": []})["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


def test_an_alert_fires_when_counting_stops(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(PUBLISHER.trust().encode())
    options = ("--metrics", "127.0.0.1:0", "--trust", str(tmp_path / "trust.json"))
    document = PUBLISHER.document(NOW - 10)
    out = tmp_path / "out"
    out.mkdir()
    with kit.served(*options, unix=True, folder=tmp_path, motd_file=document) as server:
        config = Config(
            bind=f"unix:{server.path}", motd=str(tmp_path / "motd.json"), log=str(server.logs),
            product=str(tmp_path / "product.toml"), trust=str(tmp_path / "trust.json"),
        )  # fmt: skip
        looked(replace(config, db=database(tmp_path / "well.db")), out)
        port = int(re.findall(r"metrics on 127\.0\.0\.1:(\d+)", server.stderr)[0])
        with files(out) as node, prometheus(tmp_path, port, node) as url:
            until(lambda: value(url, "min(up)") == 1)
            until(lambda: value(url, 'mars_check_state{check="count"}') == 0)
            until(lambda: value(url, "mars_log_healthy") == 1)
            assert "MarsCountStopped" not in firing(url)
            assert "MarsServerGone" not in firing(url)
            stopped = database(tmp_path / "stopped.db", counted=NOW - 12 * DAY)
            looked(replace(config, db=stopped), out)
            until(lambda: {"MarsCountStopped", "MarsCheckWarns"} <= firing(url))
            assert server.stop() == 0
            until(lambda: "MarsServerGone" in firing(url))


def looked(config: Config, out: Path) -> None:
    """As mars-status.service does."""
    file = settings(out.parent, config)
    done = run("status", "--config", str(file), "--textfile", str(out / "mars.prom"))
    assert done.returncode == 0, done.stderr
