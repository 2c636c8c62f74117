"""gpgv or gpg as a program: it hangs, lies, is absent, and leaves nothing behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from mars.adapters.gpg import MAX_SIGNATURE, GnuPG
from mars.errors import MarsError
from mars.testing.publisher import Publisher
from mars.trust import TrustState, start, verify
from testbed.packets import PacketKey
from tests.hostile.openpgp import BOTH, KEY, MESSAGE, NOW, PAST, bad, good


def program(folder: Path, script: str, name: str = "gpgv", deadline: float = 1.0) -> GnuPG:
    """A ``GnuPG`` that finds ``script`` under ``name`` and nothing else."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return GnuPG(path=str(folder), scratch=folder.parent, deadline=deadline)


SOON = 7.0
"""Seconds for a deadline of one, on a busy machine."""
HANGS = "exec sleep 8"
"""Longer than ``SOON``, and yet it ends where nothing else ends it."""
VERSION = 'if [ "$1" = --version ]; then echo "gpgv (GnuPG) 2.2.40"; exit 0; fi\n'


def test_d12_large_signature_is_rejected_before_anything_is_started(tools: Path) -> None:
    started = tools / "started"
    gnupg = program(tools, f"touch {started}")
    assert bad(gnupg, b"\x88" * (MAX_SIGNATURE + 1))
    assert not started.exists()
    assert gnupg.verify(b"\x88" * MAX_SIGNATURE, MESSAGE, [KEY.block]).reason is not None
    assert started.exists()


@BOTH
def test_d12_compression_bomb_is_rejected_in_time(gnupg: GnuPG) -> None:
    literal = b"b\0\0\0\0\0" + bytes(4_000_000)
    packets = b"\xcb\xff" + len(literal).to_bytes(4, "big") + literal
    bomb = (
        b"\xc8\xff" + (len(body := b"\x02" + zlib.compress(packets, 9))).to_bytes(4, "big") + body
    )
    assert len(bomb) <= MAX_SIGNATURE
    begun = time.monotonic()
    assert bad(gnupg, bomb)
    assert time.monotonic() - begun < 30


def test_d12_hanging_program_is_killed_with_its_children(tools: Path) -> None:
    gnupg = program(tools, VERSION + "sleep 8 & echo $! > ../child; wait", deadline=3.0)
    begun = time.monotonic()
    # The home is removed, so the child's number is written beside it.
    assert gnupg.verify(b"\x88x", MESSAGE, [KEY.block]).reason == "openpgp-unavailable"
    assert time.monotonic() - begun < SOON
    child = int((tools.parent / "child").read_text())
    assert gone(child)


