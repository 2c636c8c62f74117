"""Which tor carries the service, and what is written for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mars import factory
from mars.errors import ConfigError, TransportError
from mars.ports import TorSettings
from mars.testing.memory import SeededChance
from mars.wire.product import parse_product
from mars_server.common.config import parse_config, require_apart
from mars_server.up import setup
from tests.server.serving import kit
from tests.waiting import until

PRODUCT = parse_product(kit.PRODUCT.encode(), "product.toml")
CHANCE = SeededChance(1)


@pytest.fixture
def control() -> Iterator[str]:
    """Of a tor that is this user's, off the network."""
    with tempfile.TemporaryDirectory(prefix="mars-tor-", dir="/tmp") as folder:
        socket = Path(folder, "s")
        lines = (f"ControlSocket {socket}", "DisableNetwork 1")
        tor = factory.own_tor(TorSettings(extra=lines), f"{folder}/t")
        try:
            until(lambda: Path(folder, "t/control-port").exists())
            yield f"unix:{socket}"
        finally:
            tor.close()


def find(data: Path, *places: str, given: str | None = None) -> setup.Place:
    return setup.find(data, PRODUCT, given, CHANCE, places)


def test_a_tor_that_runs_is_taken(tmp_path: Path, control: str) -> None:
    missing = f"unix:{tmp_path}/none"
    found = find(tmp_path, missing, control)
    assert (found.control, found.is_ours, found.why) == (control, False, "")
    assert found.onion.name == f"mars-{PRODUCT.product}-{PRODUCT.channel}"
    assert found.onion.parent.is_dir(), "tor's own folder"
    assert find(tmp_path, given=control) == found


def test_without_one_it_is_our_own(tmp_path: Path) -> None:
    found = find(tmp_path, f"unix:{tmp_path}/none")
    assert (found.is_ours, found.why) == (True, "")
    assert found.control == f"unix:{tmp_path}/run/tor.sock"
    with pytest.raises(TransportError) as refused:
        find(tmp_path, given=f"unix:{tmp_path}/none")
    assert refused.value.reason == "tor-control", "it was asked for"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_tor_of_another_user_is_left_alone_and_the_reason_told(
    tmp_path: Path, control: str
) -> None:
    home = Path(control.removeprefix("unix:")).parent / "t/data"
    os.chown(home, 65534, -1)
    found = find(tmp_path, control)
    assert found.is_ours
    assert "runs as another user" in found.why
    assert not find(tmp_path, given=control).is_ours, "who names it has seen to that"


def test_what_is_written_is_read_back_and_apart(tmp_path: Path) -> None:
    data = tmp_path / 'a "quoted" \\ folder'
    tor = find(data)
    text = setup.written(setup.values(data, data / "product.toml", PRODUCT, tor, {}))
    config = parse_config(text.encode())
    require_apart(config)
    assert config.bind == f"unix:{data}/run/motd.sock"
    assert (config.onion.folder, config.onion.control) == (f"{data}/tor/onion", tor.control)
    assert config.socks == tor.socks
    assert config.spool == "", "no release takes reports"
    given = {"motd": tmp_path / "m", "trust": None}
    text = setup.written(setup.values(data, data / "product.toml", PRODUCT, tor, given))
    assert parse_config(text.encode()).motd == str(tmp_path / "m")


def test_every_entry_that_is_set_stands_in_the_template() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        setup.written({"no_such_entry": ""})


def test_a_folder_whose_path_no_socket_takes_is_told(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 90)
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    with pytest.raises(ConfigError) as refused:
        setup.settled(data, tmp_path / "product.toml", None, {}, CHANCE)
    assert refused.value.reason == "bind-invalid"
    assert not data.exists()
