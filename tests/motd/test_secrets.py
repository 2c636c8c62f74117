"""Secrets at rest, and what is left of a run that ends well, badly or by force."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mars.errors import ConfigError, StateError
from mars.factory import system_chance
from mars.wire.openpgp import dearmour
from mars_motd import files, gpg, sealing
from mars_motd.keystore import OPENPGP_CREATED, KeyRecord, KeyStore
from tests.waiting import until

Run = Callable[..., Any]
MARCH = "2026-03-01T00:00:00Z"
COMMAND = str(Path(sys.executable).with_name("mars-motd"))
SEED = bytes(range(32))


@pytest.fixture(scope="module")
def sealed() -> dict[str, Any]:
    return sealing.seal(SEED, "correct horse", system_chance())


def test_a_sealed_seed_opens_with_its_passphrase_alone(sealed: dict[str, Any]) -> None:
    assert sealing.unseal(sealed, "correct horse", "x") == SEED
    assert SEED.hex() not in json.dumps(sealed)
    for phrase, reason in ((None, "passphrase-needed"), ("Correct horse", "passphrase-wrong")):
        with pytest.raises(StateError) as caught:
            sealing.unseal(sealed, phrase, "x")
        assert caught.value.reason == reason


def test_two_sealings_share_nothing(sealed: dict[str, Any]) -> None:
    again = sealing.seal(SEED, "correct horse", system_chance())
    assert again["salt"] != sealed["salt"]
    assert again["box"] != sealed["box"]


@pytest.mark.parametrize(
    "change",
    [
        {"memlimit": 2**40},
        {"opslimit": 10**9},
        {"memlimit": "much"},
        {"kdf": "scrypt"},
        {"salt": "00"},
        {"salt": None},
        {"box": "zz"},
    ],
)
def test_a_damaged_or_greedy_key_file_is_refused_at_once(
    sealed: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(StateError) as caught:
        sealing.unseal({**sealed, **change}, "correct horse", "x")
    assert caught.value.reason == "key-damaged"


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"kdf": "none"'])
def test_a_file_that_is_no_key_file_is_refused(data: bytes) -> None:
    with pytest.raises(StateError) as caught:
        sealing.read_json(data, "x")
    assert caught.value.reason == "key-damaged"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "other"},
        {"name": "../evil"},
        {"ed25519": "00" * 32},
        {"ed25519": "ff"},
        {"openpgp": {"ABCD": "-----BEGIN PGP PUBLIC KEY BLOCK-----"}},
        {"openpgp": ""},
        {"openpgp": {"ABCD": 1}},
        {"role": "boss"},
        {"role": "index"},
    ],
)
def test_a13_a_damaged_public_record_is_refused(made: Path, change: dict[str, Any]) -> None:
    record = json.loads((made / "keys" / "motd-1.json").read_text())
    with pytest.raises(StateError) as caught:
        KeyRecord.decode(json.dumps({**record, **change}).encode(), "x")
    assert caught.value.reason == "key-damaged"


def test_records_and_secrets_that_do_not_belong_together(product: Path, ok: Run) -> None:
    ok("key", "new", product, "--role", "motd", "--no-passphrase")
    keys = KeyStore(product / "keys", product / "openpgp", product / "root")
    names = [record.name for record in keys.records()]
    assert names == ["root-1", "motd-1", "motd-2", "release-1", "status-1", "index-1"]
    shutil.copy2(product / "keys" / "motd-1.secret", product / "keys" / "motd-2.secret")
    with pytest.raises(StateError) as caught:
        keys.seed(keys.record("motd-2"), None)
    assert caught.value.reason == "key-damaged"
    shutil.copy2(product / "keys" / "motd-1.json", product / "keys" / "other.json")
    with pytest.raises(StateError):
        keys.records()


def test_names_sort_as_people_count(tmp_path: Path, made: Path) -> None:
    text = (made / "keys" / "motd-1.json").read_text()
    for number in (10, 9, 1):
        files.replace(
            tmp_path / f"motd-{number}.json", text.replace('"motd-1"', f'"motd-{number}"').encode()
        )
    names = [record.name for record in KeyStore(tmp_path, tmp_path, tmp_path).records()]
    assert names == ["motd-1", "motd-9", "motd-10"]


def test_files_are_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b"
    files.replace(target, b"one")
    files.replace(target, b"two")
    assert target.read_bytes() == b"two"
    with pytest.raises(FileExistsError):
        files.create(target, b"three")
    with pytest.raises(ConfigError):
        files.replace(tmp_path / "a", b"four")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b"]


def test_dearmour_gives_what_gpg_gives(made: Path) -> None:
    (block,) = json.loads((made / "keys" / "motd-1.json").read_text())["openpgp"].values()
    done = subprocess.run(["gpg", "--dearmor"], input=block.encode(), capture_output=True)
    assert dearmour(block) == done.stdout


def processes_at(folder: Path) -> list[list[str]]:
    """Command lines of running processes that name ``folder``."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and any(str(folder) in part for part in line):
            found.append(line)
    return found


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A temporary folder with a path that is short enough for an agent's socket."""
    with tempfile.TemporaryDirectory(prefix="m") as folder:
        yield Path(folder)


