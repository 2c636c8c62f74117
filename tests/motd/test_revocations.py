"""A key that was taken away never comes back, whichever holder's folder knows of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.motd.conftest import edit, holder, names

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"


@pytest.fixture
def apart(three: Path, tmp_path: Path, ok: Run) -> tuple[Path, Path]:
    """The machines of ada and bob, epoch 1 settled."""
    ok("trust", three, "--out", tmp_path / "trust.json", "--now", MARCH)
    return holder(three, tmp_path / "ada", "ada"), holder(three, tmp_path / "bob", "bob")


def shared(source: Path, target: Path) -> None:
    """Hands the epochs on to another holder."""
    shutil.copytree(source / "trust", target / "trust", dirs_exist_ok=True)


def unheard(folder: Path) -> None:
    """The record of cleo's key as it was before anybody revoked it."""
    path = folder / "keys" / "cleo-motd.json"
    assert '"revoked": true' in path.read_text()
    path.write_text(path.read_text().replace('"revoked": true', '"revoked": false'))


def test_a18_a_revoked_key_joins_no_later_epoch_of_another_holder(
    apart: tuple[Path, Path], tmp_path: Path, ok: Run
) -> None:
    """Only its epoch says so in the folder that did not finish the revocation."""
    (ada, bob), half = apart, tmp_path / "keys.json"
    ok("key", "revoke", bob, "cleo-motd", "--now", MARCH, "--partial", half)
    ok("key", "rotate", ada, "--add-to", half, "--now", MARCH)
    unheard(ada)
    assert names(ada, "revoked", ok) == ["cleo-motd"]
    shared(ada, bob)
    ok("key", "rotate", ada, "--now", NEXT_DAY, "--partial", half)
    assert "epoch 3: 10 keys" in ok("key", "rotate", bob, "--add-to", half, "--now", NEXT_DAY).out
    assert names(bob, "revoked", ok) == ["cleo-motd"]


@pytest.mark.parametrize("option", ["--add-to", "--show"])
@pytest.mark.parametrize("has_record", [False, True])
def test_a18_a_file_that_brings_a_revoked_key_back_is_refused(
    apart: tuple[Path, Path], tmp_path: Path, ok: Run, motd: Run, option: str, has_record: bool
) -> None:
    """A thief made it: his folder never had cleo's key before. The epochs of bob know it."""
    (ada, bob), half = apart, tmp_path / "keys.json"
    ok("key", "revoke", bob, "cleo-motd", "--now", MARCH, "--partial", half)
    ok("key", "rotate", ada, "--add-to", half, "--now", MARCH)
    shared(ada, bob)
    unheard(bob)
    unheard(ada)
    first = ada / "trust" / "epoch-1.json"
    root, cleo = (json.loads(path.read_text()) for path in (first, ada / "keys" / "cleo-motd.json"))
    role, (fingerprint,) = root["roles"]["motd"], cleo["openpgp"]
    role["ed25519"] = {k: v for k, v in role["ed25519"].items() if v != cleo["ed25519"]}
    role["openpgp"].remove(fingerprint)
    del root["openpgp"][fingerprint]
    first.write_text(json.dumps(root))
    (ada / "root" / "epochs.json").unlink()
    ok("key", "rotate", ada, "--now", NEXT_DAY, "--partial", half)
    if not has_record:
        (bob / "keys" / "cleo-motd.json").unlink()
    done = motd("key", "rotate", bob, option, half, "--now", NEXT_DAY)
    assert (done.code, "[key-revoked]" in done.err) == (1, True), done
    assert ("brings back cleo-motd" in done.err) == has_record
    assert not (bob / "trust" / "epoch-3.json").exists()


def test_a_key_that_was_revoked_while_it_waited_is_not_signed_in_for_another_holder(
    apart: tuple[Path, Path], tmp_path: Path, ok: Run, motd: Run
) -> None:
    (ada, bob), half = apart, tmp_path / "keys.json"
    ok("key", "new", ada, "--name", "dora", "--role", "motd", "--no-passphrase")
    ok("key", "import", bob, ada / "keys" / "dora-motd.json")
    ok("key", "revoke", bob, "dora-motd", "--now", MARCH)
    ok("key", "rotate", ada, "--now", NEXT_DAY, "--partial", half)
    done = motd("key", "rotate", bob, "--add-to", half, "--now", NEXT_DAY)
    assert (done.code, "brings back dora-motd" in done.err) == (1, True), done
    assert not (bob / "trust" / "epoch-2.json").exists()