def gone(process: int) -> bool:
    """Whether ``process`` has ended, within five seconds; a zombie has."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


@BOTH
def test_d15_options_of_the_user_have_no_effect(
    gnupg: GnuPG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / ".gnupg"
    hostile.mkdir(mode=0o700)
    options = "auto-key-retrieve\nkeyserver hkp://127.0.0.1:9\ntrust-model tofu\n"
    options += f"keyring {tmp_path}/other.gpg\nno-such-option-at-all\nverbose\nstatus-fd 2\n"
    options += "weak-digest SHA256\n"  # gpg passes over what it does not know; this one it obeys
    for name in ("gpg.conf", "gpgv.conf", "common.conf", "dirmngr.conf"):
        (hostile / name).write_text(options)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GNUPGHOME", str(hostile))
    before = sorted(hostile.iterdir())
    assert good(gnupg, KEY.sign(MESSAGE, PAST))
    assert bad(gnupg, PacketKey(b"u" * 32).sign(MESSAGE, PAST))
    assert sorted(hostile.iterdir()) == before, "the user's own home was not touched"


@pytest.mark.parametrize("name", ["gpgv", "gpg"])
def test_d15_no_socket_is_opened_even_for_an_unknown_key(tools: Path, name: str) -> None:
    trace = tools / "trace"
    real = shutil.which(name)
    calls = "trace=network,execve"
    gnupg = program(tools, f'exec strace -f -qq -e {calls} -o {trace} -A {real} "$@"', name)
    assert bad(replace(gnupg, deadline=30.0), PacketKey(b"u" * 32).sign(MESSAGE, PAST))
    seen = trace.read_text()
    assert "execve" in seen
    assert not [line for line in seen.splitlines() if "socket(" in line or "connect(" in line]
    started = [line for line in seen.splitlines() if "execve(" in line]
    assert all(str(real) in line for line in started), "no agent, no keyboxd, no dirmngr"


def outcome(gnupg: GnuPG, policy: str, sticky: bool = False) -> str:
    """What becomes of a good document under ``policy``; ``sticky``: OpenPGP was verified before."""
    publisher = Publisher(seeds=[b"d" * 32], openpgp=[KEY], policy=policy)
    root = publisher.trust()
    state = replace(start(root, TrustState.initial()), openpgp=sticky)
    try:
        accepted = verify(publisher.document(), root, state, NOW, gnupg)
    except MarsError as error:
        return error.reason
    return "verified" if accepted.state.openpgp and not sticky else "accepted"


def test_d16_absent_programs_are_skipped_or_refused_by_policy(tmp_path: Path) -> None:
    absent = GnuPG(path=str(tmp_path))
    assert absent.verify(b"\x88", b"", []).reason == "openpgp-absent"
    assert outcome(absent, "when-available") == "accepted"
    assert outcome(absent, "required") == "openpgp-unavailable"
    assert outcome(absent, "off") == "accepted"


def test_d16_a_state_that_has_verified_openpgp_always_requires_it(tmp_path: Path) -> None:
    assert outcome(GnuPG(), "when-available") == "verified"
    assert (
        outcome(GnuPG(path=str(tmp_path)), "when-available", sticky=True) == "openpgp-unavailable"
    )


BROKEN = {
    "hangs": HANGS,
    "hangs in the verification": VERSION + HANGS,
    "fails": "exit 3",
    "says nothing": "exit 0",
    "version 1.4": "echo 'gpgv (GnuPG) 1.4.23'",
    "version 2.0": "echo 'gpgv (GnuPG) 2.0.31'",
    "another program": "echo 'gpgv: unbekannte Option'",
    "crashes": "kill -SEGV $$",
    "crashes in the verification": VERSION + "kill -SEGV $$",
    "prints for ever": "exec timeout 8 yes x",
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("policy", ["required", "when-available"])
def test_d16_present_but_broken_program_is_a_refusal_in_bounded_time(
    tools: Path, script: str, policy: str
) -> None:
    gnupg = program(tools, script)
    begun = time.monotonic()
    assert outcome(gnupg, policy) == "openpgp-unavailable"
    assert time.monotonic() - begun < SOON
    assert not list(tools.parent.glob("mars-gpg*"))


def test_d16_file_that_cannot_be_executed_is_a_refusal(tools: Path) -> None:
    gnupg = program(tools, "exit 0")
    (tools / "gpgv").chmod(0o644)
    assert outcome(gnupg, "when-available") == "openpgp-unavailable"
    assert outcome(gnupg, "off") == "accepted"
    (tools / "gpgv").chmod(0o755)
    (tools / "gpgv").write_bytes(b"\x7fELF not a program")
    assert outcome(gnupg, "when-available") == "openpgp-unavailable"


def test_d16_broken_gpgv_is_not_passed_over_for_a_good_gpg(tools: Path) -> None:
    gnupg = program(tools, "exit 3")
    (tools / "gpg").symlink_to(str(shutil.which("gpg")))
    assert outcome(gnupg, "when-available") == "openpgp-unavailable"


@BOTH
def test_d16_another_language_changes_nothing(
    gnupg: GnuPG, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LANGUAGE", "LC_MESSAGES"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    assert good(gnupg, KEY.sign(MESSAGE, PAST))


def test_d16_full_disk_or_missing_scratch_folder_is_a_refusal(tmp_path: Path) -> None:
    gnupg = GnuPG(scratch=tmp_path / "missing")
    assert gnupg.verify(b"\x88x", MESSAGE, [KEY.block]).reason == "openpgp-unavailable"


SLOW = """
import sys
from pathlib import Path
from mars.adapters.gpg import GnuPG
GnuPG(path=sys.argv[1], scratch=Path(sys.argv[2])).verify(b"\\x88x", b"", [sys.argv[3]])
"""


@BOTH
def test_d16_a_child_that_the_host_forks_meanwhile_changes_nothing(
    gnupg: GnuPG, tmp_path: Path
) -> None:
    """It runs on, with a copy of every descriptor that was open then."""
    code = FORKING.format(programs=gnupg.programs, scratch=str(tmp_path))
    given = [KEY.block, KEY.sign(MESSAGE, PAST).hex(), MESSAGE.hex()]
    done = subprocess.run(
        [sys.executable, "-c", code, *given], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout.split() == ["None", "2"]
    assert list(tmp_path.iterdir()) == []


FORKING = """
import os, sys, time
from pathlib import Path
from mars.adapters.gpg import GnuPG
children = []
def fork(event, arguments):
    if event == "subprocess.Popen":  # from here on it is as if another thread had forked
        child = os.fork()
        if child == 0:
            os.close(1)
            time.sleep(20)
            os._exit(0)
        children.append(child)
