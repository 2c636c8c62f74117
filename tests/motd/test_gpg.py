"""The publisher's gpg: real keys, real signatures, nothing left running or lying about."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mars.errors import StateError
from mars_motd import gpg

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
LONG = "a path with späces " + "x" * 120


def left_behind() -> list[str]:
    """Homes and agents of this process."""
    homes = [str(path) for path in Path(tempfile.gettempdir()).glob(f"{gpg.PREFIX}*")]
    agents = [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(gpg.PREFIX in part for part in process.info["cmdline"] or [])
    ]
    mine = f"{gpg.PREFIX}{psutil.Process().pid}-"
    return [line for line in homes + agents if mine in line]


def gpgv(block: str, signature: bytes, message: bytes, folder: Path) -> str:
    """gpgv's status lines, with a keyring that holds ``block`` alone."""
    folder.mkdir()
    (folder / "key.asc").write_text(block)
    (folder / "message").write_bytes(message)
    (folder / "signature").write_bytes(signature)
    dearmor = ["gpg", "--no-options", "--homedir", str(folder), "--dearmor"]
    with (folder / "key.asc").open("rb") as source, (folder / "key.gpg").open("wb") as target:
        subprocess.run(dearmor, stdin=source, stdout=target, check=True, stderr=subprocess.DEVNULL)
    command = ["gpgv", "--status-fd", "1", "--keyring", str(folder / "key.gpg")]
    done = subprocess.run(
        [*command, str(folder / "signature"), str(folder / "message")], capture_output=True
    )
    return done.stdout.decode()


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_d18_signs_from_a_long_path_with_spaces(tmp_path: Path, passphrase: str | None) -> None:
    keyring = tmp_path / LONG / "openpgp"
    with gpg.own_home(keyring) as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, passphrase)
        block = gpg.export_key(home, fingerprint)
    with gpg.own_home(keyring, [block]) as home:
        assert gpg.primary(home, fingerprint) == fingerprint
        signature = gpg.sign(home, fingerprint, b"message", MARCH, passphrase)
    status = gpgv(block, signature, b"message", tmp_path / "check")
    assert f"VALIDSIG {fingerprint} 2026-03-01 {MARCH} 0 4 0 22 10 00 {fingerprint}" in status
    assert left_behind() == []


def test_d18_a_long_temporary_folder_is_passed_over(tmp_path: Path, ok: Callable[..., Any]) -> None:
    scratch = tmp_path / LONG
    scratch.mkdir()
    ok("init", tmp_path / "p", "--product", "examplemail")
    ok("key", "new", tmp_path / "p", "--no-passphrase", TMPDIR=str(scratch))
    out = tmp_path / "motd.json"
    ok("sign", tmp_path / "p", "--out", out, TMPDIR=str(scratch))
    assert list(scratch.iterdir()) == []


def test_a_passphrase_is_needed_and_must_fit(tmp_path: Path) -> None:
    with gpg.own_home(tmp_path) as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, "right")
        block = gpg.export_key(home, fingerprint)
    for given, reason in ((None, "passphrase-needed"), ("wrong", "passphrase-wrong")):
        with gpg.own_home(tmp_path, [block]) as home, pytest.raises(StateError) as caught:
            gpg.sign(home, fingerprint, b"message", MARCH, given)
        assert caught.value.reason == reason
    assert left_behind() == []


def test_d17_an_error_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), gpg.own_home(tmp_path) as home:
        gpg.create_key(home, "example news", MARCH, None)
        raise ZeroDivisionError
    assert left_behind() == []
