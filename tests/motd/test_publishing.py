"""check, new, preview, deploy and status, run as a publisher runs them."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.testing.world import ONION

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"
EXAMPLE = Path(__file__).parents[2] / "motd"


@pytest.fixture
def example(product: Path) -> Path:
    """The repository's example with keys of its own."""
    for name in ("product.toml", "news.txt", "metrics.toml", "errors.toml"):
        shutil.copy(EXAMPLE / name, product / name)
    shutil.copytree(EXAMPLE / "messages", product / "messages", dirs_exist_ok=True)
    return product


def test_check_lists_problems_by_file_and_line(example: Path, ok: Run, motd: Run) -> None:
    path = example / "product.toml"
    path.write_text(path.read_text().replace("servers = []", f'servers = ["http://{ONION}"]'))
    assert ok("check", example, "--json").json == {"ok": True, "messages": 3, "problems": []}
    (example / "messages" / "bad.toml").write_text('kind = "advert"\n[title]\nen = "T"\n')
    done = motd("check", example)
    assert done.code == 1
    assert f"{example}/messages/bad.toml:1: kind must be one of" in done.out
    found = motd("check", example, "--json").json
    assert (found["ok"], found["problems"][0]["line"]) == (False, 1)


def test_a_product_without_a_server_is_told_of_at_each_step(
    tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Nothing of it can fail, since each step works unedited; nobody may overlook it either."""
    folder, trust = tmp_path / "p", tmp_path / "trust.json"
    said = "servers in product.toml is empty, so clients fetch nothing"
    assert said in ok("init", folder, "--product", "examplemail").err
    ok("key", "new", folder, "--no-passphrase")
    ok("sign", folder, "--out", tmp_path / "motd.json")
    assert said in ok("trust", folder, "--out", trust, "--now", MARCH).err
    assert said in ok("status", folder).err
    assert ok("status", folder, "--json").json["ok"] is True
    (found,) = ok("check", folder, "--json").json["problems"]
    lines = (folder / "product.toml").read_text().splitlines()
    assert (lines[found["line"] - 1], found["warning"]) == ("servers = []", True)


@pytest.mark.parametrize("server", [ONION, f"http://{ONION}"])
def test_the_server_that_init_is_given_reaches_what_clients_pin(
    server: str, tmp_path: Path, ok: Run, motd: Run
) -> None:
    folder, trust = tmp_path / "p", tmp_path / "trust.json"
    assert motd("init", folder, "--product", "examplemail", "--server", "example.org").code == 2
    made = [ok("init", folder, "--product", "examplemail", "--server", server)]
    made.append(ok("key", "new", folder, "--no-passphrase"))
    made.append(ok("sign", folder, "--out", tmp_path / "motd.json"))
    made.append(ok("trust", folder, "--out", trust, "--now", MARCH))
    assert json.loads(trust.read_text())["servers"] == [f"http://{ONION}"]
    made += [ok("check", folder), ok("status", folder)]
    assert not [done.err for done in made if "servers in product.toml" in done.err]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('owner = "mail list team"\n', "", 4, "owner is missing"),
        ("expires = 2027-12-31", 'expires = "soon"', 4, "expires must be a date"),
        ('sensitivity = "interaction"', 'sensitivity = "none"', 4, "sensitivity must be"),
        ('type = "bucket"', 'type = "text"', 4, "type must be one of bool, enum, bucket"),
        ("bounds = [1, 10, 100]", "bounds = [1, 1]", 4, "bounds must be"),
        ("bounds = [1, 10, 100]", "values = [1]", 4, "values belong to the type enum"),
        ("[folders]", "[Folders]", 4, "'Folders' is not a name"),
        ("[folders]", "[folders]\ncolour = 1", 4, "unknown entry colour"),
    ],
)
def test_d01_check_fails_for_a_metric_without_owner_review_or_expiry(
    example: Path, motd: Run, old: str, new: str, line: int, says: str
) -> None:
    path = example / "metrics.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    done = motd("check", example)
    assert done.code == 1
    assert any(
        f"metrics.toml:{line}: " in text and says in text for text in done.out.splitlines()
    ), done.out


def test_sign_refuses_what_check_finds(example: Path, tmp_path: Path, motd: Run) -> None:
    bad = example / "messages" / "bad.toml"
    bad.write_text('url = "ftp://x"\n[title]\nen = "T"\n')
    done = motd("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    assert (done.code, (tmp_path / "a.json").exists()) == (1, False)
    assert f"{bad}:1: url must be" in done.err


def test_b12_sign_refuses_a_document_that_is_too_large(
    example: Path, tmp_path: Path, motd: Run
) -> None:
    for number in range(10):
        path = example / "messages" / f"long-{number}.toml"
        path.write_text(f'[title]\nen = "T"\n[text]\nen = "{"x" * 3900}"\n')
    assert motd("check", example).code == 1
    done = motd("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    assert (done.code, (tmp_path / "a.json").exists()) == (1, False)
    assert "[too-large]" in done.err


def test_an_edited_policy_waits_for_the_rotation(example: Path, tmp_path: Path, ok: Run) -> None:
    ok("trust", example, "--out", tmp_path / "trust.json", "--now", MARCH)
    path = example / "product.toml"
    path.write_text(path.read_text().replace('openpgp = "when', 'openpgp = "required" # "when'))
    assert "key rotate" in ok("check", example).out
    ok("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    ok("key", "rotate", example, "--now", MARCH)
    ok("trust", example, "--out", tmp_path / "trust.json", "--now", MARCH)
    assert json.loads((tmp_path / "trust.json").read_text())["policy"] == "required"


def test_the_product_cannot_be_renamed_under_its_clients(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    ok("trust", example, "--out", tmp_path / "trust.json", "--now", MARCH)
    path = example / "product.toml"
    path.write_text(path.read_text().replace('"examplemail"', '"othermail"'))
    done = motd("sign", example, "--out", tmp_path / "a.json")
    assert (done.code, "[product-changed]" in done.err) == (1, True)


def test_new_from_options_and_from_an_editor(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    ok("new", example, "a", "--title", 'A "quoted" title', "--text", "Two\nlines", "--url",
       "https://example.org/", "--versions", "<0.5.2", "--platform", "linux")  # fmt: skip
    shown = ok("preview", example, "--as", "version=0.5.1,os=linux,lang=en").out
    assert 'A "quoted" title' in shown
    assert "Two\nlines" in shown
    assert motd("new", example, "a", "--title", "again").code == 1
    assert motd("new", example, "no/slash", "--title", "T").code == 2
    assert motd("new", example, "b", "--title", "T", "--url", "ftp://x").code == 1
    assert not (example / "messages" / "b.toml").exists()
    assert motd("new", example, "c", EDITOR="", VISUAL="").code == 2
    editor = tmp_path / "my editor"
    editor.write_text("#!/bin/sh\nsed -i 's/…/From the editor/' \"$1\"\n")
    editor.chmod(0o755)
    ok("new", example, "c", EDITOR=f"'{editor}'", VISUAL="")
    assert "From the editor" in ok("preview", example, "--as", "os=linux").out
    done = motd("new", example, "d", EDITOR="true", VISUAL="")
    assert (done.code, "[unchanged]" in done.err) == (1, True)
    assert not (example / "messages" / "d.toml").exists()
    assert motd("new", example, "d", EDITOR="false", VISUAL="").code == 1


def test_b18_preview_shows_what_each_client_would_see(example: Path, ok: Run, motd: Run) -> None:
    def ids(reader: str) -> list[str]:
        found = ok("preview", example, "--as", reader, "--now", "2026-12-01T00:00:00Z", "--json")
        return [shown["id"] for shown in found.json["shown"]]

    assert ids("version=0.1.2,os=windows,lang=en") == ["2026-11-attachments", "2026-11-release"]
    assert ids("version=0.1.2,os=linux,lang=en") == ["2026-11-release"]
    assert ids("version=0.5.2,os=linux,lang=is_IS") == ["2026-11-islenska"]
    assert ids("version=0.5.2,os=other,lang=de") == []
    table = ok("preview", example, "--now", "2026-12-01T00:00:00Z", "--json").json
    assert len(table) == 9 * 4 * 3
    text = ok("preview", example, "--now", "2026-12-01T00:00:00Z").out
    rows = [line.split() for line in text.splitlines()]
    assert ["0.5.2", "macos", "up-to-date", "-", "-", "B"] in rows
    assert ["B", "=", "2026-11-islenska"] in rows
    assert sum(row[:2] == ["0.1.0", "windows"] for row in rows) == 1
    assert motd("preview", example, "--as", "colour=red").code == 2
    assert motd("preview", example, "--as", "os=beos").code == 2


def test_deploy_is_atomic_and_refuses_what_clients_refuse(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    www = tmp_path / "www"
    www.mkdir()
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    assert "[nothing-signed]" in motd("deploy", example, www, "--now", MARCH).err
    ok("sign", example, "--out", old, "--now", MARCH)
    ok("deploy", example, www, "--now", MARCH)
    target = www / "motd.json"
    assert target.read_bytes() == old.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    ok("sign", example, "--out", new, "--now", NEXT_DAY)
    ok("deploy", example, www, "--now", NEXT_DAY)
    assert target.read_bytes() == new.read_bytes()
    ok("deploy", example, target, "--now", NEXT_DAY)  # the same again changes nothing
    tampered = tmp_path / "tampered.json"
    tampered.write_bytes(new.read_bytes().replace(b'"payload":"eyJ', b'"payload":"eyK'))
    for file, now, reason in (
        (old, NEXT_DAY, "rollback"),
        (tampered, NEXT_DAY, "signature-threshold"),
        (new, "2026-04-12T00:00:00Z", "expires-soon"),
        (new, "2026-05-12T00:00:00Z", "expired"),
    ):
        done = motd("deploy", example, target, "--file", file, "--now", now)
        assert done.code == 1
        assert f"[{reason}]" in done.err
        assert target.read_bytes() == new.read_bytes()
    assert list(www.iterdir()) == [target]


def test_c03_deploy_refuses_a_second_text_under_one_serial(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    twin = shutil.copytree(example, tmp_path / "twin")
    (twin / "news.txt").write_text("Another text.")
    ok("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    ok("sign", twin, "--out", tmp_path / "b.json", "--now", MARCH)
    ok("deploy", example, tmp_path / "www.json", "--now", MARCH)
    done = motd(
        "deploy", example, tmp_path / "www.json", "--file", tmp_path / "b.json", "--now", MARCH
    )
    assert (done.code, "[equivocation]" in done.err) == (1, True)


def test_deploy_touches_no_file_that_it_does_not_know(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    ok("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    (tmp_path / "index.html").write_text("<p>a page</p>")
    done = motd("deploy", example, tmp_path / "index.html", "--now", MARCH)
    assert (done.code, "[deploy-unreadable]" in done.err) == (1, True)
    assert (tmp_path / "index.html").read_text() == "<p>a page</p>"


def test_deploy_replaces_an_expired_document_and_one_of_an_older_epoch(
    example: Path, tmp_path: Path, ok: Run
) -> None:
    target = tmp_path / "www.json"
    ok("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    ok("deploy", example, target, "--now", MARCH)
    ok("sign", example, "--out", tmp_path / "b.json", "--now", "2026-06-01T00:00:00Z")
    ok("deploy", example, target, "--now", "2026-06-01T00:00:00Z")
    ok("key", "rotate", example, "--now", "2026-06-01T00:00:00Z")
    ok("sign", example, "--out", tmp_path / "c.json", "--now", "2026-06-02T00:00:00Z")
    ok("deploy", example, target, "--now", "2026-06-02T00:00:00Z")
    assert target.read_bytes() == (tmp_path / "c.json").read_bytes()


def test_status_tells_people_and_monitoring(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    assert motd("status", example, "--now", MARCH).code == 1
    ok("sign", example, "--out", tmp_path / "a.json", "--now", MARCH)
    found = ok("status", example, "--now", NEXT_DAY, "--json").json
    assert found["ok"] is True
    assert (found["days_left"], found["epoch"], found["missing"]) == (44, 1, 0)
    assert (found["signed_by"], found["openpgp"], found["problems"]) == (["motd-1"], True, [])
    text = ok("status", example, "--now", NEXT_DAY).out
    assert "expires 2026-04-15T00:00:00Z (44 days)" in text
    assert "signed by motd-1" in text
    soon = motd("status", example, "--now", "2026-04-10T00:00:00Z", "--json")
    assert (soon.code, soon.json["ok"], soon.json["days_left"]) == (1, False, 5)
    assert "expires in 5 days" in soon.json["problems"][0]
    gone = motd("status", example, "--now", "2026-04-16T00:00:00Z", "--json")
    assert "has expired" in gone.json["problems"][0]
    ok("key", "rotate", example, "--now", NEXT_DAY, "--days", "60")
    ok("sign", example, "--out", tmp_path / "b.json", "--now", NEXT_DAY)
    late = motd("status", example, "--now", "2026-03-20T00:00:00Z", "--json")
    assert late.json["keys_days_left"] == 42
    assert "key rotate" in late.json["problems"][0]


def test_a_minimum_serial_protects_new_installations(
    example: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    old, new, trust = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "trust.json"
    ok("sign", example, "--out", old, "--now", MARCH)
    ok("sign", example, "--out", new, "--now", NEXT_DAY)
    ok("trust", example, "--out", trust, "--minimum-serial", "latest", "--built", NEXT_DAY,
       "--now", NEXT_DAY)  # fmt: skip
    ok("verify", new, "--trust", trust, "--now", NEXT_DAY)
    assert "[rollback]" in motd("verify", old, "--trust", trust, "--now", NEXT_DAY).err
    assert motd("trust", example, "--out", trust, "--minimum-serial", "-1").code == 2
    assert motd("trust", example, "--out", tmp_path).code == 1


@pytest.mark.parametrize(
    "floor",
    [
        ("--minimum-serial", "99999999999"),
        ("--minimum-serial", "1772323201"),
        ("--built", "2126-01-01T00:00:00Z"),
    ],
)
def test_a_floor_that_no_document_reaches_is_refused(
    product: Path, tmp_path: Path, ok: Run, motd: Run, floor: tuple[str, str]
) -> None:
    trust, document = tmp_path / "trust.json", tmp_path / "motd.json"
    done = motd("trust", product, "--out", trust, *floor, "--now", MARCH)
    assert (done.code, "[future]" in done.err) == (1, True)
    assert not trust.exists()
    assert not (product / "trust").exists()
    ok("trust", product, "--out", trust, "--minimum-serial", "1772323200", "--now", MARCH)
    ok("sign", product, "--out", document, "--now", MARCH)
    ok("verify", document, "--trust", trust, "--now", MARCH)
