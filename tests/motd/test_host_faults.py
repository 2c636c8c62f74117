"""Whatever the host refuses while keys are made, rotated and used: no half key, none lost.

A few faults of ``tests.faults``; ``make soak ARGS=faults`` tries each system call with each error.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars_motd.cli import main
from tests import faults
from tests.faults import Fault

Run = Callable[..., Any]
MARCH, APRIL = "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"


def touched(folder: Path, *more: Path) -> list[Path]:
    """What a command may open in a product folder."""
    known = [folder, *folder.rglob("*"), *more]
    return [*known, *(folder / f"keys/{name}" for name in ("motd-2.json", "motd-2.secret"))]


def pairs(folder: Path) -> dict[str, set[str]]:
    """The names of records, secrets and OpenPGP secrets, and the fingerprints in the records."""
    records = {path: json.loads(path.read_text()) for path in folder.glob("keys/*.json")}
    return {
        "records": {path.stem for path in records},
        "secrets": {path.stem for path in folder.glob("*/*.secret")},
        "openpgp": {path.name for path in folder.glob("*/private-keys-v1.d/*.key")},
        "fingerprints": {one for record in records.values() for one in record["openpgp"]},
    }


def are_whole(found: dict[str, set[str]]) -> bool:
    openpgp = len(found["openpgp"]) == len(found["fingerprints"])
    return found["records"] == found["secrets"] and openpgp


MADE = {"root-1", "motd-1", "release-1", "status-1", "index-1"}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return faults.room(tmp_path)


@pytest.fixture
def tried(product: Path, out: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs a command in copies of a folder, each with another fault, and asks ``holds``."""

    def trial(
        name: str, holds: Callable[[Path, Fault, faults.Ran], None], *arguments: object
    ) -> None:
        folder = tmp_path / "copy"
        told = [str(text).format(folder=folder) for text in arguments]

        def ran(fault: Fault | None, anywhere: bool) -> faults.Ran:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(product, folder)
            paths = [] if anywhere else touched(folder, folder / "motd.json")
            return faults.run(main, told, paths, out, fault, alone=anywhere)

        known: faults.Sites = {}
        for anywhere in (False, True):  # temporary files have names that nobody knows before

            def attempt(fault: Fault, anywhere: bool = anywhere) -> faults.Ran:
                found = ran(fault, anywhere)
                assert found.is_told(), found
                holds(folder, fault, found)
                return found

            whole = ran(None, anywhere)
            assert whole.code == 0, whole
            found = whole.writes(folder) if anywhere else whole.sites()
            sites = {site: ends for site, ends in found.items() if site not in known}
            faults.trial(f"{name}{', files just made' * anywhere}", sites, 1, attempt)
            known |= sites

    return trial


def test_whatever_fails_while_a_key_is_made_there_is_no_half_key(
    product: Path, ok: Run, verdict: Callable[..., Any], tried: Any
) -> None:
    before = {path: path.read_bytes() for path in product.rglob("*") if path.is_file()}

    def holds(folder: Path, fault: Fault, ran: faults.Ran) -> None:
        found = pairs(folder)
        assert are_whole(found), (fault, ran, found)
        assert found["records"] == (MADE if ran.code else MADE | {"motd-2"}), (fault, ran)
        assert all(
            (folder / path.relative_to(product)).read_bytes() == was for path, was in before.items()
        )
        ok("key", "new", folder, "--role", "motd", "--no-passphrase")
        assert are_whole(pairs(folder))
        ok("sign", folder, "--out", folder / "motd.json", "--now", MARCH)
        said = verdict(folder / "motd.json", folder)
        assert said["ok"], (fault, ran, said)

    tried("key new", holds, "key", "new", "{folder}", "--role", "motd", "--no-passphrase")


def test_whatever_fails_while_a_key_is_revoked_it_never_comes_back(
    product: Path, ok: Run, verdict: Callable[..., Any], tried: Any, tmp_path: Path
) -> None:
    ok("key", "new", product, "--role", "motd", "--no-passphrase")
    ok("sign", product, "--out", tmp_path / "first.json", "--now", MARCH)
    secrets = {path: path.read_bytes() for path in product.rglob("*.secret")}
    lost = json.loads((product / "keys/motd-2.json").read_text())["ed25519"]
    told = ("key", "revoke", "{folder}", "motd-2", "--now", MARCH)

    def holds(folder: Path, fault: Fault, ran: faults.Ran) -> None:
        ok(*(text.format(folder=folder) for text in told))
        ok("key", "rotate", folder, "--now", MARCH)
        ok("trust", folder, "--out", folder / "trust.json", "--now", MARCH)
        assert lost not in (folder / "trust.json").read_text(), (fault, ran)
        ok("sign", folder, "--out", folder / "motd.json", "--now", MARCH)
        said = verdict(folder / "motd.json", folder)
        assert said["ok"], (fault, ran, said)
        assert all(
            (folder / path.relative_to(product)).read_bytes() == was
            for path, was in secrets.items()
        )

    tried("key revoke", holds, *told)


