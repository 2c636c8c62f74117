"""Where a computer lacks the memory that Argon2id takes, that is told, and nothing is lost.

Each script runs in a process of its own, whose address space may then grow by 40 MiB only.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCARCE = """
import resource
from mars.errors import MarsError

def scarce(mebibytes=40):
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    limit = held + (mebibytes << 20) if mebibytes else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

def reason(call, *given):
    try:
        return call(*given)
    except MarsError as error:
        return f"{type(error).__name__} {error}"
"""


def ran(script: str, folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCARCE + script, *map(str, words)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def printed(script: str, folder: Path) -> list[str]:
    done = ran(script, folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_a_passphrase_that_cannot_be_tried_is_no_wrong_one(tmp_path: Path) -> None:
    script = """
from mars.wire.keyfile import REPORTS, decode, encode
data = encode(REPORTS, {"0.5.2": bytes(32)}, b"x")
scarce()
print(reason(decode, data, lambda: b"x"))
print(reason(encode, REPORTS, {"0.5.2": bytes(32)}, b"x"))
scarce(0)
print(decode(data, lambda: b"x").secrets == {"0.5.2": bytes(32)})
"""
    said = (
        "StateError A key takes 256 MiB of memory, which are not there now; end other programs, "
        "then try again. [no-memory]"
    )
    assert printed(script, tmp_path) == [said, said, "True"]


COMMAND = """
import sys
from {package}.cli import main
sys.argv[0] = "{program}"
scarce()
main()
"""


def test_a_publisher_s_key_is_not_made_and_none_is_left_in_halves(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("correct horse\n")
    init = COMMAND.format(package="mars_motd", program="mars-motd").replace("scarce()\n", "")
    assert ran(init, tmp_path, "init", "news", "--product", "examplemail").returncode == 0
    before = sorted((tmp_path / "news").rglob("*"))
    script = COMMAND.format(package="mars_motd", program="mars-motd")
    key = ("key", "new", "news", "--role", "status", "--passphrase-file", "phrase")
    done = ran(script, tmp_path, *key)
    assert (done.returncode, done.stdout) == (1, "")
    assert "[no-memory]" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted((tmp_path / "news").rglob("*")) == before


def test_an_operator_s_document_is_not_written_and_the_old_one_stays(tmp_path: Path) -> None:
    setup = """
import json
from pathlib import Path
from mars.factory import system_chance
from mars_motd import sealing
from tests.server.triage import kit
here = Path(".")
kit.signing(here)
said = {"type": "mars-motd-secret", "version": 1, **sealing.seal(kit.SEED, "x", system_chance())}
Path("status.secret").write_bytes(sealing.write_json(said))
Path("product.toml").write_text(kit.TOML)
Path("phrase").write_text("x\\n")
Path("status.json").write_text("the old one")
"""
    assert printed(setup, tmp_path) == []
    script = COMMAND.format(package="mars_server", program="mars-server")
    command = "errors status --db sqlite:///t.db --out status.json --key status.secret".split()
    done = ran(script, tmp_path, *command, "--trust", "trust.json", "--passphrase-file", "phrase")
    assert (done.returncode, done.stdout) == (1, "")
    assert "[no-memory]" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "status.json").read_text() == "the old one"


WORLD = """
from mars.channels.one_fault import OneFault
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import a_world, fault, kept, meet, released, running, read
world = a_world()
"""


@pytest.mark.parametrize("way", ["crowd", "direct"])
def test_a_crowd_report_is_put_off_and_goes_once_there_is_room(tmp_path: Path, way: str) -> None:
    """Nothing else waits for it: a direct report needs no such memory."""
    script = f"""{WORLD}
released(world, {way!r})
scarce()
running(world, 10 * DAY)
print(len(posted(world)), [one.sent is None for one in kept(world)])
print([one["state"] for one in world.mars().reports.list()])
scarce(0)
running(world, 10 * DAY)
print([type(read(one)).__name__ for one in posted(world)])
"""
    found = printed(script, tmp_path)
    if way == "crowd":
        assert found == ["0 [True]", "['queued']", "['Share']"]
    else:
        assert found == ["1 [False]", "['sent']", "['Direct']"]


def test_a_preview_of_a_crowd_report_says_why_there_is_none(tmp_path: Path) -> None:
    script = f"""{WORLD}
meet(world, fault())
running(world, 60)
from mars.channels.own_reports import OwnReports
own = OwnReports(world.client())
scarce()
print(reason(own.text, "1", "crowd"))
print(reason(OneFault, world.client(), fault(2), "crowd"))
print(len(kept(world)), kept(world)[0].share == "")
scarce(0)
print("types" in own.text("1", "crowd"))
"""
    said = "StateError A key takes 64 MiB of memory, which are not there now; end other programs, "
    said += "then try again. [no-memory]"
    assert printed(script, tmp_path) == [said, said, "1 True", "True"]
