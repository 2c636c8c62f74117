"""The publisher's gpg: real keys, real signatures, nothing left running or lying about."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mars.errors import StateError
from mars_motd import gpg
from testbed.tornet.process import wait_until
from tests.waiting import until

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
LONG = "a path with späces " + "x" * 120


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The temporary folder of this test alone; its path leaves room for an agent's socket.

    ``tmp_path`` comes first, or pytest would put its own folders here.
    """
    with tempfile.TemporaryDirectory(prefix="m") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def left_behind() -> list[str]:
    """Homes and agents of this test."""
    folder = tempfile.gettempdir()
    agents = [
        " ".join(process.info["cmdline"] or [])
        for process in psutil.process_iter(["cmdline", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(folder in part for part in process.info["cmdline"] or [])
    ]
    return [*map(str, Path(folder).iterdir()), *agents]


def require_nothing_left() -> None:
    """An agent that was told to end answers before it does."""
    until(lambda: not left_behind())


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
    require_nothing_left()


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
    require_nothing_left()


def test_d17_an_error_inside_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), gpg.own_home(tmp_path) as home:
        gpg.create_key(home, "example news", MARCH, None)
        raise ZeroDivisionError
    require_nothing_left()


@pytest.fixture
def hurried(tmp_path: Path) -> gpg.Home:
    """A home whose steps may take half a second."""
    folder = tmp_path / "hurried"
    folder.mkdir(mode=0o700)
    return gpg.Home(folder, own=True, deadline=0.5)


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin < seconds


def test_a_passphrase_means_the_same_when_a_key_is_made_and_when_it_signs(tmp_path: Path) -> None:
    """And the same to gpg as it is without us: UTF-8, with every space."""
    passphrase = " %commit: pässwörd ✓ "
    with gpg.own_home(tmp_path) as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, passphrase)
        block = gpg.export_key(home, fingerprint)
    with gpg.own_home(tmp_path, [block]) as home:
        assert gpg.sign(home, fingerprint, b"message", MARCH, passphrase)
    with gpg.own_home(tmp_path, [block]) as home:
        command = ["gpg", "--homedir", str(home.path), "--batch", "--pinentry-mode", "loopback"]
        command += ["--passphrase-fd", "0", "--faked-system-time", "20260301T000000!"]
        command += ["--detach-sign", "--output", "-", str(home.path / "gpg-agent.conf")]
        done = subprocess.run(command, input=passphrase.encode() + b"\n", capture_output=True)
        assert done.returncode == 0
        assert done.stdout


def test_an_empty_passphrase_signs_the_whole_message(tmp_path: Path) -> None:
    """python-gnupg alone would sign it without its first line."""
    message = b"first line\nsecond line\n"
    with gpg.own_home(tmp_path / "openpgp") as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, None)
        block = gpg.export_key(home, fingerprint)
        signature = gpg.sign(home, fingerprint, message, MARCH, "")
    assert f"VALIDSIG {fingerprint} " in gpgv(block, signature, message, tmp_path / "check")


def test_a_user_id_is_published_as_it_is_given(tmp_path: Path) -> None:
    """No login and no host name is added to it."""
    with gpg.own_home(tmp_path) as home:
        fingerprint = gpg.create_key(home, "Exämple news", MARCH, None)
        command = ["gpg", "--homedir", str(home.path), "--with-colons", "--list-keys", fingerprint]
        listed = subprocess.run(command, capture_output=True).stdout.decode()
    identities = [line.split(":")[9] for line in listed.splitlines() if line.startswith("uid:")]
    assert identities == ["Exämple news"]


@pytest.mark.parametrize(
    ("user_id", "passphrase"),
    [("a\n%no-protection", "x"), ("a", "x\n%no-protection"), ("a\r", None)],
)
def test_nothing_is_slipped_into_the_parameters_of_a_key(
    tmp_path: Path, user_id: str, passphrase: str | None
) -> None:
    with gpg.own_home(tmp_path) as home, pytest.raises(StateError) as caught:
        gpg.create_key(home, user_id, MARCH, passphrase)
    assert caught.value.reason == "openpgp-failed"
    assert list((tmp_path / "private-keys-v1.d").iterdir()) == []


