"""A metric is one entry of the registry: everything else follows from it without another line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENTRY = """    Variable(
        "desk",
        "Kind of desktop",
        "gnome, kde or other",
        "Which desktop the application runs on.",
        "The developers see which desktop they try it on first.",
        of=lambda facts: "kde" if facts.system else None,
        form="gnome|kde",
        known=lambda _: ("gnome", "kde"),
        title="Desktops",
        meaning="kind of desktop, optional",
        optional=True,
    ),
"""
PRODUCT = """
product = "examplemail"
channel = "stable"
releases = ["0.5.2"]
platforms = ["linux"]
languages = ["en"]
"""
URL = "http://127.0.0.1:9/motd/motd.json"
LINE = '- - - [{day}:00:00:00 +0000] "GET /motd/motd.json?{query} HTTP/1.1" 200 1843 "-" "-"\n'
HEAD = f"# mars access log v1 id={'0' * 32}\n"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the three packages in which the catalogue has one entry more."""
    copy = tmp_path_factory.mktemp("tree")
    for package in ("mars", "server/mars_server", "motd/mars_motd"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, copy / Path(package).name, ignore=ignore)
    catalogue = copy / "mars" / "wire" / "variables.py"
    text = catalogue.read_text("utf-8")
    end = ')\n"""In the order in which they are sent."""'
    assert text.count(end) == 1
    catalogue.write_text(text.replace(end, ENTRY + end), "utf-8")
    (copy / "product.toml").write_text(PRODUCT, "utf-8")
    (copy / "generate.py").write_bytes((ROOT / "tests/mars/generate.py").read_bytes())
    return copy


def run(tree: Path, module: str, *words: str) -> str:
    """What a command of the copied tree prints on stdout; it must end with 0."""
    return python(tree, f"from {module} import main; main()", *words)


def python(tree: Path, code: str, *words: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment |= {"PYTHONPATH": str(tree), "HOME": str(tree), "XDG_STATE_HOME": str(tree)}
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_one_entry_is_asked_for_and_stands_in_preview_and_query(tree: Path) -> None:
    """In the consent, in the preview's texts and, once agreed to, in the very bytes."""
    profile = ("--product", "examplemail", "--state", str(tree / "state"))
    run(tree, "mars.cli", "consent", "grant", "tracked", "--variable", "desk", *profile)
    explained = json.loads(run(tree, "mars.cli", "consent", "explain", "--json", *profile))
    assert explained["variables"] == ["desk"]
    state = tree / "state" / "state.json"
    table = json.loads(state.read_bytes())
    now = table["decision"]["decided"]
    table |= {"pick": 1.0, "app": table["app"] | {"built": now, "crowd": 1000}}
    state.write_text(json.dumps(table), "utf-8")
    shown = json.loads(
        run(tree, "mars.cli", "preview", "--json", "--url", URL, "--app-version", "0.5.2", *profile)
    )
    assert shown["says"].endswith("lang, py, cc or desk too.")
    assert "?desk=kde " in shown["bytes"]
    (entry,) = (one for one in shown["variables"] if one["name"] == "desk")
    assert entry["value"] == "kde"
    assert entry["reason"] == "The developers see which desktop they try it on first."


def test_one_entry_is_counted_tabled_shown_and_proven(tree: Path) -> None:
    """From a log's line to a table, a page, a download, the public page on privacy, the doctor."""
    log = tree / "log"
    log.mkdir(mode=0o700)
    days = [f"{day:02}/Nov/2026" for day in range(2, 9)]
    lines = [LINE.format(day=day, query=f"desk={value}") for day in days for value in VALUES]
    closed = log / f"access-2026-11-08-{'0' * 32}.log"
    closed.write_text(HEAD + "".join(sorted(lines)), "utf-8")
    closed.chmod(0o600)
    counting = ("count", str(closed), "--product", "product.toml")
    found = json.loads(run(tree, "mars_server.cli", *counting, "--dry-run", "--json"))
    assert found["days"]["2026-11-02"]["desk"] == {"gnome": 6, "kde": 3, "other": 1}
    database = f"sqlite:///{tree}/counts.db"
    given = ("--db", database, "--product", "product.toml")
    run(tree, "mars_server.cli", "count", "log", *given)
    run(
        tree, "mars_server.cli", "publish", *given, "--out", "site", "--now", "2026-12-01T00:00:00Z"
    )
    week = json.loads((tree / "site/data/2026-W45.json").read_text("utf-8"))
    counted = {row["value"]: row["count"] for row in week["tables"]["desk"]}
    assert counted == {"gnome": 40, "kde": 20, "other": "<10", "none": "<10"}
    page = (tree / "site/desk/index.html").read_text("utf-8")
    assert "<h1>Desktops" in page
    assert "gnome" in page
    assert (tree / "site/desk/chart.png").stat().st_size > 1000
    assert "2026-W45,2026-11-02,gnome,40" in (tree / "site/data/desk.csv").read_text("utf-8")
    privacy = (tree / "site/privacy/index.html").read_text("utf-8")
    assert "kind of desktop, optional</td><td>gnome, kde</td>" in privacy
    # By the form of the values alone, and in whichever year this test runs.
    (tree / "server.toml").write_text('log = "log"\nkeep_days = 36500\n', "utf-8")
    run(tree, "mars_server.cli", "doctor", "--config", "server.toml")


VALUES = ("gnome",) * 6 + ("kde",) * 3 + ("other",)


def test_one_entry_stands_on_the_page_of_what_is_sent(tree: Path) -> None:
    made = python(tree, "from generate import privacy; print(privacy())")
    assert "| `desk` Kind of desktop |" in made


def test_one_entry_makes_the_budget_of_noise_smaller_per_cell(tree: Path) -> None:
    code = "from mars_server.tables.noise import CELLS_PER_HIT; print(CELLS_PER_HIT)"
    cells = [
        int(subprocess.check_output([sys.executable, "-c", code], cwd="/", env=environment))
        for environment in ({}, {"PYTHONPATH": str(tree)})
    ]
    assert cells[1] == cells[0] + 1
