"""Each fault is caused, and seen in ``status``, in a metric and in an alert of deploy/prometheus.

What status and a real server say of the fault is given to promtool as two hours of samples.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mars.testing.publisher import Publisher
from mars.wire.catalogue import digest
from mars.wire.times import DAY
from mars_server.common.config import Config, OnionConfig
from mars_server.onion.control import connected
from mars_server.onion.folder import hostname
from mars_server.operate import monitors
from mars_server.operate.figures import FIGURES, LOOKED, STATE
from mars_server.operate.status import examine
from testbed.tornet import TorNetwork
from tests.server.cli.test_ops import run
from tests.server.daylog.test_faults import filled, needs_root, small_disk
from tests.server.operate.test_monitors import samples_of, settings
from tests.server.operate.watched import NOW, PUBLISHER, database, watched
from tests.server.serving import kit, onions

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "mars-alerts.yml"
ALERTS = dict(re.findall(r"- alert: (\w+)\n +expr: (.*)", RULES.read_text()))
DASHBOARD = json.loads((DEPLOY / "grafana" / "mars.json").read_text())
END = 7200
"""Seconds since the beginning of promtool's samples at which the alerts are asked for."""
ADDRESS = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
Samples = Mapping[str, float | str]
"""By series; a text is promtool's own notation of many."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A server that is well, and so are its counts."""
    folder = tmp_path_factory.mktemp("s")
    with watched(folder, "--metrics", f"{folder}/m") as config:
        well = database(folder / "well.db")
        yield replace(config, db=well, metrics=f"{folder}/m")


def scraped(place: str) -> dict[str, float]:
    """What Prometheus gets of the server itself, with what it adds."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(place)
        sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        return samples_of(kit.body(kit.read_all(sock)).decode())


def firing(samples: Samples, alerts: Mapping[str, str], folder: Path, now: int = NOW) -> None:
    """Fails unless each alert fires; ``alerts`` maps names to their label ``check``, and an empty
    mapping means that none fires at all."""
    series = {name: _lasting(name, value, now) for name, value in samples.items()}
    asked = [
        (f'count(ALERTS{{alertname="{name}",check="{check}",alertstate="firing"}})', 1)
        for name, check in alerts.items()
    ]
    asked += [] if asked else [('count(ALERTS{alertstate="firing"})', 0)]
    wanted = {
        "rule_files": [str(RULES)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": v} for name, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": f"{END}s",
                        "exp_samples": [{"labels": "{}", "value": n}] * n,
                    }
                    for expression, n in asked
                ],
            }
        ],
    }
    (folder / "rules.json").write_text(json.dumps(wanted))
    done = promtool("test", "rules", str(folder / "rules.json"))
    assert done.returncode == 0, done.stdout + done.stderr


def _lasting(name: str, value: float | str, now: int) -> str:
    """As many samples as it takes; promtool's clock shows ``END`` where ours shows ``now``."""
    if isinstance(value, str):
        return value
    return f"{value - now + END if '_timestamp_' in name else value:f}+0x{END // 60 + 10}"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert shutil.which("promtool"), "install prometheus"
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)


# --- The faults ---

Caused = tuple[Config, int]
"""The settings as the fault leaves them, and when it is looked at."""


@contextmanager
def expired(config: Config, _folder: Path) -> Iterator[Caused]:
    yield config, NOW + 50 * DAY


@contextmanager
def expiring(config: Config, _folder: Path) -> Iterator[Caused]:
    yield config, NOW + 40 * DAY


@contextmanager
def counted_twelve_days_ago(config: Config, folder: Path) -> Iterator[Caused]:
    yield replace(config, db=database(folder / "counts.db", counted=NOW - 12 * DAY)), NOW


@contextmanager
def published_late(config: Config, folder: Path) -> Iterator[Caused]:
    yield replace(config, db=database(folder / "counts.db", published=NOW - 12 * DAY)), NOW


@contextmanager
def never_proved(config: Config, folder: Path) -> Iterator[Caused]:
    yield replace(config, db=database(folder / "counts.db", proved=NOW - 12 * DAY)), NOW


