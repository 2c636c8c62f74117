"""The commands that operators' scripts lean on, run as they would run them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MARCH = "2026-03-01T00:00:00Z"
MARCH_SERIAL = 1_772_323_200
NEXT_DAY = "2026-03-02T00:00:00Z"

Run = Callable[..., Any]
Verdict = Callable[..., Any]


def payload(document: Path) -> Any:
    return json.loads(base64.b64decode(json.loads(document.read_text())["payload"]))


def test_five_commands_one_after_the_other_unedited(tmp_path: Path, shell: Run) -> None:
    def ok(*arguments: object) -> Any:
        done = shell(*arguments)
        assert done.code == 0, done.err
        return done

    folder, document, trust = (tmp_path / name for name in ("p", "motd.json", "trust.json"))
    ok("init", folder, "--product", "examplemail")
    ok("key", "new", folder, "--no-passphrase")
    ok("sign", folder, "--out", document)
    ok("trust", folder, "--out", trust)
    state = tmp_path / "state.json"
    failed = shell(*("verify", document, "--trust", trust, "--state", state, "--extract", document))
    assert failed.code == 1
    assert not state.exists(), "what failed can be given again"
    first = ok("verify", document, "--trust", trust, "--state", state, "--json").json
    assert json.loads(state.read_text())["product"] == "examplemail"
    again = ok("verify", document, "--trust", trust, "--state", state, "--json").json
    assert (first["ok"], first["news"], again["news"]) == (True, True, False)
    assert first["serial"] == again["serial"] == payload(document)["serial"]
    assert "accepted" in ok("verify", document, "--trust", trust).out


def test_init_writes_what_the_contract_names(tmp_path: Path, ok: Run, motd: Run) -> None:
    import tomllib

    folder = tmp_path / "p"
    ok("init", folder, "--product", "examplemail")
    table = tomllib.loads((folder / "product.toml").read_text())
    assert table["product"] == "examplemail"
    assert table["channel"] == "stable"
    assert table["platforms"] == ["linux", "windows", "macos"]
    assert isinstance(table["releases"], list)
    assert isinstance(table["languages"], list)
    assert (folder / "messages").is_dir()
    assert tomllib.loads((folder / "metrics.toml").read_text()) == {}
    assert tomllib.loads((folder / "errors.toml").read_text()) == {}
    assert motd("init", folder, "--product", "examplemail").code == 1
    assert motd("init", tmp_path / "q", "--product", "Not A Name").code == 2


def test_trust_names_keys_thresholds_and_policy(product: Path, tmp_path: Path, ok: Run) -> None:
    ok("trust", product, "--out", tmp_path / "trust.json")
    trust = json.loads((tmp_path / "trust.json").read_text())
    assert (trust["product"], trust["channel"], trust["epoch"]) == ("examplemail", "stable", 1)
    counts = {}
    for name, role in trust["roles"].items():
        (public,) = role["ed25519"].values()
        assert (len(bytes.fromhex(public)), role["threshold"]) == (32, 1)
        counts[name] = len(role.get("openpgp", ()))
    assert counts == {"root": 2, "motd": 1, "release": 1, "status": 0, "index": 0}
    assert all(len(fingerprint) == 40 for fingerprint in trust["openpgp"])
    for block in trust["openpgp"].values():
        assert block.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    assert trust["policy"] == "when-available"
    assert trust["minimum_serial"] == 0


def test_sign_still_works_after_releases_and_languages_are_edited(
    product: Path, tmp_path: Path, ok: Run, verdict: Verdict
) -> None:
    ok("sign", product, "--out", tmp_path / "a.json", "--now", MARCH)
    path = product / "product.toml"
    text = path.read_text().replace("releases = []", 'releases = ["0.9", "0.10.1", "0.10"]')
    path.write_text(text.replace('languages = ["en"]', 'languages = ["en", "is"]'))
    ok("sign", product, "--out", tmp_path / "b.json", "--now", NEXT_DAY)
    assert payload(tmp_path / "b.json")["newest_version"] == "0.10.1"
    assert verdict(tmp_path / "b.json", product)["ok"]


@pytest.mark.parametrize("now", ["2021-05-05T05:05:05Z", MARCH, "2031-01-01T00:00:00Z"])
def test_d05_gpg_signs_at_the_time_given(product: Path, tmp_path: Path, ok: Run, now: str) -> None:
    """Keys made today must sign and verify at any --now, whatever this computer's clock says."""
    out, trust = tmp_path / "a.json", tmp_path / "trust.json"
    ok("sign", product, "--out", out, "--now", now)
    assert payload(out)["issued"] == now
    ok("trust", product, "--out", trust, "--built", "2021-01-01T00:00:00Z")
    found = ok("verify", out, "--trust", trust, "--now", now, "--json").json
    assert (found["ok"], found["notes"]) == (True, [])


