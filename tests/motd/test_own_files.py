"""What a product folder holds is neither written over by an output nor waited for by a reader."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mars.commandline import shown
from tests.motd.conftest import COMMAND, NEXT_DAY

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"

OWN = (
    "product.toml metrics.toml errors.toml .gitignore keys/motd-1.secret keys/motd-1.json "
    "root/root-1.secret root/private-keys-v1.d messages/a.toml openpgp/openpgp-revocs.d "
    "trust/epoch-1.json issued/1772323200.json notes.txt"
).split()
"""What is there; ``notes.txt`` is a file of somebody else."""
NOT_YET = ("news.txt", "keys/motd-9.json", "messages/b.toml", "trust/epoch-2.json", "issued/x.json",
           "root/new.json")  # fmt: skip


@pytest.fixture
def folder(product: Path, tmp_path: Path, ok: Run) -> Path:
    """A folder from which something was signed."""
    ok("key", "new", product, "--role", "motd", "--no-passphrase")
    (product / "messages/a.toml").write_text('[title]\nen = "T"\n')
    (product / "notes.txt").write_text("ours\n")
    ok("sign", product, "--out", tmp_path / "first.json", "--now", MARCH)
    return product


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def writing(folder: Path, out: object) -> Iterator[tuple[object, ...]]:
    """Every command that writes to a file that its user names."""
    yield ("sign", folder, "--out", out, "--now", NEXT_DAY)
    yield ("trust", folder, "--out", out)
    yield from (
        ("key", "export", folder, "motd-1", "--format", form, "--out", out)
        for form in ("record", "pem", "openpgp")
    )
    yield ("key", "rotate", folder, "--partial", out, "--now", NEXT_DAY)
    yield ("key", "revoke", folder, "motd-2", "--partial", out, "--now", NEXT_DAY)
    yield ("deploy", folder, out, "--now", NEXT_DAY)


@pytest.mark.parametrize("name", [*OWN, *NOT_YET])
def test_an_output_takes_the_place_of_nothing_that_the_folder_holds(
    name: str, folder: Path, motd: Run
) -> None:
    before = contents(folder)
    for command in writing(folder, folder / name):
        if command[0] == "deploy" and name.endswith((".d", "notes.txt")):
            continue  # a folder, in which motd.json is told below; or no document, told elsewhere
        done = motd(*command)
        assert (done.code, "[out-invalid]" in done.err) == (1, True), (command, done.err)
    assert contents(folder) == before


def test_nor_by_another_spelling_or_a_link(
    folder: Path, tmp_path: Path, motd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, moved = folder / "keys/motd-1.secret", tmp_path / "moved"
    monkeypatch.chdir(folder / "messages")
    (folder / "link").symlink_to(secret)
    (tmp_path / "hard").hardlink_to(secret)
    (tmp_path / "other").symlink_to(folder)
    (folder / "product.toml").rename(moved)
    (folder / "product.toml").symlink_to(moved)
    shutil.move(folder / "trust", tmp_path / "trust")
    (folder / "trust").symlink_to(tmp_path / "trust")
    (folder / "keys/motd-2.json").rename(tmp_path / "record")
    (folder / "keys/motd-2.json").symlink_to(tmp_path / "record")
    before = contents(tmp_path)
    for out in (
        "../keys/motd-1.secret",
        f"{folder}/./issued/..//keys/motd-1.secret",
        folder / "link",
        tmp_path / "hard",
        tmp_path / "other/keys/motd-1.secret",
        moved,
        tmp_path / "record",
        tmp_path / "trust/epoch-1.json",
        tmp_path / "trust/new.json",
    ):
        for command in writing(folder, out):
            done = motd(*command)
            assert (done.code, "[out-invalid]" in done.err) == (1, True), (command, done.err)
    assert motd("deploy", folder, folder / "issued", "--now", NEXT_DAY).code == 1
    assert contents(tmp_path) == before


def test_what_was_written_beside_them_is_written_anew(folder: Path, ok: Run, motd: Run) -> None:
    for _ in range(2):
        for command, name in (
            (("sign", folder, "--now", NEXT_DAY, "--out"), "motd.json"),
            (("trust", folder, "--out"), "trust.json"),
            (("key", "export", folder, "motd-1", "--out"), "motd-1.json"),
            (("key", "export", folder, "motd-1", "--format", "pem", "--out"), "motd-1.pem"),
            (("key", "export", folder, "motd-1", "--format", "openpgp", "--out"), "motd-1.pem"),
        ):
            ok(*command, folder / name)
    (folder / "empty").touch()
    ok("trust", folder, "--out", folder / "empty")
    done = motd("sign", folder, "--out", folder / "trust.json", "--now", NEXT_DAY)
    assert (done.code, "[out-invalid]" in done.err) == (1, True)


def test_nor_is_the_passphrase_written_over(folder: Path, tmp_path: Path, motd: Run) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("a passphrase\n")
    more = ("--passphrase-file", phrase, "--now", NEXT_DAY)
    for command in (
        ("sign", folder, "--out", phrase, *more),
        ("key", "rotate", folder, "--partial", phrase, *more),
    ):
        assert "[out-invalid]" in motd(*command).err
    assert phrase.read_text() == "a passphrase\n"


def test_init_keeps_what_is_there(tmp_path: Path, ok: Run) -> None:
    (tmp_path / "metrics.toml").write_text("# ours\n")
    (tmp_path / ".gitignore").write_text("build/\n")
    ok("init", tmp_path, "--product", "examplemail")
    assert (tmp_path / "metrics.toml").read_text() == "# ours\n"
    rules = (tmp_path / ".gitignore").read_text()
    assert rules.endswith("\nopenpgp/\nroot/\nbuild/\n")
    (tmp_path / "product.toml").unlink()
    ok("init", tmp_path, "--product", "examplemail")
    assert (tmp_path / ".gitignore").read_text() == rules


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("messages/z.toml", "check"),
        ("news.txt", "sign"),
        ("metrics.toml", "check"),
        ("product.toml", "status"),
        ("keys/z.json", "key list"),
        ("keys/motd-1.secret", "sign"),
        ("trust/epoch-1.json", "status"),
        ("issued/1772323200.json", "status"),
    ],
)
def test_only_files_are_read(
    name: str, command: str, kind: str, folder: Path, tmp_path: Path
) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir(0o700)
    else:
        path.symlink_to("/dev/zero")
    more = ("--out", tmp_path / "out.json") if command == "sign" else ()
    done = subprocess.run(
        [COMMAND, *command.split(), folder, *more], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    # A device that others can read is refused for that already.
    exposed = kind == "device" and name.endswith(".secret")
    assert ("[secret-exposed]" if exposed else "[unreadable]") in done.stderr
    assert exposed or f"{path} is no regular file" in done.stderr


def test_a_passphrase_is_read_from_what_a_shell_hands_over_and_no_named_pipe(
    made: Path, tmp_path: Path
) -> None:
    folder, fifo = tmp_path / "p", tmp_path / "fifo"
    shutil.copytree(made, folder)
    os.mkfifo(fifo)

    def new(phrase: object, stdin: int, *handed: int) -> tuple[int, bytes]:
        done = subprocess.run(
            [COMMAND, "key", "new", folder, "--role", "index", "--passphrase-file", str(phrase)],
            stdin=stdin,
            pass_fds=handed,
            capture_output=True,
            timeout=60,
        )
        return done.returncode, done.stderr

    reader, writer = os.pipe()  # whose writer stays: one line is enough
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb", buffering=0) as pipe:
        pipe.write(b"phrase\n")
        assert new(f"/dev/fd/{reader}", subprocess.DEVNULL, reader)[0] == 0
        pipe.write(b"phrase\n")
        assert new("/dev/stdin", reader)[0] == 0
    code, said = new(fifo, subprocess.DEVNULL)
    assert (code, b"[unreadable]" in said) == (1, True)


ODD = "a\x1b]0;owned\x07\nb"
SHOWN = "a\\x1b]0;owned\\x07\\nb"


@pytest.mark.parametrize("odd", [ODD, "\u202ecod", "\udcff"])
def test_a_name_is_shown_on_one_line_without_what_steers_a_terminal(odd: str) -> None:
    text = shown(f"dir/{odd}")
    assert text.isprintable()
    assert text.encode().startswith(b"dir/")
    assert shown(ODD) == SHOWN
    assert shown("größe 漢.toml") == "größe 漢.toml"


def test_no_command_says_such_a_name_as_it_is(
    made: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    folder, out = tmp_path / ODD, tmp_path / f"{ODD}.json"
    told = [ok("init", folder, "--product", "examplemail")]
    shutil.copytree(made, folder, dirs_exist_ok=True)
    told += [
        ok("new", folder, "first", "--title", "T"),
        ok("check", folder),
        ok("sign", folder, "--out", out, "--now", MARCH),
        ok("trust", folder, "--out", out.with_suffix(".trust")),
        ok("deploy", folder, tmp_path / f"{ODD}.deployed", "--now", MARCH),
        ok("key", "new", folder, "--role", "motd", "--no-passphrase"),
        ok("key", "rotate", folder, "--now", MARCH),
        motd("sign", folder, "--out", tmp_path / f"{ODD}/x/../keys/motd-1.json"),
        motd("verify", out, "--trust", out, "--now", MARCH),
        motd("verify", folder, "--trust", out),
        motd("key", "new", folder, "--passphrase-file", tmp_path / f"{ODD} none"),
        motd("init", out / "below", "--product", "examplemail"),
    ]
    (folder / "messages" / f"{ODD}.toml").write_text("title = 1")
    (folder / "keys" / f"{ODD}.json").write_text("{}")
    told += [motd("check", folder), motd("key", "list", folder)]
    for done in told:
        said = done.out + done.err
        assert "\x1b" not in said, said
        assert "owned\x07" not in said, said
        assert "\nb" not in said, said
    assert SHOWN in told[1].out
    assert SHOWN in told[-1].err