@contextmanager
def a_strange_file_among_the_logs(config: Config, folder: Path) -> Iterator[Caused]:
    log = folder / "log"
    log.mkdir(mode=0o700)
    (log / "visitors.txt").write_text("192.0.2.1\n")
    broken = replace(config, log=str(log), db=database(folder / "counts.db"))
    assert run("doctor", "--config", str(settings(folder, broken))).returncode == 1
    yield broken, NOW


@contextmanager
def a_damaged_database(config: Config, folder: Path) -> Iterator[Caused]:
    (folder / "counts.db").write_bytes(b"no database" * 100)
    yield replace(config, db=f"sqlite:///{folder}/counts.db"), NOW


@contextmanager
def a_disk_that_is_full(config: Config, folder: Path) -> Iterator[Caused]:
    with small_disk(folder / "disk") as disk, filled(disk):
        yield replace(config, log=str(disk)), NOW
        (disk / "access-filler.part").unlink()


@contextmanager
def a_disk_that_is_nearly_full(config: Config, folder: Path) -> Iterator[Caused]:
    with small_disk(folder / "disk", "1000k") as disk:
        (disk / "access-filler.part").write_bytes(b"x" * 940_000)
        yield replace(config, log=str(disk)), NOW


@contextmanager
def an_onion_that_cannot_be_fetched(config: Config, _folder: Path) -> Iterator[Caused]:
    yield replace(config, hosts=(ADDRESS,), socks="127.0.0.1:1"), NOW


@contextmanager
def an_address_that_is_closed_to_the_server(config: Config, folder: Path) -> Iterator[Caused]:
    onion = OnionConfig(folder=str(folder / "onion"), control=f"unix:{folder}/control")
    yield replace(config, onion=onion, socks="127.0.0.1:1"), NOW


@contextmanager
def a_newest_version_that_the_product_lacks(config: Config, folder: Path) -> Iterator[Caused]:
    (folder / "motd.json").write_bytes(PUBLISHER.document(NOW - 5, newest_version="9.9.9"))
    yield replace(config, motd=str(folder / "motd.json")), NOW


@contextmanager
def a_registry_that_is_missing(config: Config, folder: Path) -> Iterator[Caused]:
    publisher = Publisher()
    publisher.steer(registry=digest(b"{}"), issued=NOW - 10)
    (folder / "motd.json").write_bytes(publisher.document(NOW - 5))
    (folder / "trust.json").write_bytes(publisher.trust().encode())
    motd, trust = str(folder / "motd.json"), str(folder / "trust.json")
    yield replace(config, motd=motd, trust=trust), NOW


@contextmanager
def nobody_answers(config: Config, folder: Path) -> Iterator[Caused]:
    yield replace(config, bind=f"unix:{folder}/s"), NOW


@contextmanager
def nobody_writes_a_log(config: Config, folder: Path) -> Iterator[Caused]:
    (folder / "log").mkdir(mode=0o700)
    yield replace(config, log=str(folder / "log")), NOW


@contextmanager
def a_log_lacks_lines(config: Config, folder: Path) -> Iterator[Caused]:
    (folder / "log").mkdir(mode=0o700)
    (folder / "log" / f"access-2026-11-20-{'a' * 32}-lost2.part").write_bytes(b"line\n")
    yield replace(config, log=str(folder / "log")), NOW


@contextmanager
def nobody_takes_reports(config: Config, folder: Path) -> Iterator[Caused]:
    (folder / "spool").mkdir(mode=0o700)
    yield replace(config, spool=str(folder / "spool")), NOW