sys.addaudithook(fork)
key, signature, message = sys.argv[1:]
made = GnuPG(programs={programs}, scratch=Path({scratch!r}))
print(made.verify(bytes.fromhex(signature), bytes.fromhex(message), [key]).reason, len(children))
for child in children:
    os.kill(child, 9)
"""


@pytest.mark.parametrize("reaper", ["signal.SIG_IGN", "lambda *_: os.waitpid(-1, os.WNOHANG)"])
def test_d16_a_host_that_reaps_every_child_changes_nothing(reaper: str, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        f"signal.signal(signal.SIGCHLD, {reaper})\n"
        "from mars.adapters.gpg import GnuPG\nkey, *hexes = sys.argv[1:]\n"
        f"made = GnuPG(scratch=Path({str(tmp_path)!r}))\n"
        "print(made.verify(*map(bytes.fromhex, hexes), [key]).reason)\n"
    )
    signed = [KEY.sign(MESSAGE, PAST).hex(), MESSAGE.hex()]
    for signature, reason in ((signed[0], "None"), (KEY.sign(b"x", PAST).hex(), "openpgp-bad")):
        done = subprocess.run(
            [sys.executable, "-c", code, KEY.block, signature, signed[1]],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == reason


def children_in(folder: Path) -> list[int]:
    """Processes whose working directory is ``folder``."""
    running = psutil.process_iter(["cwd"])
    return [process.pid for process in running if process.info["cwd"] == str(folder)]


@BOTH
def test_d17_nothing_is_left_lying_or_running_after_success_and_failure(
    gnupg: GnuPG, tmp_path: Path
) -> None:
    here = replace(gnupg, scratch=tmp_path)
    assert good(here, KEY.sign(MESSAGE, PAST))
    assert bad(here, PacketKey(b"u" * 32).sign(MESSAGE, PAST))
    assert list(tmp_path.iterdir()) == []
    assert not [line for line in command_lines() if str(tmp_path) in line]


def command_lines() -> list[str]:
    """Of all running processes."""
    return [" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]


@BOTH
@pytest.mark.parametrize("name", ["with spaces", "þæö-目", "x" * 150, "quo'te\"$(id)"])
def test_d18_any_path_works(gnupg: GnuPG, tmp_path: Path, name: str) -> None:
    scratch = tmp_path / name
    scratch.mkdir()
    assert good(replace(gnupg, scratch=scratch), KEY.sign(MESSAGE, PAST))
