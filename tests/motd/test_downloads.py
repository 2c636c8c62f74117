"""Downloads ride beside the news, signed by a role of their own."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
DECLARED = """\
release = "0.5.3"
minimum_version = "0.5.0"

[notes]
en = "Faster."

[[downloads]]
platform = "linux"
url = "https://example.org/examplemail-0.5.3.tar.gz"
size = 1_000_000
sha256 = "{sha}"

[[downloads]]
platform = "windows"
url = "https://example.org/examplemail-0.5.3.exe"
size = 2_000_000
sha256 = "{sha}"
page = "https://example.org/0.5.3"
""".format(sha="ab" * 32)


def said(document: Path, member: str = "") -> Any:
    envelope = json.loads(document.read_text())
    return json.loads(base64.b64decode((envelope[member] if member else envelope)["payload"]))


@pytest.fixture
def declared(product: Path) -> Path:
    path = product / "product.toml"
    path.write_text(path.read_text().replace("releases = []", 'releases = ["0.5.0", "0.5.3"]'))
    (product / "downloads.toml").write_text(DECLARED)
    return product


def test_nothing_rides_where_none_is_declared(product: Path, tmp_path: Path, ok: Run) -> None:
    out = tmp_path / "motd.json"
    (product / "downloads.toml").write_text("# later\n")
    ok("sign", product, "--out", out, "--now", MARCH)
    assert "x-release" not in json.loads(out.read_text())
    assert not (product / "release.json").exists()
    assert "nothing is declared" in ok("release", product).out


def test_sign_makes_and_carries_it(declared: Path, tmp_path: Path, ok: Run, verdict: Run) -> None:
    out = tmp_path / "motd.json"
    assert "0.5.3" in ok("preview", declared).out
    done = ok("sign", declared, "--out", out, "--now", MARCH)
    assert 'release: "0.5.3"' in done.err
    release = said(out, "x-release")
    assert release == said(declared / "release.json")
    assert (release["minimum_version"], release["notes"]) == ("0.5.0", {"en": "Faster."})
    assert [it["platform"] for it in release["downloads"]] == ["linux", "windows"]
    found = verdict(out, declared)
    assert (found["release"], found["notes"]) == (release["serial"], [])
    ok("sign", declared, "--out", out, "--now", NEXT_DAY)
    assert said(out, "x-release") == release
    status = ok("status", declared, "--now", NEXT_DAY, "--json").json
    assert status["release"]["current"] is True


def test_without_its_keys_the_last_one_rides_along(
    declared: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """A thief of the news keys blesses no installer."""
    out, secret = tmp_path / "motd.json", declared / "keys" / "release-1.secret"
    ok("sign", declared, "--out", out, "--now", MARCH)
    genuine = said(out, "x-release")
    secret.rename(tmp_path / "release-1.secret")
    path = declared / "downloads.toml"
    path.write_text(DECLARED.replace("example.org", "evil.example"))
    done = ok("sign", declared, "--out", out, "--now", NEXT_DAY)
    assert "the last one rides along" in done.err
    assert said(out, "x-release") == genuine
    done = motd("release", declared, "--now", NEXT_DAY)
    assert (done.code, "[signatures-missing]" in done.err) == (1, True)
    status = motd("status", declared, "--now", NEXT_DAY, "--json")
    assert (status.code, status.json["release"]["current"]) == (1, False)
    envelope = json.loads((declared / "release.json").read_text())
    changed = base64.b64decode(envelope["payload"]).replace(b"example.org", b"examp1e.org")
    envelope["payload"] = base64.b64encode(changed).decode()
    (declared / "release.json").write_text(json.dumps(envelope))
    done = motd("release", declared, "--now", NEXT_DAY)
    assert (done.code, "[rider-invalid]" in done.err) == (1, True)
    (declared / "issued" / f"{said(out)['serial']}.json").unlink()
    assert "No downloads" in ok("sign", declared, "--out", out, "--now", NEXT_DAY).err
    assert "x-release" not in json.loads(out.read_text()), "the news do not wait for it"


def test_it_is_renewed_alone_and_in_turn(product: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    path = product / "product.toml"
    path.write_text(path.read_text().replace("threshold = 1", "threshold = 2\nroot_threshold = 1"))
    for role in ("motd", "release"):
        ok("key", "new", product, "--name", "bob", "--role", role, "--no-passphrase")
    (product / "downloads.toml").write_text(DECLARED)
    ok("trust", product, "--out", tmp_path / "trust.json", "--now", MARCH)
    bob = Path(shutil.copytree(product, tmp_path / "bob"))
    (bob / "keys" / "release-1.secret").unlink()
    (product / "keys" / "bob-release.secret").unlink()
    half = tmp_path / "half.json"
    done = motd("release", product, "--now", MARCH)
    assert (done.code, "--partial" in done.err) == (1, True)
    ok("release", product, "--now", MARCH, "--partial", half)
    assert "examplemail-0.5.3.exe" in ok("preview", bob, "--file", half).out
    (bob / "downloads.toml").write_text(DECLARED.replace("Faster.", "Better."))
    done = ok("release", bob, "--now", NEXT_DAY, "--add-to", half)
    assert "warning: this folder says otherwise: notes" in done.err
    assert said(bob / "release.json")["notes"] == {"en": "Faster."}


def test_b12_all_that_rides_along_must_fit(
    declared: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    path, out = declared / "product.toml", tmp_path / "motd.json"
    links = ", ".join(f'"https://example.org/{"x" * 170}/{number}/"' for number in range(16))
    text = path.read_text().replace("links = []", f"links = [{links}]")
    path.write_text(text.replace('["en"]', '["en", "is", "de", "fr"]'))
    notes = "\n".join(f'{language} = "{"x" * 3900}"' for language in ("en", "is", "de", "fr"))
    for number in range(8):
        news = f'[title]\nen = "T"\n[text]\nen = "{"x" * 3900}"\n'
        (declared / "messages" / f"long-{number}.toml").write_text(news)
    ok("sign", declared, "--out", out, "--now", MARCH)
    (declared / "downloads.toml").write_text(DECLARED.replace('en = "Faster."', notes))
    assert "all that rides along" in motd("check", declared).out
    done = motd("sign", declared, "--out", out, "--now", NEXT_DAY)
    assert (done.code, "[too-large]" in done.err) == (1, True)
    assert said(declared / "release.json")["notes"] == {"en": "Faster."}, "nothing was written"


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('release = "0.5.3"', 'release = "next"', 1, "release must be a release"),
        ('release = "0.5.3"\n', "", 1, "release must be"),
        ('minimum_version = "0.5.0"', 'minimum_version = "0.6"', 2, "newer than release"),
        ('minimum_version = "0.5.0"', 'minimun_version = "0.5.0"', 2, "unknown entry minimun_v"),
        ('en = "Faster."', 'xx = "Faster."', 5, "'xx' is not in languages"),
        ('en = "Faster."', "en = 1", 5, "notes.en must be a text"),
        ('[notes]\nen = "Faster."', "notes = 1", 4, "notes must be a table"),
        ('platform = "windows"', 'platform = "amiga"', 13, "platform 'amiga' is not in platforms"),
        ("size = 2_000_000\n", "", 13, "a download needs platform, url, size, sha256"),
        ("size = 2_000_000", "size = 2026-01-01", 13, "a download needs"),
        ("https://example.org/examplemail-0.5.3.exe", "ftp://x", 13, "must be plain https"),
        ('page = "', 'pages = "', 13, "unknown entry pages"),
        ("[[downloads]]", "[downloads]", 1, "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    declared: Path, tmp_path: Path, motd: Run, old: str, new: str, line: int, says: str
) -> None:
    path = declared / "downloads.toml"
    assert old in DECLARED
    path.write_text(DECLARED.replace(old, new))
    done = motd("check", declared)
    assert done.code == 1
    (found,) = [it for it in done.out.splitlines() if "downloads.toml" in it]
    assert says in found
    assert line == int(found.split(":")[1]) or says == "is not TOML"
    done = motd("sign", declared, "--out", tmp_path / "x.json", "--now", MARCH)
    assert (done.code, "[content-invalid]" in done.err) == (1, True)


def test_a_release_that_is_not_listed_is_told_of(product: Path, ok: Run) -> None:
    (product / "downloads.toml").write_text(DECLARED)
    assert "downloads.toml:1: warning: 0.5.3 is not in releases" in ok("check", product).out
