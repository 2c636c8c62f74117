"""Commands take from ``server.toml`` what they are not told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars_server.common.config import load_config
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import shuffled

BROKEN = "This is no TOML ["


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with logs and a product file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "access.log").write_bytes(shuffled(1, 300) + b"\n")
    product(tmp_path)
    return tmp_path


def settings(place: Path, more: str = "", name: str = "server.toml") -> Path:
    file = place / name
    file.write_text(
        f'log = "log"\nproduct = "product.toml"\ndb = "sqlite:///{place}/counts.db"\n'
        f'site = "{place}/site"\n{more}'
    )
    return file


def test_bare_commands_do_what_the_file_says(place: Path) -> None:
    settings(place)
    counted = run("count", "--json")
    assert counted.stderr.startswith(b"Settings: server.toml\n")
    found = json.loads(counted.stdout)
    assert found.pop("late") == 0
    assert found == run_json("count", "log", "--product", "product.toml", "--dry-run")
    assert run_json("counts", "show")["hits"] == found["hits"] > 0
    assert run_json("counts", "weeks")
    assert run("counts", "export").stdout.count(b"\n") > 10
    published = run_json("publish", "--now", "2030-01-01T00:00:00Z")
    assert published["new_weeks"] == len(run_json("counts", "weeks"))
    assert (place / "site" / "index.html").exists()
    assert run_json("retain", "--dry-run")["dry_run"]
    day = next(iter(found["days"]))
    refused = run("counts", "recount", day, code=1)
    assert b"published" in refused.stderr
    assert run_json("scrub", "log/access.log", "--dry-run")["kept"]


def test_what_is_given_wins_over_the_file(place: Path) -> None:
    file = settings(place, name="other.toml")
    other = f"sqlite:///{place}/other.db"
    run("count", "--config", file, "--db", other)
    assert run_json("counts", "show", "--db", other)["hits"]
    assert not (place / "counts.db").exists()


def test_a_complete_command_looks_at_no_file(place: Path) -> None:
    (place / "server.toml").write_text(BROKEN)
    url = f"sqlite:///{place}/c.db"
    done = run("count", "log", "--product", "product.toml", "--db", url)
    assert b"Settings" not in done.stderr
    run("count", "log", "--product", "product.toml", "--dry-run")
    run("counts", "show", "--db", url)
    run("publish", "--db", url, "--out", "site", "--product", "product.toml")
    assert b"is not TOML" in run("counts", "show", code=1).stderr
    assert b"is not TOML" in run("publish", "--out", "site", code=1).stderr
    run("count", "--help")


def test_a_dry_run_needs_no_database_and_stores_nothing(place: Path) -> None:
    settings(place)
    assert run_json("count", "--dry-run")["hits"]
    assert not (place / "counts.db").exists()


def test_what_is_missing_is_said(place: Path) -> None:
    alone = run("count", code=2).stderr
    assert b"LOG" in alone
    assert b"name a server.toml by --config" in alone
    file = place / "server.toml"
    file.write_text('log = "log"\nproduct = "product.toml"\n')
    assert b"--db URL or --dry-run" in run("count", code=2).stderr
    said = run("counts", "weeks", code=2).stderr
    assert b"'--db'" in said
    assert b"server.toml does not say it either" in said
    assert b"triage" not in run("errors", "list", "--help").stdout
    assert b"does not say it either" in run("errors", "list", code=2).stderr
    assert b"no-such.toml" in run("counts", "weeks", "--config", "no-such.toml", code=1).stderr


def test_publish_takes_its_own_table(place: Path) -> None:
    key = place / "noise.key"
    key.write_bytes(b"n" * 32)
    key.chmod(0o600)
    settings(place, f'[publish]\nnoise_key = "{key}"\nnoise_epsilon = 0.5\noperator = "A & B"\n')
    run("count")
    run("publish", "--now", "2030-01-01T00:00:00Z")
    assert any("noise" in path.read_text() for path in (place / "site" / "data").glob("*.json"))
    assert "Run by A &amp; B." in (place / "site" / "de" / "index.html").read_text().replace(
        "Betrieben von", "Run by"
    )
    run("publish", "--now", "2030-02-01T00:00:00Z", "--without-noise", "--operator", "C")
    assert "Run by C." in (place / "site" / "index.html").read_text()
    for text in ("two\nlines", "x" * 201):
        assert b"--operator is one line" in run("publish", "--operator", text, code=1).stderr


def test_keys_may_be_patterns(place: Path) -> None:
    found = load_config(settings(place, 'keys = ["keys/intake-*.secret", "one.secret"]\n'))
    assert found.key_files == ("keys/intake-*.secret", "one.secret")  # so that this is told
    assert found.logs == ("log",)
    (place / "keys").mkdir()
    for number in (2, 1):
        (place / "keys" / f"intake-{number}.secret").touch()
    names = ["keys/intake-1.secret", "keys/intake-2.secret", "one.secret"]
    assert list(found.key_files) == names
    assert replace(found, spool="spool").logs == ("log", "spool")
    assert replace(found, spool="spool", keys=()).logs == ("log",)
