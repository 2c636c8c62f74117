"""An output that takes nothing: what is stored stays stored, and the exit code says so."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.motd.conftest import COMMAND

Run = Callable[..., Any]

STORING = {
    "init other --product x": ("other/product.toml", False),
    "key new p --role motd --no-passphrase --name second": ("p/keys/second-motd.json", True),
    "key import p third.json": ("p/keys/third-motd.json", True),
    "key export p motd-1 --out one.json": ("one.json", False),
    "key rotate p": ("p/trust/epoch-2.json", True),
    "new p first --title Hello": ("p/messages/first.toml", True),
    "sign p --out again.json": ("again.json", False),
    "trust p --out again.json": ("again.json", False),
    "verify motd.json --trust trust.json --state state.json": ("state.json", True),
    "verify motd.json --trust trust.json --state state.json --json": ("state.json", True),
    "verify motd.json --trust trust.json --extract there": ("there/motd.pae", True),
    "deploy p there.json": ("there.json", True),
}
"""Each command that stores something, where, and whether it tells of it on standard output."""
READING = ("status p", "check p", "preview p", "key list p", "key export p motd-1",
           "verify motd.json --trust trust.json", "status p --json")  # fmt: skip


@pytest.fixture(scope="module")
def published(made: Path, ok: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a product, a document, a trust file and another holder's record."""
    folder = tmp_path_factory.mktemp("published")
    shutil.copytree(made, folder / "p")
    ok("init", folder / "q", "--product", "examplemail")
    ok("key", "new", folder / "q", "--no-passphrase", "--name", "third")
    ok("key", "export", folder / "q", "third-motd", "--out", folder / "third.json")
    ok("sign", folder / "p", "--out", folder / "motd.json")
    ok("trust", folder / "p", "--out", folder / "trust.json")
    return folder


def copy(published: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published, tmp_path / "copy"))


def is_new(path: Path, before: Path) -> bool:
    return path.exists() and (not before.exists() or path.read_bytes() != before.read_bytes())


def run(folder: Path, words: str, full: str) -> tuple[int, str]:
    """Exit code and whatever was said on the stream that is not full."""
    command = f"{COMMAND} {words} {full}>/dev/full"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("words", "stored", "tells"), [(k, *v) for k, v in STORING.items()])
def test_what_is_stored_is_no_failure_where_standard_output_takes_nothing(
    published: Path, tmp_path: Path, words: str, stored: str, tells: bool
) -> None:
    folder = copy(published, tmp_path)
    code, said = run(folder, words, "1")
    assert (code, "All is done and stored; only" in said) == (0, tells), said
    assert is_new(folder / stored, published / stored)


@pytest.mark.parametrize(
    "words",
    [
        "init other --product x",
        "key new p --role motd --no-passphrase --name second",
        "sign p --out again.json",
        "trust p --out again.json",
    ],
)
def test_nor_where_standard_error_takes_nothing(
    published: Path, tmp_path: Path, words: str
) -> None:
    folder, stored = copy(published, tmp_path), STORING[words][0]
    assert run(folder, words, "2")[0] == 0
    assert is_new(folder / stored, published / stored)


def test_a_rotation_that_cannot_be_shown_is_not_signed(published: Path, tmp_path: Path) -> None:
    folder = copy(published, tmp_path)
    assert run(folder, "key rotate p", "2")[0] == 1
    assert not (folder / "p/trust/epoch-2.json").exists()


def test_each_of_several_keys_is_revoked_though_none_can_be_told(
    made: Path, tmp_path: Path, ok: Run
) -> None:
    folder = tmp_path / "p"
    shutil.copytree(made, folder)
    for name in ("second", "third"):
        ok("key", "new", folder, "--role", "motd", "--no-passphrase", "--name", name)
    code, said = run(tmp_path, "key revoke p second-motd third-motd", "1")
    assert (code, "All is done and stored; only" in said) == (0, True)
    rows = ok("key", "list", folder, "--json").json
    assert [row["state"] for row in rows if row["role"] == "motd"] == [
        "signing",
        "revoked",
        "revoked",
    ]


@pytest.mark.parametrize("words", READING)
def test_what_only_tells_fails_where_nobody_can_be_told(published: Path, words: str) -> None:
    code, said = run(published, words, "1")
    assert (code, "No space left on device" in said) == (1, True), said
