"""Detached OpenPGP signatures, verified by gpgv or gpg in a home of their own.

Neither agent, network nor user options take part: ``gpgv`` starts none, and ``gpg`` is told not
to. Both judge against a key ring that holds the pinned keys and nothing else, in a folder of mode
0700 that is removed afterwards. What they say is read from a status file of its own, as bytes,
split on LF alone (GnuPG, doc/DETAILS, "Format of the --status-fd output"); what they print on
stderr is thrown away, and the exit code alone is never believed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mars.adapters.locks import locked
from mars.adapters.system import SystemClock
from mars.errors import WireError
from mars.ports import Clock, OpenPGPVerdict
from mars.wire.openpgp import dearmour, public_keys

MAX_SIGNATURE = 8 * 1024
"""Bytes; more is refused before anything is started."""
DEADLINE = 30.0
"""Seconds for one run of gpg or gpgv, after which it is killed."""
OLDEST = (2, 2)
"""GnuPG 1.4 knows neither Ed25519 nor the isolation that we ask for."""
HASHES = (b"8", b"9", b"10")
"""SHA-256, SHA-384, SHA-512 (RFC 4880, section 9.4)."""
BINARY_SIGNATURE = b"00"
"""Signature class: over a binary document (RFC 4880, section 5.2.1)."""
MAX_STATUS = 64 * 1024
"""Bytes of status that are read; an honest answer has under 2000."""

_PREFIX = "mars-gpgv-"
_IN_USE = "in-use.lock"
_STATUS = b"[GNUPG:] "
_VERSION = re.compile(rb"gpgv? \([^)\n]*\) ([0-9]+)\.([0-9]+)")

ABSENT = OpenPGPVerdict("openpgp-absent")
BAD = OpenPGPVerdict("openpgp-bad")
UNAVAILABLE = OpenPGPVerdict("openpgp-unavailable")
CLOCK = OpenPGPVerdict("clock")


@dataclass(frozen=True)
class GnuPG:
    """``mars.ports.OpenPGP``. ``path`` is a search path like PATH; None means the process's own.

    ``scratch`` is the folder in which the short-lived homes are made; None means the system's.
    """

    path: str | None = None
    scratch: Path | None = None
    deadline: float = DEADLINE
    clock: Clock = field(default_factory=SystemClock)
    programs: tuple[str, ...] = ("gpgv", "gpg")
    """In order of preference; gpgv comes first, since it needs no import and starts nothing."""

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        """One verdict; never raises for anything that the signature or the programs do."""
        program = self._program()
        if program is None:
            return ABSENT
        if not signature or len(signature) > MAX_SIGNATURE:
            return BAD
        try:
            with short_lived_home(self.scratch) as home:
                return self._run(program, home, signature, message, keys)
        except (OSError, subprocess.SubprocessError):
            return UNAVAILABLE
        except (ValueError, WireError):
            return BAD

    def _program(self) -> Path | None:
        """The program to use. One that is there but cannot be started counts as there."""
        search = os.environ.get("PATH", os.defpath) if self.path is None else self.path
        for mode in (os.F_OK | os.X_OK, os.F_OK):
            for name in self.programs:
                found = shutil.which(name, mode, search)
                if found is not None:
                    return Path(found).absolute()
        return None

    def _run(
        self, program: Path, home: Path, signature: bytes, message: bytes, keys: Sequence[str]
    ) -> OpenPGPVerdict:
        made = [key.created for block in keys for key in public_keys(block)]
        (home / "ring.gpg").write_bytes(b"".join(dearmour(block) for block in keys))
        (home / "signature").write_bytes(signature)
        (home / "message").write_bytes(message)
        # gpg 2.4 writes "use-keyboxd" into a home that has no common.conf.
        for name in ("gpg.conf", "common.conf", "gpgv.conf"):
            (home / name).touch()
        code, version = _start([str(program), "--version"], home, self.deadline)
        found = _VERSION.match(version)
        if code != 0 or found is None or (int(found[1]), int(found[2])) < OLDEST:
            return UNAVAILABLE
        command = [str(program), *_OPTIONS[found.group().partition(b" ")[0]], "--status-fd", "{}"]
        command += ["--keyring", str(home / "ring.gpg")]
        command += [str(home / "signature"), str(home / "message")]
        future = max(made, default=0) > self.clock.now()
        return judge(*_start(command, home, self.deadline), key_in_future=future)


_GPG = (
    "--no-options --batch --no-tty --no-autostart --disable-dirmngr --no-auto-key-retrieve "
    "--no-auto-key-locate --no-auto-check-trustdb --trust-model always --lock-never "
    "--display-charset utf-8 --no-default-keyring"
).split()
_OPTIONS = {b"gpgv": [], b"gpg": [*_GPG, "--verify"]}


def judge(code: int, status: bytes, key_in_future: bool = False) -> OpenPGPVerdict:
    """The acceptance rule on gpg's exit code and status bytes. Pure.

    Good means: exit code 0; NEWSIG, VALIDSIG and one of GOODSIG and EXPKEYSIG once each; none of
    the lines that speak against a signature; SHA-2; class 00. EXPKEYSIG decides nothing: it speaks
    of today instead of the day of the signature, and gpg says it in place of REVKEYSIG too.
    ``key_in_future``: a pinned key was made after the clock's time, which gpg reports in words that
    differ between its versions.
    """
    lines = [
        line[len(_STATUS) :].split(b" ") for line in status.split(b"\n") if line.startswith(_STATUS)
    ]
    said = [line[0] for line in lines]
    if key_in_future and _is_ahead(lines):
        return CLOCK
    if not 0 <= code <= _HIGHEST_EXIT:
        return UNAVAILABLE  # it was killed or it crashed
    if code != 0 or not _REFUSING.isdisjoint(said):
        return BAD
    said = [b"GOODSIG" if word == b"EXPKEYSIG" else word for word in said]
    if any(said.count(word) != 1 for word in (b"NEWSIG", b"GOODSIG", b"VALIDSIG")):
        return BAD
    return _verdict(next(line for line in lines if line[0] == b"VALIDSIG"))


def _is_ahead(lines: list[list[bytes]]) -> bool:
    """Whether gpg has the key and does not use it for its date."""
    codes = {line[6] for line in lines if line[0] == b"ERRSIG" and len(line) > 6}
    found = any(line[0] == b"KEY_CONSIDERED" for line in lines)
    return not codes.isdisjoint(_AHEAD) or (found and _NO_KEY in codes)


_HIGHEST_EXIT = 255
_AHEAD = {b"6", b"39"}
"""GPG_ERR_BAD_PUBKEY, as gpg and gpgv 2.2 say, and GPG_ERR_TIME_CONFLICT, as gpg 2.4 says of a key
from the future; the sixth field of ERRSIG (libgpg-error)."""
_NO_KEY = b"9"
"""GPG_ERR_NO_PUBKEY: what gpgv 2.4 says then, after KEY_CONSIDERED has named the key."""
_REFUSING = frozenset(
    b"BADSIG ERRSIG EXPSIG REVKEYSIG NODATA UNEXPECTED FAILURE ERROR KEYREVOKED "
    b"NO_PUBKEY BADARMOR PLAINTEXT DECRYPTION_FAILED".split()
)
_VALIDSIG_FIELDS = 11
"""The word, then ten fields: the first names the key that signed, the tenth its primary."""


def _verdict(valid: list[bytes]) -> OpenPGPVerdict:
    if len(valid) != _VALIDSIG_FIELDS:
        return BAD
    signer, created, digest, kind, primary = valid[1], valid[3], valid[8], valid[9], valid[10]
    if digest not in HASHES or kind != BINARY_SIGNATURE or not created.isdigit():
        return BAD
    names = [name.decode("ascii", "replace") for name in (primary, signer)]
    return OpenPGPVerdict(None, names[0], int(created), names[1])


def _nothing_runs(_home: Path) -> None:
    """Neither gpgv nor gpg as it is called here starts an agent."""


@contextlib.contextmanager
def short_lived_home(
    scratch: Path | None, prefix: str = _PREFIX, end: Callable[[Path], None] = _nothing_runs
) -> Iterator[Path]:
    """A folder of mode 0700 that is gone afterwards; removes what a crash has left behind.

    ``end`` ends what runs in a home, before that is removed.
    """
    parent = Path(tempfile.gettempdir()) if scratch is None else scratch
    if not _WINDOWS:
        _sweep(parent, prefix, end)
    with contextlib.ExitStack() as held:
        home = _claimed(parent, prefix, held)
        try:
            yield home
        finally:
            end(home)
            shutil.rmtree(home, ignore_errors=True)


def _claimed(parent: Path, prefix: str, held: contextlib.ExitStack) -> Path:
    """A new folder and its lock; where another process took it for a left one first, one more."""
    while True:
        home = Path(tempfile.mkdtemp(prefix=prefix, dir=parent)).resolve()
        if _WINDOWS:  # where nothing is swept, and an open file could not be removed
            return home
        try:
            is_ours = held.enter_context(locked(home / _IN_USE, 0))
        except OSError:
            is_ours = home.exists()
        if is_ours:
            return home


def _sweep(parent: Path, prefix: str, end: Callable[[Path], None]) -> None:
    """By their locks: process numbers mean nothing to another container that shares the folder."""
    for left in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            about = left.lstat()
            if stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid():
                with locked(left / _IN_USE, 0) as unused:
                    if unused:
                        end(left)
                        shutil.rmtree(left, ignore_errors=True)


_WINDOWS = sys.platform == "win32"


def _environment(home: Path) -> dict[str, str]:
    """Nothing of the user's but where programs and Windows itself are."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"LC_ALL": "C", "LANGUAGE": "C", "HOME": str(home), "GNUPGHOME": str(home)}


