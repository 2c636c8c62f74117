"""Whoever passes a file between holders may have changed it; nobody signs what they cannot see."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.wire import ed25519
from mars.wire.keys import keyid

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"
THIEF = ed25519.public_key(b"t" * 32)


@pytest.fixture(scope="module")
def duo(tmp_path_factory: pytest.TempPathFactory, ok: Run) -> Path:
    """Two holders, both needed, epoch 1 settled. Do not change it."""
    folder = tmp_path_factory.mktemp("duo") / "product"
    ok("init", folder, "--product", "examplemail")
    path = folder / "product.toml"
    path.write_text(path.read_text().replace("threshold = 1", "threshold = 2"))
    ok("key", "new", folder, "--name", "ada", "--no-passphrase")
    roles = ("--role", "root", "--role", "motd", "--role", "release")
    ok("key", "new", folder, "--name", "bob", *roles, "--no-passphrase")
    ok("trust", folder, "--out", folder / "trust.json", "--now", MARCH)
    return folder


@pytest.fixture
def two(duo: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(duo, tmp_path / "two"))


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Edits the payload of the envelope in ``path``; its signatures stay and no longer hold."""
    envelope = json.loads(path.read_text())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    change(payload)
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    path.write_text(json.dumps(envelope))
    return path


@pytest.fixture
def step(two: Path, tmp_path: Path, ok: Run) -> Path:
    """A keys document that ada has signed and that changes nothing."""
    path = tmp_path / "step.json"
    ok("key", "rotate", two, "--key", "ada-root", "--partial", path, "--now", MARCH)
    return path


def stranger_under_bobs_name(payload: dict[str, Any]) -> None:
    keys = payload["roles"]["motd"]["ed25519"]
    keys[list(keys)[1]] = THIEF.hex()


def changed_block(payload: dict[str, Any]) -> None:
    one, two, *_ = payload["openpgp"]
    payload["openpgp"][two] = payload["openpgp"][one]


def strange_fingerprint(payload: dict[str, Any]) -> None:
    one = next(iter(payload["openpgp"]))
    payload["openpgp"]["AB" * 20] = payload["openpgp"][one]
    payload["roles"]["motd"]["openpgp"].append("AB" * 20)


def news_key_among_roots(payload: dict[str, Any]) -> None:
    """Whoever stole it would then rotate."""
    motd, root = (payload["roles"][name]["ed25519"] for name in ("motd", "root"))
    name = next(iter(motd))
    root[name] = motd.pop(name)
    payload["roles"]["motd"]["threshold"] = 1


def news_token_among_roots(payload: dict[str, Any]) -> None:
    motd, root = (payload["roles"][name]["openpgp"] for name in ("motd", "root"))
    root.append(motd.pop())


@pytest.mark.parametrize("option", ["--add-to", "--show"])
@pytest.mark.parametrize(
    "attack",
    [
        stranger_under_bobs_name,
        changed_block,
        strange_fingerprint,
        news_key_among_roots,
        news_token_among_roots,
    ],
)
def test_a18_a_key_under_a_colleagues_name_is_not_signed_into_the_next_epoch(
    two: Path, step: Path, motd: Run, attack: Callable[[dict[str, Any]], None], option: str
) -> None:
    done = motd("key", "rotate", two, option, changed(step, attack), "--now", MARCH)
    assert (done.code, "[key-mismatch]" in done.err) == (1, True)
    assert not (two / "trust" / "epoch-2.json").exists()


def test_show_says_who_joins_and_leaves_and_signs_nothing(two: Path, step: Path, ok: Run) -> None:
    def attack(payload: dict[str, Any]) -> None:
        role = payload["roles"]["motd"]
        role["ed25519"].pop(next(iter(role["ed25519"])))
        role["ed25519"][keyid(THIEF)] = THIEF.hex()
        role["threshold"] = 1
        payload["openpgp"].pop(role["openpgp"].pop(0))

    rows = {row["name"]: row for row in ok("key", "list", two, "--json").json}
    before = changed(step, attack).read_bytes()
    shown = ok("key", "rotate", two, "--show", step, "--now", MARCH).out
    assert f"new:   ed25519 NOT A KEY OF THIS FOLDER {THIEF.hex()}" in shown
    assert f"gone:  ed25519 ada-motd {rows['ada-motd']['ed25519']}" in shown
    assert f"stays: ed25519 bob-motd {rows['bob-motd']['ed25519']}" in shown
    assert f"gone:  openpgp ada-motd {rows['ada-motd']['openpgp'][0]}" in shown
    assert "motd: threshold 2 -> 1 of 2 keys" in shown
    assert "root: threshold 2 of 2 keys" in shown
    assert "0 of 2 Ed25519 signatures" in shown  # ada's does not hold for the changed bytes
    assert step.read_bytes() == before
    assert not (two / "trust" / "epoch-2.json").exists()


