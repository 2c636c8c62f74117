"""GnuPG as the publisher uses it: makes keys, signs, and leaves nothing running.

Every run has a home of its own in the temporary folder, with a short path, because the agent's
socket name has at most 108 characters and a product folder may lie anywhere (a FAT stick, a path
with spaces). The secret keys stay where they are: the home only links to their folder. A home that
the caller names (a hardware token's) is used as it is, with its own agent and its own options.

python-gnupg builds the commands and feeds them; what it leaves open is closed here: it waits
without end, believes status words that come mixed with stderr, and logs what it runs. So each use
has a deadline, and counts only by exit codes and by what gpg gives on stdout.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import gnupg

from mars import factory
from mars.errors import StateError
from mars_motd import files

_TIMEOUT = 60
"""Seconds for one run of gpg; key derivation on a slow machine takes a few."""
_TOKEN_TIMEOUT = 300
"""Seconds where a person may have to find the token or type into a pinentry."""
_GRACE = 2
"""Seconds for python-gnupg to notice that its gpg was killed."""

PREFIX = "mars-gpg-"
_LONGEST_SCRATCH = 60
"""Bytes; 108 less our folder's name and ``/S.gpg-agent.browser``."""
SECRET_PARTS = ("private-keys-v1.d", "openpgp-revocs.d")
_S2K = 65_011_712
"""Bytes hashed to protect an OpenPGP secret: the most that can be written (RFC 4880, 3.7.1.3).
Without it the agent measures the machine for some seconds, to choose a smaller number."""
_QUIET = ("--no-auto-check-trustdb", "--trust-model", "always", "--no-emit-version")
_STUB = "#"
"""What gpg lists in place of a secret that is elsewhere (doc/DETAILS, field 15)."""
_FINGERPRINT = re.compile(r"[0-9A-F]{40}", re.ASCII)

_T = TypeVar("_T")

# It logs commands and, with DEBUG_IPC in the environment, whatever gpg and its agent say.
logging.getLogger("gnupg").disabled = True


@dataclass(frozen=True)
class Home:
    """Where gpg finds its keys. ``own``: made by us, so its options and agent are ours too."""

    path: Path
    own: bool
    deadline: float = _TIMEOUT
    """Seconds for one step."""


def _executable() -> str:
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
    with factory.gpg_home(_scratch(), PREFIX, _stop_agent) as base, _terminated():
        home = Home(base, own=True)
        files.require_room(base)
        for part in SECRET_PARTS:
            (keyring / part).mkdir(mode=0o700, parents=True, exist_ok=True)
            (base / part).symlink_to((keyring / part).resolve(), target_is_directory=True)
        (base / "gpg-agent.conf").write_text(f"s2k-count {_S2K}\n", encoding="ascii")
        if blocks:
            _use(home, lambda tool: tool.import_keys("\n".join(blocks)))
        yield home


def given_home(path: Path) -> Home:
    """A home that the publisher keeps. Raises ``StateError`` (``openpgp-unavailable``)."""
    if not path.is_dir():
        raise StateError("openpgp-unavailable", f"The OpenPGP home {path} is not a folder.")
    return Home(path, own=False, deadline=_TOKEN_TIMEOUT)


def create_key(home: Home, user_id: str, created: int, passphrase: str | None) -> str:
    """Makes an Ed25519 signing key that never expires; its fingerprint, 40 hex digits.

    About one in 10,000 that GnuPG 2.2 makes it cannot use itself, and says so at the signature on
    the user ID. In a home of our own another one is then made, once. ``gen_key_input`` is not
    used: it puts ``login@host`` into a user ID that has no address.
    """
    parameters = "Key-Type: EDDSA\nKey-Curve: ed25519\nKey-Usage: sign\nExpire-Date: 0\n"
    lines = [passphrase or "", f"{parameters}Name-Real: {user_id}", "%commit", ""]
    if any(mark in part for part in (user_id, lines[0]) for mark in "\r\n\0"):
        raise StateError("openpgp-failed", "A user ID and a passphrase have one line each.")

    def generate(tool: _Tool) -> set[str]:
        before = _fingerprints(tool.list_keys(secret=True))
        # Set for this run alone: the one in which the library asks for the version has no stdin.
        usual, tool.options = tool.options, [*tool.options, "--faked-system-time", _moment(created)]
        # Not as "Passphrase:" among the parameters, where gpg would cut spaces off its ends.
        tool.options += ["--pinentry-mode", "loopback", "--passphrase-fd", "0"]
        tool.gen_key("\n".join(lines).encode())
        tool.options = usual
        return _fingerprints(tool.list_keys(secret=True)) - before

    try:
        new = _made_or_gone(home, generate)
    except StateError as error:
        if not home.own or error.reason != "openpgp-failed":
            raise
        new = _made_or_gone(home, generate)
    if len(new) != 1:
        raise StateError("openpgp-unavailable", "gpg made no key and did not say why.")
    return new.pop()


