"""Several holders sign offline in turn; keys come, go and are lost. Real gpg throughout."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.dsse import Envelope as Dsse
from securesystemslib.signer import Key, SSlibKey  # type: ignore[attr-defined]

from tests.motd.conftest import edit, holder, names

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"


def test_plain_sign_with_all_keys_at_hand_is_complete(
    three: Path, tmp_path: Path, ok: Run, verdict: Run
) -> None:
    ok("sign", three, "--out", tmp_path / "a.json", "--now", MARCH)
    assert verdict(tmp_path / "a.json", three)["ok"]
    keyids = [
        entry["keyid"] for entry in json.loads((tmp_path / "a.json").read_text())["signatures"]
    ]
    assert len(keyids) == len(set(keyids)) == 3  # two Ed25519, one OpenPGP


def test_holders_sign_in_turn(
    three: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    ok(
        "trust", three, "--out", tmp_path / "pin", "--now", MARCH
    )  # epoch 1 is settled before the folder is shared
    ada = holder(three, tmp_path / "ada", "ada")
    bob = holder(three, tmp_path / "bob", "bob")
    half, full = tmp_path / "half.json", tmp_path / "full.json"
    done = motd("sign", ada, "--out", half, "--now", MARCH)
    assert (done.code, half.exists()) == (1, False)
    assert "1 of 2" in done.err
    assert "[signatures-missing]" in done.err
    done = ok("sign", ada, "--out", half, "--now", MARCH, "--partial")
    assert "1 of 2" in done.err
    assert verdict(half, three)["reason"] == "signature-threshold"
    assert motd("deploy", ada, tmp_path / "www.json", "--file", half, "--now", MARCH).code == 1
    done = ok("sign", bob, "--add-to", half, "--out", full, "--now", NEXT_DAY)
    assert "2 of 2" in done.err
    assert verdict(full, three, NEXT_DAY)["ok"]
    assert ok("status", bob, "--now", NEXT_DAY, "--json").json["signed_by"] == [
        "ada-motd",
        "bob-motd",
    ]
    status = motd("status", ada, "--now", NEXT_DAY, "--json")
    assert (status.code, status.json["missing"], status.json["could_sign"]) == (
        1,
        1,
        ["bob-motd", "cleo-motd"],
    )


def test_adding_twice_changes_nothing(three: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    half, again = tmp_path / "half.json", tmp_path / "again.json"
    ok("sign", three, "--key", "ada-motd", "--out", half, "--now", MARCH, "--partial")
    arguments = ("sign", three, "--key", "ada-motd", "--add-to", half, "--now", MARCH)
    ok(*arguments, "--out", again, "--partial")
    assert half.read_bytes() == again.read_bytes()
    assert motd(*arguments, "--out", tmp_path / "none.json").code == 1


def test_a_key_can_be_chosen_and_must_be_known(three: Path, tmp_path: Path, motd: Run) -> None:
    done = motd("sign", three, "--key", "eve", "--out", tmp_path / "x")
    assert (done.code, "[key-unknown]" in done.err) == (1, True)
    (three / "keys" / "ada-motd.secret").unlink()
    done = motd("sign", three, "--key", "ada-motd", "--out", tmp_path / "x")
    assert (done.code, "[no-secret]" in done.err) == (1, True)


def test_a_document_of_another_product_gets_no_signature(
    three: Path, product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    edit(product, '"examplemail"', '"othermail"')
    ok("sign", product, "--out", tmp_path / "other.json", "--now", MARCH)
    done = motd("sign", three, "--add-to", tmp_path / "other.json", "--out", tmp_path / "x")
    assert (done.code, "[wrong-document]" in done.err) == (1, True)


def test_a_new_key_waits_for_the_rotation_and_old_clients_follow(
    three: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    old, new = tmp_path / "old-trust.json", tmp_path / "new-trust.json"
    first, second, state = (tmp_path / name for name in ("1.json", "2.json", "state.json"))
    ok("sign", three, "--out", first, "--now", MARCH)
    ok("trust", three, "--out", old, "--now", MARCH)
    ok("verify", first, "--trust", old, "--now", MARCH, "--state", state)
    ok("key", "new", three, "--name", "dora", "--role", "motd", "--no-passphrase")
    assert names(three, "waiting", ok) == ["dora-motd"]
    ok("sign", three, "--out", second, "--now", NEXT_DAY)
    assert len(json.loads(second.read_text())["signatures"]) == 3  # dora's is none of them
    done = ok("key", "rotate", three, "--now", NEXT_DAY)
    assert "epoch 2: 12 keys" in done.out
    assert motd("status", three, "--now", NEXT_DAY).code == 1  # clients were not told yet
    ok("sign", three, "--key", "dora-motd", "--key", "ada-motd", "--out", second, "--now", NEXT_DAY)
    ok("trust", three, "--out", new, "--now", MARCH)
    assert json.loads(new.read_text())["epoch"] == 2
    for trust, more in ((old, ()), (new, ()), (old, ("--state", state))):
        found = ok("verify", second, "--trust", trust, "--now", APRIL, "--json", *more).json
        assert (found["ok"], found["epoch"]) == (True, 2)


def test_a18_a_revoked_key_signs_nothing_more(
    three: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Also l06: the key that is lost is not needed to revoke it."""
    trust, before, after = (tmp_path / name for name in ("trust.json", "1.json", "2.json"))
    ok("sign", three, "--out", before, "--now", MARCH)
    ok("trust", three, "--out", trust, "--now", MARCH)
    thief = tmp_path / "thief"
    shutil.copytree(three, thief)
    (three / "keys" / "ada-motd.secret").unlink()
    ok("key", "revoke", three, "ada-motd", "--now", NEXT_DAY)
    assert names(three, "revoked", ok) == ["ada-motd"]
    ok("sign", three, "--out", after, "--now", APRIL)
    state = tmp_path / "state.json"
    ok("verify", after, "--trust", trust, "--now", APRIL, "--state", state)
    late = tmp_path / "late.json"
    ok(
        "sign",
        thief,
        "--key",
        "ada-motd",
        "--key",
        "bob-motd",
        "--out",
        late,
        "--now",
        "2026-04-02T00:00:00Z",
    )
    done = motd("verify", late, "--trust", trust, "--now", APRIL, "--state", state, "--json")
    assert done.json["ok"] is False
    done = motd("sign", three, "--key", "ada-motd", "--out", late)
    assert "[key-not-in-epoch]" in done.err


