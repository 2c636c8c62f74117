"""The documents can't rot: what can be compared with the code is compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from mars.testing.publisher import Publisher
from mars.wire.catalogue import Catalogue
from mars.wire.events import read_errors
from mars.wire.registry import read_metrics

ROOT = Path(__file__).resolve().parent.parent
MAKE_TARGETS = ("setup", "demo", "test", "check", "bench", "docs", "fuzz", "soak", "clean")


def _tracked() -> list[str]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [name for name in names.stdout.decode().split("\0") if name and (ROOT / name).exists()]


def test_generated_pages_are_up_to_date_and_every_link_leads_somewhere() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.docs", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_embeds_a_client_that_starts_and_sends_nothing_undecided(tmp_path: Path) -> None:
    """The README's own lines, up to the consent that a test has no business to give."""
    readme = (ROOT / "README.md").read_text("utf-8")
    code, *_ = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    undecided = "".join(
        line for line in code.splitlines(keepends=True) if "consent.grant" not in line
    )
    program = undecided + "\nprint(mars.status()['level'])\nmars.stop()\n"
    assert python(program, tmp_path).split() == ["off"]


def test_the_readme_asks_for_statistics(tmp_path: Path) -> None:
    """Its lines, with an application's trust file and the registry of the example."""
    readme = (ROOT / "README.md").read_text("utf-8")
    _, code, _ = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "trust.json").write_bytes(Publisher().trust().encode())
    found, _ = read_metrics(tomllib.loads((ROOT / "motd/metrics.toml").read_text("utf-8")))
    declared = Catalogue("examplemail", "stable", ("0.5.2",), found).encode()
    (tmp_path / "registry.json").write_bytes(declared)
    code = code.replace(
        "mars.statistics.choose", "mars.consent.grant('plain')\nmars.statistics.choose"
    )
    program = f"from mars import Mars\n\n{code}\nprint(mars.statistics.mode)\n"
    lines = python(program, tmp_path).splitlines()
    (folders,) = (line for line in lines if line.startswith("Mail folders "))
    assert folders.endswith(" 10-99")
    assert (len(lines), lines[-1]) == (len(found) + 1, "on")


def test_the_readme_counts_what_fails(tmp_path: Path) -> None:
    """Its lines, with the registry of the example, whose user gets the news."""
    readme = (ROOT / "README.md").read_text("utf-8")
    *_, code = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "trust.json").write_bytes(Publisher().trust().encode())
    found, _ = read_errors(tomllib.loads((ROOT / "motd/errors.toml").read_text("utf-8")))
    at_once = tuple(replace(domain, grace=0) for domain in found)
    declared = Catalogue("examplemail", "stable", ("0.5.2",), domains=at_once).encode()
    (tmp_path / "registry.json").write_bytes(declared)
    program = f"""from mars import Mars
mars = Mars("examplemail", "0.5.2", trust="trust.json", registry="registry.json")
mars.consent.grant("plain")
{code}
for name in mars.failures_seen()[0]["names"]:
    print(name["name"], name["today"])
print(mars.status()["streams"])
"""
    lines = python(program, tmp_path).splitlines()
    assert {"key_missing 1", "other 1"} <= set(lines)
    assert lines[-1].startswith("{'mode': 'on', ")
    assert lines[-1].endswith(" 'problems': [], 'lost': 0}")


def python(program: str, folder: Path) -> str:
    """What it prints where ``folder`` is its home."""
    home = {"HOME": str(folder), "XDG_STATE_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env=home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_signs_a_first_document_and_reads_it(tmp_path: Path) -> None:
    """The README's own commands, pasted into an empty folder."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (commands,) = re.findall(r"```sh publisher\n(.*?)```", readme, re.DOTALL)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", commands],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "Fetched at level plain by file."


@pytest.mark.parametrize("target", MAKE_TARGETS)
def test_make_knows_its_targets_and_help_names_them(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert re.search(rf"^# make {target} ", makefile, re.MULTILINE)


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text("utf-8")
    pages = sorted(page.name for page in folder.glob("[0-9]*.md"))
    assert pages
    for page in pages:
        assert re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page)
        assert f"]({page})" in index, page
    numbers = [page[:4] for page in pages]
    assert len(set(numbers)) == len(numbers)


def test_no_file_mentions_the_workshop() -> None:
    """The repository explains itself; paths and papers of the place where it was made stay out."""
    papers = "DESIGN HOSTILE MATHS STYLE PEERS CHECKLIST TOR".split()
    words = [f"{paper}.md" for paper in papers] + ["/" + "work/", ".lib" + "rary"]
    pattern = re.compile("|".join(rf"(?<![\w-]){re.escape(word)}" for word in words))
    faults = []
    for name in _tracked():
        try:
            text = (ROOT / name).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if name == "tests/test_docs.py":
            continue
        faults += [
            f"{name}:{number}: {found[0]}"
            for number, line in enumerate(text.splitlines(), start=1)
            if (found := pattern.search(line))
        ]
    assert not faults, "\n".join(faults)
