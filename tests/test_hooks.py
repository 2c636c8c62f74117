"""Every hook stands in docs/hooks.md, and the plug-in that is printed there runs as it is."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mars import Mars
from mars.core.channel import Channel
from mars.providers import GROUP, Plugin
from mars.reports import Reports
from mars.statistics import Statistics

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "hooks.md"
FOREIGN = ("Callable", "Show", "Given", "Plugin", "Alter", "Isolate", "Channel]", "Told")
"""In the annotation of a parameter that takes something to be called."""


def takes_foreign(annotation: object) -> bool:
    return any(name in str(annotation) for name in FOREIGN)


def public_methods(kind: type) -> list[str]:
    return [name for name, one in vars(kind).items() if callable(one) and not name.startswith("_")]


def hooks() -> list[str]:
    """All of them, from the code: what takes something to be called, and what such is asked."""
    found = [
        name
        for name, one in inspect.signature(Mars.__init__).parameters.items()
        if takes_foreign(one.annotation)
    ]
    found += [
        f"mars.{where}{name}"
        for kind, where in ((Mars, ""), (Statistics, "statistics."), (Reports, "reports."))
        for name in public_methods(kind)
        for one in inspect.signature(getattr(kind, name)).parameters.values()
        if takes_foreign(one.annotation)
    ]
    found += [f"plugin.{name}" for name in public_methods(Plugin)]
    return [*found, *public_methods(Channel), GROUP, "veto", "statistics.coarsen"]


@pytest.mark.parametrize("hook", hooks())
def test_each_hook_is_documented(hook: str) -> None:
    found = re.findall(r"`[^`]*`", DOC.read_text())
    assert any(re.search(rf"(?<![\w.]){re.escape(hook)}(?!\w)", code) for code in found)


def test_the_hooks_are_found_in_the_code() -> None:
    known = {"on_turn", "channels", "mars.on_motd", "mars.statistics.alter", "plugin.data", "look"}
    assert known <= set(hooks())


RUN = """
import json
from mars.testing.world import World
from tests.mars.channels.kit import REGISTRY
mars = World().mars(plugins=["folders"], registry=REGISTRY)
mars.statistics.show()
print(json.dumps({one["name"]: one["value"] for one in mars.statistics.entries()}))
"""


def test_the_plugin_of_the_page_is_installed_and_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```(?:toml|python)\n(.*?)```", DOC.read_text(), re.DOTALL)
    source, site, home = (tmp_path / name for name in ("source", "site", "home"))
    for folder in (source, home / "Mail" / "in", home / "Mail" / "out"):
        folder.mkdir(parents=True)
    (source / "pyproject.toml").write_text(blocks[0])
    (source / "examplemail_folders.py").write_text(blocks[1])
    assert len([line for line in blocks[1].splitlines() if line]) <= 10
    bare = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    pip = [sys.executable, "-m", "pip", "install", *bare, "--target", str(site), str(source)]
    subprocess.run(pip, check=True, timeout=240)
    environ = {"PYTHONPATH": f"{site}:{ROOT}", "HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", RUN], env=environ, capture_output=True, check=True, timeout=120
    )
    assert json.loads(done.stdout)["examplemail/folders"] == "1-9"
