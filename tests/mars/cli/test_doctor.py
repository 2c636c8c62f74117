"""The steps of ``mars doctor``, each failing in turn, and the command around them."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mars import factory
from mars.cli.doctor import STEPS, Step, Walk
from mars.errors import TransportError, TrustError
from mars.ports import Tor, TorSettings, TorStatus
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.catalogue import digest
from tests.mars.channels.registries import A, B, registry

ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
URL = f"http://{ONION}/any/path"
READY = TorStatus("0.4.9.11", 100, "Done", 3)


class KnownTor:
    """A tor with a status to be told, before a recording proxy."""

    how = "given"

    def __init__(self, socks: str, status: TorStatus | None = READY) -> None:
        self.socks = socks
        self.told = status
        self.closed = False

    def status(self) -> TorStatus:
        if self.told is None:
            raise TransportError("control-unavailable", "No control port.")
        return self.told

    def close(self) -> None:
        self.closed = True


def genuine(body: bytes) -> datetime:
    if body != b"news":
        raise TrustError("signature-threshold", "Not signed.")
    return datetime(2026, 11, 21, tzinfo=UTC)


def examine(tor: Tor, url: str | None = URL, *, pinned: bool = True) -> dict[str, Step]:
    verify = genuine if pinned else None
    walk = Walk(TorSettings(), url, 5.0, verify, lambda settings: tor)
    found = list(walk.steps())
    assert [step.name for step in found] == list(STEPS)
    return {step.name: step for step in found}


def states(found: dict[str, Step]) -> list[bool | None]:
    return [step.ok for step in found.values()]


def test_all_is_well() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        tor = KnownTor(proxy.address)
        found = examine(tor)
    assert states(found) == [True] * 6
    assert all(step.seconds is not None for step in found.values())
    assert tor.closed
    assert [visit.request[:4] for visit in proxy.visits] == [b"", b"GET "]
    assert proxy.visits[0].user != proxy.visits[1].user


def test_any_onion_does_without_anything_pinned() -> None:
    with SocksServer(answering(b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno")) as proxy:
        found = examine(KnownTor(proxy.address), pinned=False)
    assert states(found) == [True, True, True, True, None, True]
    assert "404" in found["onion"].detail


def test_without_a_server_only_tor_is_looked_at() -> None:
    with SocksServer(answering(b"")) as proxy:
        found = examine(KnownTor(proxy.address), None)
    assert states(found) == [True, True, None, None, None, True]
    assert proxy.visits == []


def test_without_a_control_port_the_next_steps_tell() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        found = examine(KnownTor(proxy.address, None))
    assert states(found) == [True, None, True, True, True, True]
    assert found["bootstrapped"].reason == "control-unavailable"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (TorStatus("0.4.9.11", 50, "Loading relay descriptors", 0), "tor-bootstrap"),
        (TorStatus("0.4.9.11", 10, "Handshaking", 0, clock_skew=-86400), "clock"),
    ],
)
def test_a_tor_that_is_not_connected_is_named(status: TorStatus, reason: str) -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        found = examine(KnownTor(proxy.address, status))
    assert states(found) == [True, False, None, None, None, None]
    assert found["bootstrapped"].reason == reason


def test_an_onion_that_is_not_there_fails_at_the_circuit() -> None:
    with SocksServer(answering(b""), code=4) as proxy:
        found = examine(KnownTor(proxy.address))
    assert states(found) == [True, True, False, None, None, None]
    assert found["circuit"].reason == "onion-not-found"


def test_a_server_that_speaks_no_http_fails_at_the_onion() -> None:
    with SocksServer(answering(b"SSH-2.0-OpenSSH\r\n")) as proxy:
        found = examine(KnownTor(proxy.address))
    assert states(found) == [True, True, True, False, None, None]
    assert found["onion"].reason == "bad-answer"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ok(b"forged"), "signature-threshold"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "http-status"),
    ],
)
def test_a_document_that_is_not_genuine_fails_there(answer: bytes, reason: str) -> None:
    with SocksServer(answering(answer)) as proxy:
        found = examine(KnownTor(proxy.address))
    assert states(found) == [True, True, True, True, False, None]
    assert found["signature"].reason == reason


# The command


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mars.cli import main; main()", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=env,
        stdin=subprocess.DEVNULL,
    )


def test_the_command_prints_a_line_a_step() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        done = run("--socks", proxy.address, "--url", URL)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["tor", "ok"],
        ["bootstrapped", "-"],
        ["circuit", "ok"],
        ["onion", "ok"],
        ["signature", "-"],
        ["clock", "ok"],
    ]
    assert done.stderr == ""


def test_the_command_says_which_step_failed() -> None:
    done = run("--socks", "127.0.0.1:1", "--url", URL)
    assert done.returncode == 1
    assert "[tor-unavailable]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_as_json() -> None:
    with SocksServer(answering(b""), code=4) as proxy:
        done = run("--socks", proxy.address, "--url", URL, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["ok"], report["url"]) == (False, URL)
    assert [step["step"] for step in report["steps"]] == list(STEPS)
    assert report["steps"][2]["reason"] == "onion-not-found"
    assert report["steps"][2]["seconds"] > 0


def test_an_administrator_s_off_holds_here_too() -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        done = run("--socks", proxy.address, "--url", URL, "--json", env={"MARS_LEVEL": "off"})
        assert proxy.visits == []
    assert done.returncode == 1
    assert json.loads(done.stdout)["reason"] == "no-consent"


def test_a_wrong_trust_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_text("{}")
    done = run("--trust", str(tmp_path / "trust.json"), "--url", URL, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["ok"] is False


def test_a_trust_file_without_a_server_examines_nothing_and_says_so(tmp_path: Path) -> None:
    trust = tmp_path / "trust.json"
    trust.write_bytes(Publisher().trust().encode())
    done = run("--trust", str(trust), "--socks", "127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "No server is known" in done.stderr
    assert "[no-url]" in done.stderr
    with SocksServer(answering(ok(b"{}"))) as proxy:
        named = run("--trust", str(trust), "--socks", proxy.address, "--url", URL)
    assert "[no-url]" not in named.stderr


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (registry(A), None),
        (registry(A, B), None),
        (registry(B), "registry-unknown"),
        (b"{}", "wrong-kind"),
    ],
    ids=["pinned", "of the news", "another", "none"],
)
def test_whether_root_has_signed_what_is_declared(
    tmp_path: Path, given: bytes, reason: str | None
) -> None:
    publisher, now = Publisher(), int(factory.system_clock().now())
    publisher.steer(now - 100, registry=digest(registry(A)))
    (tmp_path / "trust.json").write_bytes(publisher.trust().encode())
    publisher.steer(now - 50, registry=digest(registry(A, B)))
    (tmp_path / "registry.json").write_bytes(given)
    files = ("--trust", str(tmp_path / "trust.json"), "--registry", str(tmp_path / "registry.json"))
    with SocksServer(answering(ok(publisher.document(now - 40)))) as proxy:
        done = run("--socks", proxy.address, "--url", URL, "--json", *files)
    last = json.loads(done.stdout)["steps"][-1]
    assert (last["step"], last["reason"], last["ok"]) == ("registry", reason, reason is None)
    assert done.returncode == (reason is not None)
    assert run(*files[2:], "--url", URL).returncode == 2
