"""Who can write into the folder, or hands a file over, but lacks the keys that a change needs."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mars.testing.world import ONION
from mars.wire import ed25519
from mars.wire.envelope import pae
from tests.motd.conftest import edit
from tests.motd.test_secrets import answer

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
FAR = "2036-01-01T00:00:00Z"
LINKS = 'links = ["https://example.org/"]'


def said(document: Path, member: str = "") -> Any:
    envelope = json.loads(document.read_text())
    return json.loads(base64.b64decode((envelope[member] if member else envelope)["payload"]))


def refused(done: Any, reason: str) -> bool:
    return done.code == 1 and f"[{reason}]" in done.err


def forged(document: Path, folder: Path, *roles: str, **members: object) -> None:
    """Another payload, signed by the Ed25519 secrets of ``roles`` alone: half-signed."""
    envelope = json.loads(document.read_text())
    payload = json.dumps(said(document) | members, separators=(",", ":")).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    envelope["signatures"] = []
    for role in roles:
        where = folder / ("root" if role == "root" else "keys") / f"{role}-1.secret"
        seed = bytes.fromhex(json.loads(where.read_text())["seed"])
        entry = ed25519.sign(seed, pae(envelope["payloadType"], payload))
        keyid = json.loads((folder / f"keys/{role}-1.json").read_text())["ed25519"]
        envelope["signatures"].append(
            {"keyid": keyid[:16], "sig": base64.b64encode(entry).decode()}
        )
    document.write_text(json.dumps(envelope))


@pytest.fixture
def signed(product: Path, tmp_path: Path, ok: Run) -> Path:
    """A folder whose news were signed in March, with root at hand."""
    ok("sign", product, "--out", tmp_path / "first.json", "--now", MARCH)
    return product


def test_a24_a_far_serial_is_not_added_to(signed: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    """Clients would keep it, and pass over all that is honest from then on."""
    half, before = tmp_path / "half.json", (signed / "steering.json").read_bytes()
    now = int(time.time())
    for serial, reason in ((now + 10**8, "fast-forward"), (1, "fast-forward")):
        shutil.copy(signed / "steering.json", half)
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        forged(half, signed, "root", serial=serial, issued=date, links=["https://evil.example/"])
        for more in ((), ("--partial", tmp_path / "x.json")):
            assert refused(motd("steering", signed, "--add-to", half, *more), reason)
    forged(half, signed, "root", serial=2_082_758_400, issued=FAR)
    assert refused(motd("steering", signed, "--add-to", half), "future")
    assert (signed / "steering.json").read_bytes() == before


def test_a24_what_steers_is_never_dated_ahead_of_the_clock(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    out, trust = tmp_path / "x.json", tmp_path / "t.json"
    for command in (("steering", product), ("trust", product, "--out", trust)):
        assert refused(motd(*command, "--now", FAR), "future")
    assert not (product / "steering.json").exists()
    ok("sign", product, "--out", out, "--now", FAR)
    assert said(out)["issued"] == FAR
    assert said(out, "x-steering")["serial"] <= time.time()
    edit(product, "links = []", LINKS)
    ok("sign", product, "--out", out)
    ok("trust", product, "--out", trust)
    assert ok("verify", out, "--trust", trust, "--json").json["notes"] == []


def test_a24_a_far_steering_document_is_neither_pinned_nor_carried(
    signed: Path, tmp_path: Path, motd: Run
) -> None:
    path = signed / "steering.json"
    forged(path, signed, "root", serial=2_082_758_400, issued=FAR)
    for command in ("trust", "sign"):
        assert refused(motd(command, signed, "--out", tmp_path / "x.json"), "rider-invalid")


def test_a24_two_half_signed_texts_have_two_serials(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    edit(product, "threshold = 1", "threshold = 1\nroot_threshold = 2")
    ok("key", "new", product, "--role", "root", "--name", "bob", "--no-passphrase")
    ok("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
    (product / "root" / "bob-root.secret").unlink()
    one, two = tmp_path / "1.json", tmp_path / "2.json"
    edit(product, "links = []", LINKS)
    ok("steering", product, "--partial", one, "--now", NEXT_DAY)
    edit(product, LINKS, 'links = ["https://example.net/"]')
    ok("steering", product, "--partial", two, "--now", NEXT_DAY)
    assert said(two)["serial"] == said(one)["serial"] + 1
    forged(two, product, "root", links=["https://evil.example/"])
    again = ("steering", product, "--add-to", two, "--partial", one)
    assert refused(motd(*again, "--now", NEXT_DAY), "equivocation")


def test_a24_nobody_but_root_changes_what_is_pinned(
    signed: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Not even where steering document and news are gone, as if it were the first time."""
    shutil.rmtree(signed / "root")
    shutil.rmtree(signed / "issued")
    (signed / "steering.json").unlink()
    edit(signed, "servers = []", f'servers = ["http://{ONION}"]')
    out = tmp_path / "t.json"
    assert refused(motd("trust", signed, "--out", out, "--now", NEXT_DAY), "root-away")
    assert not out.exists()


