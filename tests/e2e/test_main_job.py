"""The main job from end to end on a real Tor network, by the commands alone.

Keys, a signed document, an onion service, fetches through three hops, the log, the counts, the
published figures: what one command writes, the next one reads.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mars import factory
from mars.wire.times import format_time
from testbed.tornet import TorNetwork
from testbed.tornet.process import wait_until

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = Path(sys.executable).parent
PRODUCT = "examplemail"
FETCHES = (
    ("plain", "0.5.2", ""),
    ("plain", "0.4.0", ""),
    ("tracked", "0.5.2", "v=0.5.2&os=linux&ia=1"),
    ("tracked", "0.5.2+local", "v=dev&os=linux&ia=1"),
)
"""Level, version, and the query that must stand in the request."""


@dataclass(frozen=True)
class Job:
    """What the chain leaves behind, for the tests to look at."""

    folder: Path
    answers: list[dict[str, Any]]
    tampered: subprocess.CompletedProcess[str]
    server_said: str
    server_exit: int
    counted: dict[str, Any]
    published: subprocess.CompletedProcess[str]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMANDS / words[0]), *words[1:]],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )


def ok(folder: Path, *words: str) -> str:
    done = run(folder, *words)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def fetch(folder: Path, url: str, net: TorNetwork, state: str, *more: str) -> Any:
    words = ["mars", "fetch", "--url", url, "--trust", "trust.json", "--socks", net.socks]
    return run(folder, *words, "--state", state, "--product", PRODUCT, "--json", *more)


def publisher(folder: Path) -> None:
    """``init``, ``key new`` and ``sign`` one after the other, then with releases named."""
    ok(folder, "mars-motd", "init", "product", "--product", PRODUCT)
    ok(folder, "mars-motd", "key", "new", "product", "--no-passphrase")
    ok(folder, "mars-motd", "sign", "product", "--out", "empty.json")
    path = folder / "product" / "product.toml"
    text = re.sub(r"(?m)^releases = .*$", 'releases = ["0.4.0", "0.5.2"]', path.read_text("utf-8"))
    path.write_text(re.sub(r"(?m)^languages = .*$", 'languages = ["en"]', text), "utf-8")
    ok(folder, "mars-motd", "sign", "product", "--out", "motd.json")
    built = format_time(factory.system_clock().now())
    ok(folder, "mars-motd", "trust", "product", "--out", "trust.json", "--built", built)
    pinned = folder / "trust.json"
    pinned.write_text(json.dumps(json.loads(pinned.read_bytes()) | {"crowd": 1000}), "utf-8")


@pytest.fixture(scope="module")
def job(tornet: TorNetwork, tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    publisher(folder)
    onion_folder = folder / "onion"
    command = [str(COMMANDS / "mars-server"), "serve", "--bind", "unix:s.sock"]
    command += ["--motd", "motd.json", "--trust", "trust.json", "--log", "logs"]
    command += ["--product", "product/product.toml", "--onion", str(onion_folder)]
    command += ["--control", str(tornet.service.control_socket)]
    with (folder / "server.txt").open("wb") as said, tornet.publications() as published:
        server = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said)
        try:
            name = onion_folder / "hostname"
            wait_until(lambda: name.exists() or server.poll() is not None, 30.0, "no onion")
            assert server.poll() is None, (folder / "server.txt").read_text()
            host = name.read_text("ascii").strip()
            published(host)
            url = f"http://{host}/motd/motd.json"
            answers = []
            for number, (level, version, _) in enumerate(FETCHES):
                more = ("--app-version", version, "--level", level)
                done = fetch(folder, url, tornet, f"state{number}", *more)
                assert done.returncode == 0, (done.stdout, done.stderr)
                answers.append(json.loads(done.stdout))
            tampered = _swap_document(folder, server, url, tornet)
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(60)
    product = ("--product", "product/product.toml")
    counted = json.loads(
        ok(folder, "mars-server", "count", "logs", *product, "--dry-run", "--json")
    )
    ok(folder, "mars-server", "count", "logs", *product, "--db", "sqlite:///counts.db")
    later = (datetime.now(UTC) + timedelta(days=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    site = ("--db", "sqlite:///counts.db", "--out", "site", *product, "--now", later)
    done = run(folder, "mars-server", "publish", *site)
    said_text = (folder / "server.txt").read_text("utf-8")
    # The folder stays: tor still knows the onion service, and ends itself when its key is gone.
    return Job(folder, answers, tampered, said_text, code, counted, done)


def _swap_document(
    folder: Path, server: subprocess.Popen[bytes], url: str, net: TorNetwork
) -> subprocess.CompletedProcess[str]:
    """Puts a changed document in the place of the good one while the server runs, and fetches."""
    good = (folder / "motd.json").read_bytes()
    changed = json.loads(good)
    changed["signatures"] = changed["signatures"][:1]
    (folder / "changed.json").write_text(json.dumps(changed), "ascii")
    (folder / "changed.json").replace(folder / "motd.json")
    server.send_signal(signal.SIGHUP)
    wait_until(
        lambda: "stays as it is" in (folder / "server.txt").read_text("utf-8"),
        15.0,
        "no word on it",
    )
    more = ("--app-version", "0.5.2", "--level", "plain")
    done: subprocess.CompletedProcess[str] = fetch(folder, url, net, "state0", *more)
    return done


def test_every_installation_accepts_the_news_over_its_own_route(job: Job) -> None:
    for answer, (level, _, query) in zip(job.answers, FETCHES, strict=True):
        assert answer["ok"] is True
        assert answer["level"] == level
        assert answer["url"].partition("?")[2] == query
        assert answer["newest_version"] == "0.5.2"


def test_a_changed_document_never_replaces_a_good_one_in_the_server(job: Job) -> None:
    answer = json.loads(job.tampered.stdout)
    assert job.tampered.returncode == 0, "the server keeps the good document in memory"
    assert answer["ok"] is True
    assert "the MOTD stays as it is" in job.server_said


def test_the_server_names_the_line_that_the_publisher_needs(job: Job) -> None:
    """Its product.toml names no server, so no client would come by itself."""
    name = (job.folder / "onion" / "hostname").read_text("ascii").strip()
    assert f'servers = ["http://{name}"]' in job.server_said


def test_sigterm_ends_the_server_with_its_log_complete(job: Job) -> None:
    assert job.server_exit == 0, job.server_said
    assert not list((job.folder / "logs").glob("*.part"))
    total = 0
    for log in (job.folder / "logs").glob("access-*.log"):  # two of them around midnight
        first, *lines = log.read_text("ascii").splitlines()
        assert re.fullmatch(r"# mars access log v1 id=[0-9a-f]{32}", first)
        assert lines == sorted(lines)
        total += len(lines)
    assert total == len(FETCHES) + 1


def test_no_file_of_the_server_holds_an_address_a_user_agent_or_a_time_of_day(job: Job) -> None:
    forbidden = re.compile(rb"127\.0\.0\.1|mars/1|\b(?!00:00:00)[0-2]\d:[0-5]\d:[0-5]\d\b|\.onion")
    files = [*(job.folder / "logs").iterdir(), job.folder / "counts.db"]
    assert len(files) >= 2
    for file in files:
        found = forbidden.search(file.read_bytes())
        assert found is None, (file.name, found)


def test_the_counts_are_the_fetches(job: Job) -> None:
    total = len(FETCHES) + 1  # and the one while the changed document lay there
    assert job.counted["hits"] == total
    assert job.counted["lines"] == job.counted["hits"] + job.counted["rejected"]
    days = list(job.counted["days"].values())
    plain = sum(day["level"].get("plain", 0) for day in days)
    assert plain == 3
    assert sum(day["v"].get("0.5.2", 0) for day in days) == 1
    assert sum(day["v"].get("dev", 0) for day in days) == 1
    assert sum(day["ia"].get("1", 0) for day in days) == 2


def test_five_fetches_are_published_as_fewer_than_ten(job: Job) -> None:
    assert job.published.returncode == 0, job.published.stderr
    weeks = sorted((job.folder / "site" / "data").glob("**/[0-9]*-W*.json"))
    assert weeks
    week = json.loads(weeks[0].read_bytes())
    assert week["hits"] == "<10"
    assert (job.folder / "site" / "index.html").read_text("utf-8").count("<script") == 0


@pytest.mark.tor
@pytest.mark.timeout(600)
def test_the_demo_holds_its_own_checks() -> None:
    """``make demo ONCE=1`` without make; it brings up a Tor network of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--once"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"all \d\d checks held", done.stdout)