def _start(command: Sequence[str], home: Path, deadline: float) -> tuple[int, bytes]:
    """Runs ``command``; ``{}`` in it becomes the number of the status descriptor.

    Returns the exit code and what came on that descriptor, or on stdout for a command without
    one. Raises ``OSError`` or ``subprocess.TimeoutExpired``; kills what is left in either case.
    """
    reading, writing = os.pipe()
    try:
        process = _spawn(command, home, writing)
        try:
            code = process.wait(deadline)
        except BaseException:
            _kill(process)
            raise
        return code, _drain(reading)
    finally:
        os.close(reading)


def _spawn(command: Sequence[str], home: Path, writing: int) -> subprocess.Popen[bytes]:
    # Windows passes no descriptors on but the standard ones; there it is stdout, on which
    # neither program writes anything else.
    own = "{}" in command and not _WINDOWS
    number = str(writing) if own else "1"
    try:
        return subprocess.Popen(
            [number if part == "{}" else part for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if own else writing,
            stderr=subprocess.DEVNULL,
            pass_fds=(writing,) if own else (),
            cwd=home,
            env=_environment(home),
            start_new_session=not _WINDOWS,
        )
    finally:
        os.close(writing)


def _drain(reading: int) -> bytes:
    """What a program that has ended left in the pipe.

    Nothing is read before: an honest answer fits into the pipe, and a program that says more
    waits there until its deadline instead of filling the memory or the disk. The end of the pipe
    is not awaited: a child that the host forked meanwhile holds it open.
    """
    if not _WINDOWS:
        os.set_blocking(reading, False)
    parts: list[bytes] = []
    with contextlib.suppress(BlockingIOError):
        while part := os.read(reading, MAX_STATUS):
            parts.append(part)
    return b"".join(parts)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the program and whatever it started."""
    if _WINDOWS:
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
