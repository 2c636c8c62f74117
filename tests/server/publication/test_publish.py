"""``mars-server publish``: what it writes, and that it never writes it differently again."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from mars.errors import ConfigError, StateError
from mars.testing.publisher import Publisher
from mars_server.publication.folder import read_weeks, week_files
from mars_server.publication.index import is_signed, read_private_key
from mars_server.tables.compose import FloorRules
from mars_server.tables.signed_documents import describe
from tests.server.counting.commands import completed
from tests.server.publication import kit


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return completed("publish", *arguments)


def test_the_command_writes_pages_and_floored_figures(tmp_path: Path, cache: Path) -> None:
    kit.database(tmp_path, kit.usual_weeks(5)).dispose()
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    arguments = (
        *("--db", f"sqlite:///{tmp_path}/counts.db", "--out", str(tmp_path / "site")),
        *("--product", str(tmp_path / "product.toml"), "--now", "2026-02-11T00:00:00Z"),
        *("--chart-cache", str(cache)),
    )
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Days without a hit: 2026-W02, "), "all are on Mondays here"
    assert "set crowd = 100 " in done.stderr, "600 requests with metrics a week"
    assert len(done.stderr.splitlines()) == 2
    assert "5 weeks published" in done.stdout
    site = tmp_path / "site"
    kit.assert_floored(site)
    week = json.loads((site / "data/2026-W06.json").read_bytes())
    assert week["hits"] == 1000
    table = {row["value"]: row["count"] for row in week["tables"]["v"]}
    assert table == {
        "0.1.0": "<10",
        "0.5.1": 310,
        "0.5.2": 280,
        "dev": "<10",
        "other": "<10",
        "none": 400,
    }
    assert "<script" not in (site / "index.html").read_text()
    before = kit.tree(site)
    again = run(*arguments, "--json")
    assert json.loads(again.stdout)["files_written"] == 0
    assert kit.tree(site) == before


def test_usage_errors_and_refusals_have_their_codes(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text("product = 1")
    assert run("--out", str(tmp_path)).returncode == 2
    base = ("--db", f"sqlite:///{tmp_path}/c.db", "--out", str(tmp_path / "o"))
    assert run(*base, "--product", str(tmp_path / "product.toml"), "--now", "today").returncode == 2
    refused = run(*base, "--product", str(tmp_path / "product.toml"))
    assert refused.returncode == 1
    assert "product-invalid" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_empty_database_still_gives_a_site(tmp_path: Path, publish: kit.Publish) -> None:
    outcome = publish(kit.database(tmp_path), tmp_path / "site", kit.RULES, kit.LATER)
    assert outcome.weeks == []
    assert "Nothing is published yet" in (tmp_path / "site/index.html").read_text()
    assert "Nothing is published yet" in (tmp_path / "site/v/index.html").read_text()


def test_late_counts_change_no_published_byte(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(3))
    site = tmp_path / "site"
    publish(engine, site, kit.RULES, kit.LATER)
    before = kit.tree(site)
    # A counter that ignored the closed weeks, which ours does not do:
    kit.count(engine, kit.week(1), kit.USUAL, day=3)
    publish(engine, site, kit.RULES, kit.LATER)
    assert kit.tree(site) == before
    publish(engine, tmp_path / "elsewhere", kit.RULES, kit.LATER)
    assert kit.tree(tmp_path / "elsewhere") == before


def test_a_changed_folder_is_refused(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(2))
    site = tmp_path / "site"
    publish(engine, site, kit.RULES, kit.LATER)
    path = site / f"data/{kit.week(0)}.json"
    path.write_bytes(path.read_bytes().replace(b"1000", b"2000"))
    before = kit.tree(site)
    kit.count(engine, kit.week(2), kit.USUAL)
    with pytest.raises(StateError, match="never changes") as refusal:
        publish(engine, site, kit.RULES, kit.LATER)
    assert refusal.value.reason == "published-differs"
    assert kit.tree(site) == before


def test_a_new_release_leaves_old_weeks_alone(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(2))
    site = tmp_path / "site"
    publish(engine, site, kit.RULES, kit.LATER)
    old = week_files(site / "data")
    newer = FloorRules(replace(kit.PRODUCT, releases=(*kit.PRODUCT.releases, "0.6.0")))
    kit.count(engine, kit.week(2), kit.USUAL)
    publish(engine, site, newer, kit.LATER)
    new = week_files(site / "data")
    assert {name: new[name] for name in old} == old
    assert read_weeks(site / "data")[-1].count("v", "0.6.0") is not None


def test_the_index_names_every_file_and_openssl_checks_it(tmp_path: Path, cache: Path) -> None:
    key = tmp_path / "operator.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    key.chmod(0o600)
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    kit.database(tmp_path, kit.usual_weeks(2)).dispose()
    arguments = (
        *("--db", f"sqlite:///{tmp_path}/counts.db", "--out", str(tmp_path / "site")),
        *("--product", str(tmp_path / "product.toml"), "--sign-key", str(key)),
        *("--now", "2026-02-11T00:00:00Z", "--chart-cache", str(cache)),
    )
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    data = tmp_path / "site/data"
    index = json.loads((data / "index.json").read_bytes())
    assert index["signed"] is True
    for entry in index["files"]:
        content = (data / entry["name"]).read_bytes()
        assert len(content) == entry["bytes"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    listed = {entry["name"] for entry in index["files"]}
    assert {path.name for path in data.iterdir()} == listed | {"index.json", "index.json.sig"}
    check = [
        *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "operator.pem", "-rawin"),
        *("-in", "index.json", "-sigfile", "index.json.sig"),
    ]
    verified = subprocess.run(check, cwd=data, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert " ".join(check) in (tmp_path / "site/downloads/index.html").read_text()
    key.chmod(0o644)
    refused = run(*arguments)
    assert refused.returncode == 1
    assert "secret-readable" in refused.stderr


def test_the_publishers_secret_of_the_role_index_signs_too() -> None:
    seed = bytes(range(32))
    secret = {"type": "mars-motd-secret", "version": 1, "kdf": "none", "seed": seed.hex()}
    assert read_private_key(json.dumps(secret).encode()) == seed
    for bad in ({"kdf": "argon2id13", "seed": None}, {"type": "other"}, {"seed": "00"}):
        with pytest.raises(ConfigError) as caught:
            read_private_key(json.dumps({**secret, **bad}).encode())
        assert caught.value.reason == "operator-key"
    for data in (b"", b"[]", b"1", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"):
        with pytest.raises(ConfigError):
            read_private_key(data)


def test_without_a_key_the_index_is_unsigned(tmp_path: Path, publish: kit.Publish) -> None:
    publish(kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site", kit.RULES, kit.LATER)
    assert not (tmp_path / "site/data/index.json.sig").exists()
    assert json.loads((tmp_path / "site/data/index.json").read_bytes())["signed"] is False
    assert "not signed" in (tmp_path / "site/downloads/index.html").read_text()


def test_the_hash_of_each_served_document_is_published(
    tmp_path: Path, publish: kit.Publish
) -> None:
    publisher = Publisher()
    product = replace(
        kit.PRODUCT, product=publisher.product, channel=publisher.motd(kit.LATER).channel
    )
    first, second = (publisher.document(kit.LATER + n) for n in (0, 60))
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    for document in (second, first, first):
        publish(engine, tmp_path / "site", FloorRules(product), kit.LATER, motd=document)
    table = json.loads((tmp_path / "site/data/documents.json").read_bytes())
    hashes = [hashlib.sha256(document).hexdigest() for document in (first, second)]
    assert [entry["sha256"] for entry in table["documents"]] == hashes
    page = (tmp_path / "site/downloads/index.html").read_text()
    assert page.index(hashes[1]) < page.index(hashes[0]), "newest first"
    with pytest.raises(ConfigError):
        describe(first, replace(product, channel="another"))


def test_a_run_without_key_leaves_no_old_signature(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    data = tmp_path / "site/data"
    publish(engine, tmp_path / "site", kit.RULES, kit.LATER, signing_key=b"k" * 32)
    assert is_signed(data / "index.json")
    publish(engine, tmp_path / "site", kit.RULES, kit.LATER)
    assert not (data / "index.json.sig").exists()
    assert not (data / "operator.pem").exists()
    assert not is_signed(data / "index.json")


def test_what_a_killed_run_left_half_written_is_removed(
    tmp_path: Path, publish: kit.Publish
) -> None:
    data = tmp_path / "site/data"
    data.mkdir(parents=True)
    (data / ".new-abc").write_bytes(b"half")
    publish(kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site", kit.RULES, kit.LATER)
    assert not list(data.glob(".new-*"))


def test_a_typo_in_the_database_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT_TOML)
    site = tmp_path / "site"
    done = run(
        *("--db", f"sqlite:///{tmp_path}/typo.db", "--out", str(site)),
        *("--product", str(tmp_path / "product.toml")),
    )
    assert done.returncode == 1
    assert "database-missing" in done.stderr
    assert not (tmp_path / "typo.db").exists()
    assert not site.exists()
