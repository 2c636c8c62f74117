"""docs/embedding.md runs as it stands; docs/privacy.md is what the code says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import mars
from mars import factory
from mars.testing.publisher import Publisher
from mars.testing.world import ONION
from mars.wire.catalogue import Catalogue, digest
from mars.wire.events import read_errors
from mars.wire.request import request_bytes
from mars.wire.sealed import Opener

DOCS = Path(__file__).parents[2] / "docs"


def blocks() -> list[str]:
    text = (DOCS / "embedding.md").read_text("utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(
    script: str, folder: Path, answer: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        input=answer,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **more},
    )


def test_the_ten_lines_of_the_docs_embed_the_client(tmp_path: Path) -> None:
    lines = blocks()[0]
    assert len([line for line in lines.splitlines() if line]) <= 10
    publisher = Publisher()
    now = factory.system_clock().now() - 60
    trust = publisher.trust_file(1000, servers=(f"http://{ONION}",), built=now)
    (tmp_path / "trust.json").write_bytes(trust)
    (tmp_path / "motd.json").write_bytes(publisher.document(now))
    fetched = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("mars")), "fetch", "--trust", "trust.json"),
            *("--url", (tmp_path / "motd.json").as_uri(), "--level", "plain"),
        ],
        cwd=tmp_path,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert fetched.returncode == 0, fetched.stderr
    # The application "runs" until the news was shown.
    script = "import time\ninput = lambda prompt: time.sleep(1)\n" + lines
    done = run(script, tmp_path)
    assert done.stderr == ""
    assert (
        request_bytes(ONION, "v=0.5.2&os=linux&ia=1").decode().replace("\r\n", "\n") in done.stdout
    )
    assert "info Hello Version 0.5.2 is out." in done.stdout


@pytest.mark.parametrize("switch", ["DO_NOT_TRACK", "CI"])
def test_the_ten_lines_survive_a_switch_that_stops_everything(tmp_path: Path, switch: str) -> None:
    trust = Publisher().trust(servers=(f"http://{ONION}",))
    (tmp_path / "trust.json").write_bytes(trust.encode())
    done = run(f"input = print\n{blocks()[0]}", tmp_path, **{switch: "1"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "GET" not in done.stdout


def test_the_lines_about_what_fails_count_and_show_it(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(Publisher().trust().encode())
    domains, _ = read_errors(tomllib.loads((DOCS.parent / "motd/errors.toml").read_text("utf-8")))
    at_once = tuple(replace(one, grace=0) for one in domains)
    declared = Catalogue("examplemail", "stable", ("0.5.2",), domains=at_once)
    (tmp_path / "registry.json").write_bytes(declared.encode())
    lines = blocks()[1]
    done = run(f"{lines}\nprint(mars.status()['streams']['problems'])", tmp_path)
    assert done.stderr == ""
    assert done.stdout.startswith("decryption/* ")
    assert done.stdout.splitlines()[0].endswith(" off")
    assert "key_missing 0 1" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_lines_about_error_reports_keep_show_and_release_one(tmp_path: Path) -> None:
    publisher = Publisher()
    keys = {"0.5.2": Opener.of(b"\x01" * 32).public.hex()}
    declared = Catalogue("examplemail", "stable", ("0.5.2",), reports=keys).encode()
    publisher.steer(registry=digest(declared))
    (tmp_path / "trust.json").write_bytes(publisher.trust(servers=(f"http://{ONION}",)).encode())
    (tmp_path / "registry.json").write_bytes(declared)
    lines = blocks()[2].replace('    mars.reports.forget(report["id"])', "    pass")
    done = run(f"{lines}\nprint(mars.reports.list()[0]['released'])", tmp_path)
    assert done.returncode == 0, done.stderr
    guid = done.stderr.removeprefix("TELEMETRY ").strip()
    assert len(guid) == 32, "the line of the log, and no other"
    assert done.stdout.startswith("1 queued ['KeyError'] ")
    assert '"kind":"direct"' in done.stdout
    assert "what a user typed" not in done.stdout
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize("lines", blocks()[3:], ids=["memory", "sockets"])
def test_the_lines_for_tests_of_applications_run(tmp_path: Path, lines: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = run(lines, tmp_path, PATH=path)
    assert done.returncode == 0, done.stderr


def test_the_privacy_page_is_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("generate.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_public_is_named_where_applications_look() -> None:
    page = (DOCS / "embedding.md").read_text("utf-8")
    for name in set(mars.__all__) - {"__version__"}:
        assert getattr(mars, name).__doc__, name
        assert re.search(rf"\b{name}\b", page), name