def test_a24_a_far_release_document_does_not_stop_the_news(
    signed: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    edit(signed, "releases = []", 'releases = ["0.5.3"]')
    (signed / "downloads.toml").write_text('release = "0.5.3"\n')
    out = tmp_path / "x.json"
    ok("sign", signed, "--out", out, "--now", NEXT_DAY)
    genuine = (signed / "release.json").read_text()
    forged(signed / "release.json", signed, "release", serial=2_082_758_400, issued=FAR)
    done = ok("sign", signed, "--out", out)
    assert "No downloads ride along." in done.err
    assert "x-release" not in json.loads(out.read_text())
    assert refused(motd("release", signed), "rider-invalid")
    (signed / "release.json").write_text(genuine)
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 80_000))
    ok("release", signed)
    (signed / "downloads.toml").write_text('release = "0.5.3"\nminimum_version = "0.5.3"\n')
    ok("release", signed, "--now", later)  # as a thief of the role would, with his own downloads
    (signed / "downloads.toml").write_text('release = "0.5.3"\n')
    assert "No downloads ride along." in ok("sign", signed, "--out", out).err
    assert "x-release" not in json.loads(out.read_text())


def test_a24_completing_news_keeps_the_downloads_beside_them(
    product: Path, tmp_path: Path, ok: Run
) -> None:
    edit(product, "threshold = 1", "threshold = 2\nroot_threshold = 1")
    edit(product, "releases = []", 'releases = ["0.5.3"]')
    (product / "downloads.toml").write_text('release = "0.5.3"\n')
    for role in ("motd", "release"):
        ok("key", "new", product, "--name", "bob", "--role", role, "--no-passphrase")
    half, full = tmp_path / "half.json", tmp_path / "full.json"
    ok("sign", product, "--key", "motd-1", "--out", half, "--now", MARCH, "--partial")
    bob = Path(shutil.copytree(product, tmp_path / "bob"))
    for name in ("downloads.toml", "release.json"):
        (bob / name).unlink()
    ok("sign", bob, "--add-to", half, "--out", full, "--now", MARCH)
    assert said(full, "x-release") == said(half, "x-release")


