"""The published folder: one run at a time, and nothing in it that the index does not name."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from mars.errors import StateError
from mars.wire.ed25519 import sign
from mars_server.common.jsontext import encode_json
from mars_server.publication.folder import held, write_files
from mars_server.publication.index import INDEX, SIGNATURE
from mars_server.site.charts.store import LIST, chart_list
from mars_server.site.pages.address import CHART_FILES
from mars_server.site.publish import publish as publish_to
from tests.server.publication import kit

SERVER = str(Path(sys.executable).with_name("mars-server"))
KEY = b"k" * 32
OTHER_KEY = b"o" * 32
MARK = b"<!-- not as it was drawn -->"


def test_a_second_run_waits_for_the_first(tmp_path: Path, publish: kit.Publish) -> None:
    engine, site = kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site"
    second = Thread(target=lambda: publish(engine, site, kit.RULES, kit.LATER))
    with held(site):
        (site / "data").mkdir()
        in_flight = site / "data/.new-abcdefgh"
        in_flight.write_bytes(b"half")
        second.start()
        second.join(1.0)
        assert second.is_alive()
        assert kit.tree(site) == {"data/.new-abcdefgh": b"half"}
    second.join(120)
    assert (site / "index.html").is_file()
    assert not in_flight.exists()


def test_a_run_that_waits_too_long_says_so(tmp_path: Path) -> None:
    site = tmp_path / "site"
    with held(site), pytest.raises(StateError) as refusal, held(site, patience=0.2):
        raise AssertionError
    assert refusal.value.reason == "site-busy"
    with held(site, patience=0.2):
        assert list(site.iterdir()) == [], "no file of ours among the public ones"


def test_files_that_belong_together_change_together(tmp_path: Path) -> None:
    write_files(tmp_path, {"a": b"old", "b": b"old"})
    with pytest.raises(StateError) as refusal:
        write_files(tmp_path, {"a": b"new", "b/under-a-file": b"new"})
    assert refusal.value.reason == "site-unwritable"
    assert kit.tree(tmp_path) == {"a": b"old", "b": b"old"}
    assert write_files(tmp_path, {"a": b"new", "b": b"old"}) == 1


def test_a_folder_that_cannot_be_written_is_told_with_advice(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    kit.database(tmp_path).dispose()
    arguments = ("--db", f"sqlite:///{tmp_path}/counts.db", "--out", "/proc/x")
    done = subprocess.run(
        [SERVER, "publish", *arguments, "--product", str(tmp_path / "product.toml")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "give --out a folder" in done.stderr
    assert "site-unwritable" in done.stderr


def test_a_changed_week_comes_back_as_the_refusal_says(
    tmp_path: Path, publish: kit.Publish
) -> None:
    engine, site = kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site"
    publish(engine, site, kit.RULES, kit.LATER)
    before = kit.tree(site)
    changed = site / f"data/{kit.FIRST}.json"
    changed.write_bytes(b"")
    with pytest.raises(StateError, match=f"delete {changed.name}"):
        publish(engine, site, kit.RULES, kit.LATER)
    changed.unlink()
    publish(engine, site, kit.RULES, kit.LATER)
    assert kit.tree(site) == before


def test_the_index_names_every_file_of_the_site(tmp_path: Path, publish: kit.Publish) -> None:
    site = tmp_path / "site"
    publish(kit.database(tmp_path, kit.usual_weeks(1)), site, kit.RULES, kit.LATER, signing_key=KEY)
    index = json.loads((site / "data" / INDEX).read_bytes())
    named = {f"data/{entry['name']}": entry for entry in index["files"]}
    named |= {entry["name"]: entry for entry in index["site"]}
    tree = kit.tree(site)
    assert named.keys() == tree.keys() - {f"data/{INDEX}", f"data/{SIGNATURE}"}
    for path, entry in named.items():
        assert entry["bytes"] == len(tree[path])
        assert entry["sha256"] == hashlib.sha256(tree[path]).hexdigest()


def test_a_reader_checks_the_whole_site_with_stock_tools(
    tmp_path: Path, publish: kit.Publish
) -> None:
    """By the lines that docs/publication.md gives."""
    docs = Path(__file__).parents[3] / "docs/publication.md"
    lines = docs.read_text("utf-8").partition("```sh\npython3 -c")[2].partition("```")[0]
    site = tmp_path / "site"
    publish(kit.database(tmp_path, kit.usual_weeks(1)), site, kit.RULES, kit.LATER)

    def check() -> int:
        command = ["bash", "-c", f"set -o pipefail; python3 -c{lines}"]
        return subprocess.run(command, cwd=site, capture_output=True, timeout=60).returncode

    assert check() == 0
    page = site / "v/index.html"
    page.write_bytes(page.read_bytes() + b" ")
    assert check() == 1


def test_files_that_are_not_the_sites_are_told(
    tmp_path: Path, publish: kit.Publish, cache: Path
) -> None:
    engine, site = kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site"
    assert publish(engine, site, kit.RULES, kit.LATER).foreign == []
    before = kit.tree(site)
    (site / "v/.new-abcdefgh").write_bytes(b"left by a run that was killed")
    assert publish(engine, site, kit.RULES, kit.LATER).foreign == []
    assert kit.tree(site) == before
    (site / "hidden").mkdir()
    for path in ("evil.html", "data/extra.csv", "hidden/page.html"):
        (site / path).write_text("")
    (site / "linked").symlink_to(tmp_path)
    found = publish(engine, site, kit.RULES, kit.LATER).foreign
    assert found == ["data/extra.csv", "evil.html", "hidden/page.html", "linked"]
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    done = subprocess.run(
        [
            *(SERVER, "publish", "--db", f"sqlite:///{tmp_path}/counts.db", "--out", str(site)),
            *("--product", str(tmp_path / "product.toml"), "--chart-cache", str(cache)),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert f"Not of this site: {', '.join(found)}." in done.stderr


def mark_charts(site: Path, key: bytes) -> None:
    """Changes all pictures, lists them as they are now, and signs an index of that with ``key``."""
    index = json.loads((site / "data" / INDEX).read_bytes())
    keys = {
        entry["folder"]: entry["key"] for entry in json.loads((site / LIST).read_bytes())["charts"]
    }
    for folder in keys:
        with (site / folder / "chart.svg").open("ab") as file:
            file.write(MARK)
    hashes = {
        path: hashlib.sha256((site / path).read_bytes()).hexdigest()
        for path in (f"{folder}/{name}" for folder in keys for name in CHART_FILES)
    }
    (site / LIST).write_bytes(chart_list(keys, hashes))
    for entry in index["site"]:
        content = (site / entry["name"]).read_bytes()
        entry |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    text = encode_json(index)
    (site / "data" / INDEX).write_bytes(text)
    (site / "data" / SIGNATURE).write_bytes(sign(key, text))


def test_pictures_are_taken_from_the_folder_by_the_operators_own_signature_alone(
    tmp_path: Path, publish: kit.Publish
) -> None:
    """Without any cache. Whoever can write to the web folder forges its lists too, but not this."""
    engine, made = kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "made"
    publish(engine, made, kit.RULES, kit.LATER, signing_key=KEY)

    def again(name: str, signed_by: bytes, **options: Any) -> tuple[int, dict[str, bytes]]:
        site = tmp_path / name
        shutil.copytree(made, site)
        mark_charts(site, signed_by)
        written = publish_to(engine, site, kit.RULES, kit.LATER, **options).written
        return written, kit.tree(site)

    written, marked = again("own", KEY, signing_key=KEY)
    assert written == 0, "nothing is drawn again"
    assert MARK in marked["v/chart.svg"]
    assert again("forged", OTHER_KEY, signing_key=KEY)[1] == kit.tree(made)
    unsigned = again("unsigned", KEY)[1]
    assert not [path for path, content in unsigned.items() if MARK in content]
    damaged = tmp_path / "damaged"
    shutil.copytree(made, damaged)
    (damaged / "os/chart.png").write_bytes(b"")
    publish_to(engine, damaged, kit.RULES, kit.LATER, signing_key=KEY)
    assert kit.tree(damaged) == kit.tree(made)


@pytest.mark.parametrize("link", ["data", "v", "index.html", "data/index.json"])
@pytest.mark.parametrize("leads", ["elsewhere", "nowhere"])
def test_nothing_is_written_through_a_link_in_the_site(
    tmp_path: Path, publish: kit.Publish, link: str, leads: str
) -> None:
    """Whoever may write to the public folder could else have anything overwritten."""
    engine, site = kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site"
    other = tmp_path / "other"
    if leads == "elsewhere":
        other.write_bytes(b"mine") if "." in link else other.mkdir()
    (site / link).parent.mkdir(parents=True)
    (site / link).symlink_to(other)
    with pytest.raises(StateError) as refusal:
        publish(engine, site, kit.RULES, kit.LATER)
    assert refusal.value.reason == "site-link"
    assert str(site / link) in refusal.value.message
    assert other.exists() is (leads == "elsewhere")
    assert other.read_bytes() == b"mine" if other.is_file() else not kit.tree(other)
    (site / link).unlink()
    assert publish(engine, site, kit.RULES, kit.LATER).foreign == []


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize(
    "name", ["data/index.json", "data/2026-W01.json", "notes.json", "data/weeks.csv", "v/x.png"]
)
def test_a_pipe_in_the_site_is_refused_and_keeps_nobody_waiting(
    tmp_path: Path, publish: kit.Publish, name: str, linked: bool
) -> None:
    engine, site = kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site"
    path = site / name
    path.parent.mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe" if linked else path)
    if linked:
        path.symlink_to(tmp_path / "pipe")
    with pytest.raises(StateError) as refusal:
        publish(engine, site, kit.RULES, kit.LATER)
    assert refusal.value.reason == "site-special"
    assert str(path) in refusal.value.message


def test_a_link_with_the_very_bytes_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"same")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/page").symlink_to(tmp_path / "copy")
    with pytest.raises(StateError, match="is a link"):
        write_files(tmp_path / "site", {"page": b"same"})


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "site").symlink_to(tmp_path / "real")
    with held(tmp_path / "site"):
        assert write_files(tmp_path / "site", {"v/page": b"new"}) == 1
