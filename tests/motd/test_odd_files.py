"""Odd files, odd names, odd times: a clear sentence, JSON where it was asked for, no harm done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mars.errors import ConfigError, StateError
from mars.wire.keys import OPENPGP_ROLES
from mars_motd import files
from mars_motd.cli import options

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
NEXT_DAY = "2026-03-02T00:00:00Z"


@pytest.fixture
def signed(product: Path, tmp_path: Path, ok: Run) -> tuple[Path, Path]:
    """A document and its trust file."""
    document, trust = tmp_path / "motd.json", tmp_path / "trust.json"
    ok("sign", product, "--out", document, "--now", MARCH)
    ok("trust", product, "--out", trust, "--now", MARCH)
    return document, trust


def test_verify_speaks_json_whatever_is_wrong(
    signed: tuple[Path, Path], tmp_path: Path, motd: Run
) -> None:
    document, trust = signed
    fifo, big = tmp_path / "fifo", tmp_path / "big"
    os.mkfifo(fifo)
    big.write_bytes(document.read_bytes().ljust(70_000))
    under_a_file = document / "x"
    base = ("--now", MARCH, "--json")
    for arguments, reason in (
        ((tmp_path, "--trust", trust), "unreadable"),
        ((fifo, "--trust", trust), "unreadable"),
        (("/dev/zero", "--trust", trust), "unreadable"),
        ((big, "--trust", trust), "too-large"),
        ((document, "--trust", fifo), "unreadable"),
        ((document, "--trust", document), "wrong-kind"),
        ((document, "--trust", trust, "--state", tmp_path), "unreadable"),
        ((document, "--trust", trust, "--state", fifo), "unreadable"),
        ((document, "--trust", trust, "--state", under_a_file), "os-error"),
        ((document, "--trust", trust, "--extract", document), "os-error"),
    ):
        done = motd("verify", *arguments, *base)
        assert (done.code, done.json["ok"], done.json["reason"]) == (1, False, reason), arguments
        assert done.json["message"]


def test_verify_reads_what_a_shell_hands_over(signed: tuple[Path, Path]) -> None:
    import subprocess
    import sys

    document, trust = signed
    command = Path(sys.executable).with_name("mars-motd")
    line = f"'{command}' verify <(cat '{document}') --trust '{trust}' --now {MARCH}"
    piped = f"cat '{document}' | '{command}' verify /dev/stdin --trust '{trust}' --now {MARCH}"
    for script in (line, piped):
        done = subprocess.run(["bash", "-c", script], capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr


def test_a_state_of_another_product_is_not_overwritten(
    product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    trust, out, state = (tmp_path / name for name in ("t.json", "m.json", "state.json"))
    ok("trust", product, "--out", trust, "--now", MARCH)
    ok("key", "rotate", product, "--now", MARCH)
    ok("sign", product, "--out", out, "--now", MARCH)
    ok("verify", out, "--trust", trust, "--now", MARCH, "--state", state)
    other = json.loads(trust.read_text()) | {"product": "othermail"}
    del other["x-steering"]
    trust.write_text(json.dumps(other))
    before = state.read_bytes()
    done = motd("verify", out, "--trust", trust, "--now", MARCH, "--state", state, "--json")
    assert done.json["reason"] == "state-other-product"
    assert state.read_bytes() == before


@pytest.mark.parametrize("command", ["status", "check", "preview", "key list"])
def test_refusals_are_json_where_json_was_asked_for(
    command: str, product: Path, tmp_path: Path, motd: Run
) -> None:
    done = motd(*command.split(), tmp_path, "--json")
    assert (done.code, done.json["ok"], done.json["reason"]) == (1, False, "no-product")
    path = product / "product.toml"
    path.write_text("product = 1")
    assert motd(*command.split(), product, "--json").json["reason"] == "product-invalid"


def test_nothing_but_a_regular_file_is_written_over(
    signed: tuple[Path, Path], product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    document, _ = signed
    fifo, link, loop = (tmp_path / name for name in ("fifo", "link", "loop"))
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    before = document.read_bytes()
    for target in (fifo, loop, tmp_path, Path("/dev/null")):
        for command in (
            ("sign", product, "--out", target, "--now", NEXT_DAY),
            ("trust", product, "--out", target),
            ("key", "export", product, "motd-1", "--out", target),
            ("key", "rotate", product, "--partial", target, "--now", NEXT_DAY),
        ):
            done = motd(*command)
            assert (done.code, "[out-invalid]" in done.err) == (1, True), command
    assert motd("deploy", product, fifo, "--now", MARCH).code == 1
    assert fifo.is_fifo()
    assert not Path("/dev/null").is_file()
    assert len(list(product.glob("issued/*.json"))) == 1
    link.symlink_to(document)
    (product / "news.txt").write_text("through the link")
    ok("sign", product, "--out", link, "--now", NEXT_DAY)
    assert link.is_symlink()
    assert document.read_bytes() != before


@pytest.mark.parametrize("place", ["issued/²", "issued/copy of 1", "issued/007", "trust/epoch-²"])
def test_files_that_are_not_ours_are_named(
    signed: tuple[Path, Path], product: Path, tmp_path: Path, motd: Run, place: str
) -> None:
    document, _ = signed
    odd = product / f"{place}.json"
    shutil.copy(document, odd)
    out = tmp_path / "out.json"
    for command in (("status", product), ("sign", product, "--out", out, "--now", NEXT_DAY)):
        done = motd(*command)
        assert (done.code, "[record-damaged]" in done.err) == (1, True)
        assert str(odd) in done.err
    assert not out.exists()
    assert len(list(product.glob("issued/1*.json"))) == 1


def test_a_message_whose_name_is_no_text_is_named(product: Path, tmp_path: Path, motd: Run) -> None:
    odd = product / "messages" / os.fsdecode(b"a\xff.toml")
    odd.write_text('[title]\nen = "T"\n')
    done = motd("check", product)
    assert done.code == 1
    assert "a\\xff.toml:1: has a name that is not UTF-8" in done.out
    assert motd("check", product, "--json").json["ok"] is False
    done = motd("sign", product, "--out", tmp_path / "x", "--now", MARCH)
    assert (done.code, "[content-invalid]" in done.err) == (1, True)


@pytest.mark.parametrize(
    ("path", "mode"),
    [("private-keys-v1.d", 0o750), ("private-keys-v1.d/KEY", 0o644)],
)
def test_openpgp_secrets_that_others_can_read_are_refused(
    product: Path, tmp_path: Path, motd: Run, path: str, mode: int
) -> None:
    key = next(product.glob("openpgp/private-keys-v1.d/*.key"))
    exposed = product / "openpgp" / path.replace("KEY", key.name)
    exposed.chmod(mode)
    for command in (
        ("sign", product, "--out", tmp_path / "x", "--now", MARCH),
        ("key", "new", product, "--role", "motd", "--no-passphrase"),
    ):
        done = motd(*command)
        assert (done.code, "[secret-exposed]" in done.err) == (1, True)
        assert str(exposed) in done.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("now", ["2019-12-31T23:59:59Z", "2106-02-07T06:28:16Z"])
def test_times_that_openpgp_cannot_write_are_told(
    product: Path, tmp_path: Path, motd: Run, now: str
) -> None:
    done = motd("sign", product, "--out", tmp_path / "x", "--now", now)
    assert (done.code, "[openpgp-time]" in done.err) == (1, True)
    assert "2020-01-01T00:00:00Z" in done.err
    new = (
        "key",
        "new",
        product,
        "--role",
        "motd",
        "--no-passphrase",
        "--openpgp-created",
        "2107-01-01T00:00:00Z",
    )
    assert "[openpgp-time]" in motd(*new).err


def test_passphrases_are_as_long_as_gpg_takes_them(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    for text, fits in (
        ("x" * 255, True),
        ("x" * 256, False),
        ("é" * 127, True),
        ("é" * 128, False),
    ):
        path.write_text(text + "\nsecond line")
        if fits:
            assert options.passphrase_from(path) == text
        else:
            with pytest.raises(ConfigError):
                options.passphrase_from(path)


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("news.txt", "harmless \u202etxt.exe", "news.txt:1: holds the invisible character U+202E"),
        ("messages/a.toml", '[title]\nen = "  "\n', "a.toml:2: title.en is blank"),
    ],
)
def test_b07_text_that_would_show_otherwise_fails_the_check(
    product: Path, motd: Run, file: str, text: str, says: str
) -> None:
    (product / file).write_text(text)
    done = motd("check", product)
    assert (done.code, says in done.out) == (1, True), done.out


def test_news_txt_may_come_from_windows(product: Path, ok: Run) -> None:
    (product / "news.txt").write_bytes(b"one\r\n\ttwo\r\n")
    assert "one\n two" in ok("preview", product, "--as", "os=linux").out


@pytest.mark.parametrize("change", ["fingerprint", "damaged", "other"])
def test_an_imported_openpgp_key_must_be_what_it_says(
    product: Path, tmp_path: Path, ok: Run, motd: Run, change: str
) -> None:
    record, other = (
        json.loads((product / f"keys/{n}-1.json").read_text()) for n in OPENPGP_ROLES[1:]
    )
    ((fingerprint, block),) = record["openpgp"].items()
    if change == "fingerprint":
        record["openpgp"] = {"AB" * 20: block}
    elif change == "damaged":
        record["openpgp"] = {fingerprint: block[:120]}
    else:
        record["openpgp"] = {fingerprint: next(iter(other["openpgp"].values()))}
    (tmp_path / "record.json").write_text(json.dumps(record | {"name": "eve"}))
    ok("init", tmp_path / "q", "--product", "examplemail")
    done = motd("key", "import", tmp_path / "q", tmp_path / "record.json")
    assert (done.code, "[key-damaged]" in done.err) == (1, True)


def test_reading_is_bounded_and_regular(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100)
    assert files.read(tmp_path / "f", 10) == b"x" * 10
    with pytest.raises(StateError, match="no regular file"):
        files.read(Path("/dev/null"), 10)