def test_a22_far_news_are_not_half_signed(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Whoever completes them is somebody else, or nobody: the signature cannot be taken back."""
    edit(product, "threshold = 1", "threshold = 2\nroot_threshold = 1")
    for role in ("motd", "release"):
        ok("key", "new", product, "--name", "bob", "--role", role, "--no-passphrase")
    first, half, out = (tmp_path / f"{name}.json" for name in ("first", "half", "x"))
    ok("sign", product, "--out", first, "--now", MARCH)
    day = {"issued": NEXT_DAY, "serial": 1_772_409_600}
    for members, reason in (
        ({"issued": FAR, "serial": 2_082_758_400, "expires": "2036-02-01T00:00:00Z"}, "future"),
        (day | {"serial": 1}, "fast-forward"),
        (day | {"expires": "2026-12-30T00:00:00Z"}, "bad-lifetime"),
        ({"issued": "2025-01-01T00:00:00Z", "serial": 1_735_689_600,
          "expires": "2025-02-01T00:00:00Z"}, "expired"),
    ):  # fmt: skip
        shutil.copy(first, half)
        forged(half, product, "motd", **members)
        add = ("sign", product, "--key", "motd-1", "--add-to", half, "--out", out, "--partial")
        assert refused(motd(*add, "--now", NEXT_DAY), reason)
        assert not out.exists()


def test_a22_news_dated_ahead_stop_no_everyday_command(
    signed: Path, tmp_path: Path, ok: Run
) -> None:
    out, trust = tmp_path / "x.json", tmp_path / "t.json"
    ok("sign", signed, "--out", out)
    serial = said(out)["serial"]
    ok("sign", signed, "--out", out, "--now", FAR)
    assert ok("deploy", signed, tmp_path / "www.json", "--json").json["serial"] == serial
    ok("trust", signed, "--out", trust, "--minimum-serial", "latest")
    assert json.loads(trust.read_text())["minimum_serial"] == serial
    found = ok("status", signed, "--json").json
    assert found["serial"] == serial
    assert any("issued/2082758400.json" in it for it in found["warnings"])


def test_a22_a_renamed_copy_is_not_the_newest(signed: Path, tmp_path: Path, motd: Run) -> None:
    issued = signed / "issued"
    shutil.copy(issued / "1772323200.json", issued / "1772323201.json")
    done = motd("deploy", signed, tmp_path / "www.json", "--now", MARCH)
    assert refused(done, "record-damaged")
    assert "it was renamed" in done.err


def test_a18_two_folders_that_rotated_apart_do_not_deploy_over_each_other(
    signed: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    other, www = Path(shutil.copytree(signed, tmp_path / "other")), tmp_path / "www"
    www.mkdir()
    for folder in (other, signed):
        ok("key", "new", folder, "--role", "status", "--no-passphrase")
        ok("key", "rotate", folder, "--now", NEXT_DAY)
        ok("sign", folder, "--out", tmp_path / "x.json", "--now", NEXT_DAY)
    ok("deploy", other, www, "--now", NEXT_DAY)
    before = {it: it.read_bytes() for it in www.iterdir()}
    assert refused(motd("deploy", signed, www, "--now", NEXT_DAY), "keys-equivocation")
    (www / "motd.json").unlink()
    assert refused(motd("deploy", signed, www, "--now", NEXT_DAY), "keys-equivocation")
    assert (www / "keys.json").read_bytes() == before[www / "keys.json"]


def test_a18_a_folder_that_lags_signs_and_deploys_nothing(
    signed: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    old, www = Path(shutil.copytree(signed, tmp_path / "old")), tmp_path / "www"
    www.mkdir()
    ok("key", "rotate", signed, "--now", NEXT_DAY)
    ok("sign", signed, "--out", tmp_path / "x.json", "--now", NEXT_DAY)
    ok("deploy", signed, www, "--now", NEXT_DAY)
    assert refused(motd("deploy", old, www, "--now", NEXT_DAY), "epoch-behind")
    shutil.copytree(signed / "issued", old / "issued", dirs_exist_ok=True)
    ok("sign", signed, "--out", tmp_path / "x.json", "--now", NEXT_DAY)
    sign = ("sign", old, "--out", tmp_path / "y.json", "--now", "2026-03-03T00:00:00Z")
    assert refused(motd(*sign), "epoch-behind")
    assert refused(motd("steering", old), "epoch-behind")


def test_a26_the_number_does_not_run_ahead_of_the_clock(
    signed: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    path, out = signed / "trust" / "gen", tmp_path / "t.json"
    for text in (str(int(time.time()) + 90_000), "999999999999999"):
        path.write_text(text)
        assert refused(motd("trust", signed, "--out", out), "record-damaged")
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")
    assert refused(motd("trust", signed, "--out", out), "record-damaged")
    assert not out.exists()


def test_a26_two_commands_at_once_get_two_numbers(signed: Path, tmp_path: Path, shell: Run) -> None:
    outs = [tmp_path / f"{number}.json" for number in range(4)]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda out: shell("trust", signed, "--out", out, "--json"), outs))
    gens = [it.json["gen"] for it in done]
    assert len(set(gens)) == len(outs)
    assert sorted(json.loads(out.read_text())["gen"] for out in outs) == sorted(gens)


@pytest.mark.parametrize("name", ["registry.json", "intake.json"])
def test_no_output_takes_the_place_of_what_steers(
    signed: Path, tmp_path: Path, motd: Run, name: str
) -> None:
    for command in ("sign", "trust"):
        assert refused(motd(command, signed, "--out", signed / name), "out-invalid")
    assert not (signed / name).exists()


def test_changes_are_shown_before_root_signs_them(signed: Path, tmp_path: Path, motd: Run) -> None:
    """A passphrase is asked for after them, so they can still be refused."""
    edit(signed, "servers = []", f'servers = ["http://{ONION}"]')
    (signed / "root" / "root-1.secret").chmod(0o644)
    done = motd("sign", signed, "--out", tmp_path / "x.json", "--now", NEXT_DAY)
    assert refused(done, "secret-exposed")
    assert f'servers: [] -> ["http://{ONION}"]' in done.err


def test_an_editor_that_fails_publishes_nothing(
    signed: Path, tmp_path: Path, motd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for script, left in (("exit 1", []), ('echo "# half" >> "$1"; exit 1', ["a.toml.unfinished"])):
        editor = tmp_path / "editor"
        editor.write_text(f"#!/bin/sh\n{script}\n")
        editor.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(editor))
        assert refused(motd("new", signed, "a"), "editor-failed")
        assert [it.name for it in (signed / "messages").iterdir()] == left


def test_an_error_names_the_file_that_was_asked_for(
    signed: Path, tmp_path: Path, motd: Run
) -> None:
    done = motd("trust", signed, "--out", Path("/proc/self") / "t.json")
    assert done.code == 1
    assert "t.json)" in done.err
    assert "/.t.json" not in done.err


def test_a24_root_is_asked_at_a_terminal(signed: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "x.json")
    for links, answers, more in ((LINKS, ["y"], []), ("links = []", [], ["--yes"])):
        edit(signed, "links = []" if more == [] else LINKS, links)
        answer(["sign", str(signed), "--out", out, *more], answers)
        assert said(tmp_path / "x.json", "x-steering")["links"] == json.loads(links[8:])