def test_a_token_of_a_revoked_pair_stays_in_use_by_another(
    apart: tuple[Path, Path], tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Where that other pair is known; ``test_history`` has those that come back."""
    (ada, bob), half = apart, tmp_path / "keys.json"
    cleo = json.loads((ada / "keys" / "cleo-motd.json").read_text())
    ok("key", "new", ada, "--name", "dora", "--role", "motd", "--no-passphrase")
    dora = json.loads((ada / "keys" / "dora-motd.json").read_text())
    dora["openpgp"] = cleo["openpgp"]
    (ada / "keys" / "dora-motd.json").write_text(json.dumps(dora))
    ok("key", "revoke", ada, "cleo-motd", "--now", MARCH, "--partial", half)
    done = motd("key", "rotate", bob, "--show", half, "--now", NEXT_DAY)
    assert "NOT A KEY OF THIS FOLDER" in done.out
    ok("key", "import", bob, ada / "keys" / "dora-motd.json")
    assert "11 keys" in ok("key", "rotate", bob, "--add-to", half, "--now", NEXT_DAY).out


def test_a_key_that_waits_can_be_revoked_without_a_new_epoch(
    three: Path, tmp_path: Path, ok: Run
) -> None:
    ok("trust", three, "--out", tmp_path / "trust.json", "--now", MARCH)
    ok("key", "new", three, "--name", "dora", "--role", "motd", "--no-passphrase")
    done = ok("key", "revoke", three, "dora-motd", "--now", MARCH)
    assert done.out == "revoked dora-motd\n"
    assert "No new epoch: epoch 1 holds none of these keys" in done.err
    assert names(three, "revoked", ok) == ["dora-motd"]
    assert not (three / "trust" / "epoch-2.json").exists()
    assert "epoch 2: 11 keys" in ok("key", "rotate", three, "--now", NEXT_DAY).out
    assert names(three, "revoked", ok) == ["dora-motd"]


def test_a_key_that_waits_is_revoked_beside_one_that_signs(
    apart: tuple[Path, Path], tmp_path: Path, ok: Run
) -> None:
    """Whoever names it has it revoked, also where another holder finishes."""
    (ada, bob), half = apart, tmp_path / "keys.json"
    ok("key", "new", ada, "--name", "dora", "--role", "motd", "--no-passphrase")
    ok("key", "revoke", ada, "cleo-motd", "dora-motd", "--now", MARCH, "--partial", half)
    ok("key", "rotate", bob, "--add-to", half, "--now", MARCH)
    shared(bob, ada)
    assert names(ada, "revoked", ok) == ["cleo-motd", "dora-motd"]


def test_all_that_was_revoked_is_told(three: Path, tmp_path: Path, ok: Run) -> None:
    edit(three, "threshold = 2", "threshold = 1")
    ok("trust", three, "--out", tmp_path / "trust.json", "--now", MARCH)
    ok("key", "new", three, "--name", "dora", "--role", "motd", "--no-passphrase")
    done = ok("key", "revoke", three, "dora-motd", "cleo-motd", "--now", MARCH)
    assert done.out.splitlines() == ["epoch 2: 10 keys", "revoked cleo-motd", "revoked dora-motd"]
    assert names(three, "revoked", ok) == ["cleo-motd", "dora-motd"]


def test_a_holder_of_root_is_revoked_by_the_others(
    apart: tuple[Path, Path], tmp_path: Path, ok: Run, motd: Run
) -> None:
    """With a signature of each; what he signs alone or with one more afterwards is nobody's."""
    (ada, bob), half = apart, tmp_path / "keys.json"
    assert "[signatures-missing]" in motd("key", "revoke", ada, "cleo-root", "--now", MARCH).err
    ok("key", "revoke", ada, "cleo-root", "--now", MARCH, "--partial", half)
    done = ok("key", "rotate", bob, "--add-to", half, "--now", MARCH)
    assert "gone:  ed25519 cleo-root" in done.err
    assert "revoked cleo-root" in done.out
    shared(bob, ada)
    assert names(ada, "revoked", ok) == ["cleo-root"]
    done = motd("key", "rotate", bob, "--key", "cleo-root", "--now", NEXT_DAY)
    assert (done.code, "[key-not-in-epoch]" in done.err) == (1, True)
