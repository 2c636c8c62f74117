"""What a release pins: its number, its crowd, its date, and the steering document of the day."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars.trust import TrustState, start
from mars.wire.keys import TrustRoot

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
MARCH_SERIAL = 1_772_323_200


@pytest.fixture
def trust(tmp_path: Path, ok: Run) -> Callable[..., TrustRoot]:
    """What ``trust`` writes for a folder."""

    def made(folder: Path, *more: object) -> TrustRoot:
        ok("trust", folder, "--out", tmp_path / "trust.json", *more)
        return TrustRoot.decode((tmp_path / "trust.json").read_bytes())

    return made


def test_a26_each_file_overrules_those_before(product: Path, trust: Run) -> None:
    first = trust(product, "--now", MARCH)
    assert first.gen == MARCH_SERIAL
    assert trust(product, "--now", MARCH).gen == first.gen + 1
    later = trust(product, "--now", NEXT_DAY)
    assert later.gen == MARCH_SERIAL + 86_400
    assert trust(product, "--now", MARCH).gen == later.gen + 1, "also where the clock was set back"


def test_a26_two_copies_of_a_folder_do_not_give_one_number_twice(
    product: Path, tmp_path: Path, trust: Run
) -> None:
    """A counter in each copy would: then the second release would not overrule the first."""
    trust(product, "--now", MARCH)
    copy = Path(shutil.copytree(product, tmp_path / "copy"))
    first = trust(product, "--minimum-serial", "7", "--now", "2026-03-02T00:00:00Z")
    second = trust(copy, "--minimum-serial", "9", "--now", "2026-03-02T00:00:01Z")
    assert first.gen < second.gen
    state = start(first, TrustState.initial())
    assert start(second, state).floor == 9
    assert start(replace(second, gen=first.gen), state).floor == 7


def test_a_damaged_record_is_told_of(product: Path, tmp_path: Path, trust: Run, motd: Run) -> None:
    trust(product, "--now", MARCH)
    for text in ("", "x", "-1", "9" * 20):
        (product / "trust" / "gen").write_text(text)
        done = motd("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
        assert (done.code, "[record-damaged]" in done.err) == (1, True)


def test_the_crowd_is_that_of_the_product_unless_said_otherwise(
    product: Path, tmp_path: Path, trust: Run, ok: Run, motd: Run
) -> None:
    path, out = product / "product.toml", tmp_path / "t.json"
    assert trust(product).crowd == 0
    path.write_text(path.read_text().replace("# crowd = 100", "crowd = 1000"))
    assert trust(product).crowd == 1000
    done = ok("trust", product, "--out", out, "--crowd", "100")
    assert "warning: crowd is 100 here, but 1000 in product.toml" in done.err
    assert json.loads(out.read_text())["crowd"] == 100
    for wrong in ("50", "1001", "-100", "many", "1" + "0" * 12):
        assert motd("trust", product, "--out", out, "--crowd", wrong).code == 2
    path.write_text(path.read_text().replace("crowd = 1000", "crowd = 250"))
    assert "crowd must be 0 or a power of ten" in motd("trust", product, "--out", out).err


def test_it_is_dated_where_it_names_a_crowd(
    product: Path, tmp_path: Path, trust: Run, motd: Run
) -> None:
    """Which lasts for 400 days from then; without one old news can be looked at by any clock."""
    assert trust(product).built == 0
    assert trust(product, "--crowd", "100", "--now", MARCH).built == MARCH_SERIAL
    assert trust(product, "--built", MARCH).built == MARCH_SERIAL
    late = ("trust", product, "--out", tmp_path / "t", "--now", MARCH, "--built", NEXT_DAY)
    assert "[future]" in motd(*late).err


def test_it_pins_the_steering_document_of_the_day(
    product: Path, tmp_path: Path, trust: Run, ok: Run
) -> None:
    path = product / "product.toml"
    path.write_text(path.read_text().replace("links = []", 'links = ["https://example.org/"]'))
    root = trust(product, "--now", MARCH)
    assert root.steering.links == ("https://example.org/",)
    assert root.steering.serial == MARCH_SERIAL
    shutil.rmtree(product / "root")
    assert trust(product, "--now", NEXT_DAY).steering == root.steering


def test_a_first_one_can_be_made_without_root(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    out = tmp_path / "t.json"
    shutil.rmtree(product / "root")
    done = ok("trust", product, "--out", out, "--now", MARCH)
    assert "warning: root is not here, so there is no steering document" in done.err
    assert "x-steering" not in json.loads(out.read_text())


def test_a26_a_folder_that_lacks_an_epoch_makes_none(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """An old folder pins old keys, and a release that pins them overrules the new ones."""
    ok("sign", product, "--out", tmp_path / "1.json", "--now", MARCH)
    old = Path(shutil.copytree(product, tmp_path / "old"))
    ok("key", "rotate", product, "--now", NEXT_DAY)
    ok("sign", product, "--out", tmp_path / "2.json", "--now", NEXT_DAY)
    out = tmp_path / "t.json"
    for path in (product / "issued").iterdir():
        shutil.copy(path, old / "issued")
    done = motd("trust", old, "--out", out, "--now", NEXT_DAY)
    assert (done.code, "[epoch-behind]" in done.err, out.exists()) == (1, True, False)
    shutil.copy(product / "steering.json", old)
    shutil.rmtree(old / "issued")
    done = motd("trust", old, "--out", out, "--now", NEXT_DAY)
    assert (done.code, "[wrong-document]" in done.err, out.exists()) == (1, True, False)