def test_a22_a_new_epoch_recovers_from_a_serial_pushed_ahead(
    three: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    trust, state = tmp_path / "trust.json", tmp_path / "state.json"
    ok("trust", three, "--out", trust, "--now", MARCH)
    thief = tmp_path / "thief"
    shutil.copytree(three, thief)
    ok("sign", thief, "--out", tmp_path / "theft.json", "--now", "2026-03-01T12:00:00Z")
    check = ("--trust", trust, "--now", MARCH, "--state", state)
    ok("verify", tmp_path / "theft.json", *check)
    ok("sign", three, "--out", tmp_path / "ours.json", "--now", MARCH)
    assert motd("verify", tmp_path / "ours.json", *check).code == 1
    ok("key", "revoke", three, "ada-motd", "--now", MARCH)
    ok("sign", three, "--out", tmp_path / "ours.json", "--now", MARCH)
    ok("verify", tmp_path / "ours.json", *check)


def test_a19_a_rotation_is_signed_in_turn_too(
    three: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    ok("sign", three, "--out", tmp_path / "1.json", "--now", MARCH)
    ok("trust", three, "--out", tmp_path / "trust.json", "--now", MARCH)
    ada = holder(three, tmp_path / "ada", "ada")
    bob = holder(three, tmp_path / "bob", "bob")
    done = motd("key", "revoke", ada, "cleo-motd", "--now", NEXT_DAY)
    assert (done.code, "[signatures-missing]" in done.err) == (1, True)
    half = tmp_path / "keys.json"
    ok("key", "revoke", ada, "cleo-motd", "--now", NEXT_DAY, "--partial", half)
    assert names(ada, "revoked", ok) == []
    done = ok("key", "rotate", bob, "--add-to", half, "--now", NEXT_DAY)
    assert "gone:  ed25519 cleo-motd" in done.err
    assert names(bob, "revoked", ok) == ["cleo-motd"]
    shutil.copytree(bob / "trust", ada / "trust", dirs_exist_ok=True)
    half = tmp_path / "half.json"
    ok("steering", ada, "--now", APRIL, "--partial", half)
    ok("steering", bob, "--now", APRIL, "--add-to", half)
    shutil.copy(bob / "steering.json", ada)
    ok("sign", ada, "--out", half, "--now", APRIL, "--partial")
    ok("sign", bob, "--add-to", half, "--out", tmp_path / "2.json", "--now", APRIL)
    ok("verify", tmp_path / "2.json", "--trust", tmp_path / "trust.json", "--now", APRIL)


def test_before_the_first_signature_keys_come_and_go_freely(
    three: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    assert "[not-published]" in motd("key", "rotate", three).err
    ok("key", "revoke", three, "cleo-motd")
    assert "[policy-invalid]" in motd("key", "revoke", three, "ada-motd").err
    ok("trust", three, "--out", tmp_path / "trust.json", "--now", MARCH)
    pinned = json.loads((tmp_path / "trust.json").read_text())
    assert len(pinned["roles"]["motd"]["ed25519"]) == 2


def test_public_halves_travel_and_secrets_do_not(
    three: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    other = tmp_path / "other"
    ok("init", other, "--product", "examplemail")
    ok("key", "export", three, "ada-motd", "--out", tmp_path / "ada-motd.json")
    done = ok("key", "import", other, tmp_path / "ada-motd.json")
    rows = {row["name"]: row for row in ok("key", "list", three, "--json").json}
    assert rows["ada-motd"]["ed25519"] in done.out
    assert rows["ada-motd"]["openpgp"][0] in done.out
    assert motd("key", "import", other, tmp_path / "ada-motd.json").code == 1
    assert not list(other.glob("keys/*.secret"))
    assert ok("key", "list", other, "--json").json[0]["secret"] is False
    assert "PGP PUBLIC KEY" in ok("key", "export", three, "ada-motd", "--format", "openpgp").out
    assert "BEGIN PUBLIC KEY" in ok("key", "export", three, "ada-motd", "--format", "pem").out
    secrets = [json.loads(path.read_text())["seed"] for path in three.glob("*/*.secret")]
    shown = [ok("key", "export", three, name).out for name in rows]
    assert len(secrets) == len(rows) == 11
    assert not any(secret in text for secret in secrets for text in shown)


@pytest.mark.parametrize("rotated", [False, True])
def test_stock_tools_agree_on_two_of_three_and_after_a_rotation(
    three: Path, tmp_path: Path, ok: Run, rotated: bool
) -> None:
    trust, out = tmp_path / "trust.json", tmp_path / "motd.json"
    ok("trust", three, "--out", trust, "--now", MARCH)
    if rotated:
        ok("key", "revoke", three, "cleo-motd", "--now", MARCH)
    ok("sign", three, "--out", out, "--now", MARCH)
    done = ok("verify", out, "--trust", trust, "--now", NEXT_DAY, "--extract", tmp_path / "extract")
    commands = [line for line in done.out.splitlines() if line.startswith(("openssl", "gpgv"))]
    assert len(commands) == (9 if rotated else 6)  # of the steering document too
    for command in commands:
        run = subprocess.run(command.split(), cwd=tmp_path / "extract", capture_output=True)
        assert run.returncode == 0, (command, run.stderr)
    for message in (tmp_path / "extract").glob("*.pae"):
        message.write_bytes(message.read_bytes().replace(b"examplemail", b"examplemai1"))
    for command in commands:
        run = subprocess.run(command.split(), cwd=tmp_path / "extract", capture_output=True)
        assert run.returncode != 0
    ok("trust", three, "--out", trust, "--now", MARCH)
    pinned = json.loads(trust.read_text())["roles"]["motd"]["ed25519"]
    keys: list[Key] = [
        SSlibKey(keyid, "ed25519", "ed25519", {"public": public})
        for keyid, public in pinned.items()
    ]
    envelope = json.loads(out.read_text())
    envelope["signatures"] = [e for e in envelope["signatures"] if e["keyid"] in pinned]
    for entry in envelope["signatures"]:
        entry["sig"] = base64.b64encode(base64.b64decode(entry["sig"])).decode()
    assert len(Dsse.from_dict(envelope).verify(keys, threshold=2)) == 2