def test_d17_nothing_is_left_after_success_and_failure(
    scratch: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    folder, out, phrase = tmp_path / "p", tmp_path / "motd.json", tmp_path / "phrase"
    phrase.write_text("correct horse")
    where = {"TMPDIR": str(scratch)}
    ok("init", folder, "--product", "examplemail")
    ok("key", "new", folder, "--passphrase-file", phrase, **where)
    assert motd("sign", folder, "--out", out, "--now", MARCH, **where).code == 1
    ok("sign", folder, "--out", out, "--now", MARCH, "--passphrase-file", phrase, **where)
    ok("trust", folder, "--out", tmp_path / "trust.json", "--now", MARCH)
    ok("verify", out, "--trust", tmp_path / "trust.json", "--now", MARCH, **where)
    assert list(scratch.iterdir()) == []
    assert processes_at(scratch) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_d17_a_killed_run_is_cleaned_up_by_itself_or_by_the_next(
    scratch: Path,
    product: Path,
    tmp_path: Path,
    ok: Run,
    wrapped: Callable[[str], None],
    number: int,
) -> None:
    mark = shlex.quote(str(tmp_path / "made"))
    wrapped(
        'case "$*" in *--gen-key*) "$REAL" "$@"; : > ' + mark + "\n"
        "while kill -0 $PPID 2>/dev/null; do sleep 0.1; done;; esac\n"
        'exec "$REAL" "$@"'
    )
    environment = {**os.environ, "TMPDIR": str(scratch)}
    command = [
        COMMAND,
        "key",
        "new",
        str(product),
        "--role",
        "motd",
        "--no-passphrase",
        "--name",
        "second",
    ]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (tmp_path / "made").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(scratch.glob("mars-gpg-*/S.gpg-agent")) != []
    run.send_signal(number)
    _, said = run.communicate(timeout=60)
    assert b"Traceback" not in said
    if number == signal.SIGKILL:
        ok("sign", product, "--out", tmp_path / "a.json", "--now", MARCH, TMPDIR=str(scratch))
    until(lambda: not processes_at(scratch))
    assert list(scratch.iterdir()) == []
    halves = [product / "keys" / f"second-motd.{half}" for half in ("json", "secret")]
    assert halves[0].exists() == halves[1].exists()


def test_a_given_home_is_used_as_it_is_and_its_agent_left_alone(
    scratch: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    """As with a hardware token: the key, its agent and its options are the owner's."""
    home = scratch / "home"
    home.mkdir(mode=0o700)
    gpg.create_key(gpg.Home(home, own=True), "Token holder", OPENPGP_CREATED, None)
    folder, out = tmp_path / "p", tmp_path / "motd.json"
    try:
        ok("init", folder, "--product", "examplemail")
        ok("key", "new", folder, "--no-passphrase", "--openpgp-home", home, "--openpgp-key",
           "Token holder")  # fmt: skip
        ok("sign", folder, "--out", out, "--now", MARCH)
        assert verdict(out, folder)["ok"]
        assert len(list(folder.glob("openpgp/private-keys-v1.d/*"))) == 1  # of release
        assert processes_at(home)  # the owner's agent still runs
        bad = ("key", "new", folder, "--role", "motd", "--no-passphrase", "--openpgp-home")
        assert motd(*bad, home, "--openpgp-key", "nobody").code == 1
        assert motd(*bad, tmp_path / "none", "--openpgp-key", "x").code == 1
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


def test_without_gpg_the_reason_is_told(tmp_path: Path, ok: Run, motd: Run) -> None:
    folder = tmp_path / "p"
    ok("init", folder, "--product", "examplemail")
    done = motd("key", "new", folder, "--no-passphrase", PATH="/nonexistent")
    assert (done.code, "[openpgp-unavailable]" in done.err) == (1, True)
    assert not list(folder.glob("keys/*"))
    path = folder / "product.toml"
    path.write_text(path.read_text().replace('openpgp = "when-available"', 'openpgp = "off"'))
    ok("key", "new", folder, "--no-passphrase", PATH="/nonexistent")
    ok("sign", folder, "--out", tmp_path / "a.json", PATH="/nonexistent")
    ok("trust", folder, "--out", tmp_path / "t.json", "--now", MARCH)
    ok("verify", tmp_path / "a.json", "--trust", tmp_path / "t.json", PATH="/nonexistent")


def test_a_key_with_another_passphrase_is_passed_over(
    tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    folder, one, two = (tmp_path / name for name in ("p", "one", "two"))
    one.write_text("first passphrase")
    two.write_text("second passphrase")
    ok("init", folder, "--product", "examplemail")
    ok("key", "new", folder, "--passphrase-file", one)
    ok("key", "new", folder, "--role", "motd", "--passphrase-file", two)
    out = tmp_path / "motd.json"
    done = motd("sign", folder, "--out", out, "--now", MARCH, "--passphrase-file", two)
    assert (done.code, "[passphrase-wrong]" in done.err) == (1, True), "root is asked first"
    ok("steering", folder, "--now", MARCH, "--passphrase-file", one)
    ok("sign", folder, "--out", out, "--now", MARCH, "--passphrase-file", two)
    assert verdict(out, folder)["ok"]
    assert ok("status", folder, "--now", MARCH, "--json").json["signed_by"] == ["motd-2"]
    done = motd("sign", folder, "--key", "motd-1", "--out", out, "--passphrase-file", two)
    assert (done.code, "[passphrase-wrong]" in done.err) == (1, True)


def test_passphrases_are_asked_for_at_the_terminal(tmp_path: Path, ok: Run, verdict: Run) -> None:
    folder, out = tmp_path / "p", tmp_path / "motd.json"
    ok("init", folder, "--product", "examplemail")
    answer(["key", "new", str(folder)], ["correct horse", "correct horse"])
    answer(["sign", str(folder), "--out", str(out), "--now", MARCH], ["correct horse"] * 2)
    # Root has signed what steers, and is asked for nothing more.
    answer(["sign", str(folder), "--out", str(out), "--now", MARCH], ["correct horse"])
    assert verdict(out, folder)["ok"]


def answer(arguments: list[str], answers: list[str]) -> None:
    """Runs the command at a terminal of its own and types ``answers``, each when asked."""
    terminal, theirs = os.openpty()
    command = ["setsid", "--ctty", "--wait", COMMAND, *arguments]
    child = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    try:
        for text in answers:
            while not re.search(rb"(?i)(passphrase|repeat|y/n)[^\n]*: *$", shown):
                shown += os.read(terminal, 1024)
            shown = b""
            os.write(terminal, text.encode() + b"\n")
        while True:
            try:
                block = os.read(terminal, 1024)
            except OSError:  # Linux: the other side is gone
                break
            assert b"correct" not in block  # never echoed
            if not block:
                break
    finally:
        os.close(terminal)
        code = child.wait(timeout=60)
    assert code == 0, shown


@pytest.mark.parametrize("content", [b"", b"\nsecond line", b"\xff\xfe", b"a\x07b", b"x" * 2000])
def test_a_useless_passphrase_file_is_refused(
    product: Path, tmp_path: Path, motd: Run, content: bytes
) -> None:
    (tmp_path / "phrase").write_bytes(content)
    done = motd("key", "new", product, "--role", "motd", "--passphrase-file", tmp_path / "phrase")
    assert (done.code, "[passphrase-invalid]" in done.err) == (1, True)
    assert not list(product.glob("keys/motd-2*"))


def test_damaged_records_are_named(product: Path, tmp_path: Path, ok: Run, motd: Run) -> None:
    ok("sign", product, "--out", tmp_path / "a.json", "--now", MARCH)
    (record,) = product.glob("issued/*.json")
    record.write_text("{")
    for command in (
        ("status", product),
        ("sign", product, "--out", tmp_path / "b", "--now", MARCH),
    ):
        done = motd(*command)
        assert done.code == 1
        assert "[record-damaged]" in done.err
        assert str(record) in done.err
    (product / "trust" / "epoch-1.json").write_text("{")
    assert "[trust-damaged]" in motd("status", product).err


def test_two_signings_at_once_never_share_a_serial(
    product: Path, tmp_path: Path, verdict: Run
) -> None:
    runs = []
    for number in range(4):
        twin = tmp_path / f"out-{number}.json"
        (product / "news.txt").write_text(f"news {number}")
        runs.append(
            subprocess.Popen(
                [COMMAND, "sign", str(product), "--out", str(twin), "--now", MARCH],
                stderr=subprocess.DEVNULL,
            )
        )
        time.sleep(0.15)
    codes = [run.wait(timeout=60) for run in runs]
    payloads = {json.loads((tmp_path / f"out-{n}.json").read_text())["payload"]
                for n, code in enumerate(codes) if code == 0}  # fmt: skip
    assert len(list(product.glob("issued/*.json"))) == len(payloads) >= 1