FAILED, WARNS = "MarsCheckFailed", "MarsCheckWarns"
Cause = Callable[[Config, Path], AbstractContextManager[Caused]]
FAULTS: list[tuple[Cause, str, str, str, tuple[str, ...]]] = [
    (expired, "motd", "fail", "expired", (FAILED, "MarsDocumentExpired")),
    (expiring, "motd", "warn", "expires in 4 days", (WARNS, "MarsDocumentExpires")),
    (
        a_newest_version_that_the_product_lacks,
        *("motd", "warn", "calls 9.9.9 the newest", (WARNS, "MarsNewestVersionUnlisted")),
    ),
    (
        a_registry_that_is_missing,
        *("motd", "warn", "[registry-missing]", (WARNS, "MarsCompanionRefused")),
    ),
    (nobody_answers, "server", "fail", "nobody answers", (FAILED,)),
    (an_address_that_is_closed_to_the_server, "tor", "fail", "control", (FAILED,)),
    (an_address_that_is_closed_to_the_server, "onion", "fail", "404", (FAILED,)),
    (an_onion_that_cannot_be_fetched, "onion", "fail", "127.0.0.1:1", (FAILED,)),
    (nobody_writes_a_log, "log", "fail", "no server is writing", (FAILED,)),
    (a_log_lacks_lines, "log", "fail", "no server is writing", (FAILED, "MarsLogIncomplete")),
    (nobody_takes_reports, "spool", "fail", "no server is writing", (FAILED,)),
    (
        counted_twelve_days_ago,
        *("count", "warn", "last counted 12 days ago", (WARNS, "MarsCountStopped")),
    ),
    (a_damaged_database, "count", "fail", "database", (FAILED,)),
    (a_damaged_database, "publication", "fail", "database", (FAILED,)),
    (
        published_late,
        *("publication", "warn", "published 12 days ago", (WARNS, "MarsPublicationLate")),
    ),
    (never_proved, "doctor", "warn", "12 days ago", (WARNS, "MarsDoctorLate")),
    (
        a_strange_file_among_the_logs,
        *("doctor", "fail", "says which", (FAILED, "MarsPromiseBroken")),
    ),
    (a_disk_that_is_full, "disk", "fail", "0 % free", (FAILED, "MarsDiskFull")),
    (a_disk_that_is_nearly_full, "disk", "warn", "% free", (WARNS, "MarsDiskLow")),
]


@needs_root  # for two small disks
@pytest.mark.parametrize(
    ("cause", "check", "state", "said", "alerts"),
    FAULTS,
    ids=[f"{cause.__name__}-{check}" for cause, check, *_ in FAULTS],
)
def test_a_fault_is_seen_in_status_in_a_metric_and_in_an_alert(
    served: Config,
    tmp_path: Path,
    cause: Cause,
    check: str,
    state: str,
    said: str,
    alerts: tuple[str, ...],
) -> None:
    with cause(served, tmp_path) as (config, now):
        checks = examine(config, now)
    found = checks[check]
    assert (found.state, said in found.text) == (state, True), found
    samples = samples_of(monitors.metrics(checks, now).decode())
    assert samples[f'mars_check_state{{check="{check}"}}'] == {"warn": 1, "fail": 2}[state]
    firing(scraped(served.metrics) | samples, dict.fromkeys(alerts, check), tmp_path, now)


def test_an_onion_that_no_client_is_told_of_and_one_that_is_gone(
    tornet: TorNetwork, tmp_path: Path
) -> None:
    onion = OnionConfig(folder=str(tmp_path / "onion"), control=onions.control(tornet))
    options = ("--onion", onion.folder, "--control", onion.control)
    with connected(onion.control) as tor:
        before = tor.services()

    def seen(alerts: Mapping[str, str]) -> tuple[str, float | None]:
        checks = examine(config, NOW)
        samples = samples_of(monitors.metrics(checks, NOW).decode())
        firing(samples, alerts, tmp_path)
        assert samples['mars_check_state{check="tor"}'] == 0
        return checks["onion"].state, samples.get("mars_onion_listed")

    try:
        with (
            tornet.publications() as published,
            kit.served(*options, unix=True, folder=tmp_path) as server,
        ):
            server.wait_for("onion service http://")
            name = str(hostname(onion.folder))
            published(name)
            config = Config(
                bind=f"unix:{server.path}", motd=str(tmp_path / "motd.json"), log=str(server.logs),
                product=str(tmp_path / "product.toml"), onion=onion, socks=tornet.socks,
            )  # fmt: skip
            assert seen({"MarsOnionUnlisted": "onion"}) == ("warn", 0)
            (tmp_path / "product.toml").write_text(f'servers = ["http://{name}"]\n{kit.PRODUCT}')
            assert seen({"MarsCheckWarns": "motd"}) == ("ok", 1)  # of no trust file
            assert server.stop() == 0
            assert seen({"MarsCheckFailed": "onion"}) == ("fail", None)
    finally:
        with connected(onion.control) as tor:
            tor.configure(before)


