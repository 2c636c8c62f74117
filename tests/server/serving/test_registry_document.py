"""``registry.json`` and ``status.json`` beside the document: served as they are, judged before."""

from __future__ import annotations

from pathlib import Path

import pytest

from mars.testing.memory import MemoryOpenPGP
from mars.testing.publisher import Publisher
from mars.wire.catalogue import MAX_REGISTRY, Catalogue, digest
from mars.wire.query import REGISTRY_PATH, STATUS_PATH
from mars_server.common.config import Config
from mars_server.operate.status import examine
from mars_server.serving.motd_source import MotdSource
from tests.server.serving import kit
from tests.waiting import until

NOW = 1_795_219_200
GOOD = Catalogue("examplemail", "stable", ("0.5.2",)).encode()
NEXT = Catalogue("examplemail", "stable", ("0.5.2", "0.6.0")).encode()


def get(server: kit.Served, path: str = REGISTRY_PATH, method: str = "GET") -> bytes:
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return server.ask(request.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    return tmp_path


def source(folder: Path, publisher: Publisher | None = None) -> MotdSource:
    root = publisher.trust() if publisher else None
    openpgp = MemoryOpenPGP() if publisher else None
    return MotdSource(folder / "motd.json", folder / "product.toml", root, openpgp)


def test_the_registry_is_served_taken_over_and_kept_when_a_bad_one_comes(folder: Path) -> None:
    path = folder / "registry.json"
    path.write_bytes(GOOD)
    with kit.served(folder=folder, unix=True) as server:
        answer = get(server)
        assert (kit.status(answer), kit.body(answer)) == (200, GOOD)
        head = get(server, method="HEAD")
        assert (kit.status(head), kit.body(head)) == (200, b"")
        assert kit.status(get(server, method="POST")) == 405
        assert kit.status(get(server, STATUS_PATH)) == 404
        for bad in (b"{", GOOD.replace(b"examplemail", b"other"), b" " * (MAX_REGISTRY + 1)):
            told = server.stderr.count("the registry stays as it is")
            path.write_bytes(bad)
            server.wait_for("the registry stays as it is", times=told + 1)
            assert kit.body(get(server)) == GOOD
        path.write_bytes(NEXT)
        until(lambda: kit.body(get(server)) == NEXT)
        path.unlink()
        until(lambda: kit.status(get(server)) == 404)
        (folder / "status.json").write_bytes(b"{}\n")
        until(lambda: kit.body(get(server, STATUS_PATH)) == b"{}\n")
        assert server.stop() == 0
        assert server.lines() == [], "who asks for it is not counted"


def test_g19_a_registry_that_root_does_not_name_is_not_served(folder: Path) -> None:
    publisher = Publisher()
    publisher.steer(registry=digest(GOOD), issued=NOW - 10)
    (folder / "motd.json").write_bytes(publisher.document(NOW - 5))
    files = source(folder, publisher)
    first = files.load(NOW)
    assert (first.registry, len(first.flaws)) == (b"", 1)
    assert "[registry-missing]" in first.flaws[0]
    (folder / "registry.json").write_bytes(NEXT)
    second = files.load(NOW)
    assert second.registry == b""
    assert "[registry-unknown]" in second.flaws[0]
    (folder / "registry.json").write_bytes(GOOD)
    third = files.load(NOW)
    assert (third.registry, third.flaws) == (GOOD, ())
    (folder / "registry.json").write_bytes(NEXT)
    fourth = files.load(NOW)
    assert (fourth.registry, len(fourth.flaws)) == (GOOD, 1), "the one before stays"
    publisher.steer(registry=digest(NEXT), issued=NOW - 4)
    (folder / "motd.json").write_bytes(publisher.document(NOW - 3))
    fifth = files.load(NOW)
    assert (fifth.registry, fifth.flaws) == (NEXT, ())


def test_where_root_names_no_registry_there_shall_be_none(folder: Path) -> None:
    publisher = Publisher()
    (folder / "motd.json").write_bytes(publisher.document(NOW - 5))
    assert source(folder, publisher).load(NOW).flaws == ()
    (folder / "registry.json").write_bytes(GOOD)
    found = source(folder, publisher).load(NOW)
    assert (found.registry, "[registry-unknown]" in found.flaws[0]) == (b"", True)


def test_status_tells_a_registry_that_is_not_served(folder: Path) -> None:
    (folder / "motd.json").write_bytes(kit.document())
    (folder / "registry.json").write_bytes(b"{")
    names = {name: str(folder / name) for name in ("motd.json", "product.toml")}
    config = Config(motd=names["motd.json"], product=names["product.toml"], log=str(folder))
    found = examine(config, kit.now())["motd"]
    assert (found.state, "[not-json]" in found.text) == ("warn", True)
