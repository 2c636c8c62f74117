"""What the commands refuse, and how they say so: a reason for programs, a sentence for people."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"


def refused(done: Any, reason: str) -> bool:
    """Exit code 1, the reason in brackets, a sentence before it, nothing on standard output."""
    assert f"[{reason}]" in done.err, done.err
    return bool(done.code == 1 and done.out == "" and len(done.err) > len(reason) + 20)


def test_a_document_of_another_kind_is_not_signed(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    news, keys = tmp_path / "news.json", product / "trust" / "epoch-2.json"
    ok("sign", product, "--out", news, "--now", MARCH)
    done = motd("key", "rotate", product, "--add-to", news, "--now", MARCH)
    assert refused(done, "wrong-payload-type")
    ok("key", "rotate", product, "--now", MARCH)
    done = motd("sign", product, "--add-to", keys, "--out", tmp_path / "x", "--now", MARCH)
    assert refused(done, "wrong-payload-type")
    done = motd("key", "rotate", product, "--add-to", keys, "--now", MARCH)
    assert refused(done, "wrong-document")  # that step was taken already


def test_a19_a_rotation_without_the_old_key_is_not_recorded(
    product: Path, ok: Run, motd: Run
) -> None:
    ok("trust", product, "--out", product / "trust.json")
    (product / "root").rename(product / "elsewhere")
    assert refused(motd("key", "rotate", product), "root-away")
    (product / "root").mkdir(mode=0o700)
    ok("key", "new", product, "--role", "root", "--no-passphrase")
    assert refused(motd("key", "rotate", product), "signatures-missing")
    assert not (product / "trust" / "epoch-2.json").exists()


def test_the_last_key_cannot_be_revoked(product: Path, ok: Run, motd: Run) -> None:
    assert refused(motd("key", "revoke", product, "motd-1"), "no-keys")
    ok("trust", product, "--out", product / "trust.json")
    assert refused(motd("key", "revoke", product, "motd-1"), "no-keys")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('product = "examplemail"', "product = 1"),
        ("threshold = 1", "threshold = 0"),
        ("releases = []", 'releases = ["1"]'),
        ("[policy]", "[polcy]"),
        ("[policy]", "[policy"),
    ],
)
def test_product_toml_is_checked(
    product: Path, tmp_path: Path, motd: Run, old: str, new: str
) -> None:
    path = product / "product.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = motd("sign", product, "--out", tmp_path / "x")
    assert refused(done, "product-invalid")
    assert str(path) in done.err


def test_a_threshold_that_the_keys_cannot_reach_is_told(
    product: Path, tmp_path: Path, motd: Run
) -> None:
    path = product / "product.toml"
    path.write_text(path.read_text().replace("threshold = 1", "threshold = 2"))
    assert refused(motd("sign", product, "--out", tmp_path / "x"), "policy-invalid")
    assert "motd: 2 of 1 Ed25519" in motd("check", product).out


@pytest.mark.parametrize("content", [b"\xff", b"x" * 4001])
def test_news_txt_is_checked(product: Path, tmp_path: Path, motd: Run, content: bytes) -> None:
    (product / "news.txt").write_bytes(content)
    done = motd("sign", product, "--out", tmp_path / "x")
    assert refused(done, "content-invalid")
    assert "news.txt:1: " in done.err


def test_b12_more_than_32_messages_are_refused(product: Path, tmp_path: Path, motd: Run) -> None:
    for number in range(33):
        (product / "messages" / f"m-{number}.toml").write_text('[title]\nen = "T"\n')
    assert "33 messages; 32 are allowed" in motd("check", product).out
    assert refused(motd("sign", product, "--out", tmp_path / "x"), "content-invalid")


def test_key_list_and_export_for_people(product: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    role = ("--role", "motd", "--no-passphrase")
    shown = ok("key", "list", product).out
    assert "motd-1  motd, signing, secret here" in shown
    assert "openpgp " in shown
    path = product / "product.toml"
    path.write_text(path.read_text().replace('"when-available"', '"off"'))
    ok("key", "new", product, "--name", "plain", "--role", "motd", "--no-passphrase")
    assert refused(
        motd("key", "export", product, "plain-motd", "--format", "openpgp"), "no-openpgp"
    )
    assert refused(motd("key", "export", product, "nobody"), "key-unknown")
    assert refused(
        motd("key", "new", product, "--name", "plain", "--role", "motd", "--no-passphrase"),
        "key-exists",
    )
    assert motd("key", "new", product, "--name", "No!", *role).code == 2
    phrase = tmp_path / "phrase"
    phrase.write_text("x y z")
    both = (*role, "--passphrase-file", phrase)
    assert motd("key", "new", product, *both).code == 2
    ok("init", tmp_path / "empty", "--product", "examplemail")
    assert "No keys yet" in ok("key", "list", tmp_path / "empty").err


def test_a_gpg_that_fails_is_told_apart_from_one_that_is_absent(
    product: Path, tmp_path: Path, motd: Run
) -> None:
    broken = tmp_path / "bin" / "gpg"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho 'gpg: out of luck' >&2\nexit 2\n")
    broken.chmod(0o755)
    arguments = ("sign", product, "--out", tmp_path / "x", "--now", MARCH)
    done = motd(*arguments, PATH=str(broken.parent))
    assert refused(done, "openpgp-failed")
    assert "out of luck" in done.err
    assert refused(motd(*arguments, PATH="/nonexistent"), "openpgp-unavailable")
    assert not (tmp_path / "x").exists()


def test_inputs_that_cannot_be_read_are_named(product: Path, tmp_path: Path, motd: Run) -> None:
    none = tmp_path / "none"
    for command in (
        ("sign", product, "--add-to", none, "--out", tmp_path / "x"),
        ("key", "rotate", product, "--add-to", none),
        ("key", "import", product, none),
        ("deploy", product, tmp_path / "x", "--file", none),
        ("verify", product / "product.toml", "--trust", none),
    ):
        done = motd(*command)
        assert refused(done, "unreadable")
        assert str(none) in done.err
    assert refused(motd("sign", product, "--out", tmp_path), "out-invalid")
    (tmp_path / "state").write_text("{}")
    trust = product / "keys" / "motd-1.json"
    assert motd("verify", trust, "--trust", trust).code == 1


@pytest.mark.parametrize("signed", [False, True])
def test_the_only_key_stays_and_the_reason_is_told(
    product: Path, tmp_path: Path, ok: Run, motd: Run, signed: bool
) -> None:
    if signed:
        ok("sign", product, "--out", tmp_path / "x", "--now", MARCH)
    done = motd("key", "revoke", product, "motd-1", "--now", MARCH)
    assert refused(done, "no-keys")
    assert "No key of the role motd would be left" in done.err
    assert {row["state"] for row in ok("key", "list", product, "--json").json} == {"signing"}
    ok("init", tmp_path / "q", "--product", "examplemail")
    done = motd("sign", tmp_path / "q", "--out", tmp_path / "y")
    assert "There is no key yet" in done.err


# Only root can set up what is tried here. CI is root, and fails where a test is skipped.
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize(("kept", "left"), [("product", 0), ("scratch", 12_288)])
def test_a_full_disk_is_named_where_gpg_would_not_say_so(
    tmp_path: Path, ok: Run, shell: Run, kept: str, left: int
) -> None:
    small = Path(tempfile.mkdtemp(dir="/tmp"))  # a short path, or gpg's home goes elsewhere
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120k", "none", small], check=True)
    try:
        folder, scratch = (small / "p", tmp_path) if kept == "product" else (tmp_path / "p", small)
        ok("init", folder, "--product", "examplemail")
        with (small / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while filler.write(bytes(4096)):
                pass
        os.truncate(small / "filler", (small / "filler").stat().st_size - left)
        done = shell("key", "new", folder, "--no-passphrase", TMPDIR=str(scratch))
        assert refused(done, "os-error")
        assert "No space left on device" in done.err
        assert str(small) in done.err
        assert not list(folder.glob("keys/*"))
        (small / "filler").unlink()
        ok("key", "new", folder, "--no-passphrase")
    finally:
        subprocess.run(["umount", "-l", small], check=True)
        small.rmdir()