def export_key(home: Home, fingerprint: str) -> str:
    """The armoured public key, without other people's signatures on it."""
    block: str = _use(home, lambda tool: tool.export_keys(fingerprint, minimal=True))
    if "BEGIN PGP PUBLIC KEY BLOCK" not in block:
        raise StateError("openpgp-unavailable", f"gpg knows no key {fingerprint}.")
    return block


def primary(home: Home, wanted: str) -> str:
    """The primary fingerprint of the one secret key that ``wanted`` names."""
    listed = _use(home, lambda tool: tool.list_keys(secret=True, keys=["--", wanted]))
    found = _fingerprints(listed)
    if len(found) != 1:
        raise StateError(
            "openpgp-unavailable",
            f"{len(found)} secret OpenPGP keys fit {wanted!r} in {home.path}; name one by "
            f"its fingerprint.",
        )
    return found.pop()


def at_hand(home: Home, fingerprint: str) -> set[str]:
    """Of the primary key ``fingerprint`` and its subkeys, those whose secrets ``home`` reaches, on
    a token too."""
    listed = _use(home, lambda tool: tool.list_keys(secret=True, keys=["--", fingerprint]))
    found = {str(key["fingerprint"]) for key in listed if key["token"] != _STUB}
    for key in listed:
        about = key.get("subkey_info", {})
        found |= {str(own) for keyid, _, own, _ in key["subkeys"] if about[keyid]["token"] != _STUB}
    return found


def sign(home: Home, fingerprint: str, message: bytes, now: int, passphrase: str | None) -> bytes:
    """A binary detached signature (class 00, SHA-512) made at ``now``, in Unix seconds.

    The message goes by a file, not behind the passphrase on stdin: an empty passphrase writes no
    line there, and gpg would take the message's first line for it. The key, a primary or a subkey,
    goes by ``--local-user`` and with ``!``: else gpg takes the newest subkey that it has, and where
    ``--default-key`` does not fit, another key.
    """
    arguments = ["--faked-system-time", _moment(now), "--digest-algo", "SHA512"]
    arguments += ["--local-user", f"{fingerprint}!", "--no-armor", "--no-textmode", "--output", "-"]
    if passphrase is None and home.own:
        # Instead of waiting for a pinentry that nobody sees; a given home asks in its own way.
        arguments += ["--pinentry-mode", "error"]
    # The library writes Latin-1; this makes it write the UTF-8 that people type.
    phrase = None if passphrase is None else passphrase.encode().decode("latin-1")
    with tempfile.TemporaryDirectory(prefix="mars-motd-") as folder:
        file = Path(folder) / "message"
        file.write_bytes(message)
        how = {"detach": True, "binary": True, "passphrase": phrase}
        made = _use(home, lambda tool: tool.sign(b"", extra_args=[*arguments, str(file)], **how))
    signature: bytes = made.data
    return signature


def _made_or_gone(home: Home, generate: Callable[[_Tool], set[str]]) -> set[str]:
    """What was made; where it fails, the agent's secret that nobody can use does not stay."""
    before = _secrets(home)
    try:
        return _use(home, generate)
    except StateError:
        for unusable in _secrets(home) - before if home.own else ():
            unusable.unlink(missing_ok=True)
        raise


def _secrets(home: Home) -> set[Path]:
    return {path for part in SECRET_PARTS for path in files.listed(home.path / part)}


def _fingerprints(listed: Sequence[dict[str, Any]]) -> set[str]:
    found = {str(key.get("fingerprint")) for key in listed if key["type"] == "sec"}
    return {fingerprint for fingerprint in found if _FINGERPRINT.fullmatch(fingerprint)}


