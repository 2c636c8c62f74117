"""What cannot judge an answer asks for none, and says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mars import factory
from mars.adapters.gpg import GnuPG
from mars.channels.trial import KEY, MESSAGE, SIGNATURE, VERDICT, require_judge
from mars.core.records import STATE_FILE
from mars.errors import ConfigError
from mars.testing.memory import MemoryKey, MemoryOpenPGP, machine, session
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.testing.world import World
from mars.trust import TrustState
from mars.wire.times import DAY
from tests.hostile.openpgp import BOTH

HOST = """
import json, sys
from pathlib import Path
{breakage}
from mars import Mars
url, folder = sys.argv[1:]
given = dict(url=url, folder=folder, socks=url[7:].split("/")[0])
mars = Mars("examplemail", "0.5.1", Path(folder, "trust.json"), **given)
mars.consent.grant("tracked")
mars._client.step(None)
mars._client.fetch(scheduled=True)
mars._client.step(None)
print(json.dumps([mars.status()["problem"], mars.status()["failures"], mars.motd() is not None]))
"""
MISSING = "sys.modules['{}'] = None"
"""An import of it fails, as in a program that was frozen without it."""
BREAKAGES = {
    "_cffi_backend": MISSING.format("_cffi_backend"),
    "nacl": MISSING.format("nacl"),
    "nacl.exceptions": MISSING.format("nacl.exceptions"),
    "packaging": MISSING.format("packaging.specifiers"),
    **{
        name: MISSING.format(name)
        for name in ("mars.trust", "mars.trust.chain", "mars.wire.motd", "mars.adapters.gpg")
    },
    "mars.wire.targeting": MISSING.format("mars.wire.targeting"),
    "libsodium says yes": "import nacl.bindings as b; b.crypto_sign_open = lambda *_: b''",
    "libsodium says no": (
        "import nacl.bindings as b, nacl.exceptions as e\n"
        "def no(*_): raise e.BadSignatureError\n"
        "b.crypto_sign_open = no"
    ),
    "libsodium crashes": "import nacl.bindings as b; b.crypto_sign_open = None",
}


def run_host(breakage: str, server: SocksServer, folder: Path) -> list[object]:
    code = HOST.format(breakage=breakage)
    done = subprocess.run(
        [sys.executable, "-c", code, f"http://{server.address}/motd/motd.json", str(folder)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES)
def test_a_program_that_lacks_a_part_sends_nothing_and_says_so(
    breakage: str, tmp_path: Path
) -> None:
    publisher = Publisher()
    (tmp_path / "trust.json").write_bytes(publisher.trust().encode())
    with SocksServer(answering(ok(b"never")), code=0) as server:
        problem, failures, news = run_host(breakage, server, tmp_path)
    assert server.visits == []
    assert isinstance(problem, dict)
    assert problem["reason"] == "cannot-judge"
    assert (failures, news) == (1, False)


def test_the_whole_program_asks(tmp_path: Path) -> None:
    """So that the tests above fail for what is missing alone."""
    (tmp_path / "trust.json").write_bytes(Publisher().trust().encode())
    with SocksServer(answering(ok(b"no news"))) as server:
        problem, _, _ = run_host("", server, tmp_path)
    assert len(server.visits) == 1
    assert isinstance(problem, dict)
    assert problem["reason"] == "not-json"


@pytest.mark.parametrize(
    ("policy", "failure", "verified_before", "asks"),
    [
        ("required", "openpgp-absent", False, False),
        ("required", "openpgp-unavailable", False, False),
        ("when-available", "openpgp-unavailable", False, False),
        ("when-available", "openpgp-absent", True, False),
        ("when-available", "openpgp-absent", False, True),
        ("required", "clock", False, False),
        ("when-available", "openpgp-bad", False, False),
        ("off", "openpgp-unavailable", False, True),
        ("required", None, True, True),
    ],
)
def test_where_gnupg_is_needed_and_cannot_run_nothing_is_asked_for(
    policy: str, failure: str | None, verified_before: bool, asks: bool
) -> None:
    keys = [MemoryKey()] if policy != "off" else []
    world = World(publisher=Publisher(openpgp=keys, policy=policy))
    world.publish()
    if verified_before:
        assert world.client().fetch(asked="plain").ok
        world.server.visits.clear()
    client = world.client()
    client.ports = replace(client.ports, openpgp=lambda: MemoryOpenPGP(failure))
    outcome = client.fetch(asked="plain")
    assert (outcome.reason is None) is asks
    assert bool(world.server.visits) is asks
    assert asks or outcome.reason == ("clock" if failure == "clock" else "openpgp-unavailable")


VERSION = 'case $1 in --version) echo "gpgv (GnuPG) 2.4.0"; exit 0;; esac\n'
SAYS = "printf '[GNUPG:] %s\\n' {} >&$2\n"
FINGERPRINT = VERDICT.fingerprint
ERRSIG = f"'ERRSIG {FINGERPRINT[-16:]} 22 10 00 1577836800 6 {FINGERPRINT}'"
VALIDSIG = f"'VALIDSIG {FINGERPRINT} 2020-01-01 1577836800 0 4 0 22 10 00 {FINGERPRINT}'"
USELESS = {
    "it ends": "exit 2",
    "Ed25519 is not allowed": SAYS.format(f"NEWSIG {ERRSIG}") + "exit 2",
    "it says yes to all": SAYS.format(f"NEWSIG 'GOODSIG {FINGERPRINT[-16:]} t' {VALIDSIG}"),
}


@pytest.mark.parametrize("policy", ["required", "when-available"])
@pytest.mark.parametrize("script", USELESS.values(), ids=USELESS)
def test_where_gnupg_starts_and_verifies_nothing_nothing_is_asked_for(
    script: str, policy: str, tmp_path: Path
) -> None:
    (tmp_path / "gpgv").write_text(f"#!/bin/sh\n{VERSION}{script}\n", "ascii")
    (tmp_path / "gpgv").chmod(0o755)
    world = World(publisher=Publisher(openpgp=[MemoryKey()], policy=policy))
    world.publish()
    mars = world.mars(openpgp=lambda: GnuPG(path=str(tmp_path)))
    outcome = mars._client.fetch(asked="plain")
    assert (outcome.reason, world.server.visits) == ("openpgp-unavailable", [])
    assert mars.status()["problem"]["reason"] == "openpgp-unavailable"


@BOTH
def test_gnupg_passes_the_trial(gnupg: GnuPG) -> None:
    root = Publisher(openpgp=[MemoryKey()], policy="required").trust()
    require_judge(lambda: root, TrustState.initial, lambda: gnupg, machine())
    assert gnupg.verify(SIGNATURE, MESSAGE, [KEY]) == VERDICT
    assert gnupg.verify(SIGNATURE, MESSAGE + b".", [KEY]).reason == "openpgp-bad"


def test_where_what_is_pinned_cannot_be_read_nothing_is_asked_for() -> None:
    world = World()
    world.grant("tracked")
    mars = world.mars(trust=b"garbage")
    session(mars._client, world.clock, 40 * DAY)
    assert world.server.visits == []
    problem = mars.status()["problem"]
    assert problem is not None
    assert problem["reason"] == "trust-invalid"


def test_where_the_memory_is_another_products_nothing_is_asked_for() -> None:
    """Its keys must not decide, so no answer would be taken."""
    world = World()
    world.publish()
    assert world.client().fetch(asked="plain").ok
    world.server.visits.clear()
    world.publisher = Publisher("othermail")
    with pytest.raises(ConfigError, match="wrong-product"):
        world.client().fetch(asked="plain")
    table = json.loads(world.store.files[STATE_FILE])
    world.store.files[STATE_FILE] = json.dumps({**table, "app": {}}).encode()
    outcome = world.client().fetch(asked="plain")
    assert outcome.reason == "state-other-product"
    assert world.server.visits == []


def test_a_host_with_news_that_can_no_more_be_read_hears_no_error(tmp_path: Path) -> None:
    publisher = Publisher()
    (tmp_path / "trust.json").write_bytes(publisher.trust().encode())
    document = publisher.document(factory.system_clock().now() - 60)
    with SocksServer(answering(ok(document))) as server:
        assert run_host("", server, tmp_path)[2] is True
        problem, failures, news = run_host(BREAKAGES["_cffi_backend"], server, tmp_path)
        assert len(server.visits) == 1
    assert isinstance(problem, dict)
    assert (problem["reason"], failures, news) == ("cannot-judge", 1, False)


def test_the_command_says_it_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(Publisher().trust().encode())
    for words in (["fetch", "--level", "plain"], ["doctor"]):
        with SocksServer(answering(ok(b"never"))) as server:
            arguments = [*words, "--trust", str(tmp_path / "trust.json"), "--socks", server.address]
            arguments += ["--url", f"http://{server.address}/"]
            code = f"import sys; {BREAKAGES['_cffi_backend']}; from mars.cli import main; main()"
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments],
                capture_output=True,
                text=True,
                env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
                check=False,
            )
        assert server.visits == []
        assert done.returncode == 1
        assert "(_cffi_backend)" in done.stderr
        assert "[cannot-judge]" in done.stderr