def test_preview_of_a_file_hides_nothing(two: Path, tmp_path: Path, ok: Run) -> None:
    half = tmp_path / "half.json"
    ok("sign", two, "--key", "ada-motd", "--out", half, "--now", MARCH, "--partial")

    def attack(payload: dict[str, Any]) -> None:
        payload["reportback_server"] = "http://evil.onion"
        payload["reportback_next"] = 2_592_000
        payload["newest_version"] = "9.9\x1b[31m"
        payload["colour"] = {"red": 1}
        payload["messages"] = [
            {
                "id": "a",
                "title": {"en": "One", "is": "Tveir\u202e"},
                "text": {"xx": "first\nsecond: forged"},
                "url": "https://example.org/a",
                "not_before": "2030-01-01T00:00:00Z",
                "target": {"platforms": ["windows"], "phase": "moon"},
            }
        ]

    changed(half, attack)
    done = ok("preview", two, "--file", half, "--now", MARCH)
    for said in (
        "reportback_server: http://evil.onion",
        "reportback_next: 2592000",
        "newest_version: 9.9[31m   <-- without the invisible U+001B",
        "serial: 1772323200 (2026-03-01T00:00:00Z)",
        "expires: 2026-04-15T00:00:00Z",
        "colour:   <-- unknown to clients of this version",
        "is: Tveir   <-- without the invisible U+202E",
        "      | first",
        "      | second: forged",
        "url: https://example.org/a",
        "not_before: 2030-01-01T00:00:00Z",
        'platforms: ["windows"]',
        "phase: moon   <-- unknown to clients of this version",
    ):
        assert said in done.out, said
    assert "\x1b" not in done.out
    assert "warning: reportback_server is 'http://evil.onion'" in done.err
    found = ok("preview", two, "--file", half, "--now", MARCH, "--json").json
    assert found["payload"]["reportback_next"] == 2_592_000
    assert sorted(found["unknown"]) == ["colour", "target.phase"]
    assert len(found["warnings"]) == 2
    one = ok("preview", two, "--file", half, "--as", "os=linux", "--now", MARCH).out
    assert "newest_version is no release" in one
    assert "9.9" not in one


def test_preview_shows_a_keys_document_too(two: Path, step: Path, ok: Run) -> None:
    shown = ok("preview", two, "--file", step).out
    assert "application/vnd.mars.keys.v1+json" in shown
    assert "threshold: 2" in shown
    assert ok("key", "list", two, "--json").json[1]["ed25519"] in shown
    assert ok("preview", two, "--file", step, "--json").json["table"] == []


