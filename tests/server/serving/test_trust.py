"""With ``--trust`` nothing is served that a client would refuse, at the start and at a reload."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import FrameType

import pytest

from mars.testing.memory import MemoryOpenPGP
from mars.testing.publisher import Publisher
from mars.wire import envelope, motd
from mars.wire.times import DAY
from mars_server.serving.motd_source import MotdSource
from tests.server.serving import kit
from tests.waiting import PATIENCE, until


def now() -> int:
    return int(time.time())


def started(
    folder: Path, document: bytes, publisher: Publisher
) -> subprocess.CompletedProcess[str]:
    """What becomes of a server that should not start."""
    (folder / "product.toml").write_text(kit.PRODUCT)
    (folder / "motd.json").write_bytes(document)
    (folder / "trust.json").write_bytes(publisher.trust().encode())
    command = kit.command(folder, f"unix:{folder}/s", "--trust", str(folder / "trust.json"))
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)


def test_g19_what_clients_refuse_is_not_served(tmp_path: Path) -> None:
    publisher = Publisher()
    good = publisher.document(now() - 10)
    cases = {
        "signature-threshold": Publisher().document(now() - 10),
        "expired": publisher.document(now() - 50 * DAY),
        "wrong-product": replace(publisher, product="other").document(now() - 10),
        "not-json": good[: len(good) // 2],
    }
    for reason, document in cases.items():
        done = started(tmp_path, document, publisher)
        assert done.returncode == 1, reason
        assert f"[{reason}]" in done.stderr
        assert "Traceback" not in done.stderr
    (tmp_path / "motd.json").unlink()
    gone = subprocess.run(
        kit.command(tmp_path, f"unix:{tmp_path}/s"), capture_output=True, text=True, timeout=60
    )
    assert gone.returncode == 1
    assert "[motd-missing]" in gone.stderr
    assert not (tmp_path / "s").exists()


def test_g19_the_old_document_stays_until_a_good_one_comes(tmp_path: Path) -> None:
    """In both processes; the first does and says what a single one would."""
    publisher = Publisher()
    first = publisher.document(now() - 100)
    (tmp_path / "trust.json").write_bytes(publisher.trust().encode())
    options = ("--trust", str(tmp_path / "trust.json"), "--workers", "2")
    with kit.served(*options, folder=tmp_path, unix=True, motd_file=first) as server:
        target = tmp_path / "motd.json"
        for bad, reason in (
            (Publisher().document(now() - 5), "signature-threshold"),
            (publisher.document(now() - 200), "rollback"),
            (first[:-40], "not-json"),
        ):
            _deploy(target, bad)
            server.wait_for(f"[{reason}]")
            assert kit.body(server.get()) == first, server.stderr
        target.unlink()
        server.wait_for("[motd-missing]")
        assert kit.body(server.get()) == first
        second = publisher.document(now() - 1)
        _deploy(target, second)
        until(lambda: all(kit.body(server.get()) == second for _ in range(8)))
        assert server.stop() == 0


@pytest.mark.parametrize("trusted", [False, True])
def test_a_document_is_decoded_once(tmp_path: Path, trusted: bool) -> None:
    """Whether its signatures are looked at or not; where they are, nothing is read before."""
    publisher, calls = Publisher(), Counter[str]()
    (tmp_path / "motd.json").write_bytes(publisher.document(now() - 10))
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    source = MotdSource(tmp_path / "motd.json", tmp_path / "product.toml")
    if trusted:
        source = replace(source, root=publisher.trust(), openpgp=MemoryOpenPGP())
    names = {envelope.decode.__code__: "envelope", motd.decode.__code__: "motd"}

    def seen(frame: FrameType, event: str, _: object) -> None:
        calls[names.get(frame.f_code, "")] += event == "call"

    sys.setprofile(seen)
    try:
        assert source.load(now()).verified == trusted
    finally:
        sys.setprofile(None)
    assert (calls["envelope"], calls["motd"]) == (1, 1)


def test_g19_the_operator_is_told_before_it_expires(tmp_path: Path) -> None:
    with kit.served("--workers", "3", motd_file=kit.document(age=40 * DAY + 3600)) as server:
        said = "the MOTD expires in 4 day(s); sign and deploy a new one"
        server.wait_for(said)
        time.sleep(2.5)  # each process has kept house
        assert server.stderr.count(said) == 1, "once a day, not once for each process"


@pytest.mark.parametrize("trusted", [False, True])
def test_the_chain_beside_the_document_is_served_and_not_logged(
    tmp_path: Path, trusted: bool
) -> None:
    publisher = Publisher()
    options = ("--trust", str(tmp_path / "trust.json")) if trusted else ()
    (tmp_path / "trust.json").write_bytes(publisher.trust().encode())
    for _ in range(2):
        publisher.rotate(now() - 200)
    file = envelope.encode_chain(publisher.chain)
    (tmp_path / "keys.json").write_bytes(file)
    document = publisher.document(now() - 100)
    with kit.served(*options, folder=tmp_path, unix=True, motd_file=document) as server:

        def asked(query: str = "") -> bytes:
            return server.ask(kit.golden(query).replace(b"motd.json", b"keys.json"))

        assert kit.body(asked()) == kit.body(asked("v=1.0")) == file
        strange = [replace(step, signatures=step.signatures[:1]) for step in publisher.chain]
        bad = [(b"{}", "keys-chain"), (file[:-40], "not-json")]
        if trusted:
            bad.append((envelope.encode_chain(strange), "keys-threshold"))
            # Sound as far as it goes, which is not as far as the news.
            bad.append((envelope.encode_chain([publisher.chain[0], strange[1]]), "keys-chain"))
            bad.append((envelope.encode_chain(publisher.chain[:1]), "keys-chain"))
        for number, (data, reason) in enumerate(bad, 1):
            _deploy(tmp_path / "keys.json", data)
            server.wait_for("the chain of keys stays as it is", times=number)
            assert f"[{reason}]" in server.stderr.splitlines()[-1]
            assert kit.body(asked()) == file
        document = publisher.document(now() - 50)
        _deploy(tmp_path / "motd.json", document)
        check = kit.golden().replace(b"motd.json", b"check.json")
        until(lambda: kit.body(server.ask(check)) == document)
        assert kit.body(asked()) == file, "the news is taken over, and the chain stays"
        (tmp_path / "keys.json").unlink()
        until(lambda: kit.status(asked()) == 404)
        assert kit.body(server.get()) == document
        assert server.stop() == 0
        assert len(server.lines()) == 1, server.lines()


def _deploy(target: Path, data: bytes) -> None:
    temporary = target.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.rename(target)
