"""GnuPG as the publisher uses it: makes keys, signs, and leaves nothing running.

Every run has a home of its own in the temporary folder, with a short path, because the agent's
socket name has at most 108 characters and a product folder may lie anywhere (a FAT stick, a path
with spaces). The secret keys stay where they are: the home only links to their folder. A home that
the caller names (a hardware token's) is used as it is, with its own agent and its own options.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mars.errors import StateError

TIMEOUT = 60
"""Seconds for one run of gpg; key derivation on a slow machine takes a few."""
TOKEN_TIMEOUT = 300
"""Seconds where a person may have to find the token or type into a pinentry."""

PREFIX = "mars-gpg-"
_LONGEST_SCRATCH = 60
"""Bytes; 108 less our folder's name and ``/S.gpg-agent.browser``."""
_SECRET_PARTS = ("private-keys-v1.d", "openpgp-revocs.d")
_S2K = 65_011_712
"""Bytes hashed to protect an OpenPGP secret: the most that can be written (RFC 4880, 3.7.1.3).
Without it the agent measures the machine for some seconds, to choose a smaller number."""
_QUIET = ("--batch", "--no-tty", "--no-auto-check-trustdb", "--trust-model", "always")


@dataclass(frozen=True)
class Home:
    """Where gpg finds its keys. ``own``: made by us, so its options and agent are ours too."""

    path: Path
    own: bool


def executable() -> str:
    """The path of gpg. Raises ``StateError`` (``openpgp-unavailable``)."""
    found = shutil.which("gpg")
    if found is None:
        raise StateError(
            "openpgp-unavailable",
            "gpg is not installed. Install GnuPG (Debian: apt install gnupg), or set "
            'openpgp = "off" under [policy] in product.toml before the first key is made.',
        )
    return found


@contextmanager
def own_home(keyring: Path, blocks: Sequence[str] = ()) -> Iterator[Home]:
    """A home for a few runs of gpg whose secret keys are in the folder ``keyring``.

    ``blocks`` are the armoured public keys it shall know. At the end, also after an error,
    Ctrl-C or SIGTERM, the agent is stopped and the home removed; what a killed run left behind
    is removed by the next one.
    """
    _sweep()
    base = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_scratch()))
    home = Home(base, own=True)
    try:
        with _terminated():
            for part in _SECRET_PARTS:
                (keyring / part).mkdir(mode=0o700, parents=True, exist_ok=True)
                (base / part).symlink_to((keyring / part).resolve(), target_is_directory=True)
            (base / "gpg-agent.conf").write_text(f"s2k-count {_S2K}\n", encoding="ascii")
            if blocks:
                _run(home, ["--import"], "\n".join(blocks).encode("ascii"))
            yield home
    finally:
        _stop_agent(base)
        shutil.rmtree(base, ignore_errors=True)


def given_home(path: Path) -> Home:
    """A home that the publisher keeps. Raises ``StateError`` (``openpgp-unavailable``)."""
    if not path.is_dir():
        raise StateError("openpgp-unavailable", f"The OpenPGP home {path} is not a folder.")
    return Home(path, own=False)


def create_key(home: Home, user_id: str, created: int, passphrase: str | None) -> str:
    """Makes an Ed25519 signing key that never expires; its fingerprint, 40 hex digits."""
    arguments = ["--faked-system-time", _moment(created), "--status-fd", "1"]
    arguments += ["--quick-generate-key", user_id, "ed25519", "sign", "never"]
    out = _run(home, [*_passphrase_options(home, ""), *arguments], (passphrase or "").encode())
    for line in out.split(b"\n"):
        fields = line.split(b" ")
        if fields[:2] == [b"[GNUPG:]", b"KEY_CREATED"] and len(fields) >= 4:
            return fields[3].decode("ascii")
    raise StateError("openpgp-unavailable", "gpg made no key and did not say why.")


def export_key(home: Home, fingerprint: str) -> str:
    """The armoured public key, without other people's signatures on it."""
    arguments = ["--armor", "--no-emit-version", "--export-options", "export-minimal"]
    block = _run(home, [*arguments, "--export", fingerprint]).decode("ascii")
    if "BEGIN PGP PUBLIC KEY BLOCK" not in block:
        raise StateError("openpgp-unavailable", f"gpg knows no key {fingerprint}.")
    return block


