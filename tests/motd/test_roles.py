"""Each role signs its own: root lies elsewhere, and a thief of the news gets nothing more."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_ENVELOPE
from mars.wire.keys import KeysDocument
from testbed.gpg_home import Home, running

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
APRIL = "2026-04-01T00:00:00Z"


def rows(folder: Path, ok: Run) -> dict[str, Any]:
    return {row["name"]: row for row in ok("key", "list", folder, "--json").json}


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "product.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_first_time_makes_all_roles_and_later_one_is_named(
    tmp_path: Path, ok: Run, motd: Run
) -> None:
    folder = tmp_path / "p"
    ok("init", folder, "--product", "examplemail")
    done = ok("key", "new", folder, "--name", "office", "--no-passphrase")
    assert "Root's secrets are in" in done.err
    found = rows(folder, ok)
    assert {name: (row["role"], len(row["openpgp"])) for name, row in found.items()} == {
        "office-root": ("root", 2),
        "office-motd": ("motd", 1),
        "office-release": ("release", 1),
        "office-status": ("status", 0),
        "office-index": ("index", 0),
    }
    again = motd("key", "new", folder, "--name", "travel", "--no-passphrase")
    assert (again.code, "--role root|motd|release|status|index" in again.err) == (2, True)
    ok("key", "new", folder, "--role", "motd", "--role", "index", "--no-passphrase")
    assert set(rows(folder, ok)) - set(found) == {"motd-1", "index-1"}
    assert len(rows(folder, ok)["motd-1"]["openpgp"]) == 1


def test_roots_secrets_lie_apart_and_only_for_their_owner(product: Path) -> None:
    folder = product / "root"
    modes = {
        str(path.relative_to(folder)): path.stat().st_mode & 0o777
        for path in (folder, *folder.rglob("*"))
    }
    assert modes["."] == modes["private-keys-v1.d"] == 0o700
    assert modes["root-1.secret"] == 0o600
    assert len(list(folder.glob("private-keys-v1.d/*.key"))) == 2
    assert not (product / "keys" / "root-1.secret").exists()
    assert "root/" in (product / ".gitignore").read_text().splitlines()


def test_with_the_policy_off_no_openpgp_key_is_made(tmp_path: Path, ok: Run) -> None:
    folder = tmp_path / "p"
    ok("init", folder, "--product", "examplemail")
    edit(folder, 'openpgp = "when-available"', 'openpgp = "off"')
    ok("key", "new", folder, "--no-passphrase", PATH="/nonexistent")
    assert not any(row["openpgp"] for row in rows(folder, ok).values())
    ok("sign", folder, "--out", tmp_path / "m.json", PATH="/nonexistent")


def test_several_holders_of_root_are_each_others_spare(tmp_path: Path, ok: Run) -> None:
    folder = tmp_path / "p"
    ok("init", folder, "--product", "examplemail")
    edit(folder, "threshold = 1", "threshold = 1\nroot_threshold = 2")
    ok("key", "new", folder, "--no-passphrase")
    assert len(rows(folder, ok)["root-1"]["openpgp"]) == 1
    ok("key", "new", folder, "--role", "root", "--no-passphrase")
    ok("trust", folder, "--out", tmp_path / "trust.json", "--now", MARCH)
    roles = json.loads((tmp_path / "trust.json").read_text())["roles"]
    assert {name: role["threshold"] for name, role in roles.items()} == {
        "root": 2,
        "motd": 1,
        "release": 1,
        "status": 1,
        "index": 1,
    }
    edit(folder, "root_threshold = 2", "root_threshold = 1")
    assert "of root 2" in ok("check", folder).out


@pytest.mark.parametrize("roles", [("status",), ("index",), ("motd", "release")], ids="+".join)
def test_a_home_belongs_to_one_role_that_has_openpgp(
    product: Path, tmp_path: Path, motd: Run, roles: tuple[str, ...]
) -> None:
    named = [word for role in roles for word in ("--role", role)]
    given = ("--openpgp-home", tmp_path, "--openpgp-key", "x", "--no-passphrase")
    done = motd("key", "new", product, *named, *given)
    assert (done.code, "belongs to one --role" in done.err) == (2, True)


def test_without_root_the_news_are_signed_and_nothing_is_rotated(
    product: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    ok("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
    ok("key", "new", product, "--role", "motd", "--no-passphrase")
    shutil.move(product / "root", tmp_path / "safe")
    ok("sign", product, "--out", tmp_path / "m.json", "--now", MARCH)
    assert verdict(tmp_path / "m.json", product)["ok"]
    for told in (("rotate", product), ("revoke", product, "motd-1"), ("refresh", product)):
        done = motd("key", *told, "--now", MARCH)
        assert (done.code == 0) == (told[0] == "refresh")  # which finds nothing to do
        assert ("[root-away]" in done.err) == (told[0] != "refresh")
        assert told[0] == "refresh" or "carry root/ back" in done.err
    assert not (product / "trust" / "epoch-2.json").exists()
    assert not (product / "root").exists()
    shutil.move(tmp_path / "safe", product / "root")
    assert "revoked motd-1" in ok("key", "revoke", product, "motd-1", "--now", MARCH).out


def test_a19_a_thief_of_all_but_root_cannot_rotate(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """With a root of his own the step lacks the old one; clients would not follow it."""
    ok("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
    shutil.rmtree(product / "root")
    (product / "root").mkdir(mode=0o700)
    ok("key", "new", product, "--role", "root", "--no-passphrase")
    half = tmp_path / "half.json"
    assert "[signatures-missing]" in motd("key", "rotate", product, "--now", MARCH).err
    ok("key", "rotate", product, "--now", MARCH, "--partial", half)
    document = tmp_path / "m.json"
    ok("sign", product, "--out", document, "--now", MARCH)
    forged = json.loads(document.read_text()) | {"x-keys": [json.loads(half.read_text())]}
    document.write_text(json.dumps(forged))
    found = ok("verify", document, "--trust", tmp_path / "t.json", "--now", MARCH, "--json").json
    assert found["epoch"] == 1


def test_a19_a_step_is_signed_by_openpgp_of_both_roots(
    product: Path, tmp_path: Path, ok: Run
) -> None:
    ok("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
    ok("key", "new", product, "--role", "root", "--name", "next", "--no-passphrase")
    ok("key", "revoke", product, "root-1", "--now", MARCH)
    step = envelopes.decode((product / "trust" / "epoch-2.json").read_bytes())
    known = rows(product, ok)
    made = [entry.keyid for entry in step.signatures]
    assert len(made) == len(set(made)) == 4
    for name in ("root-1", "next-root"):
        assert known[name]["keyid"] in made
        assert set(known[name]["openpgp"]) & set(made)
    assert known["root-1"]["state"] == "revoked"
    ok("sign", product, "--out", tmp_path / "m.json", "--now", NEXT_DAY)
    ok("verify", tmp_path / "m.json", "--trust", tmp_path / "t.json", "--now", NEXT_DAY)


def test_where_roots_openpgp_key_is_lost_its_spare_signs(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Whichever of the two it is, and whether or not anybody says so."""
    ok("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
    for number, key in enumerate(sorted(product.glob("root/private-keys-v1.d/*.key")), 2):
        copy = Path(shutil.copytree(product, tmp_path / f"copy-{number}"))
        (copy / key.relative_to(product)).unlink()
        ok("key", "rotate", copy, "--now", MARCH)
    for key in copy.glob("root/private-keys-v1.d/*.key"):
        key.unlink()
    done = motd("key", "rotate", copy, "--now", NEXT_DAY)
    assert (done.code, "[openpgp-failed]" in done.err) == (1, True)


@pytest.mark.parametrize("half", ["ed25519", "openpgp"])
def test_a18_a_record_of_another_role_under_the_same_key_is_refused(
    product: Path, tmp_path: Path, ok: Run, motd: Run, half: str
) -> None:
    record = json.loads((product / "keys" / "root-1.json").read_text())
    fresh = {"ed25519": json.loads((product / "keys" / "motd-1.json").read_text())["ed25519"]}
    ok("init", tmp_path / "q", "--product", "examplemail")
    ok("key", "import", tmp_path / "q", product / "keys" / "root-1.json")
    changed = {"openpgp": {}} if half == "ed25519" else fresh
    bad = tmp_path / "eve.json"
    bad.write_text(json.dumps(record | changed | {"name": "eve", "role": "motd"}))
    done = motd("key", "import", tmp_path / "q", bad)
    assert (done.code, "[key-mismatch]" in done.err) == (1, True)


def test_a_chain_is_written_deployed_and_followed_over_a_wide_gap(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    trust, www, state = (tmp_path / name for name in ("t.json", "www", "state.json"))
    www.mkdir()
    ok("sign", product, "--out", tmp_path / "m.json", "--now", MARCH)
    ok("trust", product, "--out", trust, "--now", MARCH)
    ok("verify", tmp_path / "m.json", "--trust", trust, "--now", MARCH, "--state", state)
    ok("deploy", product, www, "--now", MARCH)
    assert not (www / "keys.json").exists()
    for _ in range(9):
        ok("key", "rotate", product, "--now", MARCH)
    done = ok("sign", product, "--out", tmp_path / "m.json", "--now", NEXT_DAY)
    assert "8 of 9 keys documents ride along; clients older than epoch 2 need keys.json" in done.err
    ok("deploy", product, www, "--now", NEXT_DAY)
    ok("key", "chain", product, "--out", tmp_path / "keys.json")
    assert (www / "keys.json").read_bytes() == (tmp_path / "keys.json").read_bytes()
    steps = envelopes.decode_chain((tmp_path / "keys.json").read_bytes())
    assert [KeysDocument.decode(step.payload).epoch for step in steps] == list(range(2, 11))
    told = ("verify", www / "motd.json", "--trust", trust, "--now", NEXT_DAY, "--json")
    assert motd(*told).json["reason"] == "keys-chain"
    for more in ((), ("--state", state)):
        assert ok(*told, "--keys", www / "keys.json", *more).json["epoch"] == 10
    extract = tmp_path / "extract"
    found = ok(*told, "--keys", www / "keys.json", "--extract", extract).json["commands"]
    assert len(found) == 2 * 11  # of the steering document too
    (tmp_path / "keys.json").write_text("{}")
    assert motd(*told, "--keys", tmp_path / "keys.json").json["reason"] == "keys-chain"
    (www / "keys.json").write_text("a page")
    ok("key", "chain", product, "--out", www / "keys.json")
    (product / "notes").write_text("ours")
    assert "[out-invalid]" in motd("key", "chain", product, "--out", product / "notes").err


def long_news(folder: Path) -> None:
    """Some 16 KiB of payload."""
    for number in range(4):
        text = f'[title]\nen = "T"\n[text]\nen = "{"x" * 3950}"\n'
        (folder / "messages" / f"long-{number}.toml").write_text(text)


def riding(path: Path) -> int:
    """How many keys documents ride beside a payload of 16 KiB or more."""
    data = path.read_bytes()
    envelope = envelopes.decode(data)
    assert len(envelope.payload) >= 16 * 1024
    assert len(data) <= MAX_ENVELOPE
    return len(envelope.x_keys)


def test_eight_steps_with_ed25519_keys_ride_beside_16_kib(
    product: Path, tmp_path: Path, ok: Run
) -> None:
    """Also where each has another root, so two signatures of each kind."""
    trust, out = tmp_path / "t.json", tmp_path / "m.json"
    long_news(product)
    ok("trust", product, "--out", trust, "--now", MARCH)
    for number in range(1, 9):
        ok("key", "new", product, "--role", "root", "--no-passphrase")
        ok("key", "revoke", product, f"root-{number}", "--now", MARCH)
    said = ok("sign", product, "--out", out, "--now", MARCH).err
    assert "8 of 8 keys documents ride along\n" in said
    assert riding(out) == 8
    ok("verify", out, "--trust", trust, "--now", MARCH)


@pytest.fixture(scope="module")
def home() -> Any:
    with running() as home:
        yield home


def test_three_steps_with_rsa_4096_keys_ride_beside_16_kib(
    home: Home, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """The oldest steps stay behind, never the news."""
    folder, trust, out = tmp_path / "p", tmp_path / "t.json", tmp_path / "m.json"
    ok("init", folder, "--product", "examplemail")
    for role in ("root", "motd", "release"):
        own = home.make(role, "sign", "never", kind="rsa4096")
        given = ("--openpgp-home", home.path, "--openpgp-key", own, "--no-passphrase")
        ok("key", "new", folder, "--role", role, *given)
    ok("key", "new", folder, "--role", "status", "--role", "index", "--no-passphrase")
    ok("trust", folder, "--out", trust, "--now", MARCH)
    long_news(folder)
    for _ in range(3):
        ok("key", "rotate", folder, "--now", MARCH)
    ok("sign", folder, "--out", out, "--now", MARCH)
    assert riding(out) == 3
    ok("verify", out, "--trust", trust, "--now", MARCH)
    for _ in range(5):
        ok("key", "rotate", folder, "--now", MARCH)
    said = ok("sign", folder, "--out", out, "--now", NEXT_DAY).err
    left = riding(out)
    assert 3 <= left < 8
    assert f"{left} of 8 keys documents ride along; clients older than epoch {9 - left}" in said
    ok("deploy", folder, tmp_path / "www.json", "--now", NEXT_DAY)
    told = ("verify", out, "--trust", trust, "--now", NEXT_DAY, "--json")
    assert motd(*told).json["reason"] == "keys-chain"
    assert ok(*told, "--keys", tmp_path / "keys.json").json["epoch"] == 9