def test_of_a_server_that_is_well_no_alert_fires(served: Config, tmp_path: Path) -> None:
    checks = {name: one for name, one in examine(served, NOW).items() if name != "disk"}
    samples = samples_of(monitors.metrics(checks, NOW).decode())
    own = {name: n for name, n in scraped(served.metrics).items() if "disk" not in name}
    firing(own | samples, {}, tmp_path)


GREW, STOOD = f"0+0x{END // 60 - 10} 1+0x20", f"1+0x{END // 60 + 10}"
BY_FIGURES: dict[str, tuple[str, float | str, float | str]] = {
    "MarsServerGone": ('up{job="mars"}', 1, 0),
    "MarsStatusSilent": ("mars_status_timestamp_seconds", NOW, NOW - 3600),
    "MarsTorNotBootstrapped": ("mars_tor_bootstrapped", 1, 0),
    "MarsOnionUnlisted": ("mars_onion_listed", 1, 0),
    "MarsLogUnwritten": ("mars_log_healthy", 1, 0),
    "MarsSpoolUnwritten": ("mars_spool_healthy", 1, 0),
    "MarsSpoolIncomplete": ("mars_spools_incomplete", 0, 1),
    "MarsDefect": ("mars_internal_errors_total", STOOD, GREW),
    "MarsDocumentRefused": ("mars_motd_reloads_refused_total", STOOD, GREW),
}
"""Metrics that other tests cause, with a figure that is well and one that is not."""


@pytest.mark.parametrize("alert", BY_FIGURES)
def test_an_alert_fires_by_its_figure_and_only_then(alert: str, tmp_path: Path) -> None:
    metric, well, ill = BY_FIGURES[alert]
    looked: dict[str, float | str] = {LOOKED[0]: NOW}
    (check,) = re.findall(rf"alert: {alert}\n(?:.*\n)*? +check: (\w+)", RULES.read_text())
    firing(looked | {metric: well}, {}, tmp_path)
    firing(looked | {metric: ill}, {alert: check}, tmp_path)


def test_every_check_has_a_metric_and_every_alert_a_trial(served: Config) -> None:
    checks = examine(served, NOW)
    assert {check for _, check, *_ in FAULTS} == set(checks)
    tried = {alert for *_, alerts in FAULTS for alert in alerts}
    assert tried | set(BY_FIGURES) == set(ALERTS)
    short = {name.removeprefix("mars_").split("_")[0].removesuffix("s") for name in FIGURES}
    assert {"motd", "server", "tor", "onion", "log", "spool", "disk"} <= short
    assert {"mars_last_count_timestamp_seconds", "mars_last_publish_timestamp_seconds"} <= set(
        FIGURES
    )


def test_alerts_and_dashboard_name_metrics_that_exist(served: Config) -> None:
    known = {*FIGURES, STATE[0], LOOKED[0], *scraped(served.metrics)}
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    for expression in (*ALERTS.values(), *queries):
        named = set(re.findall(r"\bmars_\w+", expression))
        assert named <= known, expression
        assert named or "up{" in expression


def test_promtool_takes_the_files_and_every_query_of_the_dashboard(tmp_path: Path) -> None:
    done = promtool("check", "config", str(DEPLOY / "prometheus" / "prometheus.yml"))
    assert (done.returncode, "SUCCESS" in done.stdout) == (0, True), done.stderr
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = [{"record": f"q:{number}", "expr": one} for number, one in enumerate(queries)]
    (tmp_path / "rules.json").write_text(json.dumps({"groups": [{"name": "q", "rules": rules}]}))
    done = promtool("check", "rules", str(tmp_path / "rules.json"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_has_the_form_that_grafana_loads() -> None:
    """Its JSON model (grafana.com/docs, "Dashboard JSON model")."""
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= set(DASHBOARD)
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert {"type", "title", "gridPos", "datasource", "targets"} <= set(panel)
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells, "no panel lies upon another"
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
    assert [one["type"] for one in DASHBOARD["templating"]["list"]] == ["datasource"]