def test_sign_warns_of_another_server(two: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    half = tmp_path / "half.json"
    ok("sign", two, "--key", "ada-motd", "--out", half, "--now", MARCH, "--partial")
    changed(half, lambda payload: payload.update(reportback_server="http://evil.onion"))
    shutil.rmtree(two / "issued")  # the next holder has not seen it
    done = motd("sign", two, "--add-to", half, "--out", half, "--now", MARCH, "--partial")
    assert "warning: reportback_server is 'http://evil.onion' in the document" in done.err
    assert (done.code, "[differs]" in done.err) == (1, True)


def junk(path: Path, keyids: list[str]) -> None:
    """Puts entries that only claim to be somebody's before the real ones."""
    envelope = json.loads(path.read_text())
    rubbish = [
        {"keyid": name, "sig": base64.b64encode(b"\x88" + bytes(size)).decode()}
        for name in keyids
        for size in (63, 90)
    ]
    envelope["signatures"] = [*rubbish, *envelope["signatures"]]
    path.write_text(json.dumps(envelope))


def test_entries_that_only_claim_to_be_somebodys_do_not_block_the_next_holder(
    two: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    half, full = tmp_path / "half.json", tmp_path / "full.json"
    ok("sign", two, "--key", "ada-motd", "--out", half, "--now", MARCH, "--partial")
    rows = [row for row in ok("key", "list", two, "--json").json if row["role"] == "motd"]
    envelope = json.loads(half.read_text())
    envelope["signatures"] = [e for e in envelope["signatures"] if len(e["keyid"]) == 16]
    half.write_text(json.dumps(envelope))
    junk(half, [*rows[0]["openpgp"], *rows[1]["openpgp"], rows[1]["keyid"]])
    shutil.rmtree(two / "issued")
    (two / "issued").mkdir()
    shutil.copy(half, two / "issued" / "1772323200.json")
    status = motd("status", two, "--now", MARCH, "--json").json
    assert (status["ok"], status["openpgp"], status["signed_by"]) == (False, False, ["ada-motd"])
    ok("sign", two, "--add-to", half, "--out", full, "--now", MARCH)
    assert len(json.loads(full.read_text())["signatures"]) == 3
    assert verdict(full, two, MARCH)["ok"]


def test_a08_a_co_signature_without_a_keyid_is_kept(
    two: Path, tmp_path: Path, ok: Run, verdict: Run
) -> None:
    half, full = tmp_path / "half.json", tmp_path / "full.json"
    ok("sign", two, "--key", "ada-motd", "--out", half, "--now", MARCH, "--partial")
    envelope = json.loads(half.read_text())
    for entry in envelope["signatures"]:
        del entry["keyid"]
    half.write_text(json.dumps(envelope))
    ok("sign", two, "--key", "bob-motd", "--add-to", half, "--out", full, "--now", MARCH)
    names = [entry["keyid"] for entry in json.loads(full.read_text())["signatures"]]
    rows = [row for row in ok("key", "list", two, "--json").json if row["role"] == "motd"]
    assert set(names) == {rows[0]["keyid"], *rows[0]["openpgp"], rows[1]["keyid"]}
    assert verdict(full, two, MARCH)["ok"]


def test_status_reports_what_clients_would_refuse(
    two: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    out = tmp_path / "motd.json"
    ok("sign", two, "--out", out, "--now", MARCH)
    early = motd("status", two, "--now", "2026-02-20T00:00:00Z", "--json")
    assert (early.code, early.json["ok"]) == (1, False)
    assert "more than a day ahead" in early.json["problems"][0]
    short = tmp_path / "short.json"
    product = two / "product.toml"
    product.write_text(product.read_text().replace('"examplemail"', '"othermail"'))
    other = Path(shutil.copytree(two, tmp_path / "other"))
    shutil.rmtree(other / "trust")
    for name in ("steering.json", "root/epochs.json"):
        (other / name).unlink()
    ok("sign", other, "--out", short, "--now", MARCH)
    product.write_text(product.read_text().replace('"othermail"', '"examplemail"'))
    done = motd("status", two, "--file", short, "--now", MARCH, "--json")
    assert done.code == 1
    assert "[wrong-product]" in done.json["problems"][0]


def test_the_latest_minimum_serial_is_one_that_clients_can_reach(
    two: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    out, pin = tmp_path / "x.json", tmp_path / "pin.json"

    def latest(now: str) -> Any:
        ok("trust", two, "--out", pin, "--minimum-serial", "latest", "--now", now)
        return json.loads(pin.read_text())["minimum_serial"]

    assert latest(MARCH) == 0
    ok("sign", two, "--out", out, "--now", MARCH)
    (two / "news.txt").write_text("half")
    ok("sign", two, "--key", "ada-motd", "--out", out, "--now", NEXT_DAY, "--partial")
    assert latest(NEXT_DAY) == 1_772_323_200  # the half-signed one does not count
    assert latest("2026-06-01T00:00:00Z") == 1_772_323_200  # nor does it matter that it expired
    ok("sign", two, "--out", out, "--now", APRIL)
    arguments = ("trust", two, "--out", pin, "--minimum-serial", "latest", "--now")
    for early in (NEXT_DAY, "2026-03-31T12:00:00Z"):
        before = pin.read_bytes()
        done = motd(*arguments, early)
        assert (done.code, "[future]" in done.err) == (1, True)
        assert pin.read_bytes() == before


def test_extracted_commands_hold_no_name_of_the_document(
    two: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    out, trust, target = (tmp_path / name for name in ("m.json", "t.json", "extract"))
    ok("sign", two, "--out", out, "--now", MARCH)
    ok("trust", two, "--out", trust, "--now", MARCH)
    pinned, envelope = json.loads(trust.read_text()), json.loads(out.read_text())
    evil = ["$(touch owned)", "../../owned"]
    role = pinned["roles"]["motd"]
    role["ed25519"] = dict(zip(evil, role["ed25519"].values(), strict=True))
    trust.write_text(json.dumps(pinned))
    for entry in envelope["signatures"]:
        entry["keyid"] = evil[0]
    del envelope["signatures"][0]["keyid"]
    out.write_text(json.dumps(envelope))
    arguments = ("verify", out, "--trust", trust, "--now", MARCH, "--extract", target)
    commands = ok(*arguments, "--json").json["commands"]
    assert len(commands) == 6
    script = "set -e\n" + "\n".join(commands)
    subprocess.run(["sh", "-c", script], cwd=target, check=True, capture_output=True)
    assert not list(tmp_path.glob("**/owned"))
    assert {path.parent for path in target.rglob("*")} == {target}
    junk(out, ["x", "y", "z", "a"])  # eight entries of rubbish: clients look no further
    done = motd(*arguments, "--json")
    assert (done.code, done.json["reason"]) == (1, "signature-threshold")