def test_a_passphrase_stands_neither_in_arguments_nor_in_logs_nor_in_errors(
    tmp_path: Path,
    wrapped: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not even where the environment asks python-gnupg to have the agent's talk printed."""
    monkeypatch.setenv("DEBUG_IPC", "1")
    log = tmp_path / "arguments"
    wrapped(f'printf "%s\\n" "$@" "$LC_ALL" >> {shlex.quote(str(log))}; exec "$REAL" "$@"')
    caplog.set_level(logging.DEBUG)
    with gpg.own_home(tmp_path / "openpgp") as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, "Swordfish")
        gpg.sign(home, fingerprint, b"message", MARCH, "Swordfish")
        block = gpg.export_key(home, fingerprint)
    with gpg.own_home(tmp_path / "openpgp", [block]) as home, pytest.raises(StateError) as caught:
        gpg.sign(home, fingerprint, b"message", MARCH, "Swordfish no. 2")
    assert caught.value.reason == "passphrase-wrong"
    arguments = log.read_text().splitlines()
    assert "--passphrase-fd" in arguments
    assert "C" in arguments
    printed = capfd.readouterr()
    everywhere = [log.read_text(), caplog.text, str(caught.value), printed.out, printed.err]
    assert not any("Swordfish" in text for text in everywhere)
    require_nothing_left()


def test_what_is_said_on_stderr_makes_no_key_and_no_signature(
    tmp_path: Path, wrapped: Callable[[str], None]
) -> None:
    """python-gnupg reads its status words there, where anything may stand."""
    lie = "0" * 40
    wrapped(
        f"echo '[GNUPG:] KEY_CREATED P {lie}' >&2\n"
        f"echo '[GNUPG:] SIG_CREATED D 22 10 00 1 {lie}' >&2\n"
        "echo '[GNUPG:] SIG_CREATED' >&2\n"
        'case "$*" in *--detach-sign*) echo forged; exit 2;; esac\n'
        '"$REAL" "$@"; code=$?\n'
        f"echo '[GNUPG:] KEY_CREATED P {lie}' >&2; exit $code"
    )
    with gpg.own_home(tmp_path / "openpgp") as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, None)
        assert fingerprint != lie
        assert gpg.primary(home, fingerprint) == fingerprint
        with pytest.raises(StateError) as caught:
            gpg.sign(home, fingerprint, b"message", MARCH, None)
    assert caught.value.reason == "openpgp-failed"


def test_only_the_key_that_is_named_signs(tmp_path: Path) -> None:
    with gpg.own_home(tmp_path) as home:
        gpg.create_key(home, "example news", MARCH, None)
        with pytest.raises(StateError) as caught:
            gpg.sign(home, "A" * 40, b"message", MARCH, None)
        assert caught.value.reason == "openpgp-failed"
        with pytest.raises(StateError):
            gpg.primary(home, "--version")


def test_an_import_of_no_key_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError) as caught, gpg.own_home(tmp_path, ["no key"]):
        pass
    assert caught.value.reason == "openpgp-failed"
    require_nothing_left()


@pytest.mark.parametrize("step", ["--list-config", "--export", "--detach-sign", "--gen-key"])
def test_d16_a_gpg_that_hangs_is_ended(
    step: str, hurried: gpg.Home, wrapped: Callable[[str], None], tmp_path: Path
) -> None:
    number = tmp_path / "number"
    wrapped(
        f'case "$*" in *{step}*) echo $$ >> {shlex.quote(str(number))}; exec sleep 60;; esac\n'
        'case "$*" in *--list-config*) exec "$REAL" "$@";; esac'
    )
    calls: dict[str, Callable[[], object]] = {
        "--list-config": lambda: gpg.primary(hurried, "example"),
        "--export": lambda: gpg.export_key(hurried, "A" * 40),
        "--detach-sign": lambda: gpg.sign(hurried, "A" * 40, b"message", MARCH, "x"),
        "--gen-key": lambda: gpg.create_key(hurried, "example", MARCH, "x"),
    }
    with at_most(5), pytest.raises(StateError) as caught:
        calls[step]()
    assert caught.value.reason == "openpgp-unavailable"
    # Whoever adopted it may take a moment to collect it. It was started once.
    left = int(number.read_text())
    wait_until(lambda: not psutil.pid_exists(left) or _zombie(left), 10.0, "gpg outlived its run")


def test_d16_a_child_that_keeps_the_pipes_open_holds_nobody_up(
    hurried: gpg.Home, wrapped: Callable[[str], None], tmp_path: Path
) -> None:
    number = tmp_path / "number"
    wrapped(f"sleep 60 & echo $! > {shlex.quote(str(number))}; wait")
    before = set(threading.enumerate())
    try:
        with at_most(8), pytest.raises(StateError) as caught:
            gpg.primary(hurried, "example")
        assert caught.value.reason == "openpgp-unavailable"
    finally:
        os.kill(int(number.read_text()), signal.SIGKILL)
        for thread in set(threading.enumerate()) - before:
            thread.join(10)


