"""Some editors put a byte order mark in front: in files that people write it is passed over."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mars import consent
from mars.daemon import read_entry
from mars.pinned import Pinned, read_root
from mars.testing.memory import machine
from mars.testing.world import World
from mars.wire.product import parse_product
from mars_motd import registry
from mars_motd.folder import Folder
from mars_motd.messages import parse_message
from mars_server.common.config import parse_config
from mars_server.site.pages.events import parse_notes

PRODUCT = (
    b'product = "examplemail"\nchannel = "stable"\nreleases = ["0.5.2"]\nplatforms = ["linux"]\n'
)
PRODUCT += b'languages = ["en"]\n'
MESSAGE = b'[title]\nen = "Hello"\n[text]\nen = "Hi"\n'
METRIC = b"# nothing is declared\n"
NOTE = b'[[note]]\nweek = "2026-W12"\ntext = {en = "x"}\n'


def message(data: bytes) -> object:
    draft = parse_message(data, "a.toml", "a", parse_product(PRODUCT))
    return (draft, bool(draft.message))


READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "product": (parse_product, PRODUCT),
    "trust": (read_root, World().trust),
    "pinned": (Pinned.of, World().trust),
    "server": (parse_config, b'motd = "motd.json"\n'),
    "notes": (parse_notes, NOTE),
    "message": (message, MESSAGE),
}


@pytest.mark.parametrize(("read", "data"), READERS.values(), ids=READERS)
def test_a_byte_order_mark_is_passed_over(read: Callable[[bytes], Any], data: bytes) -> None:
    assert read(BOM_UTF8 + data) == read(data)


def test_in_the_registry(tmp_path: Path) -> None:
    (tmp_path / "metrics.toml").write_bytes(BOM_UTF8 + METRIC)
    (tmp_path / "product.toml").write_bytes(PRODUCT)
    assert registry.read(Folder.at(tmp_path), date(2026, 12, 1)).problems == ()


def test_in_the_policy() -> None:
    world = World(host=machine(policy=BOM_UTF8 + b'level = "plain"'))
    world.grant("tracked")
    assert world.mars().consent.level == consent.PLAIN


def test_in_the_daemons_file(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(BOM_UTF8 + World().trust)
    (tmp_path / "app.toml").write_bytes(BOM_UTF8 + b'trust = "trust.json"\nversion = "1.0"\n')
    entry = read_entry(tmp_path / "app.toml")
    assert entry.version == "1.0"
    assert entry.pinned.product == "examplemail"