def primary(home: Home, wanted: str) -> str:
    """The primary fingerprint of the one secret key that ``wanted`` names."""
    out = _run(home, ["--with-colons", "--list-secret-keys", wanted])
    found: list[str] = []
    expect = False
    for line in out.decode("utf-8", "replace").split("\n"):
        fields = line.split(":")
        if fields[0] == "sec":
            expect = True
        elif fields[0] == "fpr" and expect:
            found.append(fields[9])
            expect = False
    if len(found) != 1:
        raise StateError(
            "openpgp-unavailable",
            f"{len(found)} secret OpenPGP keys fit {wanted!r} in {home.path}; name one by its "
            f"fingerprint.",
        )
    return found[0]


def sign(home: Home, fingerprint: str, message: bytes, now: int, passphrase: str | None) -> bytes:
    """A binary detached signature (class 00, SHA-512) made at ``now``, in Unix seconds."""
    arguments = [*_passphrase_options(home, passphrase), "--faked-system-time", _moment(now)]
    arguments += ["--digest-algo", "SHA512", "--local-user", fingerprint]
    arguments += ["--no-armor", "--no-textmode"]
    with tempfile.TemporaryDirectory(prefix="mars-motd-") as folder:
        file = Path(folder) / "message"
        file.write_bytes(message)
        arguments += ["--output", "-", "--detach-sign", str(file)]
        return _run(home, arguments, (passphrase or "").encode())


def _passphrase_options(home: Home, passphrase: str | None) -> list[str]:
    """The passphrase comes on stdin, never in the arguments, where any user could see it.

    Without one, our own homes fail at once instead of waiting for a pinentry that nobody sees,
    and a given home asks in its own way.
    """
    if passphrase is not None:
        return ["--pinentry-mode", "loopback", "--passphrase-fd", "0"]
    return ["--pinentry-mode", "error"] if home.own else []


def _moment(seconds: int) -> str:
    """ISO compressed form; the ``!`` lets gpg's clock stand still at that second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}!"


def _run(home: Home, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
    options = ["--no-options"] if home.own else []
    try:
        done = subprocess.run(
            [executable(), *options, "--homedir", str(home.path), *_QUIET, *arguments],
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT if home.own else TOKEN_TIMEOUT,
            env=_environment(home),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StateError("openpgp-unavailable", "gpg did not answer in time.") from None
    if done.returncode != 0:
        raise _failure(done.stderr)
    return done.stdout


def _failure(stderr: bytes) -> StateError:
    """For people only: nothing is decided by what gpg prints here, beyond which sentence fits."""
    text = stderr.decode("utf-8", "replace")
    if "Bad passphrase" in text:
        return StateError("passphrase-wrong", "The passphrase does not open the OpenPGP key.")
    if "No passphrase given" in text or "No pinentry" in text or "Inappropriate ioctl" in text:
        return StateError(
            "passphrase-needed",
            "The OpenPGP key is protected by a passphrase. Give --passphrase-file, or run the "
            "command in a terminal to be asked.",
        )
    last = next((line for line in reversed(text.splitlines()) if line.startswith("gpg:")), "")
    return StateError("openpgp-failed", f"gpg failed: {last.removeprefix('gpg: ') or 'no reason'}.")


def _environment(home: Home) -> dict[str, str]:
    """Our own homes see no user's setting; a given home needs the display and the terminal."""
    if not home.own:
        return {**os.environ, "LC_ALL": "C"}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(home.path)}


def _scratch() -> Path:
    """The temporary folder, or ``/tmp`` where its path leaves no room for a socket's name."""
    usual = Path(tempfile.gettempdir())
    if os.name == "posix" and len(os.fsencode(usual)) > _LONGEST_SCRATCH:
        return Path("/tmp")  # noqa: S108 - the folder in it is made by mkdtemp, 0700
    return usual


def _stop_agent(base: Path) -> None:
    """Ends whatever gpg started for this home; bounded, and silent where nothing runs."""
    gpgconf = shutil.which("gpgconf")
    if gpgconf is None:
        return
    environment = _environment(Home(base, own=True))
    try:
        subprocess.run(
            [gpgconf, "--homedir", str(base), "--kill", "all"],
            capture_output=True,
            timeout=10,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return


def _sweep() -> None:
    """Removes homes of runs that were killed: their process is gone and the folder is ours."""
    if os.name != "posix":
        return
    for left in _scratch().glob(f"{PREFIX}*-*"):
        number = left.name.removeprefix(PREFIX).partition("-")[0]
        try:
            ours = number.isdigit() and left.lstat().st_uid == os.getuid() and left.is_dir()
        except OSError:
            continue
        if ours and not _alive(int(number)):
            _stop_agent(left)
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextmanager
def _terminated() -> Iterator[None]:
    """Turns SIGTERM and SIGHUP into an exception, so that the clean-up above runs."""
    if os.name != "posix" or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