def test_verify_gives_reasons_and_exit_codes(
    product: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Verdict
) -> None:
    old, new, state = (tmp_path / name for name in ("old.json", "new.json", "state.json"))
    ok("sign", product, "--out", old, "--now", MARCH)
    ok("sign", product, "--out", new, "--now", NEXT_DAY)
    assert verdict(new, product, NEXT_DAY, "--state", state)["serial"] == MARCH_SERIAL + 86_400
    refused = verdict(old, product, NEXT_DAY, "--state", state)
    assert (refused["ok"], refused["reason"]) == (False, "rollback")
    assert refused["message"]
    assert verdict(old, product, "2026-06-01T00:00:00Z")["reason"] == "expired"
    assert verdict(old, product, "2026-02-01T00:00:00Z")["reason"] == "future"
    flipped = bytearray(old.read_bytes())
    flipped[len(flipped) // 3] ^= 1
    old.write_bytes(flipped)
    assert verdict(old, product)["ok"] is False
    trust = tmp_path / "trust.json"
    assert motd("verify", old).code == 2
    assert motd("verify", old, "--trust", trust, "--now", "yesterday").code == 2
    missing = motd("verify", tmp_path / "none", "--trust", trust, "--json")
    assert (missing.code, missing.json["reason"]) == (1, "unreadable")


def test_an_expired_document_raises_the_floor_of_the_state(
    product: Path, tmp_path: Path, ok: Run, verdict: Verdict
) -> None:
    old, new, state = (tmp_path / name for name in ("old.json", "new.json", "state.json"))
    ok("sign", product, "--out", old, "--now", MARCH)
    ok("sign", product, "--out", new, "--now", NEXT_DAY)
    assert verdict(new, product, "2026-09-01T00:00:00Z", "--state", state)["reason"] == "expired"
    assert verdict(old, product, NEXT_DAY, "--state", state)["reason"] == "rollback"


def test_c03_a_second_signing_in_the_same_second_waits(
    product: Path, tmp_path: Path, ok: Run
) -> None:
    serials = []
    for number in range(3):
        (product / "news.txt").write_text(f"news {number}")
        ok("sign", product, "--out", tmp_path / "a.json", "--now", MARCH)
        serials.append(payload(tmp_path / "a.json")["serial"])
    assert serials == [MARCH_SERIAL, MARCH_SERIAL + 1, MARCH_SERIAL + 2]
    ok("sign", product, "--out", tmp_path / "b.json")
    (product / "news.txt").write_text("other")
    ok("sign", product, "--out", tmp_path / "c.json")
    assert payload(tmp_path / "b.json")["serial"] < payload(tmp_path / "c.json")["serial"]


def test_a_passphrase_protects_both_keys(
    tmp_path: Path, ok: Run, motd: Run, verdict: Verdict
) -> None:
    folder, phrase, wrong = (tmp_path / name for name in ("p", "phrase", "wrong"))
    phrase.write_text("correct horse ünïcode\n")
    wrong.write_text("battery staple\n")
    ok("init", folder, "--product", "examplemail")
    assert motd("key", "new", folder).code == 2
    ok("key", "new", folder, "--passphrase-file", phrase)
    out = tmp_path / "motd.json"
    for arguments, reason in (
        ((), "passphrase-needed"),
        (("--passphrase-file", wrong), "passphrase-wrong"),
    ):
        done = motd("sign", folder, "--out", out, "--now", MARCH, *arguments)
        assert (done.code, out.exists()) == (1, False)
        assert f"[{reason}]" in done.err
    ok("sign", folder, "--out", out, "--now", MARCH, "--passphrase-file", phrase)
    assert verdict(out, folder)["ok"]
    for secret in folder.glob("*/*.secret"):
        assert secret.stat().st_mode & 0o777 == 0o600
        assert "seed" not in json.loads(secret.read_text())
    for key in folder.glob("*/private-keys-v1.d/*.key"):
        assert b"openpgp-s2k3" in key.read_bytes()


def test_a_secret_that_others_can_read_is_refused(product: Path, tmp_path: Path, motd: Run) -> None:
    secret = product / "keys" / "motd-1.secret"
    secret.chmod(0o644)
    done = motd("sign", product, "--out", tmp_path / "a.json")
    assert done.code == 1
    assert "[secret-exposed]" in done.err


def test_commands_name_what_is_wrong(tmp_path: Path, ok: Run, shell: Run) -> None:
    motd = shell
    assert "[no-product]" in motd("sign", tmp_path, "--out", tmp_path / "x").err
    ok("init", tmp_path / "p", "--product", "examplemail")
    done = motd("sign", tmp_path / "p", "--out", tmp_path / "x")
    assert (done.code, "[no-keys]" in done.err) == (1, True)
    assert motd("sign", tmp_path / "p").code == 2
    assert motd("nonsense").code == 2
