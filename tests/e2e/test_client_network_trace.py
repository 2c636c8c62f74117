"""What the kernel saw: every network call of a client process, under settings set against it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok

STEPS = """
import sys
import mars
from mars.errors import TransportError
from mars.factory import fetcher
from mars.ports import Request
from mars.wire.request import HTTPRequest

ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
for socks in sys.argv[1:]:
    same = fetcher(socks)
    for url in (ONION + "/motd/motd.json?v=1.0", "http://news.example/motd/motd.json"):
        for attempt in ("first", "retry"):
            try:
                print(same.fetch(Request(HTTPRequest.get(url), deadline=30)).status)
            except TransportError as error:
                print(error.reason)
"""

CALL = re.compile(r"^(?:\[pid +\d+\] )?(\w+)\((.*)$")
ADDRESS = re.compile(r'sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)')


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[tuple[dict[str, str], SocksServer]]:
    """An environment that points everywhere else, and what stands there."""
    with SocksServer(answering(ok(b"trapped"))) as trap:
        netrc = tmp_path / ".netrc"
        netrc.write_text("default login mallory password secret\n")
        netrc.chmod(0o600)
        proxies = {
            name: f"socks5://{trap.address}"
            for upper in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
            for name in (upper, upper.lower())
        }
        yield (
            (
                proxies
                | {"NO_PROXY": "*", "NETRC": str(netrc), "HOME": str(tmp_path)}
                | {
                    "PATH": os.environ["PATH"],
                    "REQUESTS_CA_BUNDLE": "",
                    "PYTHONDONTWRITEBYTECODE": "1",
                }
            ),
            trap,
        )


def traced(arguments: list[str], environment: dict[str, str], log: Path) -> tuple[str, list[str]]:
    """The program's output, and its network calls, one a line."""
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=network", "-o", str(log), sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    return done.stdout, [line for line in lines if CALL.match(line)]


def bound(calls: list[str]) -> set[str]:
    """Addresses that sockets were bound to. urllib3, when it is imported, binds one to ::1 and
    closes it, to learn whether there is IPv6; nothing is sent by that."""
    found = [re.search(r'"([^"]+)"', call) for call in calls if call.startswith("bind(")]
    return {match[1] for match in found if match}


def test_no_socket_but_the_socks_port_is_ever_opened(
    hostile: tuple[dict[str, str], SocksServer], tmp_path: Path
) -> None:
    """Across start, fetch, redirect, failure and retry; one process, traced with its threads."""
    environment, trap = hostile
    redirect = b"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with (
        SocksServer(answering(ok(b"news"))) as good,
        SocksServer(answering(redirect)) as elsewhere,
        SocksServer(answering(b""), code=4) as failing,
    ):
        ports = [good.address, elsewhere.address, failing.address]
        output, calls = traced(["-c", STEPS, *ports], environment, tmp_path / "trace")
    assert output.split()[:8] == ["200"] * 4 + ["redirect"] * 4
    assert output.split()[8:] == ["onion-not-found"] * 2 + ["host-not-found"] * 2
    assert trap.visits == []
    assert len(good.visits) == len(elsewhere.visits) == len(failing.visits) == 4
    connected = [ADDRESS.search(call) for call in calls if call.startswith("connect(")]
    assert {f"{found[2]}:{found[1]}" for found in connected if found} == set(ports)
    assert all(connected), calls
    assert sorted(bound(calls)) in ([], ["::1"])
    assert not [call for call in calls if re.match(r"(sendto|sendmsg|sendmmsg)\(.*sin", call)]


def test_the_command_opens_no_other_socket_either(
    hostile: tuple[dict[str, str], SocksServer], tmp_path: Path
) -> None:
    """The whole of ``mars fetch``; the answer is refused, and that is not the point here."""
    environment, trap = hostile
    trust = tmp_path / "trust.json"
    trust.write_text("{}")
    with SocksServer(answering(ok(b"news"))) as proxy:
        command = [
            *("-c", "import sys; from mars.cli import main; main()", "fetch", "--json"),
            *("--url", "http://news.example/motd/motd.json", "--socks", proxy.address),
            *("--trust", str(trust), "--state", str(tmp_path / "state")),
            *("--product", "examplemail", "--app-version", "0.5.2", "--level", "plain"),
        ]
        log = tmp_path / "trace"
        subprocess.run(
            [
                "strace",
                "-f",
                "-qq",
                "-e",
                "trace=network",
                "-o",
                str(log),
                sys.executable,
                *command,
            ],
            env=environment,
            capture_output=True,
            timeout=120,
        )
    assert trap.visits == []
    found = {match[2] + ":" + match[1] for match in ADDRESS.finditer(log.read_text())}
    assert found <= {proxy.address}


EMBEDDED = """
import sys, time
from mars import Mars
trust, folder, socks = sys.argv[1:]
shown = []
mars = Mars(product="examplemail", version="0.5.1", trust=trust, folder=folder, socks=socks,
            url="http://127.0.0.1/motd/motd.json", languages=["en"])
mars.on_motd(shown.append)
mars.consent.grant("tracked")
mars.start()
time.sleep(0.5)
before = len(mars.journal())
assert mars.check_now()
while len(mars.journal()) == before or mars._background.busy:
    time.sleep(0.05)
mars.stop()
print(before, mars.journal()[-1].get("reason"), len(shown))
"""


def test_an_application_that_embeds_the_client_opens_no_other_socket(
    hostile: tuple[dict[str, str], SocksServer], tmp_path: Path
) -> None:
    """Start, idle, check, stop; first refused by Tor, then with a document that is accepted."""
    environment, trap = hostile
    publisher = Publisher()
    trust = tmp_path / "trust.json"
    trust.write_bytes(publisher.trust().encode())
    document = publisher.document(int(time.time()))
    outcomes = []
    for number, code in enumerate((4, 0)):
        with SocksServer(answering(ok(document)), code=code) as proxy:
            arguments = ["-c", EMBEDDED, str(trust), str(tmp_path / f"app{number}"), proxy.address]
            output, calls = traced(arguments, environment, tmp_path / "trace")
        outcomes.append(output.split())
        connected = [ADDRESS.search(call) for call in calls if call.startswith("connect(")]
        assert {f"{found[2]}:{found[1]}" for found in connected if found} == {proxy.address}
        assert all(connected), calls
        assert sorted(bound(calls)) in ([], ["::1"])
    assert outcomes == [["0", "host-not-found", "0"], ["0", "None", "1"]]
    assert trap.visits == []
