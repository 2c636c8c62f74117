"""What lies in the folder is no signed thing: whoever may write there may have changed it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars.wire import ed25519
from mars.wire import envelope as envelopes
from mars.wire.envelope import KEYS_TYPE, Envelope, Signature, pae
from mars.wire.keys import KeysDocument, TrustRoot, keyid
from mars.wire.times import DAY, parse_time
from mars_motd.folder import Folder
from tests.motd.conftest import edit
from tests.motd.test_attacks import changed

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"
SEED = b"t" * 32
THIEF = ed25519.public_key(SEED)


@pytest.fixture
def pinned(product: Path, tmp_path: Path, ok: Run) -> Path:
    """Epoch 1 is settled."""
    ok("trust", product, "--out", tmp_path / "pinned.json", "--now", MARCH)
    return product


def record(folder: Path, name: str) -> Any:
    return json.loads((folder / "keys" / f"{name}.json").read_text())


def rewrite(folder: Path, name: str, **members: object) -> None:
    path = folder / "keys" / f"{name}.json"
    path.write_text(json.dumps(record(folder, name) | members))


def of_a_thief(folder: Path, roles: tuple[str, ...]) -> KeysDocument:
    """The next epoch, with a key of a thief added to ``roles``."""
    root = TrustRoot.decode((folder / "trust" / "epoch-1.json").read_bytes())
    stolen = dict(root.keys.roles)
    for number, name in enumerate(roles, 1):
        public = ed25519.public_key(bytes([number]) * 32)
        added = {**stolen[name].ed25519, keyid(public): public.hex()}
        stolen[name] = replace(stolen[name], ed25519=added)
    keys, issued = replace(root.keys, roles=stolen), parse_time(MARCH)
    return KeysDocument("examplemail", "stable", 2, issued, issued + 730 * DAY, keys)


def planted(folder: Path, said: KeysDocument, seeds: list[bytes]) -> None:
    """Writes it down as signed by the Ed25519 keys ``seeds`` alone."""
    payload = said.encode()
    message = pae(KEYS_TYPE, payload)
    made = [Signature("", ed25519.sign(seed, message)) for seed in seeds] or [Signature("", b"x")]
    envelope = Envelope(KEYS_TYPE, payload, tuple(made))
    (folder / "trust" / "epoch-2.json").write_bytes(envelopes.encode(envelope))


def roots_seed(folder: Path, name: str = "root-1") -> bytes:
    store = Folder.at(folder).keys
    return store.seed(store.record(name), None)


def refused(done: Any, reason: str) -> bool:
    assert (done.code, f"[{reason}]" in done.err) == (1, True), done
    return True


def refused_everywhere(folder: Path, out: Path, motd: Run, reason: str) -> None:
    for words in (("trust", "--out", out), ("sign", "--out", out), ("deploy", out), ("status",)):
        assert refused(motd(words[0], folder, *words[1:], "--now", MARCH), reason)
        assert not out.exists()
    for word in ("rotate", "list"):
        now = ("--now", MARCH) if word == "rotate" else ()
        assert refused(motd("key", word, folder, *now), reason)


@pytest.mark.parametrize("signed", ["junk", "by its own root"])
def test_a19_an_epoch_that_a_stranger_drops_into_the_folder_is_not_pinned(
    pinned: Path, tmp_path: Path, motd: Run, signed: str
) -> None:
    """The root of it has signed, the one before has not."""
    planted(pinned, of_a_thief(pinned, ("root", "motd")), [b"\1" * 32] * (signed != "junk"))
    refused_everywhere(pinned, tmp_path / "out.json", motd, "trust-damaged")
    assert not (pinned / "trust" / "epoch-3.json").exists()


def test_a19_an_epoch_that_its_own_root_has_not_signed_is_not_built_on(
    pinned: Path, tmp_path: Path, motd: Run
) -> None:
    """A thief of root's old key puts in a root that is nobody's."""
    said = of_a_thief(pinned, ("root",))
    root = said.keys.roles["root"]
    root = replace(root, ed25519=dict(list(root.ed25519.items())[1:]))
    said = replace(said, keys=replace(said.keys, roles={**said.keys.roles, "root": root}))
    planted(pinned, said, [roots_seed(pinned)])
    refused_everywhere(pinned, tmp_path / "out.json", motd, "trust-damaged")


@pytest.mark.parametrize("command", ["rotate", "trust"])
@pytest.mark.parametrize("vouched", [False, True])
def test_a19_with_stolen_ed25519_keys_of_root_alone_no_chain_is_built_on(
    pinned: Path, tmp_path: Path, motd: Run, command: str, vouched: bool
) -> None:
    """Clients ask for an OpenPGP signature of root, too; nor does what lies in root/ stand in for
    it, since whoever writes the folder can have left that behind."""
    thiefs = of_a_thief(pinned, ("motd",))
    planted(pinned, thiefs, [roots_seed(pinned)])
    if vouched:
        path = pinned / "root" / "epochs.json"
        said = json.loads(path.read_text())
        said["epochs"]["2"] = thiefs.digest
        path.write_text(json.dumps(said))
    rotate = ("key", "rotate", pinned, "--now", MARCH)
    trust = ("trust", pinned, "--out", tmp_path / "out.json")
    done = motd(*(rotate if command == "rotate" else trust))
    assert refused(done, "trust-damaged")
    assert "epoch-2.json is one that clients would not follow (openpgp-missing)" in done.err


@pytest.mark.parametrize("number", [1, 2])
def test_a18_a_strangers_key_under_a_known_name_in_trust_is_noticed(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run, number: int
) -> None:
    """Also where root signed it, blindly."""
    if number == 1:
        path = pinned / "trust" / "epoch-1.json"
        said = json.loads(path.read_text())
        role = said["roles"]["motd"]["ed25519"]
        role[next(iter(role))] = THIEF.hex()
        path.write_text(json.dumps(said))
        shutil.rmtree(pinned / "root")
    else:
        document = of_a_thief(pinned, ())
        motd_role = document.keys.roles["motd"]
        named = replace(motd_role, ed25519={next(iter(motd_role.ed25519)): THIEF.hex()})
        keys = replace(document.keys, roles={**document.keys.roles, "motd": named})
        planted(pinned, replace(document, keys=keys), [roots_seed(pinned)])
    done = motd("trust", pinned, "--out", tmp_path / "out.json", "--now", MARCH)
    assert refused(done, "trust-damaged")
    # Here gpg is not asked, which a blind signature of root's would satisfy.
    assert refused(motd("key", "list", pinned), "trust-damaged")


@pytest.mark.parametrize("change", ["product", "epoch"])
def test_a20_epochs_of_something_else_are_not_built_on(
    pinned: Path, ok: Run, motd: Run, change: str
) -> None:
    said = of_a_thief(pinned, ())
    said = replace(said, **({"product": "othermail"} if change == "product" else {"epoch": 3}))
    planted(pinned, said, [roots_seed(pinned)])
    assert refused(motd("key", "list", pinned), "trust-damaged")


def test_a20_an_epoch_under_another_number_is_not_built_on(
    pinned: Path, ok: Run, motd: Run
) -> None:
    ok("key", "rotate", pinned, "--now", MARCH)
    (pinned / "trust" / "epoch-2.json").rename(pinned / "trust" / "epoch-3.json")
    assert refused(motd("key", "list", pinned), "trust-damaged")


@pytest.mark.parametrize("rotated", [False, True])
def test_a18_a_first_epoch_that_was_rewritten_brings_no_revoked_key_back(
    pinned: Path, ok: Run, motd: Run, rotated: bool
) -> None:
    """Of its news key no signature speaks; root, which was away, remembers it."""
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    if rotated:
        ok("key", "revoke", pinned, "motd-1", "--now", MARCH)
    path, stolen = pinned / "trust" / "epoch-1.json", record(pinned, "motd-1")["ed25519"]
    said = json.loads(path.read_text())
    role = said["roles"]["motd"]["ed25519"]
    assert list(role.values()) == [stolen]
    said["roles"]["motd"]["ed25519"] = {keyid(THIEF): THIEF.hex()}
    path.write_text(json.dumps(said))
    rewrite(pinned, "motd-1", revoked=False)
    done = motd("key", "rotate", pinned, "--now", NEXT_DAY)
    assert refused(done, "trust-damaged")
    assert "epoch-1.json is another than root has signed for" in done.err
    assert not (pinned / "trust" / "epoch-3.json").exists()


def test_a18_root_remembers_where_trust_was_taken_away(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Or all keys at hand, and a stranger's, would make another first epoch."""
    before = (pinned / "root" / "epochs.json").read_text()
    shutil.rmtree(pinned / "trust")
    for command in (("trust", pinned, "--out", tmp_path / "out.json"), ("key", "rotate", pinned)):
        assert refused(motd(*command), "epoch-behind")
    assert (pinned / "root" / "epochs.json").read_text() == before