def _moment(seconds: int) -> str:
    """ISO compressed form; the ``!`` lets gpg's clock stand still at that second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}!"


class _Said(gnupg.StatusHandler):  # type: ignore[misc]
    """What one run of gpg gave. Its status words came over stderr with all else: none counts."""

    data = b""
    stderr = ""
    returncode: int | None = None

    def __init__(self, tool: _Tool) -> None:
        super().__init__(tool)
        tool.said.append(self)

    def handle_status(self, key: str, value: str) -> None:
        """Believes nothing."""


class _Listed(gnupg.ListKeys):  # type: ignore[misc]
    """Keys as ``--with-colons`` lists them, on stdout."""

    stderr = ""

    def __init__(self, tool: _Tool) -> None:
        super().__init__(tool)
        tool.said.append(self)


class _Tool(gnupg.GPG):  # type: ignore[misc]
    """python-gnupg on one home; remembers what it started, so that it can be ended."""

    result_map = dict.fromkeys(gnupg.GPG.result_map, _Said) | {"list": _Listed}

    def __init__(self) -> None:
        """Starts nothing; ``open`` does. So there is something to end if gpg hangs at once."""
        self.said: list[Any] = []
        self.started: list[subprocess.Popen[bytes]] = []
        self.ended = False

    def open(self, home: Home) -> None:
        options = [*(["--no-options"] if home.own else []), *_QUIET]
        where, environment = str(home.path), _environment(home)
        super().__init__(_executable(), gnupghome=where, env=environment, options=options)

    def _open_subprocess(self, *arguments: Any) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = super()._open_subprocess(*arguments)
        self.started.append(process)
        if self.ended:  # between the start and our noting it
            process.kill()
        return process

    def end(self) -> None:
        """Kills what runs, and whatever is about to be started."""
        self.ended = True
        for process in self.started:
            process.kill()


def _use(home: Home, work: Callable[[_Tool], _T]) -> _T:
    """Runs ``work`` within the home's deadline, and judges it by gpg's exit codes.

    In a thread of its own, because python-gnupg waits until gpg's pipes are closed, which a
    process that gpg has left behind may never do.
    """
    tool, outcome = _Tool(), Future[_T]()

    def run() -> None:
        try:
            tool.open(home)
            outcome.set_result(work(tool))
        except Exception as error:  # noqa: BLE001 - whatever a foreign library may raise
            outcome.set_exception(error)

    worker = threading.Thread(target=run, daemon=True)
    worker.start()
    try:
        error = outcome.exception(home.deadline)
    except TimeoutError:
        raise StateError("openpgp-unavailable", "gpg did not answer in time.") from None
    finally:
        tool.end()
        worker.join(_GRACE)
    if isinstance(error, StateError):
        raise error
    for said in tool.said:
        if said.returncode != 0:
            raise _failure(said.stderr)
    if error is not None:
        raise StateError("openpgp-failed", f"gpg failed: {type(error).__name__}.")
    return outcome.result()


def _failure(text: str) -> StateError:
    """For people only: nothing is decided by what gpg prints here, beyond which sentence fits."""
    if "Bad passphrase" in text:
        return StateError("passphrase-wrong", "The passphrase does not open the OpenPGP key.")
    if "No passphrase given" in text or "No pinentry" in text or "Inappropriate ioctl" in text:
        return StateError(
            "passphrase-needed",
            "The OpenPGP key is protected by a passphrase. Give --passphrase-file, or run the "
            "command in a terminal to be asked.",
        )
    lines = [line for line in text.splitlines() if line.startswith("gpg:") and "DBG:" not in line]
    last = lines[-1] if lines else ""
    return StateError("openpgp-failed", f"gpg failed: {last.removeprefix('gpg: ') or 'no reason'}.")


def _environment(home: Home) -> dict[str, str]:
    """Our own homes see no user's setting; a given home needs the display and the terminal."""
    if not home.own:
        return {**os.environ, "LC_ALL": "C"}
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": str(home.path)}


def _scratch() -> Path:
    """The temporary folder, or ``/tmp`` where its path leaves no room for a socket's name."""
    usual = Path(tempfile.gettempdir()).resolve()
    if os.name == "posix" and len(os.fsencode(usual)) > _LONGEST_SCRATCH:
        return Path("/tmp")  # noqa: S108 - the folder in it is made by mkdtemp, 0700
    return usual


def _stop_agent(base: Path) -> None:
    """Ends whatever gpg started for this home; bounded, and silent where nothing runs."""
    gpgconf = shutil.which("gpgconf")
    if gpgconf is None:
        return
    command = [gpgconf, "--homedir", str(base), "--kill", "all"]
    environment = _environment(Home(base, own=True))
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, timeout=10, env=environment, check=False)


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
