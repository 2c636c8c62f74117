"""docs/operating.md, as far as a machine without the public network can follow it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.server.serving import kit

ROOT = Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "operating.md"


def test_the_way_from_nothing_to_a_published_site(tmp_path: Path) -> None:
    commands = re.findall(r"```sh run\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert len(commands) == 5
    (files,) = re.findall(r"```sh publisher\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    commands.insert(0, files)
    script = "set -eu -o pipefail\n" + "\n".join(commands)
    folder = Path(kit.COMMAND).parent
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    assert '"GET /motd/motd.json?v=' in done.stdout
    assert re.search(r"^ok +lines", done.stdout, re.MULTILINE)
    assert (tmp_path / "site" / "index.html").exists()
    assert (tmp_path / "restored" / "site" / "index.html").exists()
    first, again = re.findall(r"^\d+ lines, (\d+) hits", done.stdout, re.MULTILINE)
    assert f"{first} hits, 1 rejected" in done.stdout
    assert f"{int(first) + 1} lines, {first} hits, 1 rejected" in DOC.read_text()
    assert again == "0", "a restored database counts nothing twice"


def test_the_trial_on_an_empty_debian_follows_every_block() -> None:
    """``make soak ARGS=debian``; a block that it does not know would not be tried."""
    command = [sys.executable, "-m", "bench.debian"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