def test_whatever_fails_while_keys_rotate_the_chain_is_the_old_or_the_new(
    product: Path, ok: Run, verdict: Callable[..., Any], tried: Any, tmp_path: Path
) -> None:
    signed, pinned = product / "motd.json", tmp_path / "pinned.json"
    ok("sign", product, "--out", signed, "--now", MARCH)
    ok("trust", product, "--out", pinned, "--now", MARCH)
    ok("key", "new", product, "--role", "motd", "--no-passphrase")
    before = {path: path.read_bytes() for path in product.rglob("*") if path.is_file()}
    del before[product / "root/epochs.json"]  # root remembers the new one, or not yet
    told = ("key", "rotate", "{folder}", "--now", MARCH)

    def holds(folder: Path, fault: Fault, ran: faults.Ran) -> None:
        assert all(
            (folder / path.relative_to(product)).read_bytes() == was for path, was in before.items()
        ), "a key or the chain was changed"
        is_new = (folder / "trust/epoch-2.json").exists()
        assert is_new or ran.code, (fault, ran)
        assert judged(ok, folder / "motd.json", pinned)["ok"]
        if not is_new:
            ok(*(text.format(folder=folder) for text in told))
        ok("sign", folder, "--out", folder / "motd.json", "--now", APRIL)
        said = judged(ok, folder / "motd.json", pinned, APRIL)
        assert (said["ok"], said["epoch"]) == (True, 2), (fault, ran, said)
        assert verdict(folder / "motd.json", folder, APRIL)["epoch"] == 2, (fault, ran)
        assert are_whole(pairs(folder))

    tried("key rotate", holds, *told)


def judged(ok: Run, document: Path, trust: Path, now: str = MARCH) -> Any:
    """What a client that pins ``trust`` says of a document that it takes."""
    return ok("verify", document, "--trust", trust, "--now", now, "--json").json


def test_whatever_fails_while_news_are_signed_the_document_is_the_old_or_the_new(
    product: Path, ok: Run, verdict: Callable[..., Any], tried: Any
) -> None:
    ok("sign", product, "--out", product / "motd.json", "--now", MARCH)
    old = (product / "motd.json").read_bytes()
    told = ("sign", "{folder}", "--out", "{folder}/motd.json", "--now", APRIL)

    def holds(folder: Path, fault: Fault, ran: faults.Ran) -> None:
        there = (folder / "motd.json").read_bytes()
        assert there == old or not ran.code or verdict(folder / "motd.json", folder, APRIL)["ok"]
        ok(*(text.format(folder=folder) for text in told))
        found = verdict(folder / "motd.json", folder, APRIL)
        assert found["ok"], (fault, ran)

    tried("sign", holds, *told)


def refused(out: Path, paths: list[Path], fault: Fault, *arguments: object) -> None:
    """The command meets ``fault``, ends with 1 and says so."""
    ran = faults.run(main, arguments, paths, out, fault, alone=True)
    assert (ran.code, ran.is_told()) == (1, True), ran


def last_rename(folder: Path, out: Path, error: str, *arguments: object, later: int = 0) -> Fault:
    """Where a command writes a public record: its last rename of all but those that come ``later``,
    as a run on a copy shows."""
    copy = Path(shutil.copytree(folder, out / "copy"))
    told = [*arguments[:2], copy, *arguments[2:]]
    ran = faults.run(main, told, [], out, alone=True)
    return Fault("rename", ran.count("rename") - later, error)


def test_a_pair_whose_record_cannot_be_written_is_taken_back(product: Path, out: Path) -> None:
    fault = last_rename(product, out, "EDQUOT", "key", "new", "--role", "motd", "--no-passphrase")
    refused(out, [], fault, "key", "new", product, "--role", "motd", "--no-passphrase")
    assert are_whole(pairs(product))
    assert pairs(product)["secrets"] == MADE


def test_a_key_whose_openpgp_secret_went_with_its_home_is_not_recorded(
    product: Path, shell: Run, tmp_path: Path
) -> None:
    """Something else clears the temporary folder while gpg starts: it makes a home anew."""
    tool = tmp_path / "gpg"
    find = """home=$(printf '%s\\n' "$@" | sed -n '/^--homedir$/{n;p}')"""
    tool.write_text(
        f'#!/bin/sh\ncase " $* " in *" --gen-key "*) {find}; rm "$home/private-keys-v1.d";; esac\n'
        f'exec {shutil.which("gpg")} "$@"\n'
    )
    tool.chmod(0o755)
    done = shell(
        "key",
        "new",
        product,
        "--role",
        "motd",
        "--no-passphrase",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )
    assert (done.code, "[openpgp-failed]" in done.err) == (1, True), done
    assert pairs(product)["records"] == MADE
    assert are_whole(pairs(product))


def test_a_key_whose_record_cannot_say_revoked_is_not_brought_back(
    product: Path, ok: Run, out: Path, tmp_path: Path
) -> None:
    ok("key", "new", product, "--role", "motd", "--no-passphrase")
    ok("sign", product, "--out", tmp_path / "motd.json", "--now", MARCH)
    lost = json.loads((product / "keys/motd-2.json").read_text())["ed25519"]
    told = ("motd-2", "--now", MARCH)
    fault = last_rename(product, out, "EROFS", "key", "revoke", *told, later=1)  # root remembers
    refused(out, [], fault, "key", "revoke", product, *told)
    was_taken_away = (product / "trust/epoch-2.json").exists()
    ok("key", "rotate", product, "--now", MARCH)
    ok("trust", product, "--out", tmp_path / "trust.json", "--now", MARCH)
    assert not was_taken_away or lost not in (tmp_path / "trust.json").read_text()


@pytest.mark.parametrize("name", ["keys", "trust", "messages"])
def test_a_folder_that_cannot_be_read_is_not_taken_for_an_empty_one(
    name: str, product: Path, ok: Run, out: Path, tmp_path: Path
) -> None:
    motd = tmp_path / "motd.json"
    ok("sign", product, "--out", motd, "--now", MARCH)
    ok("key", "rotate", product, "--now", MARCH)
    before = motd.read_bytes()
    told = ("sign", product, "--out", motd, "--now", APRIL)
    refused(out, [product / name], Fault("getdents64", 1, "EACCES"), *told)
    assert motd.read_bytes() == before