@pytest.mark.parametrize("text", ["{}", "[]", '{"type": "mars-motd-epochs", "epochs": {"x": ""}}'])
def test_what_root_remembers_must_be_readable(pinned: Path, motd: Run, text: str) -> None:
    (pinned / "root" / "epochs.json").write_text(text)
    reason = "record-damaged" if text != "[]" else "key-damaged"
    assert refused(motd("key", "list", pinned), reason)


def test_a20_root_makes_no_second_epoch_of_one_number_in_another_copy_of_the_folder(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    other = Path(shutil.copytree(pinned, tmp_path / "other"))
    ok("key", "rotate", pinned, "--now", MARCH)
    shutil.rmtree(other / "root")
    shutil.copytree(pinned / "root", other / "root")
    assert refused(motd("key", "rotate", other, "--now", MARCH), "epoch-behind")
    shutil.copytree(pinned / "trust", other / "trust", dirs_exist_ok=True)
    assert "epoch 3" in ok("key", "rotate", other, "--now", MARCH).out


def test_a20_news_of_a_later_epoch_stop_who_would_sign_in_an_older_one(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Also where the old epoch has a higher serial, which a thief pushed ahead."""
    other = Path(shutil.copytree(pinned, tmp_path / "other"))
    ok("sign", other, "--out", tmp_path / "old.json", "--now", NEXT_DAY)
    ok("key", "rotate", pinned, "--now", MARCH)
    ok("sign", pinned, "--out", tmp_path / "new.json", "--now", MARCH)
    for path in (pinned / "issued").iterdir():
        shutil.copy(path, other / "issued")
    refused_everywhere(other, tmp_path / "out.json", motd, "epoch-behind")
    (other / "issued" / "1772323199.json").write_text("{")  # is told by whoever needs it
    shutil.copytree(pinned / "trust", other / "trust", dirs_exist_ok=True)
    ok("key", "rotate", other, "--now", MARCH)


@pytest.mark.parametrize("more", [{}, {"openpgp": {}}], ids=["whole", "without its token"])
def test_a18_a_record_whose_role_was_changed_makes_no_stolen_news_key_root(
    pinned: Path, ok: Run, motd: Run, more: dict[str, object]
) -> None:
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    rewrite(pinned, "motd-1", role="root", **more)
    done = motd("key", "rotate", pinned, "--now", MARCH)
    assert refused(done, "key-mismatch")
    assert not (pinned / "trust" / "epoch-2.json").exists()


def test_a18_nor_a_stolen_token_of_the_news_under_a_new_key(
    pinned: Path, ok: Run, motd: Run
) -> None:
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    token = record(pinned, "motd-1")["openpgp"]
    ok("key", "new", pinned, "--role", "root", "--no-passphrase")
    rewrite(pinned, "root-2", openpgp=token)
    rewrite(pinned, "motd-1", openpgp={})
    assert refused(motd("key", "rotate", pinned, "--now", MARCH), "key-mismatch")


def test_a18_a_token_that_was_taken_away_does_not_come_back_under_a_new_key(
    pinned: Path, ok: Run, motd: Run
) -> None:
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    token = record(pinned, "motd-1")["openpgp"]
    ok("key", "revoke", pinned, "motd-1", "--now", MARCH)
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    rewrite(pinned, "motd-3", openpgp=token)
    done = motd("key", "rotate", pinned, "--now", MARCH)
    assert refused(done, "key-revoked")
    assert "brings back motd-3, or an OpenPGP key of it" in done.err


def test_openpgp_keys_stay_known_while_the_policy_is_off(pinned: Path, ok: Run) -> None:
    edit(pinned, 'openpgp = "when-available"', 'openpgp = "off"')
    ok("key", "rotate", pinned, "--now", MARCH)
    edit(pinned, 'openpgp = "off"', 'openpgp = "when-available"')
    assert "epoch 3" in ok("key", "rotate", pinned, "--now", MARCH).out


def test_a_token_that_two_keys_share_is_said_to_stay(pinned: Path, ok: Run) -> None:
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    (token,) = record(pinned, "motd-1")["openpgp"]
    rewrite(pinned, "motd-2", openpgp=record(pinned, "motd-1")["openpgp"])
    said = ok("key", "revoke", pinned, "motd-1", "--now", MARCH).err
    assert f"the OpenPGP key {token} of motd-1 stays in use, since motd-2 has it too" in said


@pytest.mark.parametrize(
    ("issued", "expires", "reason"),
    [
        ("1970-01-02T00:00:00Z", "1971-01-02T00:00:00Z", "expired"),
        (MARCH, "2026-03-01T00:01:00Z", "keys-invalid"),
        (MARCH, "9999-01-01T00:00:00Z", "keys-invalid"),
        ("2026-06-01T00:00:00Z", "2026-05-01T00:00:00Z", "future"),
        ("2026-03-03T00:00:01Z", "2028-03-01T00:00:00Z", "future"),
        ("2026-03-01T12:00:00Z", "2026-03-01T06:00:00Z", "keys-invalid"),
    ],
)
@pytest.mark.parametrize("option", ["--add-to", "--show"])
def test_a19_a_keys_document_with_absurd_dates_is_not_signed(
    three: Path,
    tmp_path: Path,
    ok: Run,
    motd: Run,
    issued: str,
    expires: str,
    reason: str,
    option: str,
) -> None:
    half = tmp_path / "half.json"
    ok("trust", three, "--out", tmp_path / "t.json", "--now", MARCH)
    ok("key", "rotate", three, "--key", "ada-root", "--partial", half, "--now", MARCH)
    changed(half, lambda payload: payload.update(issued=issued, expires=expires))
    assert refused(motd("key", "rotate", three, option, half, "--now", MARCH), reason)
    assert not (three / "trust" / "epoch-2.json").exists()


def test_a22_keys_are_not_dated_ahead_by_a_wrong_time(pinned: Path, motd: Run) -> None:
    """Each later news would wait until then."""
    for words in (("rotate",), ("revoke", "motd-1")):
        done = motd("key", words[0], pinned, *words[1:], "--now", "2100-01-01T00:00:00Z")
        assert refused(done, "future")
        assert "of this computer's clock" in done.err
    assert not (pinned / "trust" / "epoch-2.json").exists()


def test_a_record_that_is_imported_again_revokes_nobody(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    before, fresh = record(pinned, "motd-1"), record(pinned, "motd-2")
    (name, block), *_ = before["openpgp"].items()
    head, rest = block.split("\n", 1)
    bad = tmp_path / "bad.json"
    commented = {name: f"{head}\nComment: prolonged\n{rest}"}
    bad.write_text(json.dumps(before | {"revoked": True, "openpgp": commented}))
    assert refused(motd("key", "import", pinned, bad), "key-revoked")
    assert record(pinned, "motd-1") == before
    assert record(pinned, "motd-2") == fresh


def test_an_openpgp_key_without_its_home_is_wrong_usage(
    product: Path, tmp_path: Path, motd: Run
) -> None:
    for given in (("--openpgp-key", "A" * 40), ("--openpgp-home", tmp_path)):
        done = motd("key", "new", product, "--role", "motd", *given, "--no-passphrase")
        assert (done.code, "belong together" in done.err) == (2, True)


def test_no_second_root_is_made_beside_the_one_that_is_away(
    pinned: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    (pinned / "root").rename(tmp_path / "safe")
    new = ("key", "new", pinned, "--role", "root", "--no-passphrase")
    assert refused(motd(*new), "root-away")
    assert not (pinned / "root").exists()
    (pinned / "root").mkdir(mode=0o700)  # another holder's machine
    ok(*new)


def test_show_hides_no_member_that_is_unknown(three: Path, tmp_path: Path, ok: Run) -> None:
    half = tmp_path / "half.json"
    ok("trust", three, "--out", tmp_path / "t.json", "--now", MARCH)
    ok("key", "rotate", three, "--key", "ada-root", "--partial", half, "--now", MARCH)
    changed(half, lambda payload: payload.update(colour="red"))
    for _ in range(2):
        shown = ok("key", "rotate", three, "--show", half, "--now", MARCH).out
        assert "colour: unknown to clients of this version" in shown


def test_a_rotation_is_told_to_programs_and_what_comes_next_to_people(
    pinned: Path, ok: Run
) -> None:
    ok("key", "new", pinned, "--role", "motd", "--no-passphrase")
    shown = ok("key", "revoke", pinned, "motd-1", "--now", MARCH, "--json")
    assert shown.json["changes"][0] == "keys document for epoch 2 of examplemail stable"
    plain = {"ok": True, "complete": True, "epoch": 2, "revoked": ["motd-1"], "refreshed": []}
    assert {name: shown.json[name] for name in plain} == plain
    assert "Leave root/ here until then" in shown.err
    assert ok("key", "refresh", pinned, "--json").json == {
        **plain,
        "revoked": [],
        "changes": [],
    }
