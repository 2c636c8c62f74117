"""Where the three commands write: any encoding, a reader that went away, no output at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mars import factory
from mars.testing.publisher import Publisher
from mars.wire.motd import Message

BIN = Path(sys.executable).parent
WORLD = "Þetta → 日本"


def command(
    name: str, *arguments: object, encoding: str = "utf-8", **environ: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [BIN / name, *map(str, arguments)],
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        | ({"PYTHONIOENCODING": encoding} if encoding else {})
        | environ,
        timeout=60,
    )


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    """In bash, with ``$GONE``, a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            env=os.environ | {"GONE": str(writer)},
            pass_fds=[writer],
            timeout=60,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "cp1252", "ascii"])
def test_a_character_that_the_output_lacks_fails_no_command(tmp_path: Path, encoding: str) -> None:
    publisher = Publisher()
    now = factory.system_clock().now()
    (tmp_path / "trust.json").write_bytes(publisher.trust().encode())
    message = Message(id="m", title={"en": WORLD}, text={"en": "Hæ"})
    (tmp_path / "motd.json").write_bytes(publisher.document(now - 60, messages=(message,)))
    url = (tmp_path / "motd.json").as_uri()
    where = ("--state", tmp_path / "s")
    fetch = ("fetch", "--trust", tmp_path / "trust.json", "--url", url, "--level", "plain", *where)
    for done in (
        command("mars", *fetch, encoding=encoding),
        command("mars", "show", *where, encoding=encoding),
    ):
        assert (done.returncode, done.stdout.count(b"tta")) == (0, 1), done.stderr
    shown = json.loads(command("mars", "show", *where, "--json", encoding=encoding).stdout)
    assert shown["messages"][0]["title"] == WORLD


@pytest.mark.parametrize("encoding", ["latin-1", "cp437"])
@pytest.mark.parametrize(
    "words", [("mars-motd", "key", "new", "--help"), ("mars-server", "count", "--help")]
)
def test_help_is_written_in_any_encoding(words: tuple[str, ...], encoding: str) -> None:
    done = command(*words, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert rb"\u2026" in done.stdout


def test_the_c_locale_is_no_reason_to_fail() -> None:
    """As where no C.UTF-8 exists that Python could take in its place."""
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    for name in ("mars", "mars-motd", "mars-server"):
        wrong = command(name, "wörd→", encoding="", **plain)
        assert (wrong.returncode, wrong.stdout) == (2, b"")
        assert b"No such command" in wrong.stderr
        assert b"Traceback" not in wrong.stderr
    assert command("mars-server", "count", "--help", encoding="", **plain).returncode == 0


@pytest.mark.parametrize("name", ["mars", "mars-motd", "mars-server"])
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("{} --help >/dev/full", 1),
        ("{} --help >&-", 0),
        ("{} --help 2>&-", 0),
        ("{} bogus 2>/dev/full", 2),
        ("{} bogus 2>&-", 2),
        ("{} --help >&$GONE", 1),
    ],
)
def test_output_that_goes_nowhere_ends_with_an_agreed_code(
    name: str, script: str, code: int
) -> None:
    done = shell(script.format(BIN / name))
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    if code == 2:
        assert done.stdout == b"", "what is wrong is never said on stdout"


@pytest.mark.parametrize("output", ["full", "closed"])
def test_a_decision_that_is_kept_is_no_failure_where_it_cannot_be_shown(
    tmp_path: Path, output: str
) -> None:
    where = f"--state {tmp_path}/s --product examplemail"
    to = ">/dev/full" if output == "full" else ">&$GONE"
    done = shell(f"{BIN}/mars consent grant plain {where} {to}")
    assert done.returncode == 0, done.stderr
    assert (b"The decision is stored; only this output" in done.stderr) is (output == "full")
    shown = command("mars", "consent", "explain", "--state", tmp_path / "s", "--json")
    assert json.loads(shown.stdout)["level"] == "plain"