def _zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_d17_a_terminated_run_leaves_neither_gpg_nor_home(
    tmp_path: Path, wrapped: Callable[[str], None], scratch: Path
) -> None:
    number = tmp_path / "number"
    mark = shlex.quote(str(number))
    wrapped(f"echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 60")
    code = (
        "import sys; from pathlib import Path; from mars_motd import gpg\n"
        "with gpg.own_home(Path(sys.argv[1])) as home: gpg.primary(home, 'example')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "openpgp")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not number.exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) != 0
    # Whoever adopted it may take a moment to collect it.
    left = int(number.read_text())
    wait_until(lambda: not psutil.pid_exists(left) or _zombie(left), 10.0, "gpg outlived its run")
    assert list(scratch.iterdir()) == []


def test_d17_a_left_home_goes_whatever_its_name_and_one_in_use_stays(
    tmp_path: Path, scratch: Path
) -> None:
    """A process number is given to others again, and means nothing in another container."""
    left = scratch / f"{gpg.PREFIX}{os.getpid()}-left"
    left.mkdir()
    code = (
        "import sys; from pathlib import Path; from mars_motd import gpg\n"
        "with gpg.own_home(Path(sys.argv[1])): pass"
    )
    with gpg.own_home(tmp_path / "openpgp") as home:
        assert not left.exists()
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "other")], check=True)
        assert list(scratch.iterdir()) == [home.path]
    require_nothing_left()


UNUSABLE = (
    'case "$*" in *--gen-key*) {condition} "$REAL" "$@" >/dev/null 2>&1; '
    "echo 'gpg: key generation failed: Corrupted protection' >&2; exit 2;; esac; "
    'exec "$REAL" "$@"'
)
"""As GnuPG 2.2 does with one key in 10,000: the agent has the secret, gpg does not sign with it."""


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_key_that_gpg_cannot_use_is_made_anew(
    tmp_path: Path, wrapped: Callable[[str], None], passphrase: str | None
) -> None:
    mark, keyring = shlex.quote(str(tmp_path / "mark")), tmp_path / "openpgp"
    again = f'[ -e {mark} ] && exec "$REAL" "$@"; : > {mark};'
    wrapped(UNUSABLE.format(condition=again))
    with gpg.own_home(keyring) as home:
        fingerprint = gpg.create_key(home, "example news", MARCH, passphrase)
        block = gpg.export_key(home, fingerprint)
    assert len(list((keyring / "private-keys-v1.d").iterdir())) == 1
    revocations = [path.stem for path in (keyring / "openpgp-revocs.d").iterdir()]
    assert revocations == [fingerprint]
    with gpg.own_home(keyring, [block]) as home:
        assert gpg.sign(home, fingerprint, b"message", MARCH, passphrase)


def test_a_gpg_that_makes_no_usable_key_is_asked_twice_and_quoted(
    tmp_path: Path, wrapped: Callable[[str], None]
) -> None:
    log, keyring = tmp_path / "log", tmp_path / "openpgp"
    wrapped(UNUSABLE.format(condition=f"echo made >> {shlex.quote(str(log))};"))
    with gpg.own_home(keyring) as home, pytest.raises(StateError) as caught:
        gpg.create_key(home, "example news", MARCH, None)
    assert caught.value.reason == "openpgp-failed"
    assert "key generation failed: Corrupted protection" in caught.value.message
    assert log.read_text().split() == ["made", "made"]
    assert [path for part in gpg.SECRET_PARTS for path in (keyring / part).iterdir()] == []


def test_a_key_is_not_made_anew_in_a_home_that_is_not_ours(
    tmp_path: Path, wrapped: Callable[[str], None]
) -> None:
    log = tmp_path / "log"
    wrapped(
        f'case "$*" in *--gen-key*) echo made >> {shlex.quote(str(log))}; exit 2;; esac\n'
        'exec "$REAL" "$@"'
    )
    with gpg.own_home(tmp_path / "openpgp") as home, pytest.raises(StateError):
        gpg.create_key(gpg.Home(home.path, own=False), "example news", MARCH, None)
    assert log.read_text().split() == ["made"]
